"""What operators compute of whole numbers that are ints, or expressions of int64 in free sizes.

A function takes an analyzer that knows the sizes, and the operands; it returns None where the
result depends on the sizes in a way that no formula says.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from tvm import sym, tirx

from .formulas import int64


def _quotient(analyzer: sym.Analyzer, a: Any, b: Any) -> Any:
    """Towards zero; nothing simplifies that where the dividend may be negative."""
    if not _proves(analyzer, b, lambda value: value > 0):
        return None
    if _proves(analyzer, a, lambda value: value >= 0):
        return a // b if _are_ints(a, b) else tirx.floordiv(int64(a), int64(b))
    return tirx.truncdiv(int64(a), int64(b))


def _remainder(analyzer: sym.Analyzer, a: Any, b: Any) -> Any:
    """With the sign of the divisor."""
    if not _proves(analyzer, b, lambda value: value > 0):
        return None
    return a % b if _are_ints(a, b) else tirx.floormod(int64(a), int64(b))


def _extreme(function: Callable[..., Any], of_ints: Callable[..., Any]) -> Callable[..., Any]:
    def compute(_: sym.Analyzer, *values: Any) -> Any:
        if _are_ints(*values):
            return of_ints(values)
        return reduce(lambda a, b: function(int64(a), int64(b)), values)

    return compute


def _compared(holds: Callable[..., Any], fails: Callable[..., Any]) -> Callable[..., Any]:
    """What is the case for every size, or None: neither."""

    def compute(analyzer: sym.Analyzer, a: Any, b: Any) -> bool | None:
        if _are_ints(a, b):
            return bool(holds(a, b))
        a, b = int64(a), int64(b)
        if analyzer.can_prove(holds(a, b)):
            return True
        return False if analyzer.can_prove(fails(a, b)) else None

    return compute


def _chosen(_: sym.Analyzer, condition: Any, a: Any, b: Any) -> Any:
    return a if condition else b


def _proves(analyzer: sym.Analyzer, value: Any, claim: Callable[[Any], Any]) -> bool:
    return bool(claim(value) if isinstance(value, int) else analyzer.can_prove(claim(value)))


def _are_ints(*values: Any) -> bool:
    return all(isinstance(value, int) for value in values)


def _equal(a: Any, b: Any) -> Any:
    return a == b if _are_ints(a, b) else tirx.EQ(a, b)


def _unequal(a: Any, b: Any) -> Any:
    return tirx.NE(a, b)


ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "Add": lambda _, a, b: a + b,
    "Div": _quotient,
    "Equal": _compared(_equal, _unequal),
    "Greater": _compared(lambda a, b: a > b, lambda a, b: a <= b),
    "GreaterOrEqual": _compared(lambda a, b: a >= b, lambda a, b: a < b),
    "Less": _compared(lambda a, b: a < b, lambda a, b: a >= b),
    "LessOrEqual": _compared(lambda a, b: a <= b, lambda a, b: a > b),
    "Max": _extreme(tirx.max, max),
    "Min": _extreme(tirx.min, min),
    "Mod": _remainder,
    "Mul": lambda _, a, b: a * b,
    "Neg": lambda _, a: -a,
    "Sub": lambda _, a, b: a - b,
    "Where": _chosen,
}
