"""A strip of the input, transformed: padded in three runs, dealt out to vectors, tile by tile."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tvm import tirx
from tvm.sym import Analyzer

from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.straight_line import StraightLine
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE

from .filters import transformed
from .strip import ROWS, Strip
from .tile import LINE


def read_inputs(strip: Strip) -> tirx.Stmt:
    """for ic: for group of rows: pad the group, then spread it; transform all tiles.

    What is loaded behind the samples that the tiles of a row read is 0.

    A vector that is loaded right after two stores that it overlaps waits for both to leave the
    core; a few rows later they have left.
    """
    channel = strip.loop("ic", strip.conv.group_inputs)
    group = strip.loop("rows", -(-strip.layout.h.inputs // ROWS))
    body = tirx.SeqStmt(
        [
            edit.rebuild(
                [group],
                tirx.SeqStmt(
                    [
                        _each_row(strip, group, partial(_copy_row, strip, channel.loop_var)),
                        _each_row(strip, group, partial(_spread_row, strip)),
                    ]
                ),
            ),
            _transform_tiles(strip, channel.loop_var),
        ]
    )
    return edit.sequence([*_clear_behind(strip), edit.rebuild([channel], body)])


def _clear_behind(strip: Strip) -> list[tirx.Stmt]:
    """spread[i, p, dealt:] = 0, if vectors load it."""
    layout = strip.layout
    if layout.dealt == layout.spread:
        return []
    row, residue = strip.loop("i", layout.h.inputs), strip.loop("p", layout.w.unit)
    behind = strip.loop("t", layout.spread - layout.dealt)
    place = [row.loop_var, residue.loop_var, layout.dealt + behind.loop_var]
    zeros = tirx.BufferStore(strip.spread, tirx.const(0, ACCUMULATE_DTYPE), place)
    return [edit.rebuild([row, residue, behind], zeros)]


def _each_row(strip: Strip, group: tirx.For, body: Callable[[Any, Any], tirx.Stmt]) -> tirx.Stmt:
    """for rows of a group: body(row of the strip, row of the group)."""
    row = strip.loop("i", ROWS)
    i = group.loop_var * ROWS + row.loop_var
    stmt = body(i, row.loop_var)
    if strip.layout.h.inputs % ROWS:
        stmt = tirx.IfThenElse(i < strip.layout.h.inputs, stmt, None)
    return edit.rebuild([row], stmt)


def _copy_row(strip: Strip, channel: Any, i: Any, place: Any) -> tirx.Stmt:
    """rows[place] = zeros, x, zeros."""
    layout, w = strip.layout, strip.layout.w
    n, sy, sx, f, g, _ = strip.place
    height, width = strip.x.shape[2:]
    y = sy * layout.h.span + layout.h.first + layout.h.later(f) + i
    first = sx * w.span + w.first
    count = edit.const_like(first, layout.row_inputs)
    before, after = edit.border_of(first, count, width)
    zero = tirx.const(0, ACCUMULATE_DTYPE)

    def run(begin: Any, end: Any, value: Any) -> tirx.Stmt:
        extent = Analyzer().simplify(end - begin)
        loop = strip.loop("j", extent)
        j = begin + loop.loop_var
        return edit.rebuild([loop], tirx.BufferStore(strip.rows, value(j), [place, j]))

    def zeros(_: Any) -> Any:
        return zero

    def copied(j: Any) -> Any:
        return strip.input_at([n, sy, sx, f, g * strip.conv.group_inputs + channel, i, j])

    inside = tirx.SeqStmt(
        [
            _fetch_row(strip, n, g * strip.conv.group_inputs + channel + 1, y, first),
            run(edit.zero_like(first), before, zeros),
            run(before, after, copied),
            run(after, count, zeros),
        ]
    )
    whole = run(edit.zero_like(first), count, zeros)
    return tirx.IfThenElse(tirx.all(y >= 0, y < height), inside, whole)


def _fetch_row(strip: Strip, n: Any, channel: Any, y: Any, first: Any) -> tirx.Stmt:
    """Prefetch a row of the next channel: without it, waiting for memory takes as long as all
    else that is done to the input. A prefetch beyond the input does no harm."""
    values = LINE * 4 // (strip.x.dtype.bits // 8)
    line = strip.loop("line", -(-strip.layout.row_inputs // values))
    load = tirx.BufferLoad(strip.x, [n, channel, y, first + line.loop_var * values])
    return edit.rebuild([line], edit.prefetch(load))


def _spread_row(strip: Strip, i: Any, place: Any) -> tirx.Stmt:
    """spread[i, p, t] = rows[place, m*t + p], with the tiles of all residues for m."""
    layout, w = strip.layout, strip.layout.w
    chunk = strip.loop("t", layout.dealt // strip.lanes)
    code = StraightLine()
    start = chunk.loop_var * (w.unit * strip.lanes)
    vectors = [
        code.name(strip.load(strip.rows, [place, start + part * strip.lanes]))
        for part in range(w.unit)
    ]
    for residue, vector in enumerate(code.deinterleave(vectors)):
        target = [i, residue, chunk.loop_var * strip.lanes]
        code.statements.append(strip.put(strip.spread, target, vector))
    return edit.rebuild([chunk], tirx.SeqStmt(code.statements))


def _transform_tiles(strip: Strip, channel: Any) -> tirx.Stmt:
    """for ty, residues, vector of tiles: transform[u, v, ic, tiles] = B^T d B.

    The last vector of a row of tiles may reach into the next row's place; that row comes later.
    """
    layout, h, w = strip.layout, strip.layout.h, strip.layout.w
    ty = strip.loop("ty", h.positions)
    rh, rw = strip.loop("rh", h.step), strip.loop("rw", w.step)
    chunk = strip.loop("tx", layout.chunks)
    code = StraightLine()
    first = chunk.loop_var * strip.lanes

    def sample(a: int, b: int) -> Any:
        row = ty.loop_var * h.unit + rh.loop_var + a * h.step
        later, column = divmod(b, w.outputs)
        place = [row, column * w.step + rw.loop_var, first + later]
        return code.name(strip.load(strip.spread, place))

    columns = [
        transformed(code, h.filter, [sample(a, b) for a in range(h.filter.inputs)])
        for b in range(w.filter.inputs)
    ]
    values = [transformed(code, w.filter, row) for row in zip(*columns, strict=True)]
    line = (ty.loop_var * h.step + rh.loop_var) * w.step + rw.loop_var
    tau = line * w.positions + first
    for u, row in enumerate(values):
        for v, value in enumerate(row):
            code.statements.append(strip.put(strip.transform, [u, v, channel, tau], value))
    tiles = edit.rebuild([ty, rh, rw, chunk], tirx.SeqStmt(code.statements))
    if layout.reach >= layout.read_tiles:
        return tiles
    beyond = strip.clear(strip.transform, channel, layout.reach, layout.read_tiles)
    return tirx.SeqStmt([tiles, beyond])
