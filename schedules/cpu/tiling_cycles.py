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
from .tiling import RegisterTile, Strip, Tiling, block_columns, distinct_columns, round_up

# Bytes of weights that come from beyond the level-2 cache in a cycle of one multiply-add: 7 GB/s on
# one core of an Intel Xeon beside other work. It decides where they are used for few pixels.
BYTES_A_CYCLE = 1.5


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
    near_bytes: float = BYTES_A_CYCLE


# Fitted to 3x3 layers on Zen 4: with 64 channels at 224 x 224, tiles of 1 x 16, 2 x 8 and 7 x 2
# reach 220, 216 and 215 GFLOP/s of 237. A latency of 4 cycles at 2 multiply-adds in a cycle needs 8
# sums.
_COSTS = _Costs(0.03, 0.8, 8, 12)
# Of AVX-512 where two multiply-adds start in a cycle: with two phases tiles of 2 x 2, 8 sums, take
# 1.12 and 1.25 times as long on Zen 5 as tiles of 2 x 3. A row costs half as much there, by two
# layers of kernel 2, which took 1.2 and 1.9 times as long in other variants than in ``revd2``.
_COSTS_OF_WIDE_AVX512 = replace(_COSTS, row=0.4, sums=10)
# Of AVX2, whose multiply-adds cannot take one number of memory for all lanes. Code for Haswell on
# an Intel Xeon (Emerald Rapids), shares of the peak in tiles of 1 x 8, 2 x 4, 1 x 12, 2 x 6 and
# 3 x 4 vectors and sums of each, columns beyond the output not counted: 77, 83, 84, 92 and 88 %.
# The rest is fitted to the times of ``revd2`` in 18 layers, most of which are met within 10 %.
_COSTS_OF_FEW_REGISTERS = _Costs(0.1, 0.35, 10, 6, 9, 4.5, 3)


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
    """
    return 1.4 if machine.has_wide_avx512 and is_line(conv) else 1.0


def weight_cycles(conv: ConvTranspose2d, tile: Tiling, machine: CpuMachine) -> float:
    """Cycles of a thread to read its share of the weights once, if they are in no level-2 cache."""
    weights = machine.sum_bytes * conv.out_channels * conv.group_inputs
    weights *= conv.h.useful_taps * conv.w.useful_taps
    threads = machine.threads if tile.parallel else 1
    if weights <= machine.l2_bytes:
        return 0.0
    near = weights <= machine.l2_bytes + machine.l3_bytes
    return weights / (_costs_of(machine).near_bytes if near else BYTES_A_CYCLE) / threads


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
    by a lane), an input vector once for each distinct offset; each row of input comes from the
    level-2 cache once for a tile. Of one input channel LLVM keeps weights in registers.

    Measured on Zen 5, one thread: 13 layers by ``revd2`` take 1.13 times as long as in the best of
    four to seven tiles each on average where two loads start with a multiply-add, 1.01 where one.
    """
    taps = conv.h.max_taps * conv.w.max_taps
    accumulators = tile.accumulators(conv)
    fmas = accumulators * taps
    input_rows = tile.vectors * (conv.h.max_taps + (1 if tile.inner_fh else 0))
    weight_loads = fmas // (tile.vectors * tile.weights_per_load(conv, machine))
    loads = input_rows * distinct_columns(conv) + weight_loads
    kept = conv.group_inputs == 1 and not machine.has_few_registers
    costs = _COSTS if kept else _costs_of(machine)
    starved = max(1.0, costs.sums / accumulators)
    loads_at_once = 2 if kept else machine.loads_per_multiply_add
    cycles = max(fmas * starved, loads / loads_at_once)
    cycles += costs.load * loads + costs.row * input_rows
    waste_columns = fmean(round_up(n, tile.columns) / n for n in columns)
    waste_channels = round_up(conv.group_outputs, tile.channels) / conv.group_outputs
    # A vector of half the width does half the work in an instruction.
    return cycles / fmas * waste_columns * waste_channels * machine.lanes / tile.lanes


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
    return balance * (1 + _costs_of(machine).copy * reread / uses)


def _imbalance(height: int, strip: Strip, repeats: int, threads: int) -> float:
    """Work of the busiest thread over the mean; ``repeats`` pieces share each strip of rows."""
    strips = -(-height // strip.rows)
    pieces = strips * repeats * strip.channel_splits
    share = -(-pieces // threads)
    # Every strip but the last is whole; the busiest thread is one that has no last strip.
    busiest = share * strip.rows if share < pieces else height * repeats * strip.channel_splits
    return busiest * threads / (height * repeats * strip.channel_splits)
