"""REVD before it is scheduled: stages, packing, parameters and their cost.

The tap ``(kh, kw)`` contributes to output ``(oh, ow)`` if ``oh + p_h - d*kh`` is a multiple of the
stride, and the same holds along the width; the quotients say which input it reads.

    pad        x[n, c, i, j] with a zero border (rows and columns beyond the input read as 0)
    gather     sums of a whole strip in memory, output channels innermost
    transpose  the same as rows of consecutive output columns; pure data movement
    edge       the same row in memory, for vectors that cross the right edge (absent if none does)
    store      one output element each, the only stage with the output's exact shape
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import te

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.algebra.packing import Direct
from tvm_deconv.schedules.algorithms import stages
from tvm_deconv.schedules.algorithms.expressions import ceil_div
from tvm_deconv.schedules.algorithms.names import GATHER, TRANSPOSE
from tvm_deconv.schedules.algorithms.tir import tir
from tvm_deconv.schedules.cpu.domain import domain_of
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.cpu.tiling import Tiling
from tvm_deconv.schedules.cpu.tiling_choice import choose_strip
from tvm_deconv.schedules.cpu.tiling_cycles import outputs_per_thread, weight_cycles
from tvm_deconv.schedules.cpu.tiling_space import TilingSpace, sums_in_scratch
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, Algorithm, Sizes

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
    # Weights of a tap that do not fit the level-1 cache come from level 2 for every output. On ARM
    # each is a load of its own: 1.3 on a Cortex-A72, 3.6 on an A55, by LLVM's models of 1x1 56->12.
    near = 4 * conv.group_inputs * tile.channels <= machine.l1_bytes and machine.memory_operands
    per_vector = 1.3 if near else 2.5
    products = conv.group_inputs * (0.7 + per_vector * max(1, tile.channels // tile.lanes))
    # A vector of outputs is transposed: 31 and more on Zen 5 for 1x1 layers. Of phases it is also
    # interleaved: 82 and more on an Intel Xeon (model 207), kernel 2, stride 2, 64 to 512 channels.
    transposed = 80.0 if conv.w.stride > 1 else 30.0
    store = transposed * conv.group_outputs / tile.lanes * machine.has_wide_avx512
    return outputs * (3 * tests + hits * products + store) + weight_cycles(conv, tile, machine)


def packing(conv: ConvTranspose2d, tile: Tiling) -> Direct:
    """The kernel as it is, taps outermost and vectors of output channels innermost."""
    return Direct(conv, "g kh kw o/n ic o%n", tile.channels)


def compute(conv: ConvTranspose2d, tile: Tiling, x: te.Tensor, packed: te.Tensor) -> te.Tensor:
    """The algorithm: y (NCHW) from x (NCHW) and weights from ``pack_weights``; y has x's dtype."""
    shape = batch, _, _, _ = stages.shape_of(x)
    domain = domain_of(conv, tile, shape)
    gathered = gathered_from(conv, domain, x, packed, packing(conv, tile))
    stride_h, stride_w = conv.strides
    size = domain.rows * stride_h, domain.columns * stride_w
    gather = te.compute(
        (batch, conv.groups, *size, domain.channels),
        lambda n, g, oh, ow, o: gathered(n, g, o, oh, ow),
        name=GATHER,
    )
    row_shape = (batch, conv.groups, domain.channels, stride_h, domain.rows, size[1])
    transpose = te.compute(
        row_shape,
        lambda n, g, o, fh, y, ow: gather[n, g, y * stride_h + fh, ow, o],
        name=TRANSPOSE,
    )
    return stages.stored(conv, shape, x.dtype, domain, tile.lanes, transpose)


def gathered_from(
    conv: ConvTranspose2d, domain: stages.Domain, x: te.Tensor, packed: te.Tensor, packing: Direct
) -> Callable[..., Any]:
    """gathered(n, g, o, oh, ow): the sum of an output over the taps that hit an input."""
    rows, columns = reach(conv.h), reach(conv.w)
    pad = stages.bordered(domain, x, rows, columns)
    ic = te.reduce_axis((0, conv.group_inputs), "ic")
    kh = te.reduce_axis((0, conv.h.kernel), "kh")
    kw = te.reduce_axis((0, conv.w.kernel), "kw")

    def gathered(n, g, o, oh, ow):
        row, row_rest = source_of(conv.h, oh, kh)
        column, column_rest = source_of(conv.w, ow, kw)
        value = pad[n, g * conv.group_inputs + ic, row - rows[0], column - columns[0]]
        weight = packed[packing.place(g=g, o=o, ic=ic, kh=kh, kw=kw)]
        product = value * weight.astype(ACCUMULATE_DTYPE)
        if conv.strides != (1, 1):
            hit = tir.all(row_rest == 0, column_rest == 0)
            product = tir.if_then_else(hit, product, stages.zero())
        return te.sum(product, axis=[kh, kw, ic])

    return gathered


def source_of(axis: Axis, out: Any, tap: Any) -> tuple[Any, Any]:
    """The input that ``tap`` takes to output ``out``, and the rest, which is 0 if there is one."""
    place = out + axis.pad_begin - axis.dilation * tap
    return tir.floordiv(place, axis.stride), tir.floormod(place, axis.stride)


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

REVD = Algorithm(
    name="revd",
    summary="output gather, taps outermost and a modulo for each output",
    parameters=Tiling,
    space=SPACE,
    choose=choose,
    cycles=cycles,
    packing=packing,
    compute=compute,
)
