"""Fractional scales of ONNX Resize that TVM would compute differently.

ONNX maps output to input coordinates by the scale as given. TVM's importer keeps only the sizes and
maps by their ratio, which differs where the scale does not fit the size: 1.5 times 9 pixels are 13,
a ratio of 1.444.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tvm_deconv.errors import ModelError
from tvm_deconv.onnx_file import tensor_sizes

_COORDINATES: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "half_pixel": lambda i, scale: (i + 0.5) / scale - 0.5,
    "pytorch_half_pixel": lambda i, scale: (i + 0.5) / scale - 0.5,
    "asymmetric": lambda i, scale: i / scale,
}
_ROUNDING: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
}


def check_scales(proto: onnx.ModelProto, shapes: Mapping[str, Sequence[int]], name: str) -> None:
    """Refuse a Resize by constant scales that TVM would compute from other coordinates.

    ``shapes`` fixes the shapes of inputs. A size that is not known is not judged.

    Raises ModelError.
    """
    scales_of = {node.output[0]: _scales(proto.graph, node) for node in proto.graph.node}
    fractional = {k: v for k, v in scales_of.items() if v is not None and (v % 1).any()}
    if not fractional:
        return
    sizes = tensor_sizes(proto, shapes)
    for node in proto.graph.node:
        scales = fractional.get(node.output[0], ())
        for size, scale in zip(sizes.get(node.input[0], ()), scales, strict=False):
            if size and not _agrees(node, size, float(scale)):
                raise ModelError(
                    f"{name} has a Resize ({node.name or node.output[0]}) by {scale:g} of {size} "
                    f"pixels, which TVM would take for {int(size * scale)}/{size}: export it with "
                    "sizes instead of scales, or give a size that the scale fits"
                )


def _agrees(node: onnx.NodeProto, size: int, scale: float) -> bool:
    """Whether the scale and the ratio of the sizes give the same result."""
    exact = size * scale
    out = int(exact + 1e-6)
    if abs(exact - out) < 1e-6:
        return True
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    mode, coordinates, rounding = (
        attributes.get(key, default).decode("ascii")
        for key, default in (
            ("mode", b"nearest"),
            ("coordinate_transformation_mode", b"half_pixel"),
            ("nearest_mode", b"round_prefer_floor"),
        )
    )
    if coordinates == "align_corners":
        return True
    if mode != "nearest" or coordinates not in _COORDINATES:
        return False
    taken = [
        np.clip(_ROUNDING[rounding](_COORDINATES[coordinates](np.arange(out), s)), 0, size - 1)
        for s in (scale, out / size)
    ]
    return bool((taken[0] == taken[1]).all())


def _scales(graph: onnx.GraphProto, node: onnx.NodeProto) -> np.ndarray | None:
    if node.op_type != "Resize" or len(node.input) < 3:
        return None
    for tensor in graph.initializer:
        if tensor.name == node.input[2]:
            return numpy_helper.to_array(tensor)
    for other in graph.node:
        if other.op_type == "Constant" and other.output[0] == node.input[2]:
            values = [a.t for a in other.attribute if a.name == "value"]
            return numpy_helper.to_array(values[0]) if values else None
    return None
