"""Upsample and Resize in the form that TVM's importer reads best.

TVM 0.27 reads Resize as opset 11 and later write it: (x, roi, scales, sizes), with the coordinate
mode as an attribute. Before, Resize and Upsample had the inputs (x, scales) and one fixed meaning,
which opset 11 calls ``asymmetric`` and, for the nearest mode, ``floor``.

TVM multiplies sizes by the scales as they are: float32 scales make a symbolic height
``int64(2.0 * float32(h))``, which neither its arithmetic nor our schedules can bound. Whole scales
are therefore given as integers.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

# From this opset on, Resize has the form that TVM reads, and Upsample no longer exists.
_PRESENT_FORM = 11


def upgrade_resizes(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the model with every Upsample and Resize of its main graph in that form.

    The model itself is returned if it holds none. The opset is not raised, because other operators
    would change their meaning; ``onnx.checker`` therefore objects to the result, TVM does not.
    """
    if not any(_is_resize(node) for node in proto.graph.node):
        return proto
    version = max((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), default=1)
    upgraded = onnx.ModelProto()
    upgraded.CopyFrom(proto)
    for node in upgraded.graph.node:
        if _is_resize(node) and version < _PRESENT_FORM:
            _upgrade(upgraded.graph, node)
    _make_scales_integers(upgraded.graph)
    return upgraded


def _is_resize(node: onnx.NodeProto) -> bool:
    return node.op_type in ("Upsample", "Resize") and node.domain in ("", "ai.onnx")


def _make_scales_integers(graph: onnx.GraphProto) -> None:
    values = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
            values[node.output[0]] = node.attribute[0].t
    for node in [node for node in graph.node if _is_resize(node) and len(node.input) > 2]:
        scales = numpy_helper.to_array(values[node.input[2]]) if node.input[2] in values else None
        if scales is None or not scales.size or (scales % 1).any():
            continue
        name = f"{node.output[0]}_whole_scales"
        graph.initializer.append(numpy_helper.from_array(scales.astype(np.int64), name))
        node.input[2] = name


def _upgrade(graph: onnx.GraphProto, node: onnx.NodeProto) -> None:
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if len(node.input) > 1:
        scales = node.input[1]
    else:
        # Opset 7: the scales are an attribute.
        scales = f"{node.output[0]}_scales"
        values = np.asarray(attributes["scales"], np.float32)
        graph.initializer.append(numpy_helper.from_array(values, scales))
    resize = helper.make_node(
        "Resize",
        [node.input[0], "", scales],
        list(node.output),
        name=node.name,
        mode=attributes.get("mode", b"nearest").decode("ascii"),
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    node.CopyFrom(resize)
