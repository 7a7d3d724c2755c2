"""Measure single layers and whole networks against ONNX Runtime on the same threads.

    make bench                              # or: python scripts/bench.py --threads 1 --only sub

Every contestant is checked before it is timed; contestants take turns in one run, together with a
kernel that does nothing but multiply-adds in registers: the peak that shares are taken of.
Results: a table, and build/bench.json with every sample.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import tvm
from bench_models import BENCHMARKS, Benchmark
from measure import aligned, contest, facts, spread, summary
from peak import peak_kernel
from tvm import relax

import tvm_deconv
from tvm_deconv.threads import use_threads

ROOT = Path(__file__).resolve().parent.parent
OURS, PLAIN, PEER, PEAK = "tvm_deconv", "without_rewrite", "onnxruntime", "fma_peak"
TOLERANCE = 1e-4  # of the largest value: what a contestant must reach to be counted


def measure(benchmark: Benchmark, threads: int, turns: int) -> dict[str, Any]:
    """Samples and figures of one benchmark."""
    model = benchmark.model()
    x = np.random.default_rng(0).random(benchmark.input_shape).astype("float32")
    started = time.perf_counter()
    calls = {OURS: compiled(model, x, rewrite=True)}
    compile_s = time.perf_counter() - started
    calls[PLAIN] = compiled(model, x, rewrite=False)
    calls[PEER] = onnx_runtime(model, x, threads)
    expected = calls[PEER]().numpy()
    errors = {name: relative_error(call().numpy(), expected) for name, call in calls.items()}
    wrong = {name: error for name, error in errors.items() if error > TOLERANCE}
    if wrong:
        raise SystemExit(f"{benchmark.name}: results differ from ONNX Runtime: {wrong}")

    peak, peak_flop = peak_kernel(threads)
    samples = contest({**calls, PEAK: peak}, turns=turns)
    times = {name: {**summary(of), "samples": of} for name, of in samples.items()}
    ours = times[OURS]["median"]
    figures: dict[str, Any] = {
        "compile_s": compile_s,
        "largest_relative_difference": errors,
        "milliseconds": times,
        "ratio_to_onnxruntime": times[PEER]["median"] / ours,
        "ratio_of_design_notes": benchmark.noted_ratio,
        "gflops_peak": peak_flop / times[PEAK]["median"] / 1e6,
    }
    if benchmark.multiply_adds is not None:
        figures["gflops"] = 2 * benchmark.multiply_adds / ours / 1e6
        figures["share_of_peak"] = figures["gflops"] / figures["gflops_peak"]
    return figures


def compiled(model: onnx.ModelProto, x: np.ndarray, rewrite: bool) -> Callable[[], Any]:
    """A call from a tensor of TVM to a tensor of TVM."""
    machine = relax.VirtualMachine(tvm_deconv.compile(model, rewrite=rewrite), tvm.cpu())
    argument, main = tvm.runtime.tensor(x), machine["main"]
    return lambda: main(argument)


def onnx_runtime(model: onnx.ModelProto, x: np.ndarray, threads: int) -> Callable[[], Any]:
    """A call from a tensor of ONNX Runtime to a tensor of ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    inputs = {name: onnxruntime.OrtValue.ortvalue_from_numpy(x)}
    outputs = [output.name for output in session.get_outputs()]
    return lambda: session.run_with_ort_values(outputs, inputs)[0]


def relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(got - expected).max() / np.abs(expected).max())


def table(results: dict[str, dict[str, Any]]) -> str:
    rows = [
        ("benchmark", "ours ms", "no rewrite", "ORT ms", "ORT/ours", "noted", "GFLOP/s", "of peak")
    ]
    for name, figures in results.items():
        times = figures["milliseconds"]
        noted, share = figures["ratio_of_design_notes"], figures.get("share_of_peak")
        rows.append(
            (
                name,
                *(spread(times[who]) for who in (OURS, PLAIN, PEER)),
                f"{figures['ratio_to_onnxruntime']:.2f}",
                "" if noted is None else f"{noted:.2f}",
                "" if share is None else f"{figures['gflops']:.0f}",
                "" if share is None else f"{share:.0%}",
            )
        )
    return aligned(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, help="threads for everybody (default: all)")
    parser.add_argument("--only", default="", help="benchmarks whose name contains this")
    parser.add_argument("--turns", type=int, default=8, help="turns of five calls each")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench.json")
    options = parser.parse_args()
    threads = use_threads(options.threads)
    chosen = [b for b in BENCHMARKS if options.only in b.name]
    if not chosen:
        parser.error(f"no benchmark has {options.only!r} in its name")
    results = {}
    for benchmark in chosen:
        print(f"{benchmark.name} ...", file=sys.stderr, flush=True)
        results[benchmark.name] = measure(benchmark, threads, options.turns)
    ratios = [figures["ratio_to_onnxruntime"] for figures in results.values()]
    everything = {**facts(threads, "onnxruntime", "onnx"), "benchmarks": results}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(everything, indent=1) + "\n")
    print(table(results))
    lost = [name for name, f in results.items() if f["ratio_to_onnxruntime"] < 1]
    print(f"\ngeometric mean of ORT/ours: {statistics.geometric_mean(ratios):.2f}")
    print(f"lost to ONNX Runtime: {', '.join(lost) or 'none'}")
    print(f"{everything['machine']['cpu']}, {threads} threads, float32, batch 1; medians ± half")
    print(f"the quartile distance; all samples are in {options.out}")


if __name__ == "__main__":
    main()
