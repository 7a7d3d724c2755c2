"""TDC in TE: a stride-1 convolution per phase, then an interleave.

    parallel n, strip, [column block], [group], [channel block]:
        pad the strip's input into scratch
        for fh, fw, o_tile, y, x_tile:
            acc[o, x] = 0
            for ic: for th, tw, o, x (unrolled, x in vectors): acc += pad * weight
            planes[o, fh, fw, y, x] = acc
        for o, y, fh, x: interleave a vector of every plane fw, store

What is computed, and why in this form: ``schedules.cpu.tdc``.
"""

from __future__ import annotations

from typing import Any

from tvm import te

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms import stages as shared
from tvm_deconv.schedules.algorithms.names import EDGE, INTERLEAVE, PAD, PHASES, PLANES
from tvm_deconv.schedules.cpu.definitions import tdc as definition
from tvm_deconv.schedules.cpu.tiling import Tiling

from . import stages, steps
from .grid import grid_of
from .layouts import NCHW
from .variant import te_variant


def compute(conv: ConvTranspose2d, tile: Tiling, x: te.Tensor, packed: te.Tensor) -> te.Tensor:
    """The algorithm: y (NCHW) from x (NCHW) and packed weights, float32."""
    shape = shared.shape_of(x)
    grid = grid_of(conv, tile, shape, tile.tile_columns)
    weight = shared.weights_in(packed, definition.packing(conv, tile))
    phases = shared.phase_sums(conv, grid.domain, stages.padded(conv, grid, x), weight)
    planes = te.compute(phases.shape, lambda *index: phases[index], name=PLANES)
    return stages.stored(conv, shape, grid, stages.rows_of(conv, planes))


def schedule(
    out: te.Tensor, conv: ConvTranspose2d, tile: Tiling, shape: tuple[int, ...], layout: str = NCHW
) -> Any:
    """The loop nest above; ``out`` is ``compute``'s tensor or a pointwise consumer of it."""
    grid = grid_of(conv, tile, shape, tile.tile_columns)
    s, kept = steps.start(out, (PAD, PHASES, PLANES, stages.VECTORS, INTERLEAVE, EDGE))
    nest = steps.strips(s, out, conv, tile, grid, layout)
    at = steps.rows_of_strip(s, kept.get(EDGE), nest, conv.w.stride * tile.lanes, tile.lanes)
    steps.interleaved_part(s, kept, at, tile.lanes)

    planes = s[kept[PLANES]]
    planes.compute_at(nest.stage, nest.parallel)
    n, g, o, fh, fw, y, x = planes.op.axis
    o_tile, o = planes.split(o, factor=tile.channels)
    x_tile, x = planes.split(x, factor=tile.tile_columns)
    planes.reorder(n, g, fh, fw, o_tile, y, x_tile, o, x)
    steps.in_vectors(planes, (o,), x, tile.lanes)
    for loop, axis in ((fh, conv.h), (fw, conv.w)):
        if axis.is_uneven:
            planes.unroll(loop)
    s[kept[PHASES]].compute_at(planes, x_tile)
    # The channels of a tile.
    steps.in_registers(s, kept[PHASES], tile, weights_of_tap=1)
    steps.copied_rows(s, kept[PAD], nest, grid)
    return s


TDC = te_variant(definition.TDC, compute, schedule, whole_tiles=False)
