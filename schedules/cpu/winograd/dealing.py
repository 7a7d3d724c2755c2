"""Rows of a strip's input, dealt out to vectors of tiles: right from the input, or near its borders
under a mask, or from a copy with zeros around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.sym import Analyzer

from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.straight_line import StraightLine
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE

from .strip import Strip
from .tile import LINE

# Lanes of AVX-512, which loads those under a mask at no cost.
_MASKED_LANES = 16


@dataclass(frozen=True)
class Slice:
    """Of an input channel: one of those of tile ``deep`` along the depth, or one of its points."""

    channel: Any
    deep: Any
    k: Any


def are_copied(strip: Strip) -> bool:
    """Whether rows are copied near borders, and all of them behind a pointwise operator.

    Elements that are stored one by one take places in the queue of stores, and a vector of them
    waits until all that was stored before it is in the cache, transformed tiles in level 2: on an
    Intel Xeon (model 207) copies took a seventh of what 28 channels of 320x180 take to be read.
    """
    layout = strip.layout
    masked = strip.lanes == _MASKED_LANES and layout.tail <= layout.w.unit
    return not (strip.reads_input and masked)


def copy_row(strip: Strip, at: Slice, i: Any, place: Any) -> tirx.Stmt:
    """rows[place] = zeros, x, zeros; but not what is dealt out right from x."""
    layout, w = strip.layout, strip.layout.w
    n, sy, sx, f, g, _ = strip.place
    _, there, first = _origin(strip, at, i)
    width = strip.x.shape[3]
    count = edit.const_like(first, layout.row_inputs)
    before, after = edit.border_of(first, count, width)
    zero = tirx.const(0, ACCUMULATE_DTYPE)
    whole = w.unit * strip.lanes

    def run(begin: Any, end: Any, value: Any) -> tirx.Stmt:
        extent = Analyzer().simplify(tirx.max(end - begin, 0))
        loop = strip.loop("j", extent)
        j = begin + loop.loop_var
        return edit.rebuild([loop], tirx.BufferStore(strip.rows, value(j), [place, j]))

    def zeros(_: Any) -> Any:
        return zero

    def copied(j: Any) -> Any:
        channel = g * layout.group_inputs + at.channel
        row = (at.deep * layout.d.unit + at.k) * layout.h.inputs + i
        return strip.input_at([n, sy, sx, f, channel, row, j])

    left = after
    if strip.reads_input:
        left = tirx.min(after, (before + (whole - 1)) // whole * whole)
    right = tirx.max(left, tirx.min(after // whole, layout.chunks) * whole)
    inside = tirx.SeqStmt(
        [
            run(edit.zero_like(first), before, zeros),
            run(before, left, copied),
            run(right, after, copied),
            run(after, count, zeros),
        ]
    )
    all_zeros = run(edit.zero_like(first), count, zeros)
    return tirx.IfThenElse(tirx.all(*there), inside, all_zeros)


def fetch_row(strip: Strip, at: Slice, i: Any) -> tirx.Stmt:
    """Prefetch a row of the next channel: without it, waiting for memory takes as long as all
    else that is done to the input. A prefetch beyond the input does no harm."""
    n, _, _, _, g, _ = strip.place
    y, there, first = _origin(strip, at, i)
    channel = g * strip.conv.group_inputs + at.channel + 1
    values = LINE * 4 // (strip.x.dtype.bits // 8)
    line = strip.loop("line", -(-strip.layout.row_inputs // values))
    load = tirx.BufferLoad(strip.x, [n, channel, y, first + line.loop_var * values])
    return tirx.IfThenElse(tirx.all(*there), edit.rebuild([line], edit.prefetch(load)), None)


def spread_row(strip: Strip, at: Slice, i: Any, place: Any) -> tirx.Stmt:
    """spread[k, i, p, t] = rows[place, m*t + p], with the tiles of all residues for m.

    What lies inside the input is read there. A vector of a copy that was not stored as that vector
    waits for all that was stored before it to reach the cache: transformed tiles, in level 2.
    """
    layout, w, lanes = strip.layout, strip.layout.w, strip.lanes
    copied = are_copied(strip)
    y, there, first = _origin(strip, at, i)
    width = strip.x.shape[3]
    k_row = at.k * layout.h.inputs + i

    def dealt(start: Any, count: int, deal: Callable[..., tirx.Stmt]) -> tirx.Stmt:
        """deal(load) of ``count`` samples from ``start`` on; load(j) is of a vector of a row."""

        def of_copy(j: Any) -> Any:
            return strip.load(strip.rows, [place, start + j])

        def of_input(j: Any) -> Any:
            return _as_sums(strip, strip.load(strip.x, _element(strip, at, y, first + start + j)))

        def under_mask(j: Any) -> Any:
            return _as_sums(strip, _inside(strip, at, (y, there), first + start + j))

        if not strip.reads_input:
            return deal(of_copy)
        begin, end = first + start, first + start + count
        inside = tirx.all(*there, begin >= 0, end <= width)
        return tirx.IfThenElse(inside, deal(of_input), deal(of_copy if copied else under_mask))

    chunk = strip.loop("t", layout.chunks)

    def whole(load: Callable[[Any], Any]) -> tirx.Stmt:
        code = StraightLine()
        vectors = [code.name(load(part * lanes)) for part in range(w.unit)]
        for residue, vector in enumerate(code.deinterleave(vectors)):
            target = [k_row, residue, chunk.loop_var * lanes]
            code.statements.append(strip.put(strip.spread, target, vector))
        return tirx.SeqStmt(code.statements)

    def beyond(load: Callable[[Any], Any]) -> tirx.Stmt:
        """Each in the first lane of a vector, since it is read as one."""
        places = [[k_row, sample, end] for sample in range(layout.tail)]
        return edit.sequence([strip.put(strip.spread, to, load(to[1])) for to in places])

    end = layout.chunks * lanes
    start = chunk.loop_var * (w.unit * lanes)
    chunks = edit.rebuild([chunk], dealt(start, w.unit * lanes, whole))
    if not layout.tail:
        return chunks
    if layout.tail <= w.unit:
        rest = dealt(edit.const_like(start, end * w.unit), layout.tail - 1 + lanes, beyond)
    else:
        sample = strip.loop("s", layout.tail)
        value = tirx.BufferLoad(strip.rows, [place, end * w.unit + sample.loop_var])
        target = [k_row, sample.loop_var % w.unit, end + sample.loop_var // w.unit]
        rest = edit.rebuild([sample], tirx.BufferStore(strip.spread, value, target))
    return tirx.SeqStmt([chunks, rest])


def _origin(strip: Strip, at: Slice, i: Any) -> tuple[Any, list[Any], Any]:
    """Row of the input that row ``i`` of a slice is, what holds if there is one, and its first
    column."""
    d, w = strip.layout.d, strip.layout.w
    _, sy, sx, f, _, _ = strip.place
    y, there = strip.places.read(sy, f, at.deep * d.unit + at.k, i)
    return y, there, sx * w.span + w.first


def _element(strip: Strip, at: Slice, y: Any, column: Any) -> list[Any]:
    n, _, _, _, g, _ = strip.place
    return [n, g * strip.conv.group_inputs + at.channel, y, column]


def _inside(strip: Strip, at: Slice, row: tuple[Any, list[Any]], column: Any) -> Any:
    """A vector of row ``y`` of the input, if it is ``there``; 0 in lanes that lie beside it."""
    (y, there), lanes, dtype = row, strip.lanes, "int32"
    width = strip.x.shape[3]
    lane = edit.ramp(tirx.const(0, dtype), lanes)
    end = tirx.Select(tirx.all(*there), width - column, edit.zero_like(column))
    first = tirx.Broadcast(tirx.Cast(dtype, -column), lanes)
    mask = tirx.And(lane >= first, lane < tirx.Broadcast(tirx.Cast(dtype, end), lanes))
    zeros = tirx.Broadcast(tirx.const(0, strip.x.dtype), lanes)
    place = tirx.address_of(tirx.BufferLoad(strip.x, _element(strip, at, y, column)))
    return tirx.call_llvm_intrin(str(zeros.ty.dtype), "llvm.masked.load", place, mask, zeros)


def _as_sums(strip: Strip, vector: Any) -> Any:
    return vector.astype(f"{ACCUMULATE_DTYPE}x{strip.lanes}")
