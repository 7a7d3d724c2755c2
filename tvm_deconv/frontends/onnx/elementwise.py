"""What operators compute of whole numbers that are ints, or expressions of int64 in free sizes.

A function takes an analyzer that knows the sizes, and the operands; it returns None where the
result depends on the sizes in a way that no formula says.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import tvm
from tvm import sym, tirx

from .formulas import int64
from .nodes import words


def _quotient(analyzer: sym.Analyzer, a: Any, b: Any) -> Any:
    """Towards zero; nothing simplifies that where the dividend may be negative."""
    b = _divisor(analyzer, b)
    if b is None:
        return None
    if _proves(analyzer, a, lambda value: value >= 0):
        return a // b if _are_ints(a, b) else tirx.floordiv(int64(a), int64(b))
    return tirx.truncdiv(int64(a), int64(b))


def _remainder(analyzer: sym.Analyzer, a: Any, b: Any) -> Any:
    """With the sign of the divisor."""
    b = _divisor(analyzer, b)
    if b is None:
        return None
    return a % b if _are_ints(a, b) else tirx.floormod(int64(a), int64(b))


def _divisor(analyzer: sym.Analyzer, b: Any) -> Any:
    """Where ``b`` is 0, no quotient means anything: 1 then. None where it may be less."""
    if _proves(analyzer, b, lambda value: value > 0):
        return b
    if isinstance(b, int) or not analyzer.can_prove(b >= 0):
        return None
    return tirx.max(b, int64(1))


def _extreme(function: Callable[..., Any], of_ints: Callable[..., Any]) -> Callable[..., Any]:
    def compute(_: sym.Analyzer, *values: Any) -> Any:
        if _are_ints(*values):
            return of_ints(values)
        return reduce(lambda a, b: function(int64(a), int64(b)), values)

    return compute


def _compared(holds: Callable[..., Any], fails: Callable[..., Any]) -> Callable[..., Any]:
    """What is the case for every size, else the condition."""

    def compute(analyzer: sym.Analyzer, a: Any, b: Any) -> Any:
        if _are_ints(a, b):
            return bool(holds(a, b))
        if isinstance(a, float) or isinstance(b, float):
            return None
        a, b = int64(a), int64(b)
        if analyzer.can_prove(holds(a, b)):
            return True
        return False if analyzer.can_prove(fails(a, b)) else holds(a, b)

    return compute


def _negated(_: sym.Analyzer, condition: Any) -> Any:
    return not condition if isinstance(condition, bool) else tirx.Not(condition)


def _joined(join: Callable[..., Any], decides: bool) -> Callable[..., Any]:
    """Of two conditions, of which one that is ``decides`` decides."""

    def compute(_: sym.Analyzer, a: Any, b: Any) -> Any:
        for one, other in ((a, b), (b, a)):
            if isinstance(one, bool):
                return decides if one is decides else other
        return join(a, b)

    return compute


def _chosen(analyzer: sym.Analyzer, condition: Any, a: Any, b: Any) -> Any:
    if isinstance(condition, bool):
        return a if condition else b
    if not all(isinstance(value, int) or tvm.ir.is_prim_expr(value) for value in (a, b)):
        return None
    for holds, nothing, rest in ((condition, a, b), (tirx.Not(condition), b, a)):
        if isinstance(nothing, int) and nothing == 0 and not isinstance(rest, int):
            found = _up_to_a_multiple(analyzer, holds, analyzer.simplify(rest))
            if found is not None:
                return found
    return tirx.Select(condition, int64(a), int64(b))


def _sum(analyzer: sym.Analyzer, a: Any, b: Any) -> Any:
    """Of two choices by one condition, a choice of sums.

    tf2onnx writes ``(c == 0) * INT32_MAX + c * -(c != 0)`` for the end of a slice without c rows.
    """
    if isinstance(a, tirx.Select) and isinstance(b, tirx.Select):
        for condition, x, y in (
            (b.condition, b.true_value, b.false_value),
            (tirx.Not(b.condition), b.false_value, b.true_value),
        ):
            if analyzer.can_prove_equal(a.condition, condition):
                return tirx.Select(a.condition, a.true_value + x, a.false_value + y)
    return a + b


def _product(_: sym.Analyzer, a: Any, b: Any) -> Any:
    """Of a truth value as a number, a choice."""
    choice, factor = (a, b) if isinstance(a, tirx.Select) else (b, a)
    if not isinstance(choice, tirx.Select):
        return a * b
    values = choice.true_value * factor, choice.false_value * factor
    return tirx.Select(choice.condition, *map(int64, values))


def _up_to_a_multiple(analyzer: sym.Analyzer, is_multiple: Any, rest: Any) -> Any:
    """``(c - x % c) % c``, of which more is provable, for ``0 if x % c == 0 else c - x % c``."""
    if not (isinstance(rest, tirx.Sub) and isinstance(rest.b, tirx.FloorMod)):
        return None
    remainder, divisor = rest.b, rest.a
    if not isinstance(divisor, tirx.IntImm) or not analyzer.can_prove_equal(remainder.b, divisor):
        return None
    with analyzer.constraint_scope(tirx.EQ(remainder, int64(0))):
        fits = analyzer.can_prove(is_multiple)
    with analyzer.constraint_scope(remainder > 0):
        fits = fits and analyzer.can_prove(tirx.Not(is_multiple))
    return tirx.floormod(rest, divisor) if fits else None


def _proves(analyzer: sym.Analyzer, value: Any, claim: Callable[[Any], Any]) -> bool:
    return bool(claim(value) if isinstance(value, int) else analyzer.can_prove(claim(value)))


def _are_ints(*values: Any) -> bool:
    return all(isinstance(value, int) for value in values)


def _equal(a: Any, b: Any) -> Any:
    return a == b if _are_ints(a, b) else tirx.EQ(a, b)


def _unequal(a: Any, b: Any) -> Any:
    return tirx.NE(a, b)


# Those that make truth values: of a condition that depends on the sizes, a formula.
CONDITIONS = words("And Equal Greater GreaterOrEqual Less LessOrEqual Not Or")

ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "Add": _sum,
    "And": _joined(tirx.And, False),
    "Div": _quotient,
    "Equal": _compared(_equal, _unequal),
    "Greater": _compared(lambda a, b: a > b, lambda a, b: a <= b),
    "GreaterOrEqual": _compared(lambda a, b: a >= b, lambda a, b: a < b),
    "Less": _compared(lambda a, b: a < b, lambda a, b: a >= b),
    "LessOrEqual": _compared(lambda a, b: a <= b, lambda a, b: a > b),
    "Max": _extreme(tirx.max, max),
    "Min": _extreme(tirx.min, min),
    "Mod": _remainder,
    "Mul": _product,
    "Neg": lambda analyzer, a: _product(analyzer, a, -1),
    "Not": _negated,
    "Or": _joined(tirx.Or, True),
    "Sub": lambda _, a, b: a - b,
    "Where": _chosen,
}
