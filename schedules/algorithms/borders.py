"""What the fold of a resize does at the border of a map, as tensor expressions.

``algebra.outside`` says why, ``patterns.graph.BorderBuilder`` what these give. Both take maps in
NCHW, or seen so (``schedules.te.layouts``), whose sizes are of type ``index``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tvm import te

from .interpolation import interpolated
from .tir import tir

Counts = tuple[tuple[int, int], tuple[int, int]]


def border_lines(
    x: Any,
    axis: int,
    ends: tuple[bool, bool],
    factor: int,
    copies: tuple[int, int],
    linear: bool,
    index: str = "int64",
) -> te.Tensor:
    """The outermost lines of ``x``, enlarged: (N, S*C, 1, L). Sums are float32."""
    n, channels, *sides = x.shape
    across, along = sides if axis == 2 else sides[::-1]
    first_and_last = tir.const(0, index), across - tir.const(1, index)
    places = [place for place, is_read in zip(first_and_last, ends, strict=True) if is_read]

    def sample(b: Any, c: Any, m: Any) -> Any:
        place = places[0]
        if len(places) == 2:
            place = tir.Select(c < channels, places[0], places[1])
        at = tir.max(tir.min(m, along - 1), 0)
        own = c % channels if len(places) == 2 else c
        value = x[b, own, place, at] if axis == 2 else x[b, own, at, place]
        return value.astype("float32")

    def value(b: Any, c: Any, _row: Any, j: Any) -> Any:
        place = j - copies[0]
        if not linear:
            return sample(b, c, tir.floordiv(place, factor)).astype(x.dtype)
        return interpolated(partial(sample, b, c), place, factor).astype(x.dtype)

    length = along * factor + sum(copies)
    return te.compute((n, channels * len(places), 1, length), value, name="border_lines")


def with_border(
    y: Any, lines: tuple[te.Tensor, ...], counts: Counts, index: str = "int64"
) -> Callable[..., Any]:
    """An element (n, o, i, j) of ``y`` with ``lines`` added, those that ``counts`` ask for."""
    _, channels, *sides = y.shape
    axes = [axis for axis, pair in enumerate(counts) if any(pair)]

    def value(b: Any, o: Any, i: Any, j: Any) -> Any:
        at = i, j
        total, zero = y[b, o, i, j], tir.const(0, y.dtype)
        for axis, line in zip(axes, lines, strict=True):
            # A row is inside or outside as a whole; of columns, single lanes of a vector are.
            choose = tir.Select if axis else tir.if_then_else
            blocks = [(side, count) for side, count in enumerate(counts[axis]) if count]
            for block, (side, count) in enumerate(blocks):
                for p in range(count):
                    last = sides[axis] - tir.const(p + 1, index)
                    is_here = tir.EQ(at[axis], last if side else tir.const(p, index))
                    channel = (o + block * channels) * max(counts[axis]) + p
                    total = total + choose(is_here, line[b, channel, 0, at[1 - axis]], zero)
        return total

    return value
