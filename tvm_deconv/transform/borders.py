"""What the fold of a linear resize does at the border of a map, as tensor expressions.

``algebra.bilinear`` says why; these are the two functions that Relax has no operator for. Both are
emitted as PrimFuncs. That of ``add_border`` carries ``BORDER``, so that ``LowerConvolutions`` can
put it where the convolution is stored: then nothing passes over the map again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tvm import relax, te, tirx

from tvm_deconv.annotations import BORDER

if TYPE_CHECKING:
    from .graph import Graph

Counts = tuple[tuple[int, int], tuple[int, int]]


def border_lines(
    x: te.Tensor, axis: int, ends: tuple[bool, bool], factor: int, copies: tuple[int, int]
) -> te.Tensor:
    """``patterns.graph.BorderBuilder.border_lines``; sums are float32."""
    n, channels, *sides = x.shape
    across, along = sides if axis == 2 else sides[::-1]
    first_and_last = tirx.const(0, "int64"), across - tirx.const(1, "int64")
    places = [place for place, is_read in zip(first_and_last, ends, strict=True) if is_read]

    def sample(b: Any, c: Any, m: Any) -> Any:
        place = places[0]
        if len(places) == 2:
            place = tirx.Select(c < channels, places[0], places[1])
        at = tirx.max(tirx.min(m, along - 1), 0)
        own = c % channels if len(places) == 2 else c
        value = x[b, own, place, at] if axis == 2 else x[b, own, at, place]
        return value.astype("float32")

    def interpolated(b: Any, c: Any, _row: Any, j: Any) -> Any:
        # In units of 1/(2r): the sample before the place, and how far behind it that lies.
        units = (j - copies[0]) * 2 + (1 - factor)
        before = tirx.floordiv(units, 2 * factor)
        share = tirx.floormod(units, 2 * factor).astype("float32") * (0.5 / factor)
        first, second = sample(b, c, before), sample(b, c, before + 1)
        return (first + share * (second - first)).astype(x.dtype)

    length = along * factor + sum(copies)
    return te.compute((n, channels * len(places), 1, length), interpolated, name="border_lines")


def add_border(y: te.Tensor, *lines: te.Tensor, counts: Counts) -> te.Tensor:
    """``patterns.graph.BorderBuilder.add_border``; ``lines`` are those that ``counts`` ask for."""
    _, channels, *sides = y.shape
    axes = [axis for axis, pair in enumerate(counts) if any(pair)]

    def value(b: Any, o: Any, *at: Any) -> Any:
        total, zero = y(b, o, *at), tirx.const(0, y.dtype)
        for axis, line in zip(axes, lines, strict=True):
            # A row is inside or outside as a whole; of columns, single lanes of a vector are.
            choose = tirx.Select if axis else tirx.if_then_else
            blocks = [(side, count) for side, count in enumerate(counts[axis]) if count]
            for block, (side, count) in enumerate(blocks):
                for p in range(count):
                    last = sides[axis] - tirx.const(p + 1, "int64")
                    is_here = tirx.EQ(at[axis], last if side else tirx.const(p, "int64"))
                    channel = (o + block * channels) * max(counts[axis]) + p
                    total = total + choose(is_here, line[b, channel, 0, at[1 - axis]], zero)
        return total

    return te.compute(y.shape, value, name="add_border")


@dataclass(frozen=True)
class Border:
    """A call of ``add_border``: the map, and the lines for the axes (2, 3) that have counts."""

    y: relax.Expr
    lines: dict[int, relax.Expr]
    counts: Counts

    @property
    def names(self) -> int:
        """Names in the expression of an element beside its own: a condition and a place a line."""
        return 8 * sum(map(sum, self.counts))


def emit_lines(
    builder: relax.BlockBuilder,
    x: relax.Expr,
    axis: int,
    ends: tuple[bool, bool],
    factor: int,
    copies: tuple[int, int],
) -> relax.Var:
    """``border_lines`` as a call."""
    form = partial(border_lines, axis=axis, ends=ends, factor=factor, copies=copies)
    return builder.emit_te(form, x, primfunc_name_hint="border_lines")


def emit_border(
    builder: relax.BlockBuilder, y: relax.Expr, lines: dict[int, relax.Expr], counts: Counts
) -> relax.Var:
    """``add_border`` as a call that ``read_border`` recognises."""
    words = " ".join(str(count) for pair in counts for count in pair)
    return builder.emit_te(
        partial(add_border, counts=counts),
        y,
        *(lines[axis] for axis in (2, 3) if axis in lines),
        primfunc_name_hint="add_border",
        primfunc_attrs={BORDER: words},
    )


def read_border(graph: Graph, var: relax.Expr) -> Border | None:
    """The call of ``add_border`` that computes ``var``; None if something else does."""
    words = graph.annotation(var, BORDER)
    if words is None:
        return None
    top, bottom, left, right = map(int, words.split())
    counts = (top, bottom), (left, right)
    operands = graph.value(var).args[1].fields
    # Free sizes are operands, too.
    y, *lines = (operand for operand in operands if graph.is_tensor(operand))
    axes = [axis for axis, pair in zip((2, 3), counts, strict=True) if any(pair)]
    return Border(y, dict(zip(axes, lines, strict=True)), counts)
