"""Rows of a volume's strip, dealt out to vectors of tiles: right from the input, or near its
borders from a copy with zeros around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx

from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.straight_line import StraightLine
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE

from .dealing import Slice, copied_row, fetched, first_column, line_values, row_at
from .strip import Strip


def copy_row(strip: Strip, at: Slice, i: Any, place: Any) -> tirx.Stmt:
    """rows[place] = zeros, x, zeros; but not what is dealt out right from x."""
    layout = strip.layout
    whole = layout.w.unit * strip.lanes

    def read(before: Any, after: Any) -> tuple[Any, Any]:
        left = tirx.min(after, (before + (whole - 1)) // whole * whole)
        return left, tirx.min(after // whole, layout.chunks) * whole

    return copied_row(strip, at, i, place, layout.volume_row_inputs, read)


def fetch_row(strip: Strip, at: Slice, i: Any) -> tirx.Stmt:
    """Prefetch a row of the next channel."""
    return fetched(strip, at, i, -(-strip.layout.volume_row_inputs // line_values(strip)))


def spread_row(strip: Strip, at: Slice, i: Any, place: Any) -> tirx.Stmt:
    """spread[k, i, p, t] = rows[place, m*t + p], with the tiles of all residues for m.

    What lies inside the input is read there. A vector of a copy that was not stored as that vector
    waits for all that was stored before it to reach the cache: transformed tiles, in level 2.
    """
    layout, w, lanes = strip.layout, strip.layout.w, strip.lanes
    n, _, _, _, g, _ = strip.place
    first, (y, there) = first_column(strip), row_at(strip, at, at.k, i)
    width = strip.x.shape[3]
    k_row = at.k * layout.h.inputs + i

    def dealt(start: Any, count: int, deal: Callable[..., tirx.Stmt]) -> tirx.Stmt:
        """deal(load) of ``count`` samples from ``start`` on; load(j) is of a vector of a row."""

        def of_copy(j: Any) -> Any:
            return strip.load(strip.rows, [place, start + j])

        def of_input(j: Any) -> Any:
            c = g * strip.conv.group_inputs + at.channel
            value = strip.load(strip.x, [n, c, y, first + start + j])
            return value.astype(f"{ACCUMULATE_DTYPE}x{lanes}")

        if not strip.reads_input:
            return deal(of_copy)
        begin, end = first + start, first + start + count
        inside = tirx.all(*there, begin >= 0, end <= width)
        return tirx.IfThenElse(inside, deal(of_input), deal(of_copy))

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
