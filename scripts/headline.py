"""The paper's headline measured on this machine: our kernels with and without the rewrite.

    python scripts/headline.py --threads 2

The PyTorch super-resolution network (1->64->64->32->9 channels, r = 3) ends in a sub-pixel
convolution; the same network with a resize before its last convolution is the other contestant.
Each is compiled as it is and rewritten, with and without Winograd's algorithm, and so is its last
layer alone, also with as many outputs as inputs. All of them take turns. Prints a table in
Markdown, with the ratio of the roofline model for a device beside what was measured.
"""

from __future__ import annotations

import argparse
from functools import partial
from itertools import product
from statistics import median
from typing import Any

import numpy as np
import onnx

import tvm_deconv
from tvm_deconv.bench.ours import bound_call
from tvm_deconv.measure.rotation import rotate, timed_turn
from tvm_deconv.model.devices import load_device
from tvm_deconv.model.headline import BODY, FACTOR, KERNEL, LAST
from tvm_deconv.model.network import read_network
from tvm_deconv.model.report import ModelReport
from tvm_deconv.threads import use_threads
from tvm_deconv.workloads.graph import NetworkBuilder
from tvm_deconv.workloads.spec import LayerSpec, Upsampling

SIZE = 224
# Name of a row: whether the first three layers are there, and channels of the picture.
SCOPES = {"network": (True, 1), "last layer 32->1": (False, 1), "last layer 32->32": (False, 32)}
KINDS: dict[str, Upsampling] = {"sub-pixel": "subpixel", "resize": "nearest"}
OPTIONS: dict[str, dict[str, Any]] = {"winograd=False": {"winograd": False}, "auto": {}}
TOLERANCE = 1e-4


def model(scope: str, kind: str) -> onnx.ModelProto:
    """The network or its last layer, as trained."""
    whole, outputs = SCOPES[scope]
    first = BODY[0][0] if whole else LAST
    graph = NetworkBuilder((1, first, SIZE, SIZE))
    x = graph.input
    for c_in, c_out, kernel in BODY * whole:
        spec = LayerSpec(
            "conv", c_in, c_out, kernel, SIZE, SIZE, padding=kernel // 2, activation="relu"
        )
        x = graph.layer(x, spec)
    last = LayerSpec(
        KINDS[kind], LAST, outputs, KERNEL, SIZE, SIZE, factor=FACTOR, padding=KERNEL // 2
    )
    return graph.model(graph.layer(x, last), kind)


def measured(threads: int, limit_s: float) -> dict[tuple[str, str, str, bool], float]:
    """Milliseconds by scope, kind, options and whether it is rewritten."""
    use_threads(threads)
    calls = {}
    for scope, kind in product(SCOPES, KINDS):
        proto = model(scope, kind)
        shape = [dim.dim_value for dim in proto.graph.input[0].type.tensor_type.shape.dim]
        x = np.random.default_rng(0).random(shape, "float32")
        results = []
        for options, rewrite in product(OPTIONS, (False, True)):
            executable = tvm_deconv.compile(
                proto, rewrite=rewrite, threads=threads, log=None, **OPTIONS[options]
            )
            call = bound_call(executable, {"x": x})
            calls[scope, kind, options, rewrite] = call
            results.append(call().numpy())
        for other in results[1:]:
            error = np.abs(other - results[0]).max() / np.abs(results[0]).max()
            assert error <= TOLERANCE, f"{scope}, {kind}: results differ by {error:.1e}"
    names = {" ".join(map(str, key)): key for key in calls}
    samples = rotate(
        list(names),
        lambda name, count: timed_turn(calls[names[name]], count),
        rounds=100,
        limit_s=limit_s,
        exempt=names,
    )
    return {names[name]: median(times) for name, times in samples.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="znver4-2-threads", help="device of the model")
    parser.add_argument("--limit", type=float, default=25, metavar="SECONDS")
    options = parser.parse_args()
    device = load_device(options.device)
    times = measured(options.threads, options.limit)
    print("| | model | measured, `winograd=False` | measured, `auto` |\n|---|---|---|---|")
    for scope, kind in product(SCOPES, KINDS):
        report = ModelReport(read_network(model(scope, kind)), (device,))
        cost = partial(report.cost, device)
        seconds = [cost(rewritten=rewritten).estimate.seconds for rewritten in (False, True)]
        cells = [f"{seconds[0] / seconds[1]:.2f}"]
        for name in OPTIONS:
            before, after = (times[scope, kind, name, rewrite] for rewrite in (False, True))
            cells.append(f"{before / after:.2f} ({before:.2f} / {after:.2f} ms)")
        print(f"| {scope}, {kind} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
