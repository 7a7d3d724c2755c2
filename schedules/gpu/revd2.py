"""REVD2 on a GPU: a thread holds all phases of its tile, and each output is written once.

The stages are those of the CPU's form. Loop nest after scheduling, ``acc`` in registers:

    pad the input into global memory, in a kernel of its own      (stage_input = COPY)
    blockIdx.z = n, group, channel block; .y = row block; .x = column block:
        threadIdx.x = channel, row, column of the block:
            acc[o, fh, fw, y, x] = 0
            for ic / reduction:
                all threads: copy the block's input and weights to shared memory
                for ic % reduction: unrolled th, tw, o, fh, fw, y, x: acc += pad * weight
            store acc, interleaved

Weights are packed as [g][o/block][ic][th][tw][fh][fw][o%block], so that what a block of threads
stages at a time is one run. Neighbouring threads have neighbouring columns and the same channels:
they read consecutive inputs, the same weights, and write ``stride`` consecutive outputs each. All
phases of a thread share its inputs, which is what the phases have in common: for a resize by 2 and
a kernel of 3 the 4 phases read 9 inputs where 4 kernels of 2 x 2 would read 16.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

from tvm import te, tirx
from tvm.s_tir import Schedule

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.packing import Direct
from tvm_deconv.schedules.algorithms import stages
from tvm_deconv.schedules.algorithms.expressions import static
from tvm_deconv.schedules.algorithms.names import PAD, PHASES
from tvm_deconv.schedules.half import in_half
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, HALF, Sizes, Variant

from . import steps
from .domain import domain_of
from .form import GpuForm
from .machine import GpuMachine
from .model import choose_tile, kernel_cycles
from .space import TileSpace
from .tile import GpuTile

# More sums than this in a thread are spilled, whatever else is done.
_MAX_PHASES = 64


def refusal(conv: ConvTranspose2d, accumulate: str) -> str | None:
    """Why a thread cannot hold all phases of a layer."""
    phases = _phases(conv)
    if phases > _MAX_PHASES:
        return f"{phases} phases do not fit into a thread's registers (at most {_MAX_PHASES})"
    return None


def _phases(conv: ConvTranspose2d) -> int:
    return conv.h.stride * conv.w.stride


def choose(conv: ConvTranspose2d, sizes: Sizes, machine: GpuMachine) -> GpuTile:
    """The tile of fewest estimated cycles for a thread that holds all phases."""
    return choose_tile(_form(conv, sizes), machine)


def cycles(conv: ConvTranspose2d, sizes: Sizes, tile: GpuTile, machine: GpuMachine) -> float:
    """Estimated clock cycles of the kernel."""
    return kernel_cycles(conv, sizes, tile, machine, phases=_phases(conv))


def weight_dtype(dtype: str) -> str:
    """Packed weights are of the layer's own dtype, which halves what a float16 layer reads."""
    return dtype


def packing(conv: ConvTranspose2d, tile: GpuTile) -> Direct:
    """What a block of threads stages at a time is one run."""
    return Direct(conv, "g o/n ic th tw fh fw o%n", tile.block_channels)


def compute(
    conv: ConvTranspose2d,
    tile: GpuTile,
    x: te.Tensor,
    packed: te.Tensor,
    accumulate: str = ACCUMULATE_DTYPE,
) -> te.Tensor:
    """The algorithm: y (NCHW) from x (NCHW) and weights from ``pack_weights``; y has x's dtype."""
    shape = stages.shape_of(x)
    pad = stages.padded(conv, domain_of(conv, tile, shape), x, accumulate)
    return sums_of(conv, tile, shape, x.dtype, pad, packed)


def sums_of(
    conv: ConvTranspose2d,
    tile: GpuTile,
    shape: tuple[Any, ...],
    dtype: str,
    pad: te.Tensor,
    packed: te.Tensor,
) -> te.Tensor:
    """The algorithm after ``pad``, for an input of ``shape`` and an output of ``dtype``."""
    domain = domain_of(conv, tile, shape)
    weight = stages.weights_in(packed, packing(conv, tile), pad.dtype)
    phases = stages.phase_sums(conv, domain, pad, weight)
    stride = conv.w.stride

    def row_element(n, g, o, fh, y, ow):
        return phases[n, g, o, fh, ow % stride, y, ow // stride]

    return stages.stored(conv, shape, dtype, domain, tile.block_columns, row_element)


def schedule(
    func: tirx.PrimFunc, conv: ConvTranspose2d, tile: GpuTile, pad: str = PAD, most: int = 4
) -> tirx.PrimFunc:
    """The GPU loop nest above, for a function made of ``compute`` and pointwise consumers.

    ``pad`` is the stage with the input as the sums read it, and ``most`` how many elements are
    stored at once at most.
    """
    # The proof that rounded domains cover the output is beyond the analyser for symbolic sizes.
    sch = Schedule(func, enable_check=False)
    store = steps.inline_epilogue(sch, keep=(pad, PHASES))
    width = static(sch.get(sch.get_loops(sch.get_sblock(store))[-1]).extent)
    _, thread = steps.bind_outputs(sch, store, conv, tile)
    staged, extents = steps.accumulate(sch, PHASES, thread, conv, tile)
    weights = steps.stage_weights(sch, PHASES, staged, tile, rank=8)
    border = steps.stage_input(sch, pad, staged, tile)
    steps.finish_sums(sch, PHASES, staged, tile)
    steps.store_in_vectors(sch, store, width, most=most)
    # The phases of a column side by side, as they are stored; of a vector of columns, the columns.
    order = list(range(7)) if tile.lanes > 1 else [0, 1, 2, 3, 5, 6, 4]
    sums = steps.Tiles(PHASES + "_init", sch.get(thread).loop_var, extents, order)
    return steps.finished(sch.mod["main"], [sums, border, weights])


@lru_cache(maxsize=256)
def _form(conv: ConvTranspose2d, sizes: Sizes) -> GpuForm:
    return GpuForm(conv, sizes, _phases(conv))


SPACE = TileSpace(_form)

REVD2 = Variant(
    name="revd2",
    summary="a thread holds all phases of its tile, every output written once",
    parameters=GpuTile,
    space=SPACE,
    choose=choose,
    cycles=cycles,
    packing=packing,
    compute=compute,
    schedule=schedule,
    refusal=refusal,
    weight_dtype=weight_dtype,
)

REVD2_IN_HALF = in_half(REVD2, compute=partial(compute, accumulate=HALF))
