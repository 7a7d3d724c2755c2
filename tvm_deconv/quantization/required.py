"""ONNX Runtime's quantizer is an extra, which a network that is quantized already does without."""

from __future__ import annotations

import importlib

import onnx

from tvm_deconv.errors import QuantizationError

_OF_BYTES = ("QuantizeLinear", "DequantizeLinear", "QLinearConv")


def is_quantized(model: onnx.ModelProto) -> bool:
    """Whether a network has operators of bytes."""
    return any(node.op_type in _OF_BYTES for node in model.graph.node)


def require_onnx_runtime(who: str) -> None:
    """Raises QuantizationError, which says that ``who`` takes it, where it is not installed."""
    try:
        importlib.import_module("onnxruntime.quantization")
    except ImportError as error:
        raise QuantizationError(
            f"{who} takes ONNX Runtime's quantizer, which is not installed: "
            "pip install 'tvm-deconv[quantize]'"
        ) from error
