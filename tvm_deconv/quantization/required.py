"""ONNX Runtime's quantizer is an extra."""

from __future__ import annotations

import importlib

from tvm_deconv.errors import QuantizationError


def require_onnx_runtime(who: str) -> None:
    """Raises QuantizationError, which says that ``who`` takes it, where it is not installed."""
    try:
        importlib.import_module("onnxruntime.quantization")
    except ImportError as error:
        raise QuantizationError(
            f"{who} takes ONNX Runtime's quantizer, which is not installed: "
            "pip install 'tvm-deconv[quantize]'"
        ) from error
