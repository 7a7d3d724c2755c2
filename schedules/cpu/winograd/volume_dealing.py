"""Rows of a volume's strip, dealt out to vectors of tiles: right from the input, or near its
borders under a mask, or from a copy with zeros around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx

from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.straight_line import StraightLine

from .dealing import (
    Slice,
    are_copied,
    copied_row,
    fetched,
    first_column,
    line_values,
    row_at,
    under_mask,
    vector_of_input,
)
from .strip import Strip


def copy_row(strip: Strip, at: Slice, i: Any, place: Any) -> tirx.Stmt:
    """rows[place] = zeros, x, zeros, of all rows abreast; but not what is read right from x."""
    layout = strip.layout
    whole, late = layout.w.unit * strip.lanes, layout.samples_beyond

    def read(before: Any, after: Any) -> tuple[Any, Any]:
        left = tirx.min(after, (before + (whole - 1)) // whole * whole + late)
        return left, tirx.min((after - late) // whole, layout.chunks) * whole

    def copied(group: Any) -> tirx.Stmt:
        samples = layout.volume_row_inputs
        return copied_row(
            strip, at, _row(strip, i, group), _copy(strip, place, group), samples, read
        )

    if layout.abreast == 1:
        return copied(0)
    group = strip.loop("g", layout.abreast)
    return edit.rebuild([group], copied(group.loop_var))


def fetch_row(strip: Strip, at: Slice, i: Any) -> tirx.Stmt:
    """Prefetch a row of the next channel, and those that are abreast of it."""
    lines = -(-strip.layout.w.inputs // line_values(strip))
    rows = [_row(strip, i, group) for group in range(strip.layout.abreast)]
    return edit.sequence([fetched(strip, at, row, lines) for row in rows])


def spread_row(strip: Strip, at: Slice, i: Any, place: Any) -> tirx.Stmt:
    """spread[k, i, s, t] = row[m*t + s], for all samples s of a tile.

    Those that the next tile begins with are dealt out for both: what is transformed of them then
    lies in whole vectors, of all rows abreast.
    """
    layout, w, lanes = strip.layout, strip.layout.w, strip.lanes
    chunk, whole = strip.loop("t", layout.chunks), w.unit * lanes
    begin = edit.zero_like(chunk.loop_var) if layout.chunks == 1 else chunk.loop_var * whole
    # Samples of a row between two that are abreast.
    wide = whole // layout.abreast
    rows = [_row(strip, i, group) for group in range(layout.abreast)]

    def dealt(load: Callable[[int, Any], Any]) -> tirx.Stmt:
        """load(group, j) is of a vector of the group's row."""
        code = StraightLine()

        def tiles(late: int) -> list[Any]:
            starts = [divmod(part * lanes, wide) for part in range(w.unit)]
            loads = [load(group, begin + (start + late)) for group, start in starts]
            return code.deinterleave([code.name(vector) for vector in loads])

        def shifted() -> list[Any]:
            """From the vector behind them, a shuffle each; rows abreast would take several."""
            beyond = code.name(load(0, begin + whole))
            vectors = []
            for s in range(w.unit, layout.tile_samples):
                later, p = divmod(s, w.unit)
                order = [*range(later, lanes), *(lanes + p + w.unit * n for n in range(later))]
                vectors.append(code.name(edit.shuffle([samples[p], beyond], order)))
            return vectors

        samples = tiles(0)
        if layout.shifts_tiles and layout.samples_beyond:
            samples += shifted()
        else:
            for late in range(w.unit, layout.tile_samples, w.unit):
                samples += tiles(late)
        puts = [
            strip.put(
                strip.spread, [at.k * layout.dealt_rows + i, s, chunk.loop_var * lanes], vector
            )
            for s, vector in enumerate(samples[: layout.tile_samples])
        ]
        return tirx.SeqStmt([*code.statements, *puts])

    def of_copy(group: int, j: Any) -> Any:
        return strip.load(strip.rows, [_copy(strip, place, group), j])

    def of_input(group: int, j: Any) -> Any:
        return vector_of_input(strip, at, rows[group], j)

    def of_known_row(group: int, j: Any) -> Any:
        return under_mask(strip, at, rows[group], j, is_there=True)

    def masked(group: int, j: Any) -> Any:
        return under_mask(strip, at, rows[group], j)

    if not strip.reads_input:
        return edit.rebuild([chunk], dealt(of_copy))
    inside = [condition for row in rows for condition in row_at(strip, at, row)[1]]
    column, width = first_column(strip), strip.x.shape[3]
    known = (
        layout.chunks == 1 and isinstance(column, tirx.IntImm) and isinstance(width, tirx.IntImm)
    )
    if known and not are_copied(strip):
        # Of most vectors LLVM then knows that the mask is full.
        there = dealt(of_known_row)
    else:
        inside += [column + begin >= 0, column + begin + (wide + layout.samples_beyond) <= width]
        there = dealt(of_input)
    at_border = dealt(of_copy if are_copied(strip) else masked)
    return edit.rebuild([chunk], tirx.IfThenElse(tirx.all(*inside), there, at_border))


def _row(strip: Strip, i: Any, group: Any) -> Any:
    """Row of the strip that is row ``i`` of a group of those abreast."""
    layout = strip.layout
    return i if layout.abreast == 1 else i + group * (layout.rows_of_tiles * layout.h.unit)


def _copy(strip: Strip, place: Any, group: Any) -> Any:
    return place * strip.layout.abreast + group
