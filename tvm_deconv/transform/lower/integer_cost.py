"""What a layer of bytes costs in integers, and what it would in float32, by the machine model.

Integers take a product for each tap and word. In float32 Winograd's form takes a quarter of the
products of a 3x3, but the bytes have to become floats before and bytes again after it. Processors
that multiply four bytes at a time are faster in integers; those that multiply pairs of 16 bits, or
single ones, in float32 where Winograd's form is. Measured for AVX2 on Sapphire Rapids, one thread,
float32 with what it takes to convert: sub-pixel of factor 2, 64 channels of 128x128, 43.8 ms in
integers and 26.1; a plain 3x3 12.6 and 6.6; a nearest resize 21.7 and 23.2; a deconvolution of
kernel 4 and stride 2, 2.5 and 3.0.
"""

from __future__ import annotations

from statistics import mean

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.choice import Preferences, choose
from tvm_deconv.schedules.cpu.integer.kernel import Integer
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.cpu.tiling import TYPICAL_SIZES
from tvm_deconv.schedules.variant import Sizes

# Cycles of a vector: of sums that are scaled, rounded and stored; of bytes that become floats, or
# the reverse, in a pass of its own.
_STORE = 6
_CONVERT = 12
# Cycles of a vector of products, where float32's takes half a one: ``vpdpwssd``; two operations on
# two or three ports (AVX2, AVX-512) or the two halves of a register (``smlal``). The latter are
# such that the ratios above come out, with the model's cycles of float32: 0.6, 0.6, 1.05 and 1.4.
_FUSED, _PAIRS = 0.5, 1.4
# What float32 has to win by: neither estimate is better than that.
_CLEARLY = 0.9


def why_float32(kernel: Integer, sizes: Sizes, machine: CpuMachine, winograd: bool) -> str:
    """Why the layer is left to float32, in words; empty where it is not.

    ``sizes`` are those of the input; ``winograd`` is whether that form may be taken.
    """
    op = kernel.op
    if kernel.dot.group == 4 or kernel.step != (1, 1):
        return ""
    choice = choose(op, sizes, "float32", machine, Preferences(winograd=winograd))
    own = integer_cycles(kernel, sizes, machine)
    plain = choice.variant.cycles(op, sizes, choice.parameters, machine)
    converted = _CONVERT * (_values(op, sizes) / machine.lanes) / machine.threads
    if plain + converted > _CLEARLY * own:
        return ""
    return (
        f"it is faster by the machine model: {choice.variant.name} {plain / 1e6:.3g} Mcycles and "
        f"{converted / 1e6:.3g} to convert, integers by {kernel.dot.name} {own / 1e6:.3g}"
    )


def integer_cycles(kernel: Integer, sizes: Sizes, machine: CpuMachine) -> float:
    """Cycles of the busiest thread."""
    op, dot, tile = kernel.op, kernel.dot, kernel.tile
    batch, height, width = (_size(size, i) for i, size in enumerate(sizes))
    columns = -(-op.w.blocks(width) // (dot.lanes * tile.vectors)) * tile.vectors
    channels = op.groups * kernel.tiles * tile.channels
    vectors = batch * op.h.blocks(height) * columns * channels
    products = vectors * len(kernel.order()) * kernel.depth
    stored = vectors * op.h.stride * op.w.stride
    product = _FUSED if dot.adds and dot.intrinsic else _PAIRS
    return (products * product + stored * _STORE) / machine.threads


def _values(op: ConvTranspose2d, sizes: Sizes) -> float:
    """What is read and written."""
    batch, height, width = (_size(size, i) for i, size in enumerate(sizes))
    read = op.in_channels * height * width
    written = op.out_channels * op.h.output_size(height) * op.w.output_size(width)
    return batch * (read + written)


def _size(size: int | None, axis: int) -> int:
    return size if size is not None else round(mean(TYPICAL_SIZES)) if axis else 1
