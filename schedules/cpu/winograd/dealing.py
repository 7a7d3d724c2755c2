"""Rows of a strip's input: read right from the input, or near its borders under a mask, or from a
copy with zeros around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.sym import Analyzer

from tvm_deconv.schedules.cache_lines import LINE
from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.hiding import some_number
from tvm_deconv.schedules.tir.straight_line import StraightLine
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE

from .strip import Strip

# Lanes of AVX-512, which loads those under a mask at no cost.
_MASKED_LANES = 16

# What stands at sample j of row i: a vector from there on, or that sample.
Load = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Slice:
    """Of an input channel: one of those of tile ``deep`` along the depth, or one of its points.

    A picture is one; where the depth is not transformed, a tile has one.
    """

    channel: Any
    deep: Any
    k: Any = 0


def are_copied(strip: Strip) -> bool:
    """Whether rows are copied near borders, and all of them behind a pointwise operator.

    A vector of a copy that was not stored as that vector waits for all that was stored before it to
    reach the cache: transformed tiles, in level 2. Under masks, 28->28 channels of 320x180 and
    64->64 of 128x128 take 0.95 of the time (Zen 5, one thread). Not of a stack of slices of free
    height: rows of these are quotients by the height, which are written out in the address of each
    vector, and TVM's code generator analyses that for minutes; with copies a kernel takes 6 s.
    """
    is_free_stack = strip.is_stack and not isinstance(strip.x.shape[2], tirx.IntImm)
    return not strip.reads_input or strip.lanes != _MASKED_LANES or is_free_stack


def reading(
    strip: Strip,
    at: Slice,
    rows: tuple[Any, Any],
    start: Any,
    count: int,
    use: Callable[[Load, Load], tirx.Stmt],
) -> tirx.Stmt:
    """use(vector, element), which read ``count`` samples from ``start`` on of a strip's ``rows``.

    Of the first to the last of ``rows``. Where all of these lie inside the input, they are read
    there; where rows are copied, if all of the strip do.
    """
    n, _, _, _, g, _ = strip.place
    first, width = first_column(strip), strip.x.shape[3]

    def of_copy(i: Any, j: Any) -> Any:
        return strip.load(strip.rows, [i, j])

    def element_of_copy(i: Any, j: Any) -> Any:
        return tirx.BufferLoad(strip.rows, [i, j])

    def place(row: Any, j: Any) -> list[Any]:
        return [n, g * strip.conv.group_inputs + at.channel, row, first + j]

    def of_input(i: Any, j: Any) -> Any:
        return vector_of_input(strip, at, i, j)

    def masked(i: Any, j: Any) -> Any:
        return under_mask(strip, at, i, j)

    def element_of_input(i: Any, j: Any) -> Any:
        return _as_sums(tirx.BufferLoad(strip.x, place(row_at(strip, at, i)[0], j)))

    def element_if_inside(i: Any, j: Any) -> Any:
        there = [*row_at(strip, at, i)[1], first + j >= 0, first + j < width]
        value = element_of_input(i, j)
        return tirx.if_then_else(tirx.all(*there), value, tirx.const(0, ACCUMULATE_DTYPE))

    if not strip.reads_input:
        return use(of_copy, element_of_copy)
    begin, end = first + start, first + start + count
    known = _all_rows(strip, at) if are_copied(strip) else _all_rows(strip, at, rows)
    inside = tirx.all(*known, begin >= 0, end <= width)
    at_border = (of_copy, element_of_copy) if are_copied(strip) else (masked, element_if_inside)
    return tirx.IfThenElse(inside, use(of_input, element_of_input), use(*at_border))


def vector_of_input(strip: Strip, at: Slice, i: Any, j: Any) -> Any:
    """Samples from j on of row i, all of which lie inside the input."""
    channel = strip.place[4] * strip.conv.group_inputs + at.channel
    place = [strip.place[0], channel, row_at(strip, at, i)[0], first_column(strip) + j]
    return _as_sums(strip.load(strip.x, place), strip.lanes)


def under_mask(strip: Strip, at: Slice, i: Any, j: Any, *, is_there: bool = False) -> Any:
    """The same where some may not, which are 0; the row may be known to be there."""
    lanes = strip.lanes
    row, there = row_at(strip, at, i)
    column, width = first_column(strip) + j, strip.x.shape[3]
    channel = strip.place[4] * strip.conv.group_inputs + at.channel
    end = width - column
    if not is_there:
        # What is beside the input may be in no memory: a masked load of that would take long.
        row = tirx.Select(tirx.all(*there), row, edit.const_like(row, strip.places.first_row))
        end = tirx.Select(tirx.all(*there), end, edit.zero_like(column))
    lane, bounds = edit.ramp(tirx.const(0, "int32"), lanes), (-column, end)
    begin, end = (tirx.Broadcast(tirx.Cast("int32", bound), lanes) for bound in bounds)
    zeros = tirx.Broadcast(tirx.const(0, strip.x.dtype), lanes)
    operands = (
        tirx.address_of(tirx.BufferLoad(strip.x, [strip.place[0], channel, row, column])),
        tirx.And(lane >= begin, lane < end),
        zeros,
    )
    loaded = tirx.call_llvm_intrin(str(zeros.ty.dtype), "llvm.masked.load", *operands)
    return _as_sums(loaded, lanes)


def _as_sums(value: Any, lanes: int = 1) -> Any:
    return value.astype(ACCUMULATE_DTYPE if lanes == 1 else f"{ACCUMULATE_DTYPE}x{lanes}")


def copy_row(strip: Strip, at: Slice, i: Any) -> tirx.Stmt:
    """rows[i] = zeros, x, zeros; but not what is read right from x."""
    layout, together = strip.layout, strip.layout.read_together

    def read(before: Any, after: Any) -> tuple[Any, Any]:
        whole = tirx.min(after, (before + (together - 1)) // together * together)
        of_all = tirx.Select(tirx.all(*_all_rows(strip, at)), whole, after)
        return of_all, after // together * together

    return copied_row(strip, at, i, i, layout.row_inputs, read)


def copied_row(
    strip: Strip,
    at: Slice,
    i: Any,
    place: Any,
    samples: int,
    read: Callable[[Any, Any], tuple[Any, Any]],
) -> tirx.Stmt:
    """rows[place] = zeros, x, zeros, ``samples`` in all; but not what is read right from x.

    ``read`` says from where to where that is, of a row that is inside the input from a sample to
    another.
    """
    n, sy, sx, f, g, _ = strip.place
    _, there = row_at(strip, at, i)
    first, width = first_column(strip), strip.x.shape[3]
    count = edit.const_like(first, samples)
    before, after = edit.border_of(first, count, width)
    zero = tirx.const(0, ACCUMULATE_DTYPE)

    def run(begin: Any, end: Any, value: Any) -> tirx.Stmt:
        extent = Analyzer().simplify(tirx.max(end - begin, 0))
        loop = strip.loop("j", extent)
        j = begin + loop.loop_var
        return edit.rebuild([loop], tirx.BufferStore(strip.rows, value(j), [place, j]))

    def zeros(_: Any) -> Any:
        return zero

    def copied(j: Any) -> Any:
        channel = g * strip.layout.group_inputs + at.channel
        row = (at.deep * strip.layout.d.unit + at.k) * strip.layout.h.inputs + i
        return strip.input_at([n, sy, sx, f, channel, row, j])

    # Each of these is made of those before it: written out in every bound and index, they take a
    # third of the time in which TVM lowers a kernel of free sizes.
    code = StraightLine()

    def named(value: Any) -> Any:
        value = Analyzer().simplify(value)
        known = isinstance(width, tirx.IntImm) or isinstance(value, tirx.IntImm)
        return value if known else code.name(some_number(value))

    before, after = named(before), named(after)
    left = right = after
    if strip.reads_input:
        left, right = read(before, after)
        left = named(left)
        right = named(tirx.max(left, right))
    inside = tirx.SeqStmt(
        [
            *code.statements,
            run(edit.zero_like(first), before, zeros),
            run(before, left, copied),
            run(right, after, copied),
            run(after, count, zeros),
        ]
    )
    all_zeros = run(edit.zero_like(first), count, zeros)
    return tirx.IfThenElse(tirx.all(*there), inside, all_zeros)


def fetch_row(strip: Strip, at: Slice, i: Any) -> tirx.Stmt:
    """Prefetch a row of the next channel, if there is a row ``i``."""
    samples = min(strip.layout.w.inputs, strip.layout.row_inputs)
    # A row seldom begins with a line.
    lines = -(-(samples - 1) // line_values(strip)) + 1
    return fetched(strip, at, i, lines, i < strip.layout.h.inputs)


def fetched(strip: Strip, at: Slice, i: Any, lines: int, *conditions: Any) -> tirx.Stmt:
    """Prefetch so many lines of a row of the next channel, on ``conditions``: without it, waiting
    for memory takes as long as all else that is done to the input. A prefetch beyond the input does
    no harm."""
    line = strip.loop("line", lines)
    fetch = fetch_sample(strip, at, i, line.loop_var * line_values(strip))
    there = row_at(strip, at, i)[1]
    return tirx.IfThenElse(tirx.all(*conditions, *there), edit.rebuild([line], fetch), None)


def fetch_sample(strip: Strip, at: Slice, i: Any, j: Any) -> tirx.Stmt:
    """Prefetch the line of sample ``j`` of row ``i`` of the next channel."""
    n, _, _, _, g, _ = strip.place
    y, _ = row_at(strip, at, i)
    channel = g * strip.conv.group_inputs + at.channel + 1
    return edit.prefetch(tirx.BufferLoad(strip.x, [n, channel, y, first_column(strip) + j]))


def line_values(strip: Strip) -> int:
    """Samples of the input in a cache line."""
    return LINE * 4 // (strip.x.dtype.bits // 8)


def row_at(strip: Strip, at: Slice, i: Any) -> tuple[Any, list[Any]]:
    """Row of the input that row ``i`` of a slice is, and what holds if there is one."""
    _, sy, _, f, _, _ = strip.place
    return strip.places.read(sy, f, at.deep * strip.layout.d.unit + at.k, i)


def _all_rows(strip: Strip, at: Slice, rows: tuple[Any, Any] | None = None) -> list[Any]:
    """What holds if there are these rows, or all of the strip."""
    ends = rows or (0, strip.layout.h.inputs - 1)
    return [condition for i in ends for condition in row_at(strip, at, i)[1]]


def first_column(strip: Strip) -> Any:
    """Of the input, where a strip's rows begin."""
    w = strip.layout.w
    return strip.place[2] * w.span + w.first
