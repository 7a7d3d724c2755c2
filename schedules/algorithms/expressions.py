"""Index expressions that the tensor definitions of the variants share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm_deconv.algebra.geometry import Axis

from .tir import tir


def by_phase(values: Sequence[int], phase):
    """An index expression that takes ``values[phase]``; an int for an int."""
    if isinstance(phase, int):
        return values[phase]
    if all(v == values[0] for v in values):
        return values[0]
    if all(v == values[0] + i for i, v in enumerate(values)):
        return values[0] + phase
    jumps = [i for i in range(1, len(values)) if values[i] != values[i - 1]]
    if len(jumps) == 1 and values[-1] == values[0] + 1:
        # Offsets rise by one at a single phase, as they do without dilation. Not as a quotient:
        # where the phase is itself a remainder of a fused loop, such as z % 3, TVM turns
        # (z % 3 + 2) // 3 into (z + 2) % 3 // 3, which is 0.
        zero, one = (tir.const(n, dtype_of(phase)) for n in (0, 1))
        return values[0] + tir.Select(phase >= jumps[0], one, zero)
    expr = tir.const(values[-1], "int32")
    for i, value in enumerate(values[:-1]):
        expr = tir.Select(phase == i, tir.const(value, "int32"), expr)
    return expr


def has_tap(axis: Axis, phase, tap):
    """Whether ``phase`` has a tap number ``tap``; None when all phases have equally many."""
    if not axis.is_uneven:
        return None
    return tap < by_phase([len(axis.taps(f)) for f in range(axis.stride)], phase)


def static(dim: Any) -> Any:
    """A dimension as an int, if it is known."""
    return int(dim) if isinstance(dim, tir.IntImm) else dim


def ceil_div(a: Any, b: int) -> Any:
    """a / b rounded up, for an int or an expression; of one that is negated TVM knows less."""
    return (a + (b - 1)) // b


def round_up(size: Any, unit: int) -> Any:
    """The next multiple of ``unit``, for an int or an expression."""
    if isinstance(size, int):
        return ceil_div(size, unit) * unit
    return tir.floordiv(size + (unit - 1), unit) * unit


def dtype_of(expr: Any) -> str:
    """The dtype of an expression, which has a type of its own since TVM 0.20."""
    return str(expr.ty.dtype if hasattr(expr, "ty") else expr.dtype)
