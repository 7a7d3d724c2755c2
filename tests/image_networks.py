"""Networks from image to image, and variants of them in other ranges and layouts."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper
from paths import MODELS


def demo(name="espcn_x3") -> onnx.ModelProto:
    """A trained network for luma in 0..1 of free size."""
    return onnx.load(MODELS / f"{name}.onnx")


def wrapped(model: onnx.ModelProto, first, last, constants=()) -> onnx.ModelProto:
    """The model between operators before it and operators after it.

    ``first`` and ``last`` are (operator, further inputs, attributes), applied one after another.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    ends = (graph.input[0].name, graph.output[0].name)
    inside = {ends[0]: "inside_in", ends[1]: "inside_out"}
    for node in graph.node:
        node.input[:] = [inside.get(name, name) for name in node.input]
        node.output[:] = [inside.get(name, name) for name in node.output]
    nodes = [
        *_chain(ends[0], first, "inside_in"),
        *graph.node,
        *_chain("inside_out", last, ends[1]),
    ]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(
        numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants
    )
    return changed


def for_range(model: onnx.ModelProto, black: float, white: float) -> onnx.ModelProto:
    """The same network of pictures, trained for 0..1, for another black and white."""
    return wrapped(
        model,
        [("Sub", ["black"], {}), ("Div", ["step"], {})],
        [("Mul", ["step"], {}), ("Add", ["black"], {})],
        [("black", black), ("step", white - black)],
    )


def _chain(begin: str, operators, end: str) -> list[onnx.NodeProto]:
    nodes = []
    for index, (operator, others, attributes) in enumerate(operators):
        result = end if index == len(operators) - 1 else f"{end}_{index}"
        nodes.append(helper.make_node(operator, [begin, *others], [result], **attributes))
        begin = result
    return nodes


def in_nhwc(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with its channels on the last axis, as exporters of TensorFlow write it."""
    changed = wrapped(
        model,
        [("Transpose", [], {"perm": [0, 3, 1, 2]})],
        [("Transpose", [], {"perm": [0, 2, 3, 1]})],
    )
    dims = changed.graph.input[0].type.tensor_type.shape.dim
    moved = [type(dims[0])() for _ in dims]
    for place, axis in enumerate((0, 2, 3, 1)):
        moved[place].CopyFrom(dims[axis])
    for dim, value in zip(dims, moved, strict=True):
        dim.CopyFrom(value)
    return changed
