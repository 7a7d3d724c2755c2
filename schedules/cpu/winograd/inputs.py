"""A strip of the input: its columns transformed, then its rows, dealt out to vectors of tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm import tirx

from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.hiding import of_any_length
from tvm_deconv.schedules.tir.straight_line import StraightLine

from .dealing import Load, Slice, are_copied, copy_row, fetch_row, fetch_sample, reading
from .filters import transformed
from .rows import Row
from .strip import Strip
from .volume_inputs import read_volumes

# Rows of samples that are dealt out before the first of them is transformed. A vector that is
# loaded right after two stores that it overlaps waits for both to leave the core.
_AHEAD = 2


@dataclass(frozen=True)
class _Tiles:
    """A row of tiles of a slice."""

    at: Slice
    ty: Any


def read_inputs(strip: Strip) -> tirx.Stmt:
    """transform[u, v, ic, k, tiles] = B^T d B of all tiles of the strip.

    for channel, slice: copy what is near borders; for row of tiles: transform columns, then rows.
    Those of a volume whose depth is transformed, too, are dealt out first (``volume_inputs``).
    """
    layout, d, h = strip.layout, strip.layout.d, strip.layout.h
    if d.points > 1:
        return read_volumes(strip)
    channel, deep = strip.loop("ic", layout.group_inputs), strip.loop("tz", d.positions)
    at, ty = Slice(channel.loop_var, deep.loop_var), strip.loop("ty", h.positions)
    tiles = _Tiles(at, ty.loop_var)
    passes = [_copy_rows(strip, at)] if are_copied(strip) else []
    of_tiles = [_transform_columns(strip, tiles)] if h.points > 1 else []
    of_tiles.append(_rows_in_turn(strip, tiles))
    passes.append(edit.rebuild([ty], edit.sequence(of_tiles)))
    nest = edit.rebuild([channel, deep], edit.sequence(passes))
    dealt = [] if layout.deals_in_registers else strip.clear_dealt(strip.dealt)
    return edit.sequence([*dealt, *strip.clear_reach(), nest])


def _copy_rows(strip: Strip, at: Slice) -> tirx.Stmt:
    """All rows of the strip."""
    row = strip.loop("i", of_any_length(strip.layout.h.inputs, strip.x.shape))
    return edit.rebuild([row], copy_row(strip, at, row.loop_var))


def _rows_in_turn(strip: Strip, tiles: _Tiles) -> tirx.Stmt:
    """for residue in height and point: transform a row.

    Where they are not dealt out in registers, a row of the next channel is prefetched before each.
    """
    layout, h = strip.layout, strip.layout.h
    units = h.points * h.step
    ahead = 0 if layout.deals_in_registers else _AHEAD
    unit = strip.loop("unit", units + ahead)
    rows = _transform_rows(strip, tiles, unit.loop_var - ahead)
    if ahead:
        fetch = fetch_row(strip, tiles.at, tiles.ty * (units + ahead) + unit.loop_var)
        deal = _deal_row(strip, tiles, unit.loop_var)
        deal = tirx.IfThenElse(unit.loop_var < units, deal, None)
        rows = tirx.IfThenElse(unit.loop_var >= ahead, rows, None)
        rows = tirx.SeqStmt([fetch, deal, rows])
    return edit.rebuild([unit], rows)


def _transform_columns(strip: Strip, tiles: _Tiles) -> tirx.Stmt:
    """for residue, vector of samples: columns[residue, u, samples] = B^T x[rows, samples].

    Neighbouring tiles share columns. With AVX-512 the same samples of the next channel are
    prefetched here, a line for each that is read. All of them between the rows' transforms are too
    many at once: 28->28 channels of 320x180 take 1.06 times as long (Zen 5, one thread).
    """
    layout, h = strip.layout, strip.layout.h
    residue, vector = strip.loop("rh", h.step), strip.loop("s", layout.row_vectors)
    top, start = tiles.ty * h.unit + residue.loop_var, vector.loop_var * strip.lanes
    rows = [top + a * h.step for a in range(h.filter.inputs)]

    def fetched(j: Any) -> list[tirx.Stmt]:
        if not strip.layout.deals_in_registers:
            return []
        return [fetch_sample(strip, tiles.at, row, j) for row in rows]

    def of_samples(load: Load, _: Load) -> tirx.Stmt:
        code = StraightLine()
        values = [code.name(load(row, start)) for row in rows]
        for u, value in enumerate(transformed(code, h.filter, values)):
            place = [residue.loop_var * h.points + u, start]
            code.statements.append(strip.put(strip.columns, place, value))
        return tirx.SeqStmt(code.statements)

    ends = top, top + (h.filter.inputs - 1) * h.step
    some = reading(strip, tiles.at, ends, start, strip.lanes, of_samples)
    nest = edit.rebuild([vector], edit.sequence([*fetched(start + (strip.lanes - 1)), some]))
    # A row seldom begins with a line.
    return edit.rebuild([residue], edit.sequence([*fetched(edit.zero_like(start)), nest]))


def _reading_row(
    strip: Strip, tiles: _Tiles, unit: Any, start: Any, count: int, use: Any
) -> tirx.Stmt:
    """use(vector, element) of samples of ``unit``: of transformed columns, where there are any."""
    h = strip.layout.h
    if h.points > 1:
        return use(
            lambda j: strip.load(strip.columns, [unit, j]),
            lambda j: tirx.BufferLoad(strip.columns, [unit, j]),
        )
    i = tiles.ty * h.unit + unit

    def of_row(vector: Load, element: Load) -> tirx.Stmt:
        return use(lambda j: vector(i, j), lambda j: element(i, j))

    return reading(strip, tiles.at, (i, i), start, count, of_row)


def _deal_row(strip: Strip, tiles: _Tiles, unit: Any) -> tirx.Stmt:
    """dealt[unit, p, t] = samples[unit, m*t + p], with the tiles of all residues for m."""
    layout, w, lanes = strip.layout, strip.layout.w, strip.lanes
    chunk, wide = strip.loop("t", layout.chunks), w.unit * lanes
    start = chunk.loop_var * wide

    def whole(vector: Any, _: Any) -> tirx.Stmt:
        code = StraightLine()
        vectors = [code.name(vector(start + part * lanes)) for part in range(w.unit)]
        for residue, dealt in enumerate(code.deinterleave(vectors)):
            place = [unit, residue, chunk.loop_var * lanes]
            code.statements.append(strip.put(strip.dealt, place, dealt))
        return tirx.SeqStmt(code.statements)

    chunks = edit.rebuild([chunk], _reading_row(strip, tiles, unit, start, wide, whole))
    if not layout.tail:
        return chunks
    end, sample = layout.chunks * wide, strip.loop("s", layout.tail)
    first = edit.const_like(start, end)

    def beyond(_: Any, element: Any) -> tirx.Stmt:
        place = [unit, sample.loop_var % w.unit, first // w.unit + sample.loop_var // w.unit]
        value = element(first + sample.loop_var)
        return edit.rebuild([sample], tirx.BufferStore(strip.dealt, value, place))

    count = layout.row_inputs - end
    return tirx.SeqStmt([chunks, _reading_row(strip, tiles, unit, first, count, beyond)])


def _transform_rows(strip: Strip, tiles: _Tiles, unit: Any) -> tirx.Stmt:
    """transform[u, v, ic, k, tiles] = samples[unit] B."""
    row = Row(strip, tiles.at, tiles.ty, unit)
    if strip.layout.deals_in_registers:
        return _deal_and_transform(strip, tiles, row)
    return row.from_dealt(strip.dealt, unit)


def _deal_and_transform(strip: Strip, tiles: _Tiles, row: Row) -> tirx.Stmt:
    """for vector of tiles, last first: deal out its samples, in registers; transform them.

    A tile's last samples are the next one's first: those of the last lane are in the vector of
    tiles that was dealt out before.
    """
    layout, w, lanes = strip.layout, strip.layout.w, strip.lanes
    m, wide, tau = w.unit, w.unit * lanes, row.line * w.positions
    late = range(min(m, w.filter.inputs - m))
    turn = strip.loop("tx", layout.chunks)
    chunk = (layout.chunks - 1) - turn.loop_var
    start = chunk * wide
    end = edit.const_like(turn.loop_var, layout.chunks * wide)

    def filled(vector: Any, _: Any) -> tirx.Stmt:
        loads = [vector(start + part * lanes) for part in range(m)]
        return edit.sequence(
            [strip.put(strip.samples, [n * lanes], load) for n, load in enumerate(loads)]
        )

    def begun(_: Any, element: Any) -> tirx.Stmt:
        code, puts = StraightLine(), []
        for p in late:
            beyond = range(p, w.filter.inputs - m, m)
            lane = [
                tirx.Broadcast(element(end + b) if b < layout.tail else zero, lanes) for b in beyond
            ]
            value = code.name(lane[0])
            for n, other in enumerate(lane[1:], start=1):
                order = [lanes + at if at == n else at for at in range(lanes)]
                value = code.name(edit.shuffle([value, code.name(other)], order))
            puts.append(strip.put(strip.following, [p * lanes], value))
        return edit.sequence([*code.statements, *puts])

    zero = tirx.const(0, "float32")
    code = StraightLine()
    vectors = [code.name(strip.load(strip.samples, [n * lanes])) for n in range(m)]
    dealt = code.deinterleave(vectors)
    next_ones = [code.name(strip.load(strip.following, [p * lanes])) for p in late]

    def sample(b: int) -> Any:
        later, p = divmod(b, m)
        if not later:
            return dealt[p]
        return code.name(edit.shuffle([dealt[p], next_ones[p]], range(later, later + lanes)))

    samples = [sample(b) for b in range(w.filter.inputs)]
    kept = [strip.put(strip.following, [p * lanes], dealt[p]) for p in late]
    body = tirx.SeqStmt(
        [
            _reading_row(strip, tiles, row.unit, start, wide, filled),
            *row.stored(code, samples, tau + chunk * lanes),
            *kept,
        ]
    )
    nest = edit.rebuild([turn], body)
    if not late:
        return nest
    count = layout.row_inputs - layout.chunks * wide
    return tirx.SeqStmt([_reading_row(strip, tiles, row.unit, end, count, begun), nest])
