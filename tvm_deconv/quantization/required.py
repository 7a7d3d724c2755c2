"""ONNX Runtime's quantizer is an extra, which a network that is quantized already does without."""

from __future__ import annotations

import importlib
from itertools import chain

import onnx

from tvm_deconv.errors import QuantizationError
from tvm_deconv.frontends.onnx.nodes import all_nodes

_OF_INTEGERS = {
    "ConvInteger",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "MatMulInteger",
    "QuantizeLinear",
}


def integer_node(model: onnx.ModelProto) -> onnx.NodeProto | None:
    """A node that quantizes or computes integers, in functions and branches, too."""
    for node in chain.from_iterable(map(all_nodes, (model.graph, *model.functions))):
        if node.op_type in _OF_INTEGERS or node.op_type.startswith("QLinear"):
            return node
    return None


def is_quantized(model: onnx.ModelProto) -> bool:
    """Whether a network has operators of integers."""
    return integer_node(model) is not None


def require_onnx_runtime(who: str) -> None:
    """Raises QuantizationError, which says that ``who`` takes it, where it is not installed."""
    try:
        importlib.import_module("onnxruntime.quantization")
    except ImportError as error:
        raise QuantizationError(
            f"{who} takes ONNX Runtime's quantizer, which is not installed: "
            "pip install 'tvm-deconv[quantize]'"
        ) from error
