"""Rules of single operators that must hold before anything is inferred from their attributes.

``onnx.shape_inference`` knows some of them, and says so without the value or the way out.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx

from tvm_deconv.errors import ModelError

from .check import COMPUTED
from .facts import Facts
from .nodes import STANDARD, attributes, describe, refuse
from .windows import output_padding, read_window


def check_node(node: onnx.NodeProto, facts: Facts) -> onnx.NodeProto:
    """The node, if it keeps the rules, in the form that shape inference takes.

    Raises ModelError.
    """
    rule = _RULES.get(node.op_type) if node.domain in STANDARD else None
    if rule is None:
        return node
    try:
        return rule(node, facts)
    except ModelError as error:
        raise ModelError(f"{facts.name}: {describe(node, facts.opset)}: {error}") from error


def _convolution(node: onnx.NodeProto, facts: Facts) -> onnx.NodeProto:
    weights = facts.shape(node.input[1])
    if weights is None or len(weights) < 3:
        return node
    if 0 in weights:
        refuse(f"its weights have the shape {weights}: there is nothing to compute")
    options = attributes(node)
    window = read_window(options, len(weights) - 2, weights[2:])
    if node.op_type != "ConvTranspose":
        return node
    output_padding(options, window)
    return _with_spatial_shape(node, len(weights) - 2)


def _with_spatial_shape(node: onnx.NodeProto, axes: int) -> onnx.NodeProto:
    """``output_shape`` without batch and channels, which some exporters write."""
    long = [a for a in node.attribute if a.name == "output_shape" and len(a.ints) == axes + 2]
    if not long:
        return node
    short = onnx.NodeProto()
    short.CopyFrom(node)
    for attribute in short.attribute:
        if attribute.name == "output_shape":
            attribute.ints[:] = attribute.ints[2:]
    return short


def _pool(node: onnx.NodeProto, facts: Facts) -> onnx.NodeProto:
    shape = facts.shape(node.input[0])
    if shape is not None and len(shape) > 2:
        read_window(attributes(node), len(shape) - 2)
    return node


def _cast(node: onnx.NodeProto, facts: Facts) -> onnx.NodeProto:
    """Of what is not constant, to a type that TVM computes with."""
    kind = attributes(node)["to"]
    if kind not in COMPUTED and node.input[0] not in facts.values:
        refuse(f"to is {onnx.TensorProto.DataType.Name(kind)}, which TVM does not compute with")
    return node


_RULES: dict[str, Callable[[onnx.NodeProto, Facts], onnx.NodeProto]] = {
    "AveragePool": _pool,
    "Cast": _cast,
    "Conv": _convolution,
    "ConvTranspose": _convolution,
    "LpPool": _pool,
    "MaxPool": _pool,
}
