"""What is known of each tensor of a graph before it is imported: type, shape, and values.

Types come from the standard's own shape inference, node by node, so that it sees the values that
were found until then. Of short vectors single elements may be known: with a free height,
``Shape(x)`` holds the number of channels all the same, and ``Gather(Shape(x), 1)`` is a constant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import checker, defs, helper, numpy_helper, shape_inference

from tvm_deconv.errors import ModelError, first_line
from tvm_deconv.frontends.names import unused

from .check import COMPUTED
from .empty import Empties
from .fold import evaluate, fits, is_foldable
from .nodes import STANDARD, attributes, describe, opset_for, reads, words
from .partial_shapes import Sizes, sizes_of_result

# Values of more elements are of no use to shape inference, and would only be copied.
SHORT = 1024

# What shape inference puts before its reason.
_PREFIX = re.compile(r"^\[\w+\]\s*(\(op_type:.*?\):\s*)?(\[\w+\]\s*)?")

# Operators whose outputs are elements of their first input (of all inputs: Concat) in other places.
MOVES = words(
    "Concat Expand Flatten Gather Identity Reshape Slice Split Squeeze Tile Transpose Unsqueeze"
)
_ELEMENTWISE = words(
    "Abs Add And Cast Ceil Div Equal Floor Greater GreaterOrEqual Less LessOrEqual Max Min "
    "Mod Mul Neg Not Or Round Sub Where"
)


@dataclass(frozen=True)
class Partial:
    """A short vector or scalar; ``known`` marks the elements of ``values`` that are right."""

    values: np.ndarray
    known: np.ndarray


class Facts:
    """Types and values by the name of the tensor; ``visit`` adds those that a node makes.

    ``values`` are constants, ``partial`` short tensors of which some elements are known. ``taken``
    are the names of the whole model, of which ``fresh`` gives none.
    """

    def __init__(
        self,
        name: str,
        opset: int,
        values: Mapping[str, np.ndarray],
        types: Mapping[str, onnx.TypeProto],
        taken: Iterable[str] = (),
    ) -> None:
        self.name, self.opset = name, opset
        self.values = dict(values)
        self.types = dict(types)
        self.partial: dict[str, Partial] = {}
        self.empties = Empties(name, opset)
        self._taken = set(taken)
        for key, value in values.items():
            self.types[key] = type_of(value)

    def visit(self, node: onnx.NodeProto) -> list[np.ndarray] | None:
        """Note what is known of the node's outputs; return them if they are constants.

        Raises ModelError where the standard's shape inference finds that the inputs do not fit.
        """
        inferred = self._infer(node)
        self._add_sizes(node, inferred)
        empty = self.empties.found(node, self.types, inferred)
        outputs = self._constants(node, inferred)
        if outputs is None and empty:
            outputs = self._without_elements(node, empty)
        if outputs is not None:
            for key, array in zip(node.output, outputs, strict=True):
                if key:
                    self.set_value(key, array)
            return outputs
        self.types |= {key: kind for key, kind in inferred.items() if key not in self.values}
        return None

    def set_value(self, key: str, array: np.ndarray) -> None:
        self.values[key] = array
        self.types[key] = type_of(array)

    def fresh(self, name: str) -> str:
        """``name``, or one like it, for a tensor that the model does not have."""
        return unused(name, self._taken)

    def shape(self, key: str) -> list[int | None] | None:
        """Sizes of a tensor, None where free; None for an unknown rank."""
        kind = self.types.get(key)
        if kind is None or not kind.tensor_type.HasField("shape"):
            return None
        dims = kind.tensor_type.shape.dim
        return [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]

    def _constants(
        self, node: onnx.NodeProto, inferred: Mapping[str, onnx.TypeProto]
    ) -> list[np.ndarray] | None:
        operands = [key for key in node.input if key]
        if is_foldable(node) and all(key in self.values for key in operands):
            kinds = [inferred.get(key) for key in node.output if key]
            arrays = [self.values[key] for key in operands]
            is_stored_only = any(not is_computed(array) for array in arrays)
            if not is_stored_only and not fits(kinds, arrays):
                return None
            return evaluate(node, self.values, self.opset)
        partial = self._partial(node)
        if partial is None:
            return None
        if all(part.known.all() for part in partial):
            return [part.values for part in partial]
        self.partial |= dict(zip(node.output, partial, strict=True))
        return None

    def _without_elements(
        self, node: onnx.NodeProto, empty: Mapping[str, np.ndarray]
    ) -> list[np.ndarray] | None:
        """The outputs, if all are without elements; single ones are noted as constants."""
        if len(empty) == sum(map(bool, node.output)):
            return [empty.get(key, np.zeros(0)) for key in node.output]
        for key, array in empty.items():
            self.set_value(key, array)
        return None

    def _infer(self, node: onnx.NodeProto) -> dict[str, onnx.TypeProto]:
        if node.domain not in STANDARD:
            return {}
        if any(key and key not in self.types for key in node.input):
            return {}
        opset = opset_for(node, self.opset)
        try:
            schema = defs.get_schema(node.op_type, opset, "")
        except defs.SchemaError:
            return {}
        if schema.deprecated:
            return {}
        short = {
            key: numpy_helper.from_array(self.values[key], key)
            for key in node.input
            if key in self.values and self.values[key].size <= SHORT
        }
        kinds = {key: self.types[key] for key in reads(node) if key in self.types}
        opsets = [helper.make_opsetid("", opset)]
        try:
            return shape_inference.infer_node_outputs(schema, node, kinds, short, None, opsets)
        except (shape_inference.InferenceError, checker.ValidationError, RuntimeError) as error:
            reason = _PREFIX.sub("", first_line(error))
        raise ModelError(f"{self.name}: {describe(node, self.opset)}: {reason}")

    def _add_sizes(self, node: onnx.NodeProto, inferred: Mapping[str, onnx.TypeProto]) -> None:
        """Sizes that ``inferred`` lacks, from what is known of a shape operand in part."""
        kind = inferred.get(node.output[0]) if node.input and node.output else None
        if kind is None or not kind.HasField("tensor_type"):
            return

        def known(index: int) -> Sizes | None:
            part = self._known(node.input[index]) if index < len(node.input) else None
            if part is None or part.values.ndim != 1:
                return None
            pairs = zip(part.values.tolist(), part.known, strict=True)
            return [value if sure else None for value, sure in pairs]

        found = sizes_of_result(node, self.shape(node.input[0]), known)
        shape = kind.tensor_type.shape
        if found is not None and not kind.tensor_type.HasField("shape"):
            shape.dim.extend(onnx.TensorShapeProto.Dimension() for _ in found)
        for dim, size in zip(shape.dim, found or (), strict=False):
            if size is not None and not dim.HasField("dim_value"):
                dim.dim_value = size

    def _partial(self, node: onnx.NodeProto) -> list[Partial] | None:
        if node.domain not in STANDARD:
            return None
        if node.op_type in ("Shape", "Size"):
            return self._sizes(node)
        moved = node.input if node.op_type == "Concat" else node.input[:1]
        if node.op_type in _ELEMENTWISE:
            moved = node.input
        elif node.op_type not in MOVES:
            return None
        parts = {key: self._known(key) for key in node.input if key}
        if not parts or any(part is None for part in parts.values()):
            return None
        found = {key: part for key, part in parts.items() if part is not None}
        if any(not found[key].known.all() for key in set(found) - set(moved)):
            return None
        values = {key: part.values for key, part in found.items()}
        results = evaluate(node, values, self.opset)
        if results is None or any(array.size > SHORT for array in results):
            return None
        if node.op_type in _ELEMENTWISE:
            masks = [np.all(np.broadcast_arrays(*(p.known for p in found.values())), axis=0)]
        else:
            marks = values | {key: found[key].known.astype(np.int64) for key in moved}
            moved_marks = evaluate(node, marks, self.opset)
            if moved_marks is None:
                return None
            masks = [array.astype(bool) for array in moved_marks]
        return [Partial(v, m) for v, m in zip(results, masks, strict=True)]

    def _known(self, key: str) -> Partial | None:
        if key in self.values and self.values[key].size <= SHORT:
            return Partial(self.values[key], np.ones(self.values[key].shape, bool))
        return self.partial.get(key)

    def _sizes(self, node: onnx.NodeProto) -> list[Partial] | None:
        sizes = self.shape(node.input[0])
        if sizes is None:
            return None
        # 1 stands for what is not known: nothing divides by zero.
        values = np.array([1 if size is None else size for size in sizes], np.int64)
        known = np.array([size is not None for size in sizes], bool)
        if node.op_type == "Size":
            # Nothing times what is not known is nothing.
            is_known = known.all() or not values.all()
            return [Partial(np.asarray(values.prod()), np.asarray(is_known))]
        options = attributes(node)
        chosen = slice(options.get("start", 0), options.get("end"))
        return [Partial(values[chosen], known[chosen])]


def is_computed(array: np.ndarray) -> bool:
    """Whether TVM computes with elements of this type; weights may be stored in others."""
    return helper.np_dtype_to_tensor_dtype(array.dtype) in COMPUTED


def type_of(array: np.ndarray) -> onnx.TypeProto:
    """The type of a constant."""
    element = helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_type_proto(element, array.shape)
