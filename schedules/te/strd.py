"""STRD in TE: zeros inserted between the input samples, then a stride-1 convolution.

    parallel n, strip, [column block], [group], [channel block]:
        dilate the strip's input into scratch
        for o_tile, y, x_tile:
            acc[o, x] = 0
            for ic: for kh, kw, o, x (unrolled, x in vectors): acc += dilate * weight
            store acc

After the insertion this is REVD2 of a layer with stride 1. What is computed, and why in this form:
``schedules.cpu.strd``.
"""

from __future__ import annotations

from typing import Any

from tvm import te

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms import stages
from tvm_deconv.schedules.algorithms.names import DILATE, EDGE, PHASES
from tvm_deconv.schedules.cpu.definitions import strd as definition
from tvm_deconv.schedules.cpu.tiling import Tiling

from . import revd2, steps
from .grid import Grid, grid_of
from .layouts import NCHW
from .variant import te_variant


def compute(conv: ConvTranspose2d, tile: Tiling, x: te.Tensor, packed: te.Tensor) -> te.Tensor:
    """The algorithm: y (NCHW) from x (NCHW) and packed weights, float32."""
    flat, shape = definition.dense(conv), definition.dilated_shape(conv, stages.shape_of(x))
    grid = _grid(conv, tile, shape)
    dilate = definition.dilated(conv, grid.domain, x)
    return revd2.sums_of(flat, tile, shape, grid, dilate, packed)


def schedule(
    out: te.Tensor, conv: ConvTranspose2d, tile: Tiling, shape: tuple[int, ...], layout: str = NCHW
) -> Any:
    """The loop nest above; ``out`` is ``compute``'s tensor or a pointwise consumer of it."""
    grid = _grid(conv, tile, definition.dilated_shape(conv, shape))
    s, kept = steps.start(out, (DILATE, PHASES, EDGE))
    nest = revd2.tile_sums(s, out, kept, definition.dense(conv), tile, grid, layout)
    s[kept[DILATE]].compute_at(nest.stage, nest.parallel)
    return s


def _grid(conv: ConvTranspose2d, tile: Tiling, shape: tuple[int, ...]) -> Grid:
    return grid_of(definition.dense(conv), tile, shape, tile.tile_columns)


STRD = te_variant(definition.STRD, compute, schedule)
