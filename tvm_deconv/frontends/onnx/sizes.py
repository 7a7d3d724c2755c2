"""Arithmetic on sizes: short integer tensors that follow from free sizes of the inputs.

Exporters write what a tensor shall be reshaped, expanded or resized to as operators on ``Shape``.
At free sizes TVM takes half of them for shapes and half for tensors, and a shape that has become a
tensor is of no use to an operator that needs one. So they are evaluated here, element by element,
to expressions in the sizes: ``Concat(Shape(x)[0], 3, 2 * Shape(x)[2])`` is the shape (n, 3, 2 * h).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import onnx
from onnx import helper
from tvm import relax, sym, tirx

from .elementwise import CONDITIONS, ELEMENTWISE
from .facts import MOVES, SHORT
from .fold import evaluate
from .formulas import bind_sizes, int64, simplified
from .fractions import Fraction, expression, is_fraction, number, product, quotient
from .nodes import STANDARD, attributes

_INTEGERS = ("int32", "int64")
# SizeVector are multiplied by scales in these, and stay whole where the scales are.
_FLOATS = ("float32", "float64")
_ROUNDED = {"Ceil": np.ceil, "Floor": np.floor, "Round": np.rint, "Trunc": np.trunc}


@dataclass(frozen=True, eq=False)
class SizeVector:
    """``values`` holds ints and expressions of int64 (bools of a comparison), in any shape.

    ``dtype`` is that of the tensor in the graph. In one of floats there may be others among them:
    floats, and Fractions of sizes.
    """

    values: np.ndarray
    dtype: str

    @property
    def is_constant(self) -> bool:
        return all(isinstance(value, (int, float)) for value in self.values.ravel())

    @property
    def is_open(self) -> bool:
        """Whether it holds truth values that depend on the sizes."""
        return self.dtype == "bool" and not self.is_constant

    def array(self) -> np.ndarray:
        """The values of constants."""
        return self.values.astype(self.dtype)

    def expression(self, emit: Callable[[relax.Expr], relax.Expr]) -> Any:
        """In the form that converters take: a shape or a size where it is one, else a tensor."""
        if self.is_constant:
            return relax.const(self.array(), self.dtype)
        if self.dtype == "int64" and self.values.ndim == 1:
            return relax.ShapeExpr(list(self.values))
        if self.dtype == "int64" and self.values.ndim == 0:
            return relax.prim_value(self.values.item())
        if any(is_fraction(value) for value in self.values.ravel()):
            return expression(self.values, self.dtype, emit)
        flat = emit(relax.op.shape_to_tensor(relax.ShapeExpr(list(self.values.ravel()))))
        shaped = emit(relax.op.reshape(flat, self.values.shape))
        return shaped if self.dtype == "int64" else emit(relax.op.astype(shaped, self.dtype))


class SizeArithmetic:
    """Sizes by the name of the tensor; ``visit`` adds those that a node makes."""

    def __init__(self, constants: Mapping[str, np.ndarray], opset: int) -> None:
        self.constants, self.opset = constants, opset
        self.known: dict[str, SizeVector] = {}
        # Conditions of which it depends on the sizes whether they hold.
        self._open: dict[str, SizeVector] = {}
        self._analyzer = sym.Analyzer()
        # Formulas that are the size of a tensor, and so not negative, whether provable or not.
        self._extents: list[Any] = []

    @property
    def state(self) -> tuple[dict[str, SizeVector], dict[str, SizeVector]]:
        """What is known now; set it to forget what a branch has added."""
        return dict(self.known), dict(self._open)

    @state.setter
    def state(self, value: tuple[dict[str, SizeVector], dict[str, SizeVector]]) -> None:
        self.known, self._open = value

    def visit(self, node: onnx.NodeProto, shape: Sequence[Any] | None) -> list[SizeVector] | None:
        """The outputs of a node that computes sizes from sizes, else None.

        ``shape`` is that of the tensor which the node reads first, where it is known.
        """
        found = self._outputs(node, shape) if node.domain in STANDARD else None
        if found is not None and any(vector.is_open for vector in found):
            # Nobody takes formulas of truth values: the tensors are computed, too.
            self._open |= dict(zip(node.output, found, strict=False))
            return None
        if found is not None:
            self.known |= dict(zip(node.output, found, strict=False))
        return found

    def _outputs(
        self, node: onnx.NodeProto, shape: Sequence[Any] | None
    ) -> list[SizeVector] | None:
        options = attributes(node)
        if node.op_type in ("Shape", "Size"):
            return None if shape is None else [self._measured(node.op_type, shape, options)]
        if not any(name in self.known or name in self._open for name in node.input):
            return None
        operands = [self._operand(name) for name in node.input if name]
        if node.op_type in MOVES:
            return self._moved(node)
        if any(operand is None for operand in operands):
            return None
        whole = [operand for operand in operands if operand is not None]
        if node.op_type == "Cast":
            return self._cast(whole[0], str(helper.tensor_dtype_to_np_dtype(options["to"])))
        if node.op_type in ("Ceil", "Floor", "Round"):
            return self._whole(whole[0], node.op_type, whole[0].dtype)
        if node.op_type == "ReduceProd":
            return self._product(whole, options)
        return self._elementwise(node.op_type, whole, options)

    def _cast(self, operand: SizeVector, dtype: str) -> list[SizeVector] | None:
        if dtype not in _INTEGERS + _FLOATS or (operand.dtype == "bool" and dtype in _FLOATS):
            return None
        if operand.dtype == "bool":
            numbers = [_as_number(value) for value in operand.values.ravel()]
            return [SizeVector(_objects(numbers).reshape(operand.values.shape), dtype)]
        if dtype in _INTEGERS:
            # Towards zero.
            return self._whole(operand, "Trunc", dtype)
        is_exact = dtype == operand.dtype or not any(map(is_fraction, operand.values.ravel()))
        return [SizeVector(operand.values, dtype)] if is_exact else None

    def _whole(self, operand: SizeVector, kind: str, dtype: str) -> list[SizeVector] | None:
        """``operand`` with its fractions rounded to whole numbers."""
        elements = []
        for value in operand.values.ravel():
            if isinstance(value, float):
                if not np.isfinite(value):
                    return None
                value = int(_ROUNDED[kind](value))
            elif isinstance(value, Fraction):
                up = kind == "Ceil"
                found = (
                    None
                    if kind == "Round"
                    else value.whole(self._analyzer, up=up, towards_zero=kind == "Trunc")
                )
                if found is None:
                    return None
                value = self._simple(found)
            elements.append(value)
        return [SizeVector(_objects(elements).reshape(operand.values.shape), dtype)]

    def _measured(self, kind: str, shape: Sequence[Any], options: Mapping[str, Any]) -> SizeVector:
        bind_sizes(self._analyzer, shape)
        self._extents += [size for size in shape if not isinstance(size, int)]
        if kind == "Size":
            total = self._simple(reduce(_times, shape, 1))
            return SizeVector(_objects([total]).reshape(()), "int64")
        chosen = shape[options.get("start", 0) : options.get("end")]
        return SizeVector(_objects(chosen), "int64")

    def _operand(self, name: str) -> SizeVector | None:
        found = self.known.get(name, self._open.get(name))
        if found is not None:
            return found
        array = self.constants.get(name)
        if array is None or array.size > SHORT:
            return None
        dtype = str(array.dtype)
        elements = array.ravel().tolist()
        if dtype in _FLOATS:
            elements = [number(value) for value in elements]
        elif dtype not in (*_INTEGERS, "bool"):
            return None
        return SizeVector(_objects(elements).reshape(array.shape), dtype)

    def _moved(self, node: onnx.NodeProto) -> list[SizeVector] | None:
        """By moving the places of the elements instead of the elements."""
        moved = node.input if node.op_type == "Concat" else node.input[:1]
        table: list[Any] = []
        feeds: dict[str, np.ndarray] = {}
        dtype = ""
        for name in node.input:
            if not name or name in feeds:
                continue
            operand = self._operand(name)
            if operand is None:
                return None
            if name in moved:
                places = np.arange(len(table), len(table) + operand.values.size)
                feeds[name] = places.reshape(operand.values.shape)
                table += operand.values.ravel().tolist()
                dtype = operand.dtype
            elif operand.is_constant:
                feeds[name] = operand.array()
            else:
                return None
        found = evaluate(node, feeds, self.opset)
        if found is None or any(places.size > SHORT for places in found):
            return None
        values = _objects(table)
        return [SizeVector(values[places.ravel()].reshape(places.shape), dtype) for places in found]

    def _product(
        self, operands: list[SizeVector], options: Mapping[str, Any]
    ) -> list[SizeVector] | None:
        values = operands[0].values
        axes = operands[1].values.ravel().tolist() if len(operands) > 1 else options.get("axes")
        if values.ndim != 1 or axes not in (None, [0], [-1]) or any(map(is_fraction, values)):
            return None
        product = self._simple(reduce(_times, values.tolist(), 1))
        shape = (1,) if options.get("keepdims", 1) else ()
        return [SizeVector(_objects([product]).reshape(shape), operands[0].dtype)]

    def _elementwise(
        self, kind: str, operands: list[SizeVector], options: Mapping[str, Any]
    ) -> list[SizeVector] | None:
        compute = ELEMENTWISE.get(kind)
        if compute is None or any(options.values()):
            return None
        if operands[0].dtype in _FLOATS and kind == "Mod":
            return None
        try:
            parts = np.broadcast_arrays(*(operand.values for operand in operands))
        except ValueError:
            return None
        elements = []
        for values in zip(*(part.ravel().tolist() for part in parts), strict=True):
            if operands[0].dtype in _FLOATS and (kind == "Div" or any(map(is_fraction, values))):
                element = self._fraction(kind, operands[0].dtype, values)
            else:
                element = compute(self._analyzer, *values)
            if kind == "Equal" and self._is_negative_extent(*values):
                element = False
            if element is None:
                return None
            element = self._simple(element)
            is_known = kind in CONDITIONS and isinstance(element, int)
            elements.append(bool(element) if is_known else element)
        dtype = "bool" if kind in CONDITIONS else operands[-1].dtype
        return [SizeVector(_objects(elements).reshape(parts[0].shape), dtype)]

    def _fraction(self, kind: str, dtype: str, values: Sequence[Any]) -> Any:
        if kind not in ("Div", "Mul"):
            return None
        a, b = values
        if kind == "Mul":
            return product(a, b, dtype)
        is_whole = not (is_fraction(a) or is_fraction(b))
        return quotient(self._analyzer, a, b, dtype) if is_whole else None

    def _is_negative_extent(self, a: Any, b: Any) -> bool:
        """Whether the size of a tensor is compared with a negative number: PyTorch's Expand does.

        Of ``h - 2`` for a slice, that it is not -1 follows from no formula.
        """
        extent, number = (a, b) if isinstance(b, int) else (b, a)
        if not isinstance(number, int) or isinstance(extent, int) or number >= 0:
            return False
        return any(extent.same_as(size) for size in self._extents)

    def _simple(self, value: Any) -> Any:
        if isinstance(value, (int, float, Fraction)):
            return value
        value = simplified(self._analyzer, value)
        return int(value.value) if isinstance(value, tirx.IntImm) else value


def _as_number(condition: Any) -> Any:
    if isinstance(condition, bool):
        return int(condition)
    return tirx.Select(condition, int64(1), int64(0))


def _objects(values: Sequence[Any]) -> np.ndarray:
    """A vector of just these: NumPy takes an expression apart where it can."""
    found = np.empty(len(values), object)
    for i, value in enumerate(values):
        found[i] = value
    return found


def _times(a: Any, b: Any) -> Any:
    return a * b
