"""REVD in TE: every output gathers, with a modulo for each output and tap.

    parallel n, strip, [column block], [group], [channel block]:
        pad the strip's input into scratch
        gather = 0
        for kh, kw: for oh, ow: for o_tile: for ic:
            if (oh + p_h - d*kh) % s_h == 0 and (ow + p_w - d*kw) % s_w == 0:
                for o (vectors): gather[oh, ow, o] += pad * weight
        for o, y, fh, ow: store

What is computed, and why in this form: ``schedules.cpu.revd``.
"""

from __future__ import annotations

from typing import Any

from tvm import te, tir

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms import stages as shared
from tvm_deconv.schedules.algorithms.names import EDGE, GATHER, PAD
from tvm_deconv.schedules.cpu.definitions import revd as definition
from tvm_deconv.schedules.cpu.tiling import Tiling

from . import stages, steps
from .grid import Grid, grid_of
from .layouts import NCHW
from .variant import te_variant


def compute(conv: ConvTranspose2d, tile: Tiling, x: te.Tensor, packed: te.Tensor) -> te.Tensor:
    """The algorithm: y (NCHW) from x (NCHW) and packed weights, float32."""
    shape = shared.shape_of(x)
    grid = grid_of(conv, tile, shape, tile.lanes)
    gather = gathered(conv, tile, grid, x, packed)
    beyond = int(grid.domain.channels) - conv.group_outputs if tile.channel_splits == 1 else 0

    def row_element(n, g, o, fh, y, ow):
        return gather[n, g, y * conv.h.stride + fh, ow, stages.reaching(o, beyond)]

    return stages.stored(conv, shape, grid, row_element)


def gathered(
    conv: ConvTranspose2d, tile: Tiling, grid: Grid, x: te.Tensor, packed: te.Tensor
) -> te.Tensor:
    """``gather[n, g, oh, ow, o]``: every output's sum over the taps that hit an input."""
    rows, columns = definition.reach(conv.h), definition.reach(conv.w)
    pad = stages.bordered(grid, x, rows, columns)
    kh = te.reduce_axis((0, conv.h.kernel), "kh")
    kw = te.reduce_axis((0, conv.w.kernel), "kw")
    ic = te.reduce_axis((0, conv.group_inputs), "ic")

    def total(n, g, oh, ow, o):
        row, row_rest = definition.source_of(conv.h, oh, kh)
        column, column_rest = definition.source_of(conv.w, ow, kw)
        value = pad[n, g * conv.group_inputs + ic, row - rows[0], column - columns[0]]
        weight = packed[definition.packing(conv, tile).place(g=g, o=o, ic=ic, kh=kh, kw=kw)]
        hit = tir.all(row_rest == 0, column_rest == 0)
        return te.sum(value * weight, axis=[kh, kw, ic], where=hit)

    domain, (stride_h, stride_w) = grid.domain, conv.strides
    size = domain.rows * stride_h, domain.columns * stride_w
    shape = shared.shape_of(x)[0], conv.groups, *size, domain.channels
    return te.compute(shape, total, name=GATHER)


def schedule(
    out: te.Tensor, conv: ConvTranspose2d, tile: Tiling, shape: tuple[int, ...], layout: str = NCHW
) -> Any:
    """The loop nest above; ``out`` is ``compute``'s tensor or a pointwise consumer of it."""
    grid = grid_of(conv, tile, shape, tile.lanes)
    s, kept = steps.start(out, (PAD, GATHER, EDGE))
    nest = steps.strips(s, out, conv, tile, grid, layout)
    steps.rows_of_strip(s, kept.get(EDGE), nest, conv.w.stride * tile.lanes, tile.lanes)

    gather = s[kept[GATHER]]
    gather.compute_at(nest.stage, nest.parallel)
    n, g, oh, ow, o = gather.op.axis
    kh, kw, ic = gather.op.reduce_axis
    o_tile, o = gather.split(o, factor=tile.channels)
    gather.reorder(n, g, kh, kw, oh, ow, o_tile, ic, o)
    steps.in_vectors(gather, (), o, min(tile.channels, tile.lanes))
    steps.copied_rows(s, kept[PAD], nest, grid)
    return s


REVD = te_variant(definition.REVD, compute, schedule, whole_tiles=False)
