"""How long a tile should take: a machine model of GPUs, and the tile that it prefers.

The model counts, for one block of threads, the cycles that a multiprocessor spends issuing
multiply-adds, loads from shared memory and the copies to it; as many blocks as fit run side by
side, and blocks are dealt to the multiprocessors in rounds. It was not fitted to any measurement:
it says which tiles cannot be good, and tuning decides between the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from math import ceil

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms.expressions import ceil_div
from tvm_deconv.schedules.variant import Sizes

from .form import GpuForm, blocks
from .machine import GpuMachine
from .tile import COPY, READ, SHARED, GpuTile

# Instructions to copy an element to shared memory: its place, the test for the border, load, store.
_COPY_INSTRUCTIONS = 8
# Instructions to move an element through global memory, where they wait for it.
_ELEMENT_INSTRUCTIONS = 40
# Registers of a thread beside its sums: operands and addresses.
_OTHER_REGISTERS = 40
# A multiprocessor has a load unit for so many lanes of its multiply-add units.
_FMA_LANES_PER_LOAD = 4
# A load that is not from shared memory, where there is one, counts as so many; one that has to test
# first whether there is an input as even more.
_UNSTAGED, _TESTED = 4, 8
# Warps (of 32 threads) that hide the latency of a multiprocessor's instructions.
_BUSY_WARPS = 8
# Threads of a block: fewer leave a multiprocessor idle, more wait for each other.
_MIN_THREADS, _MAX_THREADS = 32, 256
_INFINITE = float("inf")


@lru_cache(maxsize=1024)
def choose_tile(form: GpuForm, machine: GpuMachine) -> GpuTile:
    """The tile of fewest estimated cycles, of those that the device can start if there are any."""
    conv, sizes, phases = form.conv, form.sizes, form.phases
    return min(
        candidates(conv, sizes, machine, phases),
        key=lambda tile: (
            form.refusal(tile, machine) is not None,
            kernel_cycles(conv, sizes, tile, machine, phases),
        ),
    )


def candidates(
    conv: ConvTranspose2d, sizes: Sizes, machine: GpuMachine, phases: int
) -> Iterator[GpuTile]:
    """Tiles worth an estimate; there is always at least one."""
    rows, columns = blocks(conv, sizes)
    budget = max(machine.accumulators, phases)
    lanes_of = (1,) if machine.lanes == 1 else (1, machine.lanes)
    for channels, tile_rows, lanes in product((1, 2, 3, 4, 8, 16), (1, 2, 4, 8), lanes_of):
        small = channels == tile_rows == lanes == 1
        if channels * tile_rows * lanes * phases > budget and not small:
            continue
        if channels > round_to_power(conv.group_outputs) or tile_rows > rows:
            continue
        if conv.groups > 1 and conv.group_outputs % channels:
            continue
        column_threads = min(32, round_to_power(ceil_div(columns, lanes)))
        for row_threads, channel_threads in product((1, 2, 4, 8, 16), (1, 2, 4, 8)):
            threads = column_threads * row_threads * channel_threads
            if not threads <= min(_MAX_THREADS, machine.max_threads):
                continue
            if row_threads > round_to_power(ceil_div(rows, tile_rows)):
                continue
            if channel_threads > ceil_div(conv.group_outputs, channels):
                continue
            if conv.groups > 1 and conv.group_outputs % (channels * channel_threads):
                continue
            if threads < _MIN_THREADS and not small:
                continue
            for reduction in reductions(conv):
                tile = GpuTile(
                    channels,
                    tile_rows,
                    lanes,
                    channel_threads,
                    row_threads,
                    column_threads,
                    reduction,
                    *staging(conv, machine),
                )
                if tile.shared_bytes(conv, phases) <= machine.shared_bytes:
                    yield tile
    yield smallest_tile(conv, machine)


def smallest_tile(conv: ConvTranspose2d, machine: GpuMachine) -> GpuTile:
    """One output block a thread and nothing in shared memory: it fits every device."""
    threads = min(_MIN_THREADS, machine.max_threads)
    return GpuTile(1, 1, 1, 1, 1, threads, 1, READ, 0)


def staging(conv: ConvTranspose2d, machine: GpuMachine) -> tuple[int, int]:
    """``stage_input`` and ``stage_weights`` by default."""
    if machine.shared_is_real:
        return SHARED, 1
    single = conv.h.max_taps * conv.w.max_taps == 1
    return (READ if single else COPY), 0


def reductions(conv: ConvTranspose2d) -> list[int]:
    """Numbers of input channels to stage at a time: they divide those of a group."""
    return [n for n in (1, 2, 3, 4, 5, 7, 8, 16) if conv.group_inputs % n == 0]


def round_to_power(count: int) -> int:
    """The next power of two, ``count`` itself included."""
    return 1 << max(count - 1, 0).bit_length()


def kernel_cycles(
    conv: ConvTranspose2d, sizes: Sizes, tile: GpuTile, machine: GpuMachine, phases: int
) -> float:
    """Estimated clock cycles of a kernel whose threads hold ``phases`` phases each."""
    shared = tile.shared_bytes(conv, phases)
    sums = tile.channels * tile.rows * tile.lanes * phases
    registers = min(sums + _OTHER_REGISTERS, machine.registers) * tile.threads
    resident = min(
        machine.unit_registers // registers, machine.unit_shared_bytes // max(shared, 1), 16
    )
    if resident == 0 or shared > machine.shared_bytes or tile.threads > machine.max_threads:
        return _INFINITE
    spilled = max(sums - machine.accumulators, 0)
    rows, columns = blocks(conv, sizes)
    grid = (
        (sizes.batch or 1)
        * conv.groups
        * ceil_div(conv.group_outputs, tile.block_channels)
        * ceil_div(rows, tile.block_rows)
        * ceil_div(columns, tile.block_columns)
        * (conv.h.stride * conv.w.stride // phases)
    )
    one = conv.group_inputs * _cycles_of_channel(conv, tile, machine, phases) * (1 + spilled)
    rounds = max(ceil(grid / machine.units), 1)
    warps = ceil(tile.threads / 32) * min(resident, rounds)
    latency = max(_BUSY_WARPS / warps, 1.0)
    return rounds * one * latency


def _cycles_of_channel(
    conv: ConvTranspose2d, tile: GpuTile, machine: GpuMachine, phases: int
) -> float:
    """Cycles that a multiprocessor spends on one input channel of a block of threads."""
    taps = conv.h.max_taps * conv.w.max_taps
    sums = tile.channels * tile.rows * tile.lanes * phases
    multiply_adds = tile.threads * sums * taps / machine.fma_lanes
    # What a thread reads: each weight, four at a time, and each input under its window once; a
    # vector of columns anew for each tap.
    columns = conv.w.uniform_extent + 1 if tile.lanes == 1 else conv.w.max_taps
    window = (tile.rows + conv.h.uniform_extent) * columns
    weights = taps * max(phases * tile.channels / 4, 1)
    if machine.shared_is_real and not tile.stage_weights:
        weights *= _UNSTAGED
    if tile.stage_input == READ:
        window *= _TESTED
    elif machine.shared_is_real and tile.stage_input == COPY:
        window *= _UNSTAGED
    read = weights + window
    loads = tile.threads * read * _FMA_LANES_PER_LOAD / machine.fma_lanes
    staged = tile.shared_bytes(conv, phases) / 4 / tile.reduction
    copies = staged * _COPY_INSTRUCTIONS / machine.fma_lanes
    # A turn of the outer loop waits twice for all threads of the block.
    waits = 64 / tile.reduction if staged else 0
    # Both go on side by side, but never perfectly.
    longer, shorter = max(multiply_adds, loads), min(multiply_adds, loads)
    return longer + shorter / 4 + copies + waits


def element_cycles(conv: ConvTranspose2d, sizes: Sizes, machine: GpuMachine) -> float:
    """Estimated clock cycles of a kernel that reads and writes each output once."""
    rows, columns = blocks(conv, sizes)
    outputs = (sizes.batch or 1) * conv.out_channels * rows * columns
    outputs *= conv.h.stride * conv.w.stride
    return outputs * _ELEMENT_INSTRUCTIONS / (machine.units * machine.fma_lanes)
