"""REVD2 in TE: output-stationary over phases, every output written once.

    parallel n, strip, [column block], [group], [channel block]:
        pad the strip's input into scratch
        for o_tile, fh, y, x_tile:
            acc[o, fw, x] = 0
            for ic: for th, tw, o, fw, x (unrolled, x in vectors): acc += pad * weight
            store acc, interleaved

where a row of output is not a whole number of tiles, they fill a row of scratch:

        for o_tile, fh, y:
            for x_tile: the same; write acc, interleaved, to the row
            for o, ow: store

What is computed, and why in this form: ``schedules.cpu.revd2``.
"""

from __future__ import annotations

from typing import Any

from tvm import te

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms import stages as shared
from tvm_deconv.schedules.algorithms.names import EDGE, INTERLEAVE, PAD, PHASES
from tvm_deconv.schedules.cpu.definitions import revd2 as definition
from tvm_deconv.schedules.cpu.tiling import Tiling

from . import stages, steps
from .grid import Grid, grid_of
from .layouts import NCHW
from .variant import te_variant


def compute(conv: ConvTranspose2d, tile: Tiling, x: te.Tensor, packed: te.Tensor) -> te.Tensor:
    """The algorithm: y (NCHW) from x (NCHW) and packed weights, float32."""
    shape = shared.shape_of(x)
    grid = grid_of(conv, tile, shape, tile.tile_columns)
    return sums_of(conv, tile, shape, grid, stages.padded(conv, grid, x), packed)


def sums_of(
    conv: ConvTranspose2d, tile: Tiling, shape: tuple[Any, ...], grid: Grid, pad: Any, packed: Any
) -> te.Tensor:
    """The stages after ``pad``, for an input of ``shape``."""
    weight = shared.weights_in(packed, definition.packing(conv, tile))
    phases = shared.phase_sums(conv, grid.domain, pad, weight)
    rows = shared.interleaved(conv, phases) if conv.w.stride > 1 else None

    def row_element(n, g, o, fh, y, ow):
        return phases[n, g, o, fh, 0, y, ow] if rows is None else rows[n, g, o, fh, y, ow]

    return stages.stored(conv, shape, grid, row_element)


def schedule(
    out: te.Tensor, conv: ConvTranspose2d, tile: Tiling, shape: tuple[int, ...], layout: str = NCHW
) -> Any:
    """The loop nest above; ``out`` is ``compute``'s tensor or a pointwise consumer of it."""
    grid = grid_of(conv, tile, shape, tile.tile_columns)
    s, kept = steps.start(out, (PAD, PHASES, INTERLEAVE, EDGE))
    nest = tile_sums(s, out, kept, conv, tile, grid, layout)
    steps.copied_rows(s, kept[PAD], nest, grid)
    return s


def tile_sums(
    s: Any,
    out: te.Tensor,
    kept: dict[str, te.Tensor],
    conv: ConvTranspose2d,
    tile: Tiling,
    grid: Grid,
    layout: str,
) -> steps.Nest:
    """All of the nest but the copy of the input."""
    nest = steps.strips(s, out, conv, tile, grid, layout)
    stage, columns = nest.stage, tile.tile_columns * conv.w.stride
    o_tile, o = stage.split(nest.channel, factor=tile.channels)
    # Phases in height are computed together, or one after the other.
    rows, within = ((nest.y,), (nest.fh, o)) if tile.inner_fh else ((nest.fh, nest.y), (o,))
    around = nest.around(rows, o_tile)
    if tile.unroll_fh:
        stage.unroll(nest.fh)
    if EDGE in kept:
        stage.reorder(*around, *within[:-1], *nest.around((nest.columns,), o))
        if layout != NCHW:
            # The channels of a pixel, side by side.
            stage.unroll(o)
        row = s[kept[EDGE]]
        row.compute_at(stage, around[-1])
        n, g, o, fh, y, ow = row.op.axis
        x_tile, x = row.split(ow, factor=columns)
        row.reorder(n, g, y, x_tile, o, fh, x)
        steps.in_vectors(row, (o, fh), x, tile.lanes)
        anchor = row, x_tile
    else:
        x_tile, x = stage.split(nest.columns, factor=columns)
        stage.reorder(*around, x_tile, *within, x)
        steps.in_vectors(stage, within, x, tile.lanes)
        anchor = stage, x_tile
    if INTERLEAVE in kept:
        interleave = s[kept[INTERLEAVE]]
        interleave.compute_at(*anchor)
        *axes, ow = interleave.op.axis
        steps.in_vectors(interleave, axes, ow, tile.lanes)
    s[kept[PHASES]].compute_at(*anchor)
    # Phases in width, and the channels of a tile.
    steps.in_registers(s, kept[PHASES], tile, weights_of_tap=2)
    return nest


REVD2 = te_variant(definition.REVD2, compute, schedule)
