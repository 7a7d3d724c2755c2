"""Takes QuantizeLinear and DequantizeLinear out of a graph, and keeps what they say.

What is left is the network in float32, with the weights that its integers stand for. A peer that
has no such operators makes integers of it again, in its own way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from .onnx_graph import Node, OnnxGraph

_QUANTIZE, _DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"

# Their results are not below 0 if no operand is, or whatever the operands are.
_MOVES = {"DepthToSpace", "Resize", "Concat", "MaxPool", "Reshape", "Transpose", "Pad", "Slice"}
_NEVER_BELOW_0 = {"Relu", "Sigmoid"}

SCALES = 3
"""Operand of a Conv or ConvTranspose with weights of int8: a scale for each output channel."""


@dataclass(frozen=True)
class ByteRange:
    """A value is (an int8 - ``zero``) * ``scale``; bytes of the other sign are shifted by 128."""

    scale: float
    zero: int

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest value."""
        return (-128 - self.zero) * self.scale, (127 - self.zero) * self.scale


def is_quantized(path: str) -> bool:
    """Whether the ONNX file has operators that quantize."""
    return any(node.op_type == _QUANTIZE for node in onnx.load(path).graph.node)


def take_quantization(graph: OnnxGraph) -> dict[str, ByteRange]:
    """The ranges of the values of ``graph`` that are quantized, which then are so no longer.

    A quantizer leaves out a Relu before bytes of a range that begins at 0, where they saturate, and
    a Clip from 0 to 6 before one that ends at 6, too: they are written again. Else what saturates
    is taken for what the range was measured on, and inputs to be within theirs.

    Convolutions get the operand ``SCALES``. A step that reorders their output channels reorders it
    with the weights, and one that computes other weights leaves it out. Raises NotSupportedError
    for what is read as integers, or has no single scale of int8 or uint8.
    """
    ranges: dict[str, ByteRange] = {}
    scales: dict[str, np.ndarray] = {}  # of weights
    sources: dict[str, str] = {}  # what a value was before it was quantized
    integers: set[str] = set()
    positive = set(graph.inputs)
    left: list[Node] = []
    for node in graph.nodes:
        read = integers.intersection(node.inputs)
        if read and node.op != _DEQUANTIZE:
            raise node.refuse(f"it reads integers ({min(read)})")
        node.inputs = [sources.get(name, name) for name in node.inputs]
        if node.op not in (_QUANTIZE, _DEQUANTIZE):
            left.append(node)
            operands = [name for name in node.inputs if name and name not in graph.constants]
            moves = node.op in _MOVES and positive.issuperset(operands)
            if moves or node.op in _NEVER_BELOW_0:
                positive.add(node.name)
            continue
        scale, zero = graph.weight(node, 1), graph.constant(node, 2)
        if node.inputs[0] in graph.constants and node.op == _DEQUANTIZE:
            scales[node.name] = _dequantize(graph, node, scale, zero)
            continue
        found = _range(node, scale, zero)
        x = node.inputs[0]
        if node.op == _QUANTIZE and found.bounds[0] == 0 and x not in positive:
            left.append(_bounded(graph, x, found))
            x = left[-1].name
            positive.add(x)
        sources[node.name] = x
        if ranges.setdefault(x, found) != found:
            raise node.refuse(f"{x} has two scales")
        (integers.add if node.op == _QUANTIZE else integers.discard)(node.name)
    graph.nodes[:] = left
    graph.outputs[:] = [sources.get(name, name) for name in graph.outputs]
    for node in left:
        if node.op in ("Conv", "ConvTranspose") and node.inputs[1] in scales:
            _add_scales(graph, node, scales[node.inputs[1]])
    return ranges


def _bounded(graph: OnnxGraph, x: str, own: ByteRange) -> Node:
    name = f"{x}_bounded"
    graph.shapes[name] = graph.shapes[x]
    if abs(own.bounds[1] - 6) > own.scale / 2:
        return Node("Relu", name, [x], {})
    limits = {f"{name}_low": 0.0, f"{name}_high": 6.0}
    for limit, value in limits.items():
        graph.constants[limit], graph.shapes[limit] = np.array(value, np.float32), ()
    return Node("Clip", name, [x, *limits], {})


def _range(node: Node, scale: np.ndarray, zero: np.ndarray | None) -> ByteRange:
    kind = "uint8" if zero is None else str(zero.dtype)
    if scale.size != 1 or kind not in ("int8", "uint8"):
        raise node.refuse(f"{scale.size} scales of {kind}, not one of int8 or uint8")
    number = 0 if zero is None else int(zero.item())
    return ByteRange(float(scale.item()), number - 128 * (kind == "uint8"))


def _dequantize(
    graph: OnnxGraph, node: Node, scale: np.ndarray, zero: np.ndarray | None
) -> np.ndarray:
    """Make the result of ``node`` a constant; the scales of integers around 0, else none."""
    value = graph.weight(node, 0)
    along = [1] * value.ndim
    if scale.size > 1:
        along[node.attributes.get("axis", 1)] = scale.size
    offset = np.zeros(along) if zero is None else np.broadcast_to(zero.ravel(), scale.size)
    floats = (value - offset.astype(np.float64).reshape(along)) * scale.reshape(along)
    graph.constants[node.name] = floats.astype(np.float32)
    graph.shapes[node.name] = value.shape
    centred = value.dtype == np.int8 and not offset.any()
    return scale.reshape(-1) if centred else np.empty(0, np.float32)


def _add_scales(graph: OnnxGraph, node: Node, scales: np.ndarray) -> None:
    weight = graph.weight(node, 1)
    is_conv, groups = node.op == "Conv", node.attributes.get("group", 1)
    outputs = weight.shape[0] if is_conv else weight.shape[1] * groups
    if scales.size not in (1, outputs):
        return
    name = f"{node.name}_scales"
    graph.constants[name] = np.broadcast_to(scales, outputs).copy()
    graph.shapes[name] = (outputs,)
    node.inputs = [*(*node.inputs, "", "")[:SCALES], name]
