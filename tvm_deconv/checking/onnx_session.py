"""ONNX Runtime on a graph as it stands."""

from __future__ import annotations

import onnx
import onnxruntime

_FATAL_ONLY = 4


def session_of(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """The model as it is written.

    Its quantized layers are computed in floats: in the integers that they would be fused to, sums
    of two products saturate on processors without VNNI.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
