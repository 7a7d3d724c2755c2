"""What tile sizes of the REVD2 template cost: cycles of the machine model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from statistics import fmean

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.winograd import is_line
from tvm_deconv.schedules.typical import TYPICAL_SIZES, means
from tvm_deconv.schedules.variant import Sizes

from .machine import CpuMachine
from .tiling import (
    RegisterTile,
    Strip,
    Tiling,
    block_columns,
    distinct_columns,
    distinct_rows,
    round_up,
)

# Bytes of weights that come from beyond the level-2 cache in a cycle of one multiply-add: 7 GB/s on
# one core of an Intel Xeon beside other work. It decides where they are used for few pixels.
_BYTES_A_CYCLE = 1.5
# Of Zen 5, two cores of an idle machine: 1024->512 channels of 4x4 are read at 29 GB/s by each.
_BYTES_OF_ZEN5 = 3.5


@dataclass(frozen=True)
class _Costs:
    """What a register tile takes beyond its multiply-adds, in cycles of one.

    ``load`` is that of each load, and ``row`` that of a vector of each row of input, which comes
    from the level-2 cache. ``sums`` are how many multiply-adds have to be under way at once.
    ``copy`` is that of a vector of input that goes to scratch, since it comes from memory or the
    level-3 cache, and ``store`` that of a vector of outputs, with ``interleave`` for each phase
    behind the first that it is put together from. Of weights that are in the level-3 cache,
    ``near_bytes`` come in a cycle.
    """

    load: float
    row: float
    sums: int
    copy: float
    store: float = 0.0
    interleave: float = 0.0
    near_bytes: float = _BYTES_A_CYCLE


# Fitted to 3x3 layers on Zen 4: with 64 channels at 224 x 224, tiles of 1 x 16, 2 x 8 and 7 x 2
# reach 220, 216 and 215 GFLOP/s of 237. A latency of 4 cycles at 2 multiply-adds in a cycle needs 8
# sums.
_COSTS = _Costs(0.03, 0.8, 8, 12)
# Of AVX-512 where two multiply-adds start in a cycle, as ``_wide_cycles`` counts them. Four cycles
# of latency take 8 sums, and with just as many, tiles of 2 x 4 are 5 to 8 % slower than with more.
_COSTS_OF_WIDE_AVX512 = replace(_COSTS, row=2.0, sums=9)
# Of AVX2, whose multiply-adds cannot take one number of memory for all lanes. Code for Haswell on
# an Intel Xeon (Emerald Rapids), shares of the peak in tiles of 1 x 8, 2 x 4, 1 x 12, 2 x 6 and
# 3 x 4 vectors and sums of each, columns beyond the output not counted: 77, 83, 84, 92 and 88 %.
# The rest is fitted to the times of ``revd2`` in 18 layers, most of which are met within 10 %.
_COSTS_OF_FEW_REGISTERS = _Costs(0.1, 0.35, 10, 6, 9, 4.5, 3)

# Rows of scratch of all input channels that lie whole pages apart have the same places in the
# level-1 cache, of which each holds 12 lines: 1x1 layers of lines of 24 to 192 channels take 1.35
# to 1.6 times as long on Zen 5 with strips of 1024 samples, 4 KiB, as with strips of 512.
_PAGE, _WAYS, _ALIASED = 4096, 12, 1.4
# To store a vector of outputs with a test for channels beyond the last: with one input channel and
# 3x3 taps tiles that do not divide the channels take 1.1 to 1.4 times as long.
_TESTED = 2.0
# Of a vector of a tile's row. Tiles of few channels by many vectors store few rows at a time, for
# which memory is slower: 1x1, 16->64 at 180x320, takes 1.0, 1.1, 1.3 and 1.4 times as long in tiles
# of 2 to 5 vectors (one thread), at 90x160 as long in all of them.
_VECTOR = 0.25


def _costs_of(machine: CpuMachine) -> _Costs:
    if machine.has_few_registers:
        return _COSTS_OF_FEW_REGISTERS
    return _COSTS_OF_WIDE_AVX512 if machine.has_wide_avx512 else _COSTS


def tiling_cycles(
    conv: ConvTranspose2d,
    sizes: Sizes,
    tile: Tiling,
    machine: CpuMachine,
    *,
    tiled: ConvTranspose2d | None = None,
) -> float:
    """Cycles of the busiest thread that the model expects; a free size counts as a typical one.

    ``tiled`` as in ``choose_tiling``.
    """
    batch, height, _ = sizes
    columns = block_columns(conv, sizes)
    rows = [conv.h.blocks(height)] if height is not None else list(TYPICAL_SIZES)
    lengths = columns if height == 1 else [round(fmean(columns))]
    register_tile = RegisterTile(tile.lanes, tile.vectors, tile.channels, tile.inner_fh)
    strip = Strip(tile.rows, tile.column_tiles, tile.channel_splits)
    threads = machine.threads if tile.parallel else 1
    work = conv.multiply_adds(batch or 1, round(fmean(rows)), round(fmean(columns)))
    cost = tile_cost(tiled or conv, register_tile, columns, machine)
    per_multiply_add = cost / machine.lanes
    overhead = strip_cost(conv, register_tile, strip, lengths, batch or 1, rows, machine)
    sums = work * per_multiply_add * overhead / threads
    costs = _costs_of(machine)
    store = costs.store + costs.interleave * (conv.w.stride - 1)
    stored = outputs_per_thread(conv, sizes, tile, machine) / tile.lanes * store
    return (sums + stored + weight_cycles(conv, tile, machine)) * _beside_winograd(conv, machine)


def _beside_winograd(conv: ConvTranspose2d, machine: CpuMachine) -> float:
    """How much longer a layer takes than the above says, where Winograd's form takes what it says.

    Measured on an Intel Xeon (Emerald Rapids), where 11 lines, convolutions of 3 to 11 taps
    and deconvolutions with strides 2 to 8, of 32 to 512 channels, take 1.1 to 2.2 times as long.
    Of one tap there is no such form, and 1x1 layers take what the model says. Deconvolutions of one
    tap in a phase do on Zen 5; on Intel's the choice of 12 to 32 channels and more was measured
    with this factor.
    """
    taps = max(conv.h.max_taps, conv.w.max_taps)
    many = conv.strides != (1, 1) and conv.group_outputs >= machine.lanes
    is_slow = taps > 1 or (many and not machine.is_zen5)
    return 1.4 if machine.has_wide_avx512 and is_line(conv) and is_slow else 1.0


def bytes_a_cycle(machine: CpuMachine) -> float:
    """Bytes of weights that come from beyond the level-2 cache in a cycle of one multiply-add."""
    return _BYTES_OF_ZEN5 if machine.is_zen5 else _BYTES_A_CYCLE


def weight_cycles(conv: ConvTranspose2d, tile: Tiling, machine: CpuMachine) -> float:
    """Cycles of a thread to read its share of the weights once, if they are in no level-2 cache."""
    weights = machine.sum_bytes * conv.out_channels * conv.group_inputs
    weights *= conv.h.useful_taps * conv.w.useful_taps
    threads = machine.threads if tile.parallel else 1
    if weights <= machine.l2_bytes:
        return 0.0
    near = weights <= machine.l2_bytes + machine.l3_bytes
    beyond = bytes_a_cycle(machine)
    return weights / (max(_costs_of(machine).near_bytes, beyond) if near else beyond) / threads


def outputs_per_thread(
    conv: ConvTranspose2d, sizes: Sizes, tile: Tiling, machine: CpuMachine
) -> float:
    """Output elements that each thread stores; a free size counts as a typical one."""
    height, width = means(sizes)
    rows, columns = conv.h.output_size(height), conv.w.output_size(width)
    threads = machine.threads if tile.parallel else 1
    return (sizes.batch or 1) * conv.out_channels * rows * columns / threads


def tile_cost(
    conv: ConvTranspose2d, tile: RegisterTile, columns: list[int], machine: CpuMachine
) -> float:
    """Cycles for each useful multiply-add of a vector, up to a factor.

    A weight is loaded once for ``vectors`` uses (with its neighbours where the machine multiplies
    by a lane), an input vector once for each distinct offset.
    """
    if machine.has_wide_avx512:
        cycles = _wide_cycles(conv, tile, columns, machine)
    else:
        cycles = _cycles(conv, tile, machine)
    waste_columns = fmean(round_up(n, tile.columns) / n for n in columns)
    waste_channels = round_up(conv.group_outputs, tile.channels) / conv.group_outputs
    # A vector of half the width does half the work in an instruction.
    return cycles * waste_columns * waste_channels * machine.lanes / tile.lanes


def _cycles(conv: ConvTranspose2d, tile: RegisterTile, machine: CpuMachine) -> float:
    """Cycles for each multiply-add of a vector in a register tile.

    Each row of input comes from the level-2 cache once for a tile. Of one input channel LLVM keeps
    weights in registers.
    """
    accumulators = tile.accumulators(conv)
    fmas = accumulators * conv.h.max_taps * conv.w.max_taps
    input_rows = tile.vectors * (conv.h.max_taps + (1 if tile.inner_fh else 0))
    weight_loads = fmas // (tile.vectors * tile.weights_per_load(conv, machine))
    loads = input_rows * distinct_columns(conv) + weight_loads
    kept = conv.group_inputs == 1 and not machine.has_few_registers
    costs = _COSTS if kept else _costs_of(machine)
    starved = max(1.0, costs.sums / accumulators)
    loads_at_once = 2 if kept else machine.loads_per_multiply_add
    cycles = max(fmas * starved, loads / loads_at_once)
    return (cycles + costs.load * loads + costs.row * input_rows) / fmas


def _wide_cycles(
    conv: ConvTranspose2d, tile: RegisterTile, columns: list[int], machine: CpuMachine
) -> float:
    """The same where a load starts with each multiply-add of whole vectors of AVX-512.

    So what starts more often, decides. A vector of input at an offset crosses a cache line, which
    takes two loads: rows of scratch are as long as their halo makes them. Where the rows of all
    channels that a row of outputs reads do not fit the level-1 cache, each vector of them takes
    ``row`` loads more. Of phases with unlike taps those that exist count.

    Of 28 layers on Zen 5 (two threads of an idle machine), the direct forms of nearly all take 0.85
    to 1.15 times what this says at the clock of the peak; of 6x6 taps with stride 2, 32->1, tiles
    of 5 vectors of one phase in height take 1.5 times as long as 3 vectors of both.
    """
    costs = _costs_of(machine)
    # Phases in height of unlike taps have as many as their mean.
    down = conv.h.useful_taps / (1 if tile.inner_fh else conv.h.stride)
    fmas = tile.vectors * tile.channels * down * conv.w.useful_taps
    tile_phases = conv.w.stride * (conv.h.stride if tile.inner_fh else 1)
    input_rows = distinct_rows(conv) if tile.inner_fh else down
    starts = distinct_columns(conv)
    slots = tile.vectors * input_rows * starts * (2 if starts > 1 else 1)
    weight_loads = fmas / tile.vectors
    near = machine.sum_bytes * conv.group_inputs * input_rows * fmean(columns)
    far = costs.row * tile.vectors * input_rows * (near > machine.l1_bytes)
    starved = max(1.0, costs.sums / tile.accumulators(conv))
    loads = tile.vectors * input_rows * starts + weight_loads
    cycles = max(fmas * starved, slots + weight_loads + far)
    cycles = (cycles + costs.load * loads + _VECTOR * tile.vectors * input_rows) / fmas
    products = conv.group_inputs * down * conv.w.useful_taps / tile_phases
    tested = _TESTED if conv.group_outputs % tile.channels else 0.0
    return cycles + tested / products


def strip_cost(
    conv: ConvTranspose2d,
    tile: RegisterTile,
    strip: Strip,
    columns: list[int],
    batch: int,
    rows: list[int],
    machine: CpuMachine,
) -> float:
    """Time of the slowest thread over that of a perfect division, plus the copies of the input.

    TVM gives each thread the same number of consecutive pieces. An input vector that is copied is
    used for ``useful_taps`` multiply-adds of each output channel.
    """
    per_split = conv.group_outputs / strip.channel_splits
    uses = conv.h.useful_taps * conv.w.useful_taps * per_split
    width = strip.column_tiles * tile.columns
    reread = (1 + conv.h.halo_extent / strip.rows) * (1 + conv.w.halo_extent / width)
    balance = fmean(
        _imbalance(height, strip, batch * -(-wide // width) * conv.groups, machine.threads)
        for height, wide in product(rows, columns)
    )
    copy, slower = _costs_of(machine).copy, 1.0
    if machine.has_wide_avx512:
        # What leaves the level-2 cache is brought there again.
        copy *= 1 + (_strip_bytes(conv, tile, strip, machine) > machine.l2_bytes)
        slower = _ALIASED if is_aliased(conv, tile, strip, machine) else 1.0
    return balance * slower * (1 + copy * reread / uses)


def is_aliased(
    conv: ConvTranspose2d, tile: RegisterTile, strip: Strip, machine: CpuMachine
) -> bool:
    """Whether many input channels of a strip lie whole pages apart in scratch."""
    apart = _strip_bytes(conv, tile, strip, machine) // conv.group_inputs
    return apart % _PAGE == 0 and conv.group_inputs > _WAYS


def _strip_bytes(
    conv: ConvTranspose2d, tile: RegisterTile, strip: Strip, machine: CpuMachine
) -> int:
    """What a strip's input takes in scratch."""
    rows = strip.rows + conv.h.halo_extent
    columns = strip.column_tiles * tile.columns + conv.w.halo_extent
    return machine.sum_bytes * conv.group_inputs * rows * columns


def _imbalance(height: int, strip: Strip, repeats: int, threads: int) -> float:
    """Work of the busiest thread over the mean; ``repeats`` pieces share each strip of rows."""
    strips = -(-height // strip.rows)
    pieces = strips * repeats * strip.channel_splits
    share = -(-pieces // threads)
    # Every strip but the last is whole; the busiest thread is one that has no last strip.
    busiest = share * strip.rows if share < pieces else height * repeats * strip.channel_splits
    return busiest * threads / (height * repeats * strip.channel_splits)
