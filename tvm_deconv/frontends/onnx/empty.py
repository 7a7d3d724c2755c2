"""Tensors without elements: what becomes of them is known before anything is computed.

Where a slice or a split leaves nothing, as in blocks that share their channels out by a ratio that
may be 0, the tensor is a constant, and so is most of what reads it (``Facts``). What reads it
beside tensors that do have elements is written without it:

    a, b = Split(x, [0, 4]);  y = Concat(a, f(b))    =>    b = Split(x, [4]);  y = Concat(f(b))
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper

from tvm_deconv.errors import ModelError

from .nodes import STANDARD, attributes, describe, words

# Operators that may leave nothing of a tensor. Windows that do so are wider than what they read.
_SHORTEN = words("Compress Gather GatherElements GatherND Range Slice Split Tile")
# Operators that write some elements over others.
_SCATTERING = words("Scatter ScatterElements ScatterND")
# Operators of which more than the first input are data; others take an empty list of axes.
_OF_SEVERAL = words(
    "Add And Concat Div Einsum Equal Gemm Greater GreaterOrEqual Less LessOrEqual MatMul Max Mean "
    "Min Mod Mul Or Pow Sub Sum Where Xor"
)


class Empties:
    """Tensors without elements in a graph, with the node that has left nothing of others."""

    def __init__(self, name: str, opset: int) -> None:
        self.name, self.opset = name, opset
        self._origins: dict[str, onnx.NodeProto] = {}

    def found(
        self,
        node: onnx.NodeProto,
        types: Mapping[str, onnx.TypeProto],
        inferred: Mapping[str, onnx.TypeProto],
    ) -> dict[str, np.ndarray]:
        """Those of the node's outputs that have no elements, as ``inferred``."""
        origin = self._origin(node, types)
        if origin is None:
            return {}
        arrays = {key: _empty(inferred.get(key)) for key in node.output if key}
        found = {key: array for key, array in arrays.items() if array is not None}
        self._origins |= dict.fromkeys(found, origin)
        return found

    def _origin(
        self, node: onnx.NodeProto, types: Mapping[str, onnx.TypeProto]
    ) -> onnx.NodeProto | None:
        """Why outputs of the node may have no elements: itself, or what made its input."""
        if node.domain not in STANDARD:
            return None
        data = node.input if node.op_type in _OF_SEVERAL else node.input[:1]
        for key in data:
            if _empty(types.get(key)) is not None:
                return self._origins.get(key, node)
        return node if node.op_type in _SHORTEN else None

    def check_output(self, key: str, values: Mapping[str, np.ndarray]) -> None:
        """Raise ModelError for an output of the network that is a constant without elements.

        It names the node that has left nothing, if one has.
        """
        if key not in values or values[key].size:
            return
        origin, shape = self._origins.get(key), list(values[key].shape)
        where = f"{self.name}: {describe(origin, self.opset)}" if origin else self.name
        raise ModelError(
            f"{where}: output {key!r} would have the shape {shape}: there is nothing to compute"
        )


def without_empty(
    node: onnx.NodeProto, types: Mapping[str, onnx.TypeProto], values: Mapping[str, np.ndarray]
) -> tuple[onnx.NodeProto, dict[str, np.ndarray]]:
    """A node that computes the same without tensors of no elements, and new weights that it reads.

    ``values`` holds those of the node's outputs that have none.
    """
    if node.domain not in STANDARD:
        return node, {}
    if node.op_type == "Concat":
        kept = [key for key in node.input if _empty(types.get(key)) is None]
        return (_copy(node, kept, node.output) if kept else node), {}
    if node.op_type in _SCATTERING and _empty(types.get(node.input[1])) is not None:
        return helper.make_node("Identity", node.input[:1], node.output, name=node.name), {}
    gone = [key for key in node.output if key in values]
    if node.op_type == "Split" and gone:
        return _shorter_split(node, types, [key for key in node.output if key not in gone])
    return node, {}


def _shorter_split(
    node: onnx.NodeProto, types: Mapping[str, onnx.TypeProto], kept: list[str]
) -> tuple[onnx.NodeProto, dict[str, np.ndarray]]:
    axis = attributes(node).get("axis", 0)
    sizes = [types[key].tensor_type.shape.dim[axis].dim_value for key in kept]
    is_attribute = any(given.name == "split" for given in node.attribute)
    weight = f"{node.output[0]}/split"
    copy = _copy(node, node.input[:1] if is_attribute else [node.input[0], weight], kept)
    others = [given for given in node.attribute if given.name not in ("split", "num_outputs")]
    del copy.attribute[:]
    copy.attribute.extend(others)
    if is_attribute:
        copy.attribute.append(helper.make_attribute("split", sizes))
        return copy, {}
    return copy, {weight: np.array(sizes, np.int64)}


def _copy(node: onnx.NodeProto, inputs: list[str], outputs: list[str]) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = inputs
    copy.output[:] = outputs
    return copy


def _empty(kind: onnx.TypeProto | None) -> np.ndarray | None:
    """The tensor of a type, if it has sizes, one of which is 0."""
    if kind is None or not kind.tensor_type.HasField("shape"):
        return None
    dims = kind.tensor_type.shape.dim
    sizes = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in dims]
    if 0 not in sizes or min(sizes) < 0:
        return None
    return np.zeros(sizes, helper.tensor_dtype_to_np_dtype(kind.tensor_type.elem_type))
