"""OpenVINO's CPU plugin, set to float32 and to one request at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov

if TYPE_CHECKING:
    from tvm_deconv.bench.worker import Loaded


def load(model: str, x: np.ndarray, threads: int) -> Loaded:
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
    request.set_input_tensor(ov.Tensor(x))

    def call() -> ov.Tensor:
        request.infer()
        return request.get_output_tensor()

    # "2026.1.0-1234-abcdef": the build number says no more than the release.
    return call, lambda tensor: tensor.data, ov.__version__.split("-")[0], []
