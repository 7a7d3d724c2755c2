"""REVD on a GPU: every output gathers, with a modulo for each output and tap.

    pad the input into global memory, in a kernel of its own      (stage_input = COPY)
    blockIdx.z = n, group, channel block; .y = row block; .x = column block:
        threadIdx.x = channel, row, column of the block:
            acc[o, oh, ow] = 0
            for ic / reduction:
                all threads: copy the block's input and weights to shared memory
                for kh, kw: unrolled oh, ow:
                    if (oh + p_h - d*kh) % s_h == 0 and (ow + p_w - d*kw) % s_w == 0:
                        for o, ic % reduction: acc += pad * weight
            store acc

Taps are outermost in what a thread does, as in the paper, so outputs share no input but that of a
tap: nearly every product loads both of its operands. Tests come out alike for all threads of a
block, which never wait for each other. By default all input channels are behind one test, and
operands are read where they lie. Weights are packed as [g][o/block][ic][kh][kw][o%block].
"""

from __future__ import annotations

from functools import lru_cache

from tvm import te, tirx
from tvm.s_tir import Schedule

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.packing import Direct
from tvm_deconv.schedules.algorithms import stages
from tvm_deconv.schedules.algorithms.expressions import ceil_div, static
from tvm_deconv.schedules.algorithms.names import GATHER, PAD, STORE
from tvm_deconv.schedules.cpu.definitions import revd as cpu
from tvm_deconv.schedules.cpu.revd import test_once
from tvm_deconv.schedules.variant import Sizes, Variant

from . import revd2, steps
from .domain import domain_of
from .form import GpuForm, blocks
from .machine import GpuMachine
from .space import TileSpace
from .tile import READ, GpuTile

# Threads of a block along columns and rows.
_COLUMN_THREADS, _ROW_THREADS = 32, 4
# Instructions of a test: two remainders, and the place in the input and in the weights.
_TEST = 24
# Of a product: two loads, at a quarter of the speed, and the multiply-add.
_PRODUCT = 9


def choose(conv: ConvTranspose2d, sizes: Sizes, machine: GpuMachine) -> GpuTile:
    """As many output channels a thread as it has registers for."""
    fitting = machine.accumulators // (conv.h.stride * conv.w.stride)
    channels = max(n for n in (1, 2, 4, 8) if n <= max(fitting, 1) and not conv.group_outputs % n)
    return GpuTile(
        channels=channels,
        rows=1,
        lanes=1,
        channel_threads=1,
        row_threads=max(min(_ROW_THREADS, machine.max_threads // _COLUMN_THREADS), 1),
        column_threads=min(_COLUMN_THREADS, machine.max_threads),
        reduction=conv.group_inputs,
        stage_input=READ,
        stage_weights=0,
    )


def cycles(conv: ConvTranspose2d, sizes: Sizes, tile: GpuTile, machine: GpuMachine) -> float:
    """Estimated clock cycles of the kernel, tests included."""
    rows, columns = blocks(conv, sizes)
    outputs = ceil_div(rows, tile.block_rows) * tile.block_rows * conv.h.stride
    outputs *= ceil_div(columns, tile.block_columns) * tile.block_columns * conv.w.stride
    outputs *= (sizes.batch or 1) * conv.out_channels
    taps = conv.h.kernel * conv.w.kernel
    tests = taps * conv.group_inputs / tile.reduction * _TEST
    products = taps / (conv.h.stride * conv.w.stride) * conv.group_inputs * _PRODUCT
    return outputs * (tests + products) / (machine.units * machine.fma_lanes)


def packing(conv: ConvTranspose2d, tile: GpuTile) -> Direct:
    """The kernel as it is: what a block of threads stages at a time is one run."""
    return Direct(conv, "g o/n ic kh kw o%n", tile.block_channels)


def compute(conv: ConvTranspose2d, tile: GpuTile, x: te.Tensor, packed: te.Tensor) -> te.Tensor:
    """The algorithm: y (NCHW) from x (NCHW) and weights from ``pack_weights``; y has x's dtype."""
    shape = batch, _, _, _ = stages.shape_of(x)
    domain = domain_of(conv, tile, shape)
    gathered = cpu.gathered_from(conv, domain, x, packed, packing(conv, tile))
    size = domain.rows * conv.h.stride, domain.columns * conv.w.stride
    gather = te.compute((batch, conv.groups, domain.channels, *size), gathered, name=GATHER)

    def element(n, c, oh, ow):
        g, o = (0, c) if conv.groups == 1 else (c // conv.group_outputs, c % conv.group_outputs)
        return gather[n, g, o, oh, ow].astype(x.dtype)

    return te.compute(conv.output_shape(batch, *shape[2:]), element, name=STORE)


def schedule(func: tirx.PrimFunc, conv: ConvTranspose2d, tile: GpuTile) -> tirx.PrimFunc:
    """The GPU loop nest above, for a function made of ``compute`` and pointwise consumers."""
    # Checks off for the reason that ``revd2.schedule`` gives.
    sch = Schedule(func, enable_check=False)
    store = steps.inline_epilogue(sch, keep=(PAD, GATHER))
    width = static(sch.get(sch.get_loops(sch.get_sblock(store))[-1]).extent)
    _, thread = steps.bind_outputs(sch, store, conv, tile)
    gather = sch.get_sblock(GATHER)
    sch.set_scope(gather, 0, "local")
    sch.compute_at(gather, thread, preserve_unit_loops=True)
    *outputs, kh, kw, ic = sch.get_loops(gather)[-8:]
    extents = [int(sch.get(loop).extent) for loop in outputs]
    staged, ic = sch.split(ic, [None, tile.reduction])
    n, g, o, oh, ow = outputs
    sch.reorder(staged, kh, kw, n, g, oh, ow, o, ic)
    weights = steps.stage_weights(sch, GATHER, staged, tile, rank=6)
    pad = steps.stage_input(sch, PAD, staged, tile)
    init = sch.decompose_reduction(sch.get_sblock(GATHER), staged)
    for loop in (*outputs, *sch.get_loops(init)[-len(outputs) :]):
        sch.unroll(loop)
    steps.store_in_vectors(sch, store, width, most=4)

    func, thread_var = sch.mod["main"], sch.get(thread).loop_var
    if conv.strides != (1, 1):
        func = test_once(func, sch.get(o).loop_var.name)
    sums = steps.Tiles(GATHER + "_init", thread_var, extents, list(range(len(outputs))))
    return steps.finished(func, [sums, pad, weights])


@lru_cache(maxsize=256)
def _form(conv: ConvTranspose2d, sizes: Sizes) -> GpuForm:
    return GpuForm(conv, sizes, conv.h.stride * conv.w.stride, loops_taps=True)


SPACE = TileSpace(_form)

REVD = Variant(
    name="revd",
    summary="output gather, a modulo for each output and tap",
    parameters=GpuTile,
    space=SPACE,
    choose=choose,
    cycles=cycles,
    packing=packing,
    compute=compute,
    schedule=schedule,
    weight_dtype=revd2.weight_dtype,
)
