"""Which tile computes a layer of bytes, or that float32 is faster, by the machine model.

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
from tvm_deconv.patterns.graph import Refused
from tvm_deconv.schedules.choice import Preferences, choose
from tvm_deconv.schedules.cpu.integer.tile import Tile
from tvm_deconv.schedules.cpu.integer.variant import INTEGER, integer_variant, operands_of
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.cpu.tiling import TYPICAL_SIZES
from tvm_deconv.schedules.variant import Sizes

# Cycles of a vector of bytes that become floats, or the reverse, in a pass of its own.
_CONVERT = 12
# What float32 has to win by: neither estimate is better than that.
_CLEARLY = 0.9


def choose_integer_tile(
    op: ConvTranspose2d, sizes: Sizes, dtype: str, machine: CpuMachine, preferences: Preferences
) -> tuple[Tile, str] | Refused:
    """A tile for a layer of ``dtype``, such as ``uint8xint8``, and in words why this one.

    The fastest that the tuning log has for it, else the machine model's. Refused where float32 is
    faster by the model, whatever the log holds: a layer that is, is not tuned in integers.
    """
    operands = operands_of(dtype)
    assert operands is not None, dtype
    variant = integer_variant(machine, operands[1])
    refusal = variant.cannot(op)
    if refusal is not None:
        return Refused(refusal)
    tile = variant.choose(op, sizes, machine)
    cycles = variant.cycles(op, sizes, tile, machine)
    # Fewer products at a time than float32 has with Winograd's form.
    if variant.dot.group < 4 and op.step == (1, 1):
        slower = _why_float32(op, sizes, cycles, variant.dot.name, machine, preferences.winograd)
        if slower:
            return Refused(slower)
    # As of floats, layers with a step are not tuned.
    log = preferences.log if op.step == (1, 1) else None
    for row in log.lookup(op, sizes, dtype) if log else ():
        if row.variant == INTEGER:
            return row.parameters, row.reason
    return tile, f"machine model: {INTEGER} {cycles / 1e6:.3g} Mcycles"


def _why_float32(
    op: ConvTranspose2d, sizes: Sizes, own: float, dot: str, machine: CpuMachine, winograd: bool
) -> str:
    """Why the layer is left to float32, in words; empty where it is not.

    ``sizes`` are those of the input, ``own`` the cycles of integers; ``winograd`` is whether that
    form may be taken.
    """
    choice = choose(op, sizes, "float32", machine, Preferences(winograd=winograd))
    plain = choice.variant.cycles(op, sizes, choice.parameters, machine)
    converted = _CONVERT * (_values(op, sizes) / machine.lanes) / machine.threads
    if plain + converted > _CLEARLY * own:
        return ""
    return (
        f"it is faster by the machine model: {choice.variant.name} {plain / 1e6:.3g} Mcycles and "
        f"{converted / 1e6:.3g} to convert, integers by {dot} {own / 1e6:.3g}"
    )


def _values(op: ConvTranspose2d, sizes: Sizes) -> float:
    """What is read and written."""
    batch, height, width = (_size(size, i) for i, size in enumerate(sizes))
    read = op.in_channels * height * width
    written = op.out_channels * op.h.output_size(height) * op.w.output_size(width)
    return batch * (read + written)


def _size(size: int | None, axis: int) -> int:
    return size if size is not None else round(mean(TYPICAL_SIZES)) if axis else 1
