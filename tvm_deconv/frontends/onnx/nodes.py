"""Reading nodes of an ONNX graph, and how messages speak of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import onnx
from onnx import helper

from tvm_deconv.errors import ModelError

STANDARD = ("", "ai.onnx")
# Of ONNX Runtime's own operators.
MICROSOFT_DOMAIN = "com.microsoft"


def words(text: str) -> frozenset[str]:
    """A set of names, written as one line of text."""
    return frozenset(text.split())


def all_nodes(graph: onnx.GraphProto | onnx.FunctionProto) -> Iterator[onnx.NodeProto]:
    """Every node, those in the branches and bodies of others included."""
    for node in graph.node:
        yield node
        for body in bodies(node):
            yield from all_nodes(body)


def bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Graphs among the attributes of a node."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def reads(node: onnx.NodeProto) -> set[str]:
    """Names of the tensors that a node reads, in its branches and bodies, too."""
    found = {name for name in node.input if name}
    for body in bodies(node):
        made = {value.name for value in body.input}
        made |= {tensor.name for tensor in body.initializer}
        inner = {value.name for value in body.output}
        for step in body.node:
            inner |= reads(step)
            made.update(step.output)
        found |= inner - made
    return found


def read_weights(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    """The weights that something reads, or that are results; the others may be of any type."""
    read = {value.name for value in graph.output}.union(*map(reads, graph.node))
    return [tensor for tensor in graph.initializer if tensor.name in read]


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Values by name: numbers, lists of them, and text as ``str``."""
    found = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        found[attribute.name] = value.decode("utf-8", "replace") if _is_text(value) else value
    return found


def _is_text(value: Any) -> bool:
    return isinstance(value, bytes)


def opset_of(model: onnx.ModelProto) -> int:
    """Version of the standard's operators; 1 where the file names none."""
    versions = [o.version for o in model.opset_import if o.domain in STANDARD]
    return max(versions, default=1)


# Operators of the standard that ONNX Runtime has in every opset, and where the standard has them.
_EARLIER_THERE = {"LayerNormalization": 17}


def opset_for(node: onnx.NodeProto, opset: int) -> int:
    """The opset that defines the node's operator: one of ONNX Runtime's may be ahead of its own."""
    if node.domain not in STANDARD:
        return opset
    return max(opset, _EARLIER_THERE.get(node.op_type, 0))


def spell(node: onnx.NodeProto) -> str:
    """The operator, with its domain where that is not the standard's."""
    return f"{node.domain}::{node.op_type}" if node.domain not in STANDARD else node.op_type


def label(node: onnx.NodeProto) -> str:
    """The node's name, or its first output where it has none."""
    return node.name or next((name for name in node.output if name), "without outputs")


def describe(node: onnx.NodeProto, opset: int) -> str:
    """``Resize 'up' (opset 13)``: a node in the words of a message."""
    return f"{spell(node)} {label(node)!r} (opset {opset})"


def refuse(reason: str) -> NoReturn:
    """Raise ModelError; whoever knows the node puts model and node before the ``reason``."""
    raise ModelError(reason)
