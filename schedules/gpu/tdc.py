"""TDC on a GPU: a stride-1 convolution for each phase, to planes in memory, then an interleave.

    kernel 1, blockIdx.z = n, group, channel block, phase; .y = row block; .x = column block:
        threadIdx.x = channel, row, column of the block:
            acc[o, y, x] = 0
            for ic / reduction:
                all threads: copy the block's input and weights to shared memory
                for ic % reduction: unrolled th, tw, o, y, x: acc += pad * weight
            planes[n, g, o, fh, fw, y, x] = acc
    kernel 2, an element a thread: y[n, c, oh, ow] = planes[...], and what follows the convolution

A thread holds sums of one phase only, so it can hold more channels and rows of it than ``revd2``,
and any number of phases. The planes go to global memory and come back, and each phase stages the
input anew. Weights are packed as [g][o/block][fh][fw][ic][th][tw][o%block].
"""

from __future__ import annotations

from functools import lru_cache

from tvm import te, tirx
from tvm.s_tir import Schedule

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.packing import Direct
from tvm_deconv.schedules.algorithms import stages
from tvm_deconv.schedules.algorithms.names import PAD, PHASES, PLANES
from tvm_deconv.schedules.variant import Sizes, Variant

from . import revd2, steps
from .domain import domain_of
from .form import GpuForm
from .machine import GpuMachine
from .model import choose_tile, element_cycles, kernel_cycles
from .space import TileSpace
from .tile import GpuTile


def choose(conv: ConvTranspose2d, sizes: Sizes, machine: GpuMachine) -> GpuTile:
    """The tile of fewest estimated cycles for a thread that holds one phase."""
    return choose_tile(_form(conv, sizes), machine)


def cycles(conv: ConvTranspose2d, sizes: Sizes, tile: GpuTile, machine: GpuMachine) -> float:
    """Estimated clock cycles of both kernels."""
    sums = kernel_cycles(conv, sizes, tile, machine, phases=1)
    return sums + element_cycles(conv, sizes, machine)


def packing(conv: ConvTranspose2d, tile: GpuTile) -> Direct:
    """A phase after the other: what a block of threads stages at a time is one run."""
    return Direct(conv, "g o/n fh fw ic th tw o%n", tile.block_channels)


def compute(conv: ConvTranspose2d, tile: GpuTile, x: te.Tensor, packed: te.Tensor) -> te.Tensor:
    """The algorithm: y (NCHW) from x (NCHW) and weights from ``pack_weights``; y has x's dtype."""
    shape = stages.shape_of(x)
    domain = domain_of(conv, tile, shape)
    weight = stages.weights_in(packed, packing(conv, tile), stages.ACCUMULATE_DTYPE)
    phases = stages.phase_sums(conv, domain, stages.padded(conv, domain, x), weight)
    planes = te.compute(phases.shape, phases, name=PLANES)
    stride = conv.w.stride

    def row_element(n, g, o, fh, y, ow):
        return planes[n, g, o, fh, ow % stride, y, ow // stride]

    return stages.stored(conv, shape, x.dtype, domain, tile.block_columns, row_element)


def schedule(func: tirx.PrimFunc, conv: ConvTranspose2d, tile: GpuTile) -> tirx.PrimFunc:
    """The two kernels above, for a function made of ``compute`` and pointwise consumers."""
    # Checks off for the reason that ``revd2.schedule`` gives.
    sch = Schedule(func, enable_check=False)
    store = steps.inline_epilogue(sch, keep=(PAD, PHASES, PLANES))
    n, g, o, fh, fw, y, x = sch.get_loops(sch.get_sblock(PLANES))
    block, channel, o = sch.split(o, [None, tile.channel_threads, tile.channels])
    rows, row, y = sch.split(y, [None, tile.row_threads, tile.rows])
    columns, column, x = sch.split(x, [None, tile.column_threads, tile.lanes])
    outer, threads, inner = [n, g, block, fh, fw], [channel, row, column], [o, y, x]
    _, thread = steps.bind_tiles(sch, outer, rows, columns, threads, inner)
    staged, extents = steps.accumulate(sch, PHASES, thread, conv, tile)
    weights = steps.stage_weights(sch, PHASES, staged, tile, rank=8)
    pad = steps.stage_input(sch, PAD, staged, tile)
    steps.finish_sums(sch, PHASES, staged, tile)
    # Planes are whole tiles, however wide the output is.
    steps.store_in_vectors(sch, PLANES, tile.lanes, most=tile.lanes)
    steps.by_element(sch, store, tile)
    at = sch.get(thread).loop_var
    sums = steps.Tiles(PHASES + "_init", at, extents, list(range(7)))
    return steps.finished(sch.mod["main"], [sums, pad, weights])


@lru_cache(maxsize=256)
def _form(conv: ConvTranspose2d, sizes: Sizes) -> GpuForm:
    return GpuForm(conv, sizes, 1, by_element=True)


SPACE = TileSpace(_form)

TDC = Variant(
    name="tdc",
    summary="a stride-1 convolution per phase, then an interleave",
    parameters=GpuTile,
    space=SPACE,
    choose=choose,
    cycles=cycles,
    packing=packing,
    compute=compute,
    schedule=schedule,
    weight_dtype=revd2.weight_dtype,
)
