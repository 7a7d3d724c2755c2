"""STDD in TE: each row of input is read once and scattered, and overlapping sums add up.

    parallel n, strip, [column block], [group], [channel block]:
        pad the strip's input into scratch
        phases = 0
        for ic (some at a time), i: a row of inputs
            for o: for kh: for y: if the row of inputs reaches y: for kw: for x (in vectors):
                phases[o, fh, fw, y, x] += sum over ic of pad[ic, i, x + ox] * weight
        for o, y, fh, x: interleave a vector of every plane fw, store

TE has no loop over what a row of inputs reaches: it looks at the few rows of the strip instead.
What is computed, and why in this form: ``schedules.cpu.stdd``.
"""

from __future__ import annotations

from typing import Any

from tvm import te, tir

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms import stages as shared
from tvm_deconv.schedules.algorithms.expressions import by_phase, has_tap
from tvm_deconv.schedules.algorithms.names import EDGE, INTERLEAVE, PAD, PHASES
from tvm_deconv.schedules.cpu.definitions import stdd as definition
from tvm_deconv.schedules.cpu.tiling import Tiling

from . import stages, steps
from .grid import Grid, grid_of
from .layouts import NCHW
from .variant import te_variant


def compute(conv: ConvTranspose2d, tile: Tiling, x: te.Tensor, packed: te.Tensor) -> te.Tensor:
    """The algorithm: y (NCHW) from x (NCHW) and packed weights, float32."""
    shape = shared.shape_of(x)
    grid = grid_of(conv, tile, shape, tile.lanes)
    phases = scattered(conv, grid, stages.padded(conv, grid, x), packed)
    return stages.stored(conv, shape, grid, stages.rows_of(conv, phases))


def scattered(conv: ConvTranspose2d, grid: Grid, pad: Any, packed: te.Tensor) -> te.Tensor:
    """``phases[n, g, o, fh, fw, y, x]``: of the rows i of a strip's input, those that reach y."""
    h, w, inputs = conv.h, conv.w, definition.together(conv)
    (top, _), (left, _) = h.halo, w.halo
    block = te.reduce_axis((0, conv.group_inputs // inputs), "ic")
    one = te.reduce_axis((0, inputs), "one")
    i = te.reduce_axis((0, grid.rows + h.uniform_extent), "i")
    th = te.reduce_axis((0, h.max_taps), "th")
    tw = te.reduce_axis((0, w.max_taps), "tw")

    def total(n, g, o, fh, fw, y, x):
        offset = by_phase([h.first_offset(f) - top for f in range(h.stride)], fh) + h.tap_step * th
        j = x + by_phase([w.first_offset(f) - left for f in range(w.stride)], fw) + w.tap_step * tw
        channel = g * conv.group_inputs + block * inputs + one
        product = pad[n, channel, y // grid.rows * grid.rows + i, j]
        product *= packed[g, block, o, fh, th, fw, tw, one]
        # Told that one loop variable equals another, TVM's analyser does not come to an end.
        reached = tir.bitwise_xor(y % grid.rows + offset, i) == 0
        live = [c for c in (has_tap(h, fh, th), has_tap(w, fw, tw)) if c is not None]
        return te.sum(product, axis=[block, i, th, tw, one], where=tir.all(reached, *live))

    domain = grid.domain
    shape = conv.groups, domain.channels, h.stride, w.stride, domain.rows, domain.columns
    return te.compute((pad.shape[0], *shape), total, name=PHASES)


def schedule(
    out: te.Tensor, conv: ConvTranspose2d, tile: Tiling, shape: tuple[int, ...], layout: str = NCHW
) -> Any:
    """The loop nest above; ``out`` is ``compute``'s tensor or a pointwise consumer of it."""
    grid = grid_of(conv, tile, shape, tile.lanes)
    s, kept = steps.start(out, (PAD, PHASES, stages.VECTORS, INTERLEAVE, EDGE))
    nest = steps.strips(s, out, conv, tile, grid, layout)
    at = steps.rows_of_strip(s, kept.get(EDGE), nest, conv.w.stride * tile.lanes, tile.lanes)
    steps.interleaved_part(s, kept, at, tile.lanes)

    phases = s[kept[PHASES]]
    phases.compute_at(nest.stage, nest.parallel)
    n, g, o, fh, fw, y, x = phases.op.axis
    block, i, th, tw, one = phases.op.reduce_axis
    vector, lane = phases.split(x, factor=tile.lanes)
    phases.reorder(n, g, block, i, o, fh, th, y, fw, tw, vector, one, lane)
    for loop in (fw, tw, one):
        phases.unroll(loop)
    phases.vectorize(lane)
    steps.copied_rows(s, kept[PAD], nest, grid)
    return s


STDD = te_variant(definition.STDD, compute, schedule)
