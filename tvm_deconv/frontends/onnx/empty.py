"""Tensors without elements: what becomes of them is known before anything is computed.

Where a slice or a split leaves nothing, as in blocks that share their channels out by a ratio that
may be 0, the tensor is a constant, and so is most of what reads it (``Facts``). With a free size
beside the 0 it is none, but nothing has to compute it either. What reads it beside tensors that do
have elements is written without it:

    a, b = Split(x, [0, 4]);  y = Concat(a, f(b))    =>    b = Split(x, [4]);  y = Concat(f(b))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from onnx import helper

from tvm_deconv.errors import ModelError

from .nodes import STANDARD, attributes, describe, reads, words

# Operators that may leave nothing of a tensor. Windows that do so are wider than what they read.
_SHORTEN = words("Compress Gather GatherElements GatherND Range Slice Split Tile")
# Operators that write some elements over others.
_SCATTERING = words("Scatter ScatterElements ScatterND")
# Operators of which more than the first input are data; others take an empty list of axes.
_OF_SEVERAL = words(
    "Add And Concat Div Einsum Equal Gemm Greater GreaterOrEqual Less LessOrEqual MatMul Max Mean "
    "Min Mod Mul Or Pow Sub Sum Where Xor"
)

Sizes = list[int | None]
# Makes a name that nothing in the model has of one that may be taken.
Fresh = Callable[[str], str]


class Empties:
    """Tensors without elements in a graph, with the node that has left nothing of others."""

    def __init__(self, name: str, opset: int) -> None:
        self.name, self.opset = name, opset
        self._origins: dict[str, onnx.NodeProto] = {}
        # Those with a free size beside the 0: by their names, what to say of them.
        self._shapes: dict[str, Sizes] = {}

    def found(
        self,
        node: onnx.NodeProto,
        types: Mapping[str, onnx.TypeProto],
        inferred: Mapping[str, onnx.TypeProto],
    ) -> dict[str, np.ndarray]:
        """Those of the node's outputs that have no elements and fixed sizes, as ``inferred``."""
        origin = self._origin(node, types)
        if origin is None:
            return {}
        found = {}
        for key in filter(None, node.output):
            sizes = _empty(inferred.get(key))
            if sizes is None:
                continue
            self._origins[key] = origin
            fixed = [size for size in sizes if size is not None]
            if len(fixed) == len(sizes):
                element = inferred[key].tensor_type.elem_type
                found[key] = np.zeros(fixed, helper.tensor_dtype_to_np_dtype(element))
            else:
                self._shapes[key] = sizes
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

    @property
    def names(self) -> frozenset[str]:
        """Of those that have a free size."""
        return frozenset(self._shapes)

    def without(
        self,
        node: onnx.NodeProto,
        types: Mapping[str, onnx.TypeProto],
        values: Mapping[str, np.ndarray],
        fresh: Fresh,
    ) -> tuple[onnx.NodeProto | None, dict[str, np.ndarray]]:
        """A node that computes the same without tensors of no elements, and weights that it reads.

        No node where that is nothing. ``values`` are the constants, ``fresh`` names new ones.

        Raises ModelError for a node that makes something of a tensor that has no elements and a
        free size.
        """
        if node.domain not in STANDARD:
            return node, {}
        gone = [key for key in node.output if key and (key in self._shapes or key in values)]
        if gone and len(gone) == sum(map(bool, node.output)):
            # Nobody computes it, but a Shape may ask for its free sizes.
            return (node if self._shapes.keys() >= set(gone) else None), {}
        found, weights = _without(node, types, gone, fresh)
        if found.op_type == "Shape":
            return found, weights
        for key in sorted(reads(found) & self._shapes.keys()):
            self._refuse(key, self._shapes[key])
        return found, weights

    def check_output(self, key: str, values: Mapping[str, np.ndarray]) -> None:
        """Raise ModelError for an output of the network without elements.

        It names the node that has left nothing, if one has.
        """
        if key in self._shapes:
            self._refuse(key, self._shapes[key])
        if key in values and not values[key].size:
            self._refuse(key, list(values[key].shape))

    def _refuse(self, key: str, sizes: Sizes) -> None:
        origin = self._origins.get(key)
        where = f"{self.name}: {describe(origin, self.opset)}" if origin else self.name
        shape = ", ".join("?" if size is None else str(size) for size in sizes)
        raise ModelError(
            f"{where}: {key!r} would have the shape [{shape}]: there is nothing to compute"
        )


def _without(
    node: onnx.NodeProto, types: Mapping[str, onnx.TypeProto], gone: list[str], fresh: Fresh
) -> tuple[onnx.NodeProto, dict[str, np.ndarray]]:
    if node.op_type == "Concat":
        kept = [key for key in node.input if _empty(types.get(key)) is None]
        return (_copy(node, kept, node.output) if kept else node), {}
    if node.op_type in _SCATTERING and _writes_nothing(node, types):
        return helper.make_node("Identity", node.input[:1], node.output, name=node.name), {}
    if node.op_type == "Split" and gone and all(node.output):
        kept = [key for key in node.output if key not in gone]
        return _shorter_split(node, types, kept, fresh)
    return node, {}


def _writes_nothing(node: onnx.NodeProto, types: Mapping[str, onnx.TypeProto]) -> bool:
    places = _empty(types.get(node.input[1]))
    if places is None:
        return False
    # Of ScatterND the last axis are the numbers of one place: none of them is the whole tensor.
    return node.op_type != "ScatterND" or 0 in places[:-1]


def _shorter_split(
    node: onnx.NodeProto, types: Mapping[str, onnx.TypeProto], kept: list[str], fresh: Fresh
) -> tuple[onnx.NodeProto, dict[str, np.ndarray]]:
    axis = attributes(node).get("axis", 0)
    sizes = [types[key].tensor_type.shape.dim[axis].dim_value for key in kept]
    is_attribute = any(given.name == "split" for given in node.attribute)
    weights = {} if is_attribute else {fresh(f"{node.output[0]}/split"): np.array(sizes, np.int64)}
    copy = _copy(node, [node.input[0], *weights], kept)
    others = [given for given in node.attribute if given.name not in ("split", "num_outputs")]
    del copy.attribute[:]
    copy.attribute.extend(others)
    if is_attribute:
        copy.attribute.append(helper.make_attribute("split", sizes))
    return copy, weights


def _copy(node: onnx.NodeProto, inputs: list[str], outputs: list[str]) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = inputs
    copy.output[:] = outputs
    return copy


def _empty(kind: onnx.TypeProto | None) -> Sizes | None:
    """The sizes of a type, None where free, if one of them is 0."""
    if kind is None or not kind.tensor_type.HasField("shape"):
        return None
    dims = kind.tensor_type.shape.dim
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]
    if 0 not in sizes or any(size is not None and size < 0 for size in sizes):
        return None
    return sizes
