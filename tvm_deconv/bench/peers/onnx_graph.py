"""Reads an ONNX file into the nodes and constants that the peers without an importer translate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper


class NotSupportedError(ValueError):
    """A model that a peer, or our translation for it, cannot do."""


@dataclass
class Node:
    op: str
    name: str  # of its first output
    inputs: list[str]  # "" where an optional operand is left out
    attributes: dict[str, Any]

    def refuse(self, why: str) -> NotSupportedError:
        return NotSupportedError(f"{self.op} {self.name}: {why}")


@dataclass
class OnnxGraph:
    """Its values have fixed shapes."""

    nodes: list[Node]
    constants: dict[str, np.ndarray]
    shapes: dict[str, tuple[int, ...]]
    inputs: list[str]
    outputs: list[str]
    opset: int

    def constant(self, node: Node, operand: int) -> np.ndarray | None:
        """The operand's value, None where it is left out; refuses one that is computed."""
        if operand >= len(node.inputs) or not node.inputs[operand]:
            return None
        name = node.inputs[operand]
        if name not in self.constants:
            raise node.refuse(f"operand {operand} ({name}) is not a constant")
        return self.constants[name]

    def weight(self, node: Node, operand: int) -> np.ndarray:
        """A constant that must be there."""
        value = self.constant(node, operand)
        if value is None:
            raise node.refuse(f"operand {operand} is missing")
        return value


def read_graph(path: str) -> OnnxGraph:
    """Raises NotSupportedError for nodes of several results; the shapes are those inferred."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path), strict_mode=True, data_prop=True)
    proto = model.graph
    constants = {t.name: numpy_helper.to_array(t) for t in proto.initializer}
    nodes = []
    for node in proto.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(attributes["value"])
            continue
        if len([name for name in node.output if name]) != 1:
            raise NotSupportedError(f"{node.op_type} {node.output[0]}: it has several results")
        text = {k: v.decode() if isinstance(v, bytes) else v for k, v in attributes.items()}
        nodes.append(Node(node.op_type, node.output[0], list(node.input), text))
    inputs = [v.name for v in proto.input if v.name not in constants]
    shapes = {name: value.shape for name, value in constants.items()}
    for value in (*proto.input, *proto.value_info, *proto.output):
        shapes[value.name] = tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
    outputs = [value.name for value in proto.output]
    (opset,) = (each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))
    return OnnxGraph(nodes, constants, shapes, inputs, outputs, opset)


def has_dcr(path: str) -> bool:
    """Whether the ONNX file has a DepthToSpace of mode DCR."""
    attributes = (
        {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        for node in onnx.load(path).graph.node
        if node.op_type == "DepthToSpace"
    )
    return any(each.get("mode", b"DCR") == b"DCR" for each in attributes)


def model_of(graph: OnnxGraph) -> onnx.ModelProto:
    """The graph as a model again, whose nodes are those of ONNX."""
    nodes = [
        # What a convolution has behind weights and bias is ours.
        onnx.helper.make_node(
            node.op,
            node.inputs[:3] if node.op in ("Conv", "ConvTranspose") else node.inputs,
            [node.name],
            **node.attributes,
        )
        for node in graph.nodes
    ]
    given, results = (
        [
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, graph.shapes[name])
            for name in names
        ]
        for names in (graph.inputs, graph.outputs)
    )
    read = {name for node in graph.nodes for name in node.inputs}
    weights = [
        numpy_helper.from_array(value, name)
        for name, value in graph.constants.items()
        if name in read
    ]
    made = onnx.helper.make_graph(nodes, "graph", given, results, weights)
    opsets = [onnx.helper.make_opsetid("", graph.opset)]
    # The newest that runtimes of the last years read.
    return onnx.helper.make_model(made, opset_imports=opsets, ir_version=9)


def require_float32(inputs: Mapping[str, np.ndarray]) -> None:
    """Refuse inputs of other types."""
    for name, x in inputs.items():
        if x.dtype != np.float32:
            raise NotSupportedError(f"input {name} is {x.dtype}: our translation has float32 only")


def spatial_pads(node: Node) -> tuple[tuple[int, int], tuple[int, int]]:
    """(begin, end) of height and of width for the Conv, ConvTranspose or pooling ``node``."""
    if node.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise node.refuse(f"auto_pad {node.attributes['auto_pad']}: write the pads out")
    pads = node.attributes.get("pads", [0, 0, 0, 0])
    if len(pads) != 4:
        raise node.refuse(f"{len(pads) // 2} spatial dimensions, not 2")
    return (pads[0], pads[2]), (pads[1], pads[3])


def resize_factors(graph: OnnxGraph, node: Node) -> tuple[int, int]:
    """Whole factors of height and width of the Resize ``node``, which leaves the rest as it is."""
    old, new = graph.shapes[node.inputs[0]], graph.shapes[node.name]
    if len(old) != 4 or old[:2] != new[:2] or new[2] % old[2] or new[3] % old[3]:
        raise node.refuse(f"from {old} to {new} is not an enlargement by whole factors")
    return new[2] // old[2], new[3] // old[3]


def is_repeating(node: Node) -> bool:
    """Whether a Resize by whole factors repeats each pixel: result i is operand i // r."""
    mode = (
        node.attributes.get("coordinate_transformation_mode", "half_pixel"),
        node.attributes.get("nearest_mode", "round_prefer_floor"),
    )
    return node.attributes.get("mode", "nearest") == "nearest" and mode in (
        ("asymmetric", "floor"),
        ("half_pixel", "round_prefer_floor"),
        ("half_pixel", "round_prefer_ceil"),
    )
