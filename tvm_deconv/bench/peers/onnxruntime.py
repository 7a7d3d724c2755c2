"""ONNX Runtime with its CPU provider, all graph optimisations on."""

from __future__ import annotations

import json
from bisect import bisect_right
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime as ort

if TYPE_CHECKING:
    from tvm_deconv.bench.worker import Inputs, Kernels, Loaded, Outputs, Profiled

_FATAL_ONLY = 4
_KERNEL_TIME = "_kernel_time"


def load(model: str, inputs: Inputs, outputs: Outputs, threads: int) -> Loaded:
    """Inputs and outputs are bound once, so that a call neither copies nor allocates."""
    return _bound(_session(model, _options(threads)), inputs, outputs)


def profiled(model: str, inputs: Inputs, outputs: Outputs, threads: int, folder: str) -> Profiled:
    """The same with ONNX Runtime's own profiler; the optimized graph is written to ``folder``.

    A kernel's layer is the name of its node in that graph, ``optimized.onnx``.
    """
    options = _options(threads)
    options.enable_profiling = True
    options.profile_file_prefix = str(Path(folder) / "profile")
    options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
    options.log_severity_level = _FATAL_ONLY  # it warns that this graph is for this machine only
    session = _session(model, options)
    loaded = _bound(session, inputs, outputs)

    def kernels() -> Kernels:
        events = json.loads(Path(session.end_profiling()).read_text())
        return [], kernels_in(events, skipped=1)  # the run that bound the results

    return loaded, kernels


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    return options


def _session(model: str, options: ort.SessionOptions) -> ort.InferenceSession:
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _bound(session: ort.InferenceSession, inputs: Inputs, outputs: Outputs) -> Loaded:
    binding = session.io_binding()
    for name, x in inputs.items():
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(x))
    for name in outputs:
        binding.bind_output(name, "cpu")
    session.run_with_iobinding(binding)
    # From here on into the memory of the first results.
    results = binding.get_outputs()
    for name, result in zip(outputs, results, strict=True):
        binding.bind_ortvalue_output(name, result)

    def call() -> list[ort.OrtValue]:
        session.run_with_iobinding(binding)
        return results

    return call, lambda values: [value.numpy() for value in values], ort.__version__, []


def kernels_in(events: list[dict[str, Any]], skipped: int = 0) -> list[dict[str, Any]]:
    """The kernels of a profile, with their milliseconds in each run but the first ``skipped``.

    A node that is run several times, in the body of a loop, has one time in each run.
    """
    begins = sorted(
        event["ts"]
        for event in events
        if event["cat"] == "Session" and event["name"] == "model_run"
    )[skipped:]
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        if event["cat"] != "Node" or not event["name"].endswith(_KERNEL_TIME):
            continue
        number = bisect_right(begins, event["ts"]) - 1
        if number < 0:
            continue
        layer = event["name"].removesuffix(_KERNEL_TIME)
        kernel = found.setdefault(
            layer, {"name": event["args"]["op_name"], "layer": layer, "ms": [0.0] * len(begins)}
        )
        kernel["ms"][number] += event["dur"] / 1e3
    return list(found.values())
