"""Build the demo networks with Relay, rewritten and as they were, and time them in turns.

    make relay                      # or: .venv-relay/bin/python scripts/relay_demo.py

What is rewritten is computed by our kernels, what is not by TVM's alone. Both are held against ONNX
Runtime first; what differs is an error. One table is printed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import tvm
from relay_models import host, read
from tvm import relay
from tvm.contrib.graph_executor import GraphModule

import tvm_deconv.relay
from tvm_deconv.bench.figures import Spread
from tvm_deconv.bench.table import aligned
from tvm_deconv.measure.facts import cpu_model
from tvm_deconv.measure.reference import TOLERANCE, largest_error
from tvm_deconv.measure.rotation import rotate, timed_turn

MODELS = Path(__file__).resolve().parent / "models"
NETWORKS = {
    "espcn_x3": "convolution + pixel shuffle",
    "resize_x3": "nearest resize + convolution",
}
OURS, PLAIN = "rewritten", "as it was"


def compiled(mod: tvm.IRModule, target: str, x: np.ndarray) -> Callable[[], np.ndarray]:
    with tvm.transform.PassContext(opt_level=3):
        library = relay.build(mod, target)
    network = GraphModule(library["default"](tvm.cpu()))
    network.set_input("luma", x)

    def run() -> np.ndarray:
        network.run()
        return network.get_output(0).numpy()

    return run


def measure_network(name: str, size: int, target: str, rounds: int) -> tuple[str, ...]:
    """The row of a network; raises SystemExit where a result is not that of ONNX Runtime."""
    path = MODELS / f"{name}.onnx"
    x = np.random.default_rng(0).random((1, 1, size, size), "float32")
    plain = read(path, {"luma": x.shape})
    rewritten, report = tvm_deconv.relay.rewrite_upsampling(plain)
    print(f"{name} ({NETWORKS[name]})\n{report}\n", flush=True)
    runs = {OURS: compiled(rewritten, target, x)}
    with tvm_deconv.relay.stock():
        runs[PLAIN] = compiled(plain, target, x)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"luma": x})
    errors = {who: largest_error(run(), expected) for who, run in runs.items()}
    if max(errors.values()) > TOLERANCE["float32"]:
        raise SystemExit(f"relay_demo: {name} differs from ONNX Runtime: {errors}")
    samples = rotate(list(runs), lambda who, calls: timed_turn(runs[who], calls), rounds=rounds)
    spreads = {who: Spread.of(of) for who, of in samples.items()}
    ratio = spreads[PLAIN].median / spreads[OURS].median
    times = (str(spreads[OURS]), str(spreads[PLAIN]), f"{ratio:.2f}")
    return name, *times, f"{errors[OURS]:.1e}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--target", default=host(), help="as relay.build takes it (%(default)s)")
    parser.add_argument("--size", type=int, default=170, help="height and width (%(default)s)")
    parser.add_argument("--rounds", type=int, default=8, help="of measuring (%(default)s)")
    options = parser.parse_args()
    header = ("network", "rewritten ms", "as it was ms", "times as fast", "diff to ORT")
    rows: list[tuple[str, ...]] = [header]
    rows += [
        measure_network(name, options.size, options.target, options.rounds) for name in NETWORKS
    ]
    print(aligned(rows))
    print(
        f"\n{cpu_model()}, TVM {tvm.__version__}, float32, {options.size} x {options.size} pixels; "
        "times are medians ± half the quartile distance. Differences are of the largest value."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
