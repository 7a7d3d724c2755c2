"""Floating-point numbers made of sizes: what exporters write scales as.

PyTorch resizes to a size by the scale ``float(size) / float(Shape(x)[2])`` until opset 10, and by
a scale to the size ``Floor(float(Shape(x)[2]) * 2.5)`` where it is to be computed anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import relax, sym, tirx

from tvm_deconv.frontends.resampled import LARGEST_SIZE

from .formulas import BINARY, int64
from .nodes import refuse

# Sizes up to which the integer formula of a scaled size is compared with the float32 one.
_COMPARED_SIZES, _FIRST_SIZES = 1 << 16, 64
# From here on float64 skips whole numbers.
_WHOLE = 1 << 53


@dataclass(frozen=True, eq=False)
class Fraction:
    """``float(size) * factor / float(by)``, rounded to ``dtype`` after each step.

    ``size`` and ``by`` are ints or expressions of int64; ``by`` or ``factor`` is 1.
    """

    size: Any
    factor: float
    by: Any
    dtype: str

    def whole(self, analyzer: sym.Analyzer, *, up: bool = False, towards_zero: bool = False) -> Any:
        """The next whole number below, above or towards zero; None where no formula says it.

        Up to 2**24, where float32 skips whole numbers, a quotient that is none is never rounded to
        one: they are 1 / ``by`` apart.
        """
        size, by = int64(self.size), int64(self.by)
        is_positive = analyzer.can_prove(size >= 0)
        if not analyzer.can_prove(by > 0):
            return None
        if self.factor != 1:
            if self.factor < 0 or not is_positive:
                return None
            return scaled_size(self.size, np.dtype(self.dtype).type(self.factor), up=up)
        if towards_zero and not is_positive:
            return tirx.truncdiv(size, by)
        return tirx.floordiv(size + by - 1 if up else size, by)


def quotient(analyzer: sym.Analyzer, a: Any, b: Any, dtype: str) -> Any:
    """``a / b`` of ints and expressions: an int where it is whole, a float, or a Fraction."""
    if isinstance(a, int) and isinstance(b, int):
        kind = np.dtype(dtype).type
        return number(kind(a) / kind(b)) if b else None
    if not analyzer.can_prove(int64(b) > 0):
        return None
    if analyzer.can_prove_equal(tirx.floormod(int64(a), int64(b)), 0):
        return tirx.floordiv(int64(a), int64(b))
    return Fraction(a, 1.0, b, dtype)


def product(a: Any, b: Any, dtype: str) -> Any:
    """``a * b`` of which one is a float; None where the other is a Fraction."""
    size, factor = (b, a) if isinstance(a, float) else (a, b)
    if not isinstance(factor, float) or isinstance(size, Fraction):
        return None
    if isinstance(size, (int, float)):
        kind = np.dtype(dtype).type
        return number(kind(size) * kind(factor))
    return Fraction(size, factor, 1, dtype)


def number(value: Any) -> Any:
    """A floating-point number as an int where it is whole, and of a size that int64 holds."""
    value = float(value)
    return int(value) if abs(value) < _WHOLE and value.is_integer() else value


def is_fraction(value: Any) -> bool:
    """Whether a number is none of whole ones."""
    return isinstance(value, (float, Fraction))


def expression(
    values: np.ndarray, dtype: str, emit: Callable[[relax.Expr], relax.Expr]
) -> relax.Expr:
    """A tensor of numbers, some of them Fractions, computed when the model is run."""
    parts = [_parts(value, dtype) for value in values.ravel()]

    def tensor(sizes: list[Any]) -> relax.Expr:
        vector = emit(relax.op.shape_to_tensor(relax.ShapeExpr([int64(size) for size in sizes])))
        return emit(relax.op.astype(vector, dtype))

    total = tensor([part.size for part in parts])
    factors = np.array([part.factor for part in parts], dtype)
    total = emit(relax.op.multiply(total, relax.const(tvm.runtime.tensor(factors))))
    total = emit(relax.op.divide(total, tensor([part.by for part in parts])))
    return emit(relax.op.reshape(total, values.shape))


def _parts(value: Any, dtype: str) -> Fraction:
    if isinstance(value, Fraction):
        return value
    if isinstance(value, float):
        return Fraction(1, value, 1, dtype)
    return Fraction(value, 1.0, 1, dtype)


def scaled_size(size: Any, scale: np.floating[Any], *, up: bool = False) -> Any:
    """``int(scale * size)`` in the type of ``scale``, as ONNX Runtime computes output sizes.

    With ``up``, what is no whole number is rounded up. For a free ``size`` it is an integer
    formula, ``size * p // q``, if that gives the same for all sizes up to 65,536; the
    floating-point formula cannot be bounded by TVM's arithmetic.

    Raises ModelError for a scale that makes too large a size of any.
    """
    if float(scale) * (size if isinstance(size, int) else 1) > LARGEST_SIZE:
        refuse(f"scale {scale:g} makes a size over {LARGEST_SIZE}")
    rounded = np.ceil if up else np.floor
    if isinstance(size, int):
        return int(rounded(scale * type(scale)(size)))
    sizes = np.arange(_COMPARED_SIZES)
    expected = rounded(sizes.astype(scale.dtype) * scale).astype(np.int64)
    for q in range(1, 65):
        p, more = round(float(scale) * q), q - 1 if up else 0
        # The first sizes tell most of those that do not fit.
        if p and all(
            np.array_equal((sizes[:count] * p + more) // q, expected[:count])
            for count in (_FIRST_SIZES, _COMPARED_SIZES)
        ):
            return sym.Analyzer().simplify(tirx.floordiv(size * p + more, q))
    kind = str(scale.dtype)
    product = size.astype(kind) * tirx.const(float(scale), kind)
    return tirx.Cast("int64", tirx.ceil(product) if up else product)


def rounded_size(target: Any, size: Any) -> Any:
    """What a resize of ``size`` by the scale target / size gives in float32: ``target``, or 1 less.

    31 / 7 in float32 makes 30 of 7 in ONNX Runtime, where PyTorch means 31.
    """
    n, m = (int64(value).astype("float32") for value in (size, target))
    return int64(target) - tirx.Select(m / n * n < m, int64(1), int64(0))


def target_of(size: Any) -> Any:
    """The ``target`` of a ``rounded_size``, None of any other size."""
    return size.a if isinstance(size, tirx.Sub) and _is_rounding(size.b) else None


def as_meant(size: Any) -> Any:
    """A formula with ``rounded_size``s in it as if none of them were less than its target."""
    if _is_rounding(size):
        return size.false_value
    if not isinstance(size, BINARY):
        return size
    a, b = as_meant(size.a), as_meant(size.b)
    return size if a.same_as(size.a) and b.same_as(size.b) else type(size)(a, b)


def _is_rounding(term: Any) -> bool:
    compared = term.condition if isinstance(term, tirx.Select) else None
    return isinstance(compared, tirx.LT) and str(compared.a.ty.dtype).startswith("float")
