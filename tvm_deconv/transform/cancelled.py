"""Sums, comparisons and answers of floats that TVM's simplifier takes for those of real numbers.

    a + b - b => a      x + 0 == x => true      (a < b) or (a >= b) => true

None of them holds where a sum is rounded, NaN or infinite. TVM sees them where it fuses what makes
the operands: by itself an operator reads its operands from memory, and nothing cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import tvm
from tvm import relax

from .graph import ELEMENTWISE, VIEWS, op_name

NOT_EQUAL = "relax.not_equal"
_NEGATIVE, _ADD, _SUBTRACT = "relax.negative", "relax.add", "relax.subtract"
_COMPARISONS = frozenset(
    f"relax.{name}" for name in ("equal", "greater", "greater_equal", "less", "less_equal")
) | {NOT_EQUAL}
_ANSWERS = frozenset(("relax.logical_and", "relax.logical_or"))
_MOVES = VIEWS | {"relax.permute_dims"}

# An expression looks like another one if they are alike so many operators deep.
_DEPTH = 8
# Longer sums are not looked into.
_MOST = 64

Term = tuple[Hashable, int]


def may_cancel(expr: relax.Expr) -> bool:
    """Whether a function with this operator is to be looked at."""
    return op_name(expr) in _COMPARISONS | {_SUBTRACT, _NEGATIVE}


class Cancelled:
    """``value_of`` gives what a variable is bound to."""

    def __init__(self, value_of: Callable[[relax.Var], relax.Expr | None]) -> None:
        self._value_of = value_of
        self._terms: dict[relax.Var, frozenset[Term]] = {}

    def is_simplified(self, call: relax.Call) -> bool:
        """Whether TVM would simplify an operator that is fused with what makes its operands."""
        name = op_name(call)
        if name in _ANSWERS:
            a, b = (self._compared(x) for x in call.args)
            return bool(a & b)
        if name not in _COMPARISONS | {_ADD, _SUBTRACT} or not _is_float(call.args[0]):
            return False
        x, y = call.args
        sign = 1 if name == _ADD else -1
        a, b = self._of(x), self._of(y)
        return any((key, -own * sign) in a for key, own in b)

    def _of(self, expr: relax.Expr) -> frozenset[Term]:
        """The terms of a sum, with their signs."""
        value = self._value(expr)
        name = op_name(value) if value is not None else None
        if value is None or name not in _MOVES | {_ADD, _SUBTRACT, _NEGATIVE}:
            return frozenset([(self._key(expr, _DEPTH), 1)])
        if expr not in self._terms:
            found = self._of(value.args[0])
            if name in (_SUBTRACT, _ADD):
                sign = 1 if name == _ADD else -1
                found |= {(key, own * sign) for key, own in self._of(value.args[1])}
            elif name == _NEGATIVE:
                found = frozenset((key, -own) for key, own in found)
            self._terms[expr] = found if len(found) <= _MOST else frozenset()
        return self._terms[expr]

    def _compared(self, expr: relax.Expr) -> frozenset[Hashable]:
        """The pairs of floats that an answer depends on."""
        value = self._value(expr)
        name = op_name(value) if value is not None else None
        if value is None or name not in _COMPARISONS | _ANSWERS | {"relax.logical_not"}:
            return frozenset()
        if name in _COMPARISONS:
            pair = frozenset(self._key(x, _DEPTH) for x in value.args)
            return frozenset([pair]) if _is_float(value.args[0]) else frozenset()
        return frozenset().union(*map(self._compared, value.args))

    def _key(self, expr: relax.Expr, depth: int) -> Hashable:
        """The same for expressions that look alike."""
        if isinstance(expr, tvm.ir.GenericConst):
            array = expr.value.numpy()
            return float(array) if not array.ndim else id(expr.value)
        value = self._value(expr)
        name = op_name(value) if value is not None else None
        if value is None or not depth or name not in ELEMENTWISE | _MOVES:
            return expr
        return name, *(self._key(x, depth - 1) for x in value.args)

    def _value(self, expr: relax.Expr) -> relax.Call | None:
        found = self._value_of(expr) if isinstance(expr, relax.Var) else None
        return found if isinstance(found, relax.Call) else None


def _is_float(x: relax.Expr) -> bool:
    return isinstance(x.ty, relax.TensorType) and str(x.ty.dtype).startswith("float")
