"""Where a maximum or minimum lies: reductions of pairs of a place and a value.

Of equal values the first place is taken. A NaN is larger and smaller than every number, as in
PyTorch; TVM's ``argmax`` never finds one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tvm import relax, te, tirx

from .translation import Translation

Reducer = Callable[..., Sequence[te.Tensor]]


def extreme_of_nothing(dtype: Any, largest: bool) -> Any:
    """What every number is larger than, or smaller."""
    if str(dtype).startswith("float"):
        return tirx.const(-math.inf if largest else math.inf, dtype)
    return tirx.min_value(dtype) if largest else tirx.max_value(dtype)


def extreme_place(largest: bool) -> Reducer:
    """A reducer of (place, value); of several NaN the first one is taken."""

    def better(a: Sequence[Any], b: Sequence[Any]) -> tuple[Any, Any]:
        (i, x), (j, y) = a, b
        farther = x > y if largest else x < y
        wins = tirx.any(farther, tirx.all(x == y, i <= j))
        if str(x.ty.dtype).startswith("float"):
            x_is_nan, y_is_nan = tirx.isnan(x), tirx.isnan(y)
            nan_wins = tirx.all(x_is_nan, tirx.any(tirx.Not(y_is_nan), i <= j))
            wins = tirx.any(nan_wins, tirx.all(tirx.Not(y_is_nan), wins))
        return tirx.Select(wins, i, j), tirx.Select(wins, x, y)

    def nothing(place: str, value: str) -> tuple[Any, Any]:
        return tirx.max_value(place), extreme_of_nothing(value, largest)

    return te.comm_reducer(better, nothing, name="largest" if largest else "smallest")


def extreme_along(
    t: Translation, x: relax.Expr, axis: int, keepdim: bool, largest: bool
) -> list[relax.Expr]:
    """The extreme values along an axis and their places, int64."""
    reducer = extreme_place(largest)

    def extreme(x: te.Tensor) -> list[te.Tensor]:
        k = te.reduce_axis((0, x.shape[axis]), name="k")
        rest = [size for d, size in enumerate(x.shape) if d != axis]
        one = tirx.IntImm("int64", 1)
        shape = [*rest[:axis], *([one] if keepdim else []), *rest[axis:]]

        def value(*i: Any) -> Any:
            before, after = i[:axis], i[axis + keepdim :]
            return reducer((tirx.Cast("int64", k), x(*before, k, *after)), axis=k)

        return list(te.compute(shape, value, name="extreme"))

    both = t.te(extreme, x)
    return [t.emit(both[1]), t.emit(both[0])]
