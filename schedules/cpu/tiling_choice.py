"""Tile sizes of the REVD2 template: how they are chosen for a machine."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.typical import TYPICAL_SIZES
from tvm_deconv.schedules.variant import Sizes

from .machine import CpuMachine
from .tiling import (
    MIN_WORK_PER_THREAD,
    STACK_BYTES,
    RegisterTile,
    Strip,
    Tiling,
    block_columns,
    distinct_columns,
    lanes_of,
    round_up,
)
from .tiling_cycles import is_aliased, strip_cost, tile_cost

# The inner loop is written out in full. Beyond this many multiply-adds it no longer fits the
# level-1 instruction cache (about 8 bytes each in 32 KiB), and compiling it takes seconds.
_MAX_UNROLLED = 1024

# Phases that are written out one by one at most: more take LLVM more than a few seconds.
_MAX_PHASES = 256

# Phases of unlike taps are written out with all of them, each for every accumulator: with these,
# LLVM takes ten seconds or so, and the time grows with them.
_MAX_UNEVEN_TAPS = 4096

# A strip's scratch is filled up with zeros beyond the input. Where the width is not known, strips
# are no wider than this, so that a narrow input does not pay for a wide one.
_UNKNOWN_STRIP_COLUMNS = 128

_MAX_ROWS = 16

# Accumulators of AVX2 where there is one input channel.
_MOST_OF_ONE_INPUT = 8


def too_many_phases(conv: ConvTranspose2d, accumulate: str) -> str | None:
    """The ``refusal`` of a variant that writes out its phases in width and those of unlike taps."""
    phases = conv.w.stride * (conv.h.stride if conv.h.is_uneven else 1)
    if phases > _MAX_PHASES:
        return f"{phases} phases would have to be written out, at most {_MAX_PHASES} are"
    taps = conv.h.useful_taps * conv.w.useful_taps
    if conv.h.is_uneven and taps > _MAX_UNEVEN_TAPS:
        words = f"phases of unlike taps, {taps} together, would have to be written out"
        return f"{words}, at most {_MAX_UNEVEN_TAPS} are"
    return None


def choose_tiling(
    conv: ConvTranspose2d,
    sizes: Sizes,
    machine: CpuMachine,
    *,
    tiled: ConvTranspose2d | None = None,
    planes: int = 0,
) -> Tiling:
    """Tile sizes for a layer.

    ``tiled`` is the convolution whose phases a register tile holds, if not all of ``conv``, and
    ``planes`` the number of sums for each block and output channel that a strip keeps in scratch.
    """
    tiled = tiled or conv
    columns = block_columns(conv, sizes)
    tile = min(_register_tiles(tiled, machine), key=lambda t: tile_cost(tiled, t, columns, machine))
    return _strip_tiling(conv, sizes, machine, tile, tiled, planes)


def choose_strip(
    conv: ConvTranspose2d,
    sizes: Sizes,
    machine: CpuMachine,
    *,
    channels: int,
    max_rows: int = _MAX_ROWS,
) -> Tiling:
    """Tile sizes where all sums of a strip are in scratch, ``channels`` at a time."""
    columns = block_columns(conv, sizes)
    tile = min(
        (RegisterTile(n, 1, channels, inner_fh=False) for n in lanes_of(machine)),
        key=lambda t: sum(round_up(n, t.columns) for n in columns),
    )
    planes = conv.h.stride * conv.w.stride
    return _strip_tiling(conv, sizes, machine, tile, conv, planes, max_rows)


def _strip_tiling(
    conv: ConvTranspose2d,
    sizes: Sizes,
    machine: CpuMachine,
    tile: RegisterTile,
    tiled: ConvTranspose2d,
    planes: int,
    max_rows: int = _MAX_ROWS,
) -> Tiling:
    """Tile sizes around a register tile."""
    batch, height, width = sizes
    columns = block_columns(conv, sizes)
    rows = [conv.h.blocks(height)] if height is not None else list(TYPICAL_SIZES)
    widest = columns[0] if width is not None else _UNKNOWN_STRIP_COLUMNS
    lengths = columns if height == 1 else [widest]
    strip = min(
        _strips(conv, tile, widest, min(max_rows, max(rows)), machine, planes),
        key=lambda s: strip_cost(conv, tile, s, lengths, batch or 1, rows, machine),
    )
    work = conv.multiply_adds(batch or 1, height or max(rows), width or max(columns))
    return Tiling(
        lanes=tile.lanes,
        vectors=tile.vectors,
        channels=tile.channels,
        rows=strip.rows,
        column_tiles=strip.column_tiles,
        inner_fh=tile.inner_fh,
        unroll_fh=conv.h.is_uneven and not tile.inner_fh,
        unroll_th=conv.h.is_uneven or _fits_unrolled(tiled, tile, machine),
        channel_splits=strip.channel_splits,
        parallel=machine.threads > 1 and work >= 2 * MIN_WORK_PER_THREAD,
        weight_vectors=tile.weights_per_load(tiled, machine) > 1,
    )


def _register_tiles(conv: ConvTranspose2d, machine: CpuMachine) -> Iterator[RegisterTile]:
    """Register tiles whose accumulators, input vectors and one weight are in registers at once.

    Where there are few registers and several vectors, LLVM loads those of a tap when it comes to
    it, from the level-1 cache, so that only these count: 2 x 6 of 5x5 taps spill nothing. With one
    input channel its weights, the same for a whole row, are loaded ahead and take more: 3x3 to 64
    channels take 0.67 ms in tiles of 2 x 4, and 0.91 in 2 x 6, of which a third is spilled.

    Sums of float16 on ARM take weights in whole vectors: an instruction can multiply by a lane of
    the first 16 registers only, and LLVM, which loads single weights ahead, spills half of them.

    TVM moves a buffer of 1 KiB or more from the stack to its workspace. LLVM then stores every
    accumulator there once for a tile, which costs a third of the speed with few input channels.
    """
    lanes = lanes_of(machine)
    inner = (False, True) if conv.h.stride > 1 else (False,)
    for tile in (RegisterTile(*t) for t in product(lanes, range(1, 9), range(1, 17), inner)):
        accumulators = tile.accumulators(conv)
        at_once = tile.vectors * distinct_columns(conv)
        if machine.has_few_registers and tile.vectors > 1:
            at_once = tile.vectors
        registers = accumulators + at_once + 1
        on_stack = machine.sum_bytes * tile.lanes * accumulators < STACK_BYTES
        fits = registers <= machine.vector_registers and tile.channels <= conv.group_outputs
        if machine.has_few_registers and conv.group_inputs == 1 < conv.group_outputs:
            fits &= accumulators <= _MOST_OF_ONE_INPUT
        if machine.sum_bytes < 4 and machine.multiplies_by_lane:
            fits &= tile.weights_per_load(conv, machine) > 1
        smallest = tile.vectors == tile.channels == 1 and not tile.inner_fh
        if (fits and on_stack) or smallest:
            yield tile


def _fits_unrolled(conv: ConvTranspose2d, tile: RegisterTile, machine: CpuMachine) -> bool:
    """Whether code and registers suffice for writing out the taps in height.

    Phases in height that read the same row by unlike taps make LLVM keep that row in registers
    from one tap to the next. Where a multiply-add cannot read memory instead, others are spilled.

    With one input channel, the taps written out are the whole reduction, and its weights are the
    same for all tiles of a row. LLVM then spreads each over a vector once for the row and spills
    them; where they take much of level 1, as the 200 of 5x5 to 8 channels do with 12.5 KiB, the
    kernel takes 1.3 times as long as with a loop (1->64 at 224 x 224 on Zen 4: 0.91 and 0.71 ms;
    writing them out gains 3 to 15 % up to 125 weights, and nothing from 147 on). With 16 registers
    the same layer takes 3.9 ms written out, 441 of whose operands are on the stack, and 1.6 with a
    loop; 3x3 taps are as fast either way. Where AVX-512 is wide none is written out: on Zen 5 that
    gained 3 % at most and made 7x7 3.3 times as slow.

    On ARM a multiply-add from the stack is two instructions, so a loop is as good as soon as the
    registers do not hold the weights, and LLVM adds up one channel behind the other there, in sums
    that wait for themselves: by its model of Cortex-A72 a first layer of 5x5 to 64 channels with
    tanh takes 1.7 times as long written out, by that of A55 1.4 times.
    """
    accumulators = tile.accumulators(conv)
    weights = accumulators // tile.vectors * conv.h.max_taps * conv.w.max_taps
    loads = weights // tile.weights_per_load(conv, machine)
    most = machine.l1_bytes // (16 if machine.has_few_registers else 4)
    if not machine.memory_operands:
        most = 4 * tile.lanes * (machine.vector_registers - accumulators)
    if conv.group_inputs == 1 and (machine.has_wide_avx512 or 4 * tile.lanes * loads > most):
        return False
    if accumulators * conv.h.max_taps * conv.w.max_taps > _MAX_UNROLLED:
        return False
    rows = conv.h.halo_extent // max(conv.h.tap_step, 1) + 1
    kept = 1 + rows - conv.h.max_taps if tile.inner_fh else 1
    registers = accumulators + kept * tile.vectors * distinct_columns(conv) + 1
    return machine.memory_operands or registers <= machine.vector_registers


def _strips(
    conv: ConvTranspose2d,
    tile: RegisterTile,
    columns: int,
    max_rows: int,
    machine: CpuMachine,
    planes: int,
) -> Iterator[Strip]:
    """Strips whose input, and sums if they are kept in scratch, stay in the level-2 cache.

    A single row is also cut into as many blocks of columns as there are threads: there are no other
    rows to share, and every thread that takes a part of the channels copies all of the input. Where
    channels would lie whole pages apart, rows are also cut into one block more.
    """
    channel_tiles = -(-conv.group_outputs // tile.channels)
    tiles = -(-columns // tile.columns)
    splits = [d for d in range(1, channel_tiles + 1) if channel_tiles % d == 0]
    for height in range(1, max_rows + 1):
        in_bytes = machine.sum_bytes * conv.group_inputs * (height + conv.h.halo_extent)
        for split in splits:
            sums = planes * channel_tiles * tile.channels // split
            column_bytes = in_bytes + machine.sum_bytes * height * sums
            affordable = (machine.l2_bytes // column_bytes - conv.w.halo_extent) // tile.columns
            blocks = -(-tiles // max(affordable, 1))
            strip = Strip(height, -(-tiles // blocks), split)
            yield strip
            if machine.has_wide_avx512 and is_aliased(conv, tile, strip, machine):
                yield Strip(height, -(-tiles // (blocks + 1)), split)
            if max_rows == 1:
                yield Strip(height, -(-tiles // round_up(blocks, machine.threads)), split)
