"""Named scheduling steps that the variants share; each docstring shows the nest before and after.

Every step takes the schedule and leaves the nest in a form that the next one names in ``Nest``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm.s_tir import Schedule

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms.names import GUARD
from tvm_deconv.schedules.tir.inlining import inline_epilogue as inline_epilogue
from tvm_deconv.schedules.tir.pieces import join

from .tiling import Tiling


@dataclass(frozen=True)
class Nest:
    """Loops of the tiled nest that later steps refer to (TensorIR loop variables)."""

    parallel: Any
    tile: Any
    reduction: Any


def tile_phases(sch: Schedule, phases: str, tile: Tiling) -> Nest:
    """Tile the phases and order them for register accumulation.

    for n, g, o, fh, fw, y, x, ic, th, tw
    => parallel n*strip*block*g*channel_block: for o_tile, fh, y, x_tile, ic: th, tw, o, fw, x
    """
    block = sch.get_sblock(phases)
    n, g, o, fh, fw, y, x, ic, th, tw = sch.get_loops(block)
    split, o_tile, o_in = sch.split(o, [tile.channel_splits, None, tile.channels])
    strip, y_in = sch.split(y, [None, tile.rows])
    column, x_tile, x_vec, lane = sch.split(x, [None, tile.column_tiles, tile.vectors, tile.lanes])
    outer = [n, strip, column, g, split]
    if tile.inner_fh:
        sch.reorder(*outer, o_tile, y_in, x_tile, ic, th, tw, fh, o_in, fw, x_vec, lane)
    else:
        sch.reorder(*outer, o_tile, fh, y_in, x_tile, ic, th, tw, o_in, fw, x_vec, lane)
    parallel = join(sch, outer, tile.parallel)
    sch.annotate(y_in, GUARD, "row")
    sch.annotate(x_tile, GUARD, "column")
    if tile.unroll_fh:
        sch.unroll(fh)
    return Nest(parallel=parallel, tile=x_tile, reduction=ic)


def tile_planes(sch: Schedule, phases: str, conv: ConvTranspose2d, tile: Tiling) -> Nest:
    """Compute one phase of a whole strip after the other, each tiled for register accumulation.

    for n, g, o, fh, fw, y, x, ic, th, tw
    => parallel n*strip*block*g*channel_block: for fh, fw, o_tile, y, x_tile, ic: th, tw, o, x
    """
    block = sch.get_sblock(phases)
    n, g, o, fh, fw, y, x, ic, th, tw = sch.get_loops(block)
    split, o_tile, o_in = sch.split(o, [tile.channel_splits, None, tile.channels])
    strip, y_in = sch.split(y, [None, tile.rows])
    column, x_tile, x_vec, lane = sch.split(x, [None, tile.column_tiles, tile.vectors, tile.lanes])
    outer = [n, strip, column, g, split]
    sch.reorder(*outer, fh, fw, o_tile, y_in, x_tile, ic, th, tw, o_in, x_vec, lane)
    parallel = join(sch, outer, tile.parallel)
    sch.annotate(y_in, GUARD, "row")
    sch.annotate(x_tile, GUARD, "column")
    for loop, axis in ((fh, conv.h), (fw, conv.w)):
        if axis.is_uneven:
            sch.unroll(loop)
    return Nest(parallel=parallel, tile=x_tile, reduction=ic)


def strip_of_sums(sch: Schedule, phases: str, tile: Tiling) -> Nest:
    """Split the sums into strips, which are set to zero before the reduction adds to them.

    for n, g, o, fh, fw, y, x, ic, th, tw: phases += ...   (init inside)
    => parallel n*strip*block*g*channel_block:
           for o, fh, fw, y, x: phases = 0
           for ic, o, fh, fw, y, x, th, tw: phases += ...
    """
    block = sch.get_sblock(phases)
    n, g, o, fh, fw, y, x, ic, th, tw = sch.get_loops(block)
    split, o_in = sch.split(o, [tile.channel_splits, None])
    strip, y_in = sch.split(y, [None, tile.rows])
    column, x_in = sch.split(x, [None, tile.block_columns])
    outer = [n, strip, column, g, split]
    sch.reorder(*outer, ic, o_in, fh, fw, y_in, x_in, th, tw)
    parallel = join(sch, outer, tile.parallel)
    sch.decompose_reduction(block, ic)
    in_vectors(sch, phases + "_init", tile.lanes)
    return Nest(parallel=parallel, tile=None, reduction=ic)


def rows_of_strip(sch: Schedule, rows: str, nest: Nest, columns: int) -> Nest:
    """Read the finished planes of a strip as rows of ``columns`` output columns at a time.

    parallel: planes of a strip; ...; for n, g, o, fh, y, ow: rows
    => parallel: planes of a strip; for o, y, fh, ow / columns: for ow % columns: rows
    """
    block = sch.get_sblock(rows)
    sch.reverse_compute_at(block, nest.parallel, preserve_unit_loops=True)
    *_, o, fh, y, ow = sch.get_loops(block)
    vectors, lane = sch.split(ow, [None, columns])
    sch.reorder(o, y, fh, vectors, lane)
    sch.annotate(y, GUARD, "row")
    sch.annotate(vectors, GUARD, "column")
    return Nest(parallel=nest.parallel, tile=vectors, reduction=None)


def in_vectors(sch: Schedule, stage: str, lanes: int) -> None:
    """Move the innermost loop of a stage in whole vectors.

    for x: stage  =>  unrolled x / lanes: vectorised x % lanes: stage
    """
    *_, x = sch.get_loops(sch.get_sblock(stage))
    vector, lane = sch.split(x, [None, lanes])
    sch.unroll(vector)
    sch.vectorize(lane)


def write_out(sch: Schedule, planes: str, nest: Nest, tile: Tiling) -> None:
    """Write each register tile of sums to its place in the strip.

    for x_tile: reduce; ...; planes whole  =>  for x_tile: reduce; unrolled o, x: planes[...] = acc
    """
    block = sch.get_sblock(planes)
    sch.reverse_compute_at(block, nest.tile, preserve_unit_loops=True)
    *around, _ = sch.get_loops(block)
    for loop in around[-6:]:
        sch.unroll(loop)
    in_vectors(sch, planes, tile.lanes)


def parallel_with_scratch(sch: Schedule, pad: str, nest: Nest) -> None:
    """Copy each strip's input, with its halo, into scratch of the thread that uses it.

    pad whole input; parallel strip: ...  =>  parallel strip: pad strip; ...
    """
    sch.compute_at(sch.get_sblock(pad), nest.parallel)


def has_stage(sch: Schedule, name: str) -> bool:
    """Whether the function has a block called ``name``."""
    root = sch.get_sblock("root")
    return name in [sch.get(block).name_hint for block in sch.get_child_blocks(root)]


def at_tile(sch: Schedule, stage: str, nest: Nest) -> None:
    """Move a stage that follows the reduction, or stores it, to each register tile.

    for x_tile: reduce; ...; for n, ..., ow: stage  =>  for x_tile: reduce; stage of the tile
    """
    sch.reverse_compute_at(sch.get_sblock(stage), nest.tile)


def keep_in_registers(sch: Schedule, phases: str, nest: Nest, tile: Tiling) -> None:
    """Write the register tile out in full, so that LLVM keeps the accumulators in registers.

    for ic, th, tw, o, fw, x: acc[...] += ...   (init inside)
    => acc[...] = 0 (unrolled); for ic: unrolled th, tw, o, fw: vectorised x: acc[...] += ...
    """
    block = sch.get_sblock(phases)
    loops = sch.get_loops(block)
    position = _names(sch, loops).index(sch.get(nest.reduction).loop_var.name)
    inner = loops[position + 1 :]
    for loop in inner[:-1] if tile.unroll_th else inner[1:-1]:
        sch.unroll(loop)
    sch.vectorize(inner[-1])
    init = sch.decompose_reduction(block, nest.reduction)
    *spatial, lane = sch.get_loops(init)[-(len(inner) - 2) :]
    for loop in spatial:
        sch.unroll(loop)
    sch.vectorize(lane)


def weights_in_vectors(sch: Schedule, phases: str, tile: Tiling) -> None:
    """Load the weights of one tap as whole vectors, where the machine can multiply by a lane.

    for th, tw: for o, fw, x: acc[...] += pad[...] * packed[...]
    => for th, tw: w[...] = packed[...] (whole vectors); for o, fw, x: acc[...] += pad[...] * w[...]

    LLVM keeps ``w`` in registers. (Of another scope TVM puts it into its workspace, where LLVM
    stores and loads some of float16.) On AArch64 this is one load for 4 weights instead of 4 loads
    (2 if paired), and 2 instead of 5 load instructions for 16 multiply-adds leave an in-order
    core's second issue slot to them.
    """
    block = sch.get_sblock(phases)
    around = sch.get_loops(block)
    tap = _names(sch, around).index("tw")
    weights = sch.cache_read(block, 1, "global")
    sch.compute_at(weights, around[tap])
    inner = sch.get_loops(weights)[tap + 1 :]
    # Weights of the phases in height are not neighbours; the rest of a tap's weights are.
    fh, run = (inner[:1], inner[1:]) if tile.inner_fh else ([], inner)
    vector, lane = sch.split(sch.fuse(*run), [None, tile.lanes])
    for loop in (*fh, vector):
        sch.unroll(loop)
    sch.vectorize(lane)


def _names(sch: Schedule, loops: list[Any]) -> list[str]:
    return [sch.get(loop).loop_var.name for loop in loops]
