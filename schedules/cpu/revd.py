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
from tvm import te, tirx
from tvm.s_tir import SBlock, Schedule

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.algebra.packing import Direct, Packing
from tvm_deconv.schedules.algorithms import stages
from tvm_deconv.schedules.algorithms.expressions import ceil_div
from tvm_deconv.schedules.algorithms.names import EDGE, GATHER, PAD, TRANSPOSE
from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.last_steps import for_llvm
from tvm_deconv.schedules.tir.pieces import join
from tvm_deconv.schedules.tir.scratch import in_strip_coordinates
from tvm_deconv.schedules.variant import Sizes, Variant

from . import steps
from .domain import domain_of
from .finish import finish
from .machine import CpuMachine
from .tiling import Tiling, choose_strip, outputs_per_thread
from .tiling_space import TilingSpace, sums_in_scratch

# Channel vectors of one output that are added to together.
_VECTORS = 4


def choose(conv: ConvTranspose2d, sizes: Sizes, machine: CpuMachine) -> Tiling:
    """Tile sizes for a layer: up to four vectors of channels, or as much of one as they fill."""
    channels = min(_VECTORS * machine.lanes, 1 << (conv.group_outputs - 1).bit_length())
    return choose_strip(conv, sizes, machine, channels=channels)


def cycles(conv: ConvTranspose2d, sizes: Sizes, tile: Tiling, machine: CpuMachine) -> float:
    """Cycles of the busiest thread: a test for each output and tap, and what passes it."""
    outputs = outputs_per_thread(conv, sizes, tile, machine) / conv.group_outputs
    tiles = ceil_div(conv.group_outputs, tile.channels)
    tests = conv.h.kernel * conv.w.kernel * tiles
    hits = tests / (conv.h.stride * conv.w.stride)
    # Weights of a tap that do not fit the level-1 cache come from level 2 for every output.
    per_vector = 1.3 if 4 * conv.group_inputs * tile.channels <= machine.l1_bytes else 2.5
    products = conv.group_inputs * (0.7 + per_vector * max(1, tile.channels // tile.lanes))
    return outputs * (3 * tests + hits * products)


def packing(conv: ConvTranspose2d, tile: Tiling) -> Packing:
    """The kernel as it is, taps outermost and vectors of output channels innermost."""
    return Direct(conv, "g kh kw o/n ic o%n", tile.channels)


def compute(conv: ConvTranspose2d, tile: Tiling, x: te.Tensor, packed: te.Tensor) -> te.Tensor:
    """The algorithm: y (NCHW) from x (NCHW) and weights from ``pack_weights``; y has x's dtype."""
    shape = batch, _, _, _ = stages.shape_of(x)
    domain = domain_of(conv, tile, shape)
    rows, columns = reach(conv.h), reach(conv.w)
    pad = stages.bordered(domain, x, rows, columns)

    ic = te.reduce_axis((0, conv.group_inputs), "ic")
    kh = te.reduce_axis((0, conv.h.kernel), "kh")
    kw = te.reduce_axis((0, conv.w.kernel), "kw")

    def gathered(n, g, oh, ow, o):
        row, row_rest = source_of(conv.h, oh, kh)
        column, column_rest = source_of(conv.w, ow, kw)
        value = pad[n, g * conv.group_inputs + ic, row - rows[0], column - columns[0]]
        weight = packed[g, kh, kw, o // tile.channels, ic, o % tile.channels]
        product = value * weight
        if conv.strides != (1, 1):
            hit = tirx.all(row_rest == 0, column_rest == 0)
            product = tirx.if_then_else(hit, product, stages.zero())
        return te.sum(product, axis=[kh, kw, ic])

    stride_h, stride_w = conv.strides
    size = domain.rows * stride_h, domain.columns * stride_w
    gather = te.compute((batch, conv.groups, *size, domain.channels), gathered, name=GATHER)
    row_shape = (batch, conv.groups, domain.channels, stride_h, domain.rows, size[1])
    transpose = te.compute(
        row_shape,
        lambda n, g, o, fh, y, ow: gather[n, g, y * stride_h + fh, ow, o],
        name=TRANSPOSE,
    )
    return stages.stored(conv, shape, x.dtype, domain, tile.lanes, transpose)


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
    func = in_strip_coordinates(in_strip_coordinates(sch.mod["main"], PAD), GATHER + "_init")
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
    place = {a.var: v for a, v in zip(update.block.iter_vars, update.iter_values, strict=True)}
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


def source_of(axis: Axis, out: Any, tap: Any) -> tuple[Any, Any]:
    """The input that ``tap`` takes to output ``out``, and the rest, which is 0 if there is one."""
    place = out + axis.pad_begin - axis.dilation * tap
    return tirx.floordiv(place, axis.stride), tirx.floormod(place, axis.stride)


def reach(axis: Axis) -> tuple[int, int]:
    """The first and last offset at which the tests of a block look, whether or not they pass."""
    last = axis.stride - 1 + axis.pad_begin
    return (axis.pad_begin - (axis.extent - 1)) // axis.stride, last // axis.stride


def _most_channels(conv: ConvTranspose2d) -> int:
    return 1 << (conv.group_outputs - 1).bit_length()


def _channels(conv: ConvTranspose2d, machine: CpuMachine) -> set[int]:
    most = _most_channels(conv)
    wide = {n * machine.lanes for n in (1, 2, 3, 4, 6, 8)}
    return {n for n in wide | {most, most // 2, 4, 8} if 1 <= n <= most}


def _channels_refusal(conv: ConvTranspose2d, tile: Tiling) -> str | None:
    channels, lanes, most = tile.channels, tile.lanes, _most_channels(conv)
    if channels & (channels - 1) if channels < lanes else channels % lanes:
        return f"{channels} channels neither fill vectors of {lanes} nor are a power of 2"
    if channels > most:
        outputs = conv.group_outputs
        return f"{channels} channels in a tile, where {most} hold all {outputs} of a group"
    return None


SPACE = TilingSpace(sums_in_scratch, _channels, _channels_refusal)

REVD = Variant(
    name="revd",
    summary="output gather, taps outermost and a modulo for each output",
    parameters=Tiling,
    space=SPACE,
    choose=choose,
    cycles=cycles,
    packing=packing,
    compute=compute,
    schedule=schedule,
)
