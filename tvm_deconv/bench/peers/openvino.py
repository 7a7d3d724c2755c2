"""OpenVINO's CPU plugin, set to float32 and to one request at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openvino as ov

if TYPE_CHECKING:
    from tvm_deconv.bench.worker import Inputs, Loaded, Outputs


def load(model: str, inputs: Inputs, outputs: Outputs, threads: int) -> Loaded:
    """Raises RuntimeError when the plugin does not take the precision or the threads asked for."""
    settings: dict[str, Any] = {
        # The default is bfloat16 where the processor has instructions for it.
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
    }
    compiled = ov.Core().compile_model(model, "CPU", settings)
    precision = compiled.get_property("INFERENCE_PRECISION_HINT")
    used = compiled.get_property("INFERENCE_NUM_THREADS")
    if precision != ov.Type.f32 or used != threads:
        raise RuntimeError(f"OpenVINO uses {used} threads and {precision}, not {threads} and f32")
    request = compiled.create_infer_request()
    for name, x in inputs.items():
        request.set_tensor(name, ov.Tensor(x))

    def call() -> list[ov.Tensor]:
        request.infer()
        return [request.get_tensor(name) for name in outputs]

    # "2026.1.0-1234-abcdef": the build number says no more than the release.
    version = ov.__version__.split("-")[0]
    return call, lambda tensors: [tensor.data for tensor in tensors], version, []
