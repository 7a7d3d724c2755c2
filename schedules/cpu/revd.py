"""REVD, reverse deconvolution: every output gathers, with a modulo for each output and tap.

The tap ``(kh, kw)`` contributes to output ``(oh, ow)`` if ``oh + p_h - d*kh`` is a multiple of the
stride, and the same holds along the width; the quotients say which input it reads. Taps are the
outermost loop, so that one tap's weights serve all outputs of a strip.

    pad        x[n, c, i, j] with a zero border (rows and columns beyond the input read as 0)
    gather     sums of a whole strip in memory, output channels innermost
    transpose  the same as rows of consecutive output columns; pure data movement
    edge       the same row in memory, for vectors that cross the right edge (absent if none does)
    store      one output element each, the only stage with the output's exact shape

Loop nest after scheduling, ``gather`` in the level-2 cache:

    parallel n, strip, column block, [group], [channel block]:
        pad the strip's input into scratch
        gather = 0
        for kh, kw: for oh, ow: for o_tile:
            if (oh + p_h - d*kh) % s_h == 0 and (ow + p_w - d*kw) % s_w == 0:
                for ic: for o (vectors): gather[oh, ow, o] += pad * weight
        for o, y, fh, x: transpose a vector, store

Vectors run along the output channels: along the columns, only one lane in ``s_w`` would pass the
test. A layer with one output channel is therefore scalar code. The modulo is what the paper
(arXiv 2107.07647) counts against this order, so it stays. Measured on two threads of Zen 4 (EPYC,
AVX-512, November 2026), time over that of REVD2: 1.4 to 1.5 (sub-pixel and nearest r2 64->64 at
128 x 128), 2.6 (K4 s2 256->128 at 16 x 16: the weights of a tap do not fit level 1), 34 with one
output channel (sub-pixel r3 32->1 at 224 x 224, K9 s3 56->1 at 126 x 128).
"""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.s_tir import SBlock, Schedule

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms.names import EDGE, GATHER, PAD, TRANSPOSE
from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.last_steps import for_llvm
from tvm_deconv.schedules.tir.pieces import join
from tvm_deconv.schedules.tir.scratch import in_own_coordinates
from tvm_deconv.schedules.variant import scheduled

from . import steps
from .definitions import revd as definition
from .finish import finish
from .tiling import Tiling


def schedule(func: tirx.PrimFunc, conv: ConvTranspose2d, tile: Tiling) -> tirx.PrimFunc:
    """The CPU loop nest above, for a function made of ``compute`` and pointwise consumers."""
    # Checks off for the reason that ``revd2.schedule`` gives.
    sch = Schedule(func, enable_check=False)
    store = steps.inline_epilogue(sch, keep=(PAD, GATHER, TRANSPOSE, EDGE))
    nest = tile_gather(sch, conv, tile)
    steps.parallel_with_scratch(sch, PAD, nest)
    rows = steps.rows_of_strip(sch, TRANSPOSE, nest, conv.w.stride * tile.lanes)
    steps.in_vectors(sch, TRANSPOSE, tile.lanes)
    for stage in (EDGE, store):
        if steps.has_stage(sch, stage):
            steps.at_tile(sch, stage, rows)
    vectorize_channels(sch, nest, tile)
    func = in_own_coordinates(sch.mod["main"], keep=EDGE)
    if conv.strides != (1, 1):
        func = test_once(func, "ic")
    return for_llvm(finish(func, conv, tile, store, by_rows=True))


def tile_gather(sch: Schedule, conv: ConvTranspose2d, tile: Tiling) -> steps.Nest:
    """Put the taps outside of the outputs of a strip, and channels inside.

    for n, g, oh, ow, o, kh, kw, ic
    => parallel n*strip*block*g*channel_block: for kh, kw, oh, ow, o_tile, ic, o
    """
    n, g, oh, ow, o, kh, kw, ic = sch.get_loops(sch.get_sblock(GATHER))
    split, o_tile, o_in = sch.split(o, [tile.channel_splits, None, tile.channels])
    strip, oh_in = sch.split(oh, [None, tile.rows * conv.h.stride])
    column, ow_in = sch.split(ow, [None, tile.block_columns * conv.w.stride])
    outer = [n, strip, column, g, split]
    sch.reorder(*outer, kh, kw, oh_in, ow_in, o_tile, ic, o_in)
    parallel = join(sch, outer, tile.parallel)
    return steps.Nest(parallel=parallel, tile=ow_in, reduction=kh)


def vectorize_channels(sch: Schedule, nest: steps.Nest, tile: Tiling) -> None:
    """Set the strip to zero first, and add to the channels of an output in vectors.

    for kh, kw, oh, ow, o_tile, ic, o: gather += ...   (init inside)
    => for oh, ow, o: gather = 0; for kh, ..., ic: unrolled vector: vectorised o: gather += ...
    """
    block = sch.get_sblock(GATHER)
    init = sch.decompose_reduction(block, nest.reduction)
    for part in (block, init):
        *_, o = sch.get_loops(part)
        vectors, lane = sch.split(o, [None, min(tile.channels, tile.lanes)])
        sch.unroll(vectors)
        sch.vectorize(lane)


def test_once(func: tirx.PrimFunc, loop_name: str) -> tirx.PrimFunc:
    """Test an output and a tap before the loop over channels called ``loop_name``, not within.

    for ic: gather += if_then_else(hit, product, 0)  =>  if hit: for ic: gather += product
    """
    update = edit.find_block(func.body, GATHER + "_update")
    place = edit.place_of(update.block, update.iter_values)
    store = update.block.body
    hit, product, _ = store.value.b.args
    added = tirx.BufferStore(store.buffer, store.value.a + product, store.indices)

    def block(node: SBlock) -> Any:
        return edit.changed(node, body=added) if node.name_hint == GATHER + "_update" else node

    def loop(node: tirx.For) -> Any:
        if edit.sole_block_name(node) != GATHER + "_update" or node.loop_var.name != loop_name:
            return node
        return tirx.IfThenElse(edit.bind(hit, place), node, None)

    return func.with_body(tvm_ffi.structural_map(func.body, [(SBlock, block), (tirx.For, loop)]))


REVD = scheduled(definition.REVD, schedule)
