"""A strip of the input: dealt out to vectors, its columns transformed, then its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tvm import tirx
from tvm.sym import Analyzer

from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.hiding import of_any_length
from tvm_deconv.schedules.tir.straight_line import StraightLine
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE

from .filters import transformed
from .strip import ROWS, Strip
from .tile import LINE


def read_inputs(strip: Strip) -> tirx.Stmt:
    """for ic: for tile along the depth: read its slices; transform the depth, then each slice."""
    layout, d = strip.layout, strip.layout.d
    channel = strip.loop("ic", layout.group_inputs)
    deep = strip.loop("tz", d.positions)
    k, point = strip.loop("k", d.points), strip.loop("k", d.points)
    at = _Slice(channel.loop_var, deep.loop_var, k.loop_var)
    passes = [edit.rebuild([k], _read_slice(strip, at))]
    if d.points > 1:
        passes.append(_transform_depth(strip))
    passes.append(edit.rebuild([point], _transform_tiles(strip, replace(at, k=point.loop_var))))
    body = edit.rebuild([deep], tirx.SeqStmt(passes))
    if layout.reach < layout.read_tiles:
        last = strip.loop("k", d.points)
        span, later = (layout.reach, layout.read_tiles), last.loop_var * layout.point_tiles
        beyond = strip.clear(strip.transform, *span, at.channel, later=later)
        body = tirx.SeqStmt([body, edit.rebuild([last], beyond)])
    return edit.sequence([*_clear_beyond(strip), edit.rebuild([channel], body)])


@dataclass(frozen=True)
class _Slice:
    """Of an input channel: one of those of tile ``deep`` along the depth, or one of its points."""

    channel: Any
    deep: Any
    k: Any


def _read_slice(strip: Strip, at: _Slice) -> tirx.Stmt:
    """for group of rows: pad what lies near a border, then spread all.

    A vector that is loaded right after two stores that it overlaps waits for both to leave the
    core; a few rows later they have left.
    """
    group = strip.loop("rows", -(-strip.layout.h.inputs // ROWS))
    passes = [
        _each_row(strip, group, partial(body, strip, at)) for body in (_copy_row, _spread_row)
    ]
    return edit.rebuild([group], tirx.SeqStmt(passes))


def _each_row(strip: Strip, group: tirx.For, body: Callable[[Any, Any], tirx.Stmt]) -> tirx.Stmt:
    """for rows of a group: body(row of the slice, row of the group)."""
    row = strip.loop("i", of_any_length(ROWS, strip.x.shape))
    i = group.loop_var * ROWS + row.loop_var
    stmt = body(i, row.loop_var)
    if strip.layout.h.inputs % ROWS:
        stmt = tirx.IfThenElse(i < strip.layout.h.inputs, stmt, None)
    return edit.rebuild([row], stmt)


def _copy_row(strip: Strip, at: _Slice, i: Any, place: Any) -> tirx.Stmt:
    """rows[place] = zeros, x, zeros; but not what is dealt out right from x."""
    layout, w = strip.layout, strip.layout.w
    n, sy, sx, f, g, _ = strip.place
    y, there, first = _origin(strip, at, i)
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
            _fetch_row(strip, n, g * strip.conv.group_inputs + at.channel + 1, y, first),
            run(edit.zero_like(first), before, zeros),
            run(before, left, copied),
            run(right, after, copied),
            run(after, count, zeros),
        ]
    )
    all_zeros = run(edit.zero_like(first), count, zeros)
    return tirx.IfThenElse(tirx.all(*there), inside, all_zeros)


def _origin(strip: Strip, at: _Slice, i: Any) -> tuple[Any, list[Any], Any]:
    """Row of the input that row ``i`` of a slice is, what holds if there is one, and its first
    column."""
    d, w = strip.layout.d, strip.layout.w
    _, sy, sx, f, _, _ = strip.place
    y, there = strip.places.read(sy, f, at.deep * d.unit + at.k, i)
    return y, there, sx * w.span + w.first


def _fetch_row(strip: Strip, n: Any, channel: Any, y: Any, first: Any) -> tirx.Stmt:
    """Prefetch a row of the next channel: without it, waiting for memory takes as long as all
    else that is done to the input. A prefetch beyond the input does no harm."""
    values = LINE * 4 // (strip.x.dtype.bits // 8)
    line = strip.loop("line", -(-strip.layout.row_inputs // values))
    load = tirx.BufferLoad(strip.x, [n, channel, y, first + line.loop_var * values])
    return edit.rebuild([line], edit.prefetch(load))


def _spread_row(strip: Strip, at: _Slice, i: Any, place: Any) -> tirx.Stmt:
    """spread[k, i, p, t] = rows[place, m*t + p], with the tiles of all residues for m.

    What lies inside the input is read there. A vector of a copy that was not stored as that vector
    waits for all that was stored before it to reach the cache: transformed tiles, in level 2.
    """
    layout, w, lanes = strip.layout, strip.layout.w, strip.lanes
    n, _, _, _, g, _ = strip.place
    y, there, first = _origin(strip, at, i)
    width = strip.x.shape[3]
    i = at.k * layout.h.inputs + i

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
            target = [i, residue, chunk.loop_var * lanes]
            code.statements.append(strip.put(strip.spread, target, vector))
        return tirx.SeqStmt(code.statements)

    def beyond(load: Callable[[Any], Any]) -> tirx.Stmt:
        """Each in the first lane of a vector, since it is read as one."""
        places = [[i, sample, end] for sample in range(layout.tail)]
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
        target = [i, sample.loop_var % w.unit, end + sample.loop_var // w.unit]
        rest = edit.rebuild([sample], tirx.BufferStore(strip.spread, value, target))
    return tirx.SeqStmt([chunks, rest])


def _clear_beyond(strip: Strip) -> list[tirx.Stmt]:
    """Samples that are read beside those of the last tiles, and never used; or nothing.

    Memory that nobody wrote may hold slow denormal numbers.
    """
    layout, h = strip.layout, strip.layout.h
    first, end = layout.chunks * strip.lanes, layout.spread
    if first == end:
        return []
    buffer = strip.spread if layout.tail or h.points == 1 else strip.columns
    return [strip.clear(buffer, first, end)]


def _transform_depth(strip: Strip) -> tirx.Stmt:
    """for i, p, vector of tiles: spread[points, i, p, tiles] = B^T spread[slices, i, p, tiles]."""
    layout, d, h = strip.layout, strip.layout.d, strip.layout.h
    i, p = strip.loop("i", h.inputs), strip.loop("p", layout.w.unit)
    chunk = strip.loop("t", layout.spread // strip.lanes)

    def place(k: int) -> list[Any]:
        return [i.loop_var + k * h.inputs, p.loop_var, chunk.loop_var * strip.lanes]

    code = StraightLine()
    values = [code.name(strip.load(strip.spread, place(k))) for k in range(d.points)]
    for k, value in enumerate(transformed(code, d.filter, values)):
        code.statements.append(strip.put(strip.spread, place(k), value))
    return edit.rebuild([i, p, chunk], tirx.SeqStmt(code.statements))


def _transform_tiles(strip: Strip, at: _Slice) -> tirx.Stmt:
    """for ty, residue of rows: transform[u, v, ic, k, tiles] = B^T d B.

    The last vector of a row of tiles may reach into the next row's place; that row comes later.
    """
    layout, h = strip.layout, strip.layout.h
    ty, rh = strip.loop("ty", h.positions), strip.loop("rh", h.step)
    line, top = ty.loop_var * h.step + rh.loop_var, ty.loop_var * h.unit + rh.loop_var
    line, top = at.deep * layout.slice_lines + line, at.k * h.inputs + top
    if h.points == 1:
        passes = [_transform_rows(strip, at, line, strip.spread, top, 0)]
    else:
        u = strip.loop("u", h.points)
        rows = _transform_rows(strip, at, line, strip.columns, u.loop_var, u.loop_var)
        passes = [*_transform_columns(strip, top), edit.rebuild([u], rows)]
    return edit.rebuild([ty, rh], edit.sequence(passes))


def _transform_columns(strip: Strip, top: Any) -> list[tirx.Stmt]:
    """for p, vector of tiles: columns[u, p, tiles] = B^T spread[rows of the tiles, p, tiles].

    Neighbouring tiles share columns.
    """
    layout, h, w = strip.layout, strip.layout.h, strip.layout.w

    def of_samples(count: int, begin: int, end: int) -> tirx.Stmt:
        sample, chunk = strip.loop("p", count), strip.loop("t", (end - begin) // strip.lanes)
        at = [sample.loop_var, begin + chunk.loop_var * strip.lanes]
        code = StraightLine()
        rows = [top + a * h.step for a in range(h.filter.inputs)]
        values = [code.name(strip.load(strip.spread, [row, *at])) for row in rows]
        for u, value in enumerate(transformed(code, h.filter, values)):
            code.statements.append(strip.put(strip.columns, [u, *at], value))
        return edit.rebuild([sample, chunk], tirx.SeqStmt(code.statements))

    end = layout.chunks * strip.lanes
    whole = of_samples(w.unit, 0, end)
    if not layout.tail:
        return [whole]
    return [whole, of_samples(min(w.unit, (w.taps - 1) * w.step), end, layout.spread)]


def _transform_rows(
    strip: Strip, at: _Slice, line: Any, columns: Any, row: Any, u: Any
) -> tirx.Stmt:
    """for residue, vector of tiles: transform[u, v, ic, k, tiles] = columns[row, samples] B."""
    layout, w = strip.layout, strip.layout.w
    residue, chunk = strip.loop("rw", w.step), strip.loop("tx", layout.chunks)
    first = chunk.loop_var * strip.lanes
    tau = (line * w.step + residue.loop_var) * w.positions + first
    code = StraightLine()

    def sample(b: int) -> Any:
        later, column = divmod(b, w.outputs)
        place = [row, column * w.step + residue.loop_var, first + later]
        return code.name(strip.load(columns, place))

    values = transformed(code, w.filter, [sample(b) for b in range(w.filter.inputs)])
    place = at.k * layout.point_tiles + tau
    for v, value in enumerate(values):
        code.statements.append(strip.put(strip.transform, [u, v, at.channel, place], value))
    return edit.rebuild([residue, chunk], tirx.SeqStmt(code.statements))
