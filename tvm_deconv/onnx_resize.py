"""Upsample, and the Resize of opset 10, in the form that TVM's importer can read.

TVM 0.27 reads Resize as opset 11 and later write it: (x, roi, scales, sizes), with the coordinate
mode as an attribute. Before, Resize and Upsample had the inputs (x, scales) and one fixed meaning,
which opset 11 calls ``asymmetric`` and, for the nearest mode, ``floor``.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

# From this opset on, Resize has the form that TVM reads, and Upsample no longer exists.
_PRESENT_FORM = 11


def upgrade_resizes(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the model with every old Upsample and Resize of its main graph in today's form.

    The model itself is returned if it holds none. The opset is not raised, because other operators
    would change their meaning; ``onnx.checker`` therefore objects to the result, TVM does not.
    """
    version = max((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), default=1)
    if version >= _PRESENT_FORM or not any(_is_old(node) for node in proto.graph.node):
        return proto
    upgraded = onnx.ModelProto()
    upgraded.CopyFrom(proto)
    for node in upgraded.graph.node:
        if _is_old(node):
            _upgrade(upgraded.graph, node)
    return upgraded


def _is_old(node: onnx.NodeProto) -> bool:
    return node.op_type in ("Upsample", "Resize") and node.domain in ("", "ai.onnx")


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
