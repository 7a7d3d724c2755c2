"""Tile sizes of the REVD2 template: the numbers, and how they are chosen for a machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from statistics import fmean

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.typical import TYPICAL_LENGTHS, TYPICAL_SIZES, means
from tvm_deconv.schedules.variant import Sizes

from .machine import CpuMachine

# Below this many multiply-adds for each core, waking the other cores costs more than they save:
# a parallel region costs about 5 us, in which one core does about 0.25 M multiply-adds.
MIN_WORK_PER_THREAD = 250_000

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

# Bytes of weights that come from beyond the level-2 cache in a cycle of one multiply-add: 7 GB/s on
# one core of an Intel Xeon beside other work. It decides where they are used for few pixels.
BYTES_A_CYCLE = 1.5

# runtime::kMaxStackAlloca of TVM 0.27.
STACK_BYTES = 1024

# Accumulators of AVX2 where there is one input channel.
_MOST_OF_ONE_INPUT = 8


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
# Of AVX2, whose multiply-adds cannot take one number of memory for all lanes. Code for Haswell on
# an Intel Xeon (Emerald Rapids), shares of the peak in tiles of 1 x 8, 2 x 4, 1 x 12, 2 x 6 and
# 3 x 4 vectors and sums of each, columns beyond the output not counted: 77, 83, 84, 92 and 88 %.
# The rest is fitted to the times of ``revd2`` in 18 layers, most of which are met within 10 %.
_COSTS_OF_FEW_REGISTERS = _Costs(0.1, 0.35, 10, 6, 9, 4.5, 3)


def _costs_of(machine: CpuMachine) -> _Costs:
    return _COSTS_OF_FEW_REGISTERS if machine.has_few_registers else _COSTS


@dataclass(frozen=True)
class Tiling:
    """Sizes of the loop nest in ``revd2``; the other variants that tile by it say what differs.

    The register tile is ``channels`` x (phases: ``stride_w``, and ``stride_h`` too if ``inner_fh``)
    x ``vectors`` accumulators of ``lanes`` columns. A strip has ``rows`` block rows and
    ``column_tiles`` register tiles; ``channel_splits`` strips of equal place run in parallel, each
    with its share of the output channels. ``unroll_fh`` writes out the phases in height around the
    reduction, ``unroll_th`` the taps in height within it. ``weight_vectors`` loads the weights of a
    tap ``lanes`` at a time.

    ``channels`` is at most the channels of a group (rounded up to a power of two in ``revd``), and
    ``channel_splits`` divides the tiles that these make.
    """

    lanes: int
    vectors: int
    channels: int
    rows: int
    column_tiles: int
    inner_fh: bool = False
    unroll_fh: bool = False
    unroll_th: bool = True
    channel_splits: int = 1
    parallel: bool = True
    weight_vectors: bool = False

    @property
    def tile_columns(self) -> int:
        return self.vectors * self.lanes

    @property
    def block_columns(self) -> int:
        return self.column_tiles * self.tile_columns


@dataclass(frozen=True)
class _RegisterTile:
    lanes: int
    vectors: int
    channels: int
    inner_fh: bool

    @property
    def columns(self) -> int:
        return self.lanes * self.vectors

    def accumulators(self, conv: ConvTranspose2d) -> int:
        phases = conv.w.stride * (conv.h.stride if self.inner_fh else 1)
        return phases * self.vectors * self.channels

    def weights_per_load(self, conv: ConvTranspose2d, machine: CpuMachine) -> int:
        """Weights of one tap that one load brings."""
        whole_vectors = conv.w.stride * self.channels % self.lanes == 0
        return self.lanes if machine.multiplies_by_lane and whole_vectors else 1


@dataclass(frozen=True)
class _Strip:
    rows: int
    column_tiles: int
    channel_splits: int


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
    columns = _block_columns(conv, sizes)
    tile = min(
        _register_tiles(tiled, machine), key=lambda t: _tile_cost(tiled, t, columns, machine)
    )
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
    columns = _block_columns(conv, sizes)
    tile = min(
        (_RegisterTile(n, 1, channels, inner_fh=False) for n in lanes_of(machine)),
        key=lambda t: sum(_round_up(n, t.columns) for n in columns),
    )
    planes = conv.h.stride * conv.w.stride
    return _strip_tiling(conv, sizes, machine, tile, conv, planes, max_rows)


def _strip_tiling(
    conv: ConvTranspose2d,
    sizes: Sizes,
    machine: CpuMachine,
    tile: _RegisterTile,
    tiled: ConvTranspose2d,
    planes: int,
    max_rows: int = _MAX_ROWS,
) -> Tiling:
    """Tile sizes around a register tile."""
    batch, height, width = sizes
    columns = _block_columns(conv, sizes)
    rows = [conv.h.blocks(height)] if height is not None else list(TYPICAL_SIZES)
    widest = columns[0] if width is not None else _UNKNOWN_STRIP_COLUMNS
    lengths = columns if height == 1 else [widest]
    strip = min(
        _strips(conv, tile, widest, min(max_rows, max(rows)), machine, planes),
        key=lambda s: _strip_cost(conv, tile, s, lengths, batch or 1, rows, machine),
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
    columns = _block_columns(conv, sizes)
    rows = [conv.h.blocks(height)] if height is not None else list(TYPICAL_SIZES)
    lengths = columns if height == 1 else [round(fmean(columns))]
    register_tile = _RegisterTile(tile.lanes, tile.vectors, tile.channels, tile.inner_fh)
    strip = _Strip(tile.rows, tile.column_tiles, tile.channel_splits)
    threads = machine.threads if tile.parallel else 1
    work = conv.multiply_adds(batch or 1, round(fmean(rows)), round(fmean(columns)))
    cost = _tile_cost(tiled or conv, register_tile, columns, machine)
    per_multiply_add = cost / machine.lanes
    overhead = _strip_cost(conv, register_tile, strip, lengths, batch or 1, rows, machine)
    sums = work * per_multiply_add * overhead / threads
    costs = _costs_of(machine)
    store = costs.store + costs.interleave * (conv.w.stride - 1)
    stored = outputs_per_thread(conv, sizes, tile, machine) / tile.lanes * store
    return sums + stored + weight_cycles(conv, tile, machine)


def weight_cycles(conv: ConvTranspose2d, tile: Tiling, machine: CpuMachine) -> float:
    """Cycles of a thread to read its share of the weights once, if they are in no level-2 cache."""
    weights = 4 * conv.out_channels * conv.group_inputs
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


def _block_columns(conv: ConvTranspose2d, sizes: Sizes) -> list[int]:
    """Block columns to do well on: those of the width, or typical ones."""
    if sizes.width is not None:
        return [conv.w.blocks(sizes.width)]
    return list(TYPICAL_LENGTHS if sizes.height == 1 else TYPICAL_SIZES)


def lanes_of(machine: CpuMachine) -> list[int]:
    """Lanes of the vectors that a machine has; a machine of single floats has the one."""
    return [n for n in (16, 8, 4) if n <= machine.lanes] or [1]


def _register_tiles(conv: ConvTranspose2d, machine: CpuMachine) -> Iterator[_RegisterTile]:
    """Register tiles whose accumulators, input vectors and one weight are in registers at once.

    Where there are few registers and several vectors, LLVM loads those of a tap when it comes to
    it, from the level-1 cache, so that only these count: 2 x 6 of 5x5 taps spill nothing. With one
    input channel its weights, the same for a whole row, are loaded ahead and take more: 3x3 to 64
    channels take 0.67 ms in tiles of 2 x 4, and 0.91 in 2 x 6, of which a third is spilled.

    TVM moves a buffer of 1 KiB or more from the stack to its workspace. LLVM then stores every
    accumulator there once for a tile, which costs a third of the speed with few input channels.
    """
    lanes = lanes_of(machine)
    inner = (False, True) if conv.h.stride > 1 else (False,)
    for tile in (_RegisterTile(*t) for t in product(lanes, range(1, 9), range(1, 17), inner)):
        accumulators = tile.accumulators(conv)
        at_once = tile.vectors * _distinct_columns(conv)
        if machine.has_few_registers and tile.vectors > 1:
            at_once = tile.vectors
        registers = accumulators + at_once + 1
        on_stack = 4 * tile.lanes * accumulators < STACK_BYTES
        fits = registers <= machine.vector_registers and tile.channels <= conv.group_outputs
        if machine.has_few_registers and conv.group_inputs == 1 < conv.group_outputs:
            fits &= accumulators <= _MOST_OF_ONE_INPUT
        smallest = tile.vectors == tile.channels == 1 and not tile.inner_fh
        if (fits and on_stack) or smallest:
            yield tile


def _fits_unrolled(conv: ConvTranspose2d, tile: _RegisterTile, machine: CpuMachine) -> bool:
    """Whether code and registers suffice for writing out the taps in height.

    Phases in height that read the same row by unlike taps make LLVM keep that row in registers
    from one tap to the next. Where a multiply-add cannot read memory instead, others are spilled.

    With one input channel, the taps written out are the whole reduction, and its weights are the
    same for all tiles of a row. LLVM then spreads each over a vector once for the row and spills
    them; where they take much of level 1, as the 200 of 5x5 to 8 channels do with 12.5 KiB, the
    kernel takes 1.3 times as long as with a loop (1->64 at 224 x 224 on Zen 4: 0.91 and 0.71 ms;
    writing them out gains 3 to 15 % up to 125 weights, and nothing from 147 on). With 16 registers
    the same layer takes 3.9 ms written out, 441 of whose operands are on the stack, and 1.6 with a
    loop; 3x3 taps are as fast either way.
    """
    accumulators = tile.accumulators(conv)
    weights = accumulators // tile.vectors * conv.h.max_taps * conv.w.max_taps
    spilled = 4 * weights * tile.lanes // tile.weights_per_load(conv, machine)
    most = machine.l1_bytes // (16 if machine.has_few_registers else 4)
    if conv.group_inputs == 1 and spilled > most:
        return False
    if accumulators * conv.h.max_taps * conv.w.max_taps > _MAX_UNROLLED:
        return False
    rows = conv.h.halo_extent // max(conv.h.tap_step, 1) + 1
    kept = 1 + rows - conv.h.max_taps if tile.inner_fh else 1
    registers = accumulators + kept * tile.vectors * _distinct_columns(conv) + 1
    return machine.memory_operands or registers <= machine.vector_registers


def _distinct_columns(conv: ConvTranspose2d) -> int:
    """Column offsets at which the taps of one row read the input."""
    return conv.w.halo_extent // max(conv.w.tap_step, 1) + 1


def _tile_cost(
    conv: ConvTranspose2d, tile: _RegisterTile, columns: list[int], machine: CpuMachine
) -> float:
    """Cycles for each useful multiply-add of a vector, up to a factor.

    A weight is loaded once for ``vectors`` uses (with its neighbours where the machine multiplies
    by a lane), an input vector once for each distinct offset; each row of input comes from the
    level-2 cache once for a tile.
    """
    taps = conv.h.max_taps * conv.w.max_taps
    accumulators = tile.accumulators(conv)
    fmas = accumulators * taps
    input_rows = tile.vectors * (conv.h.max_taps + (1 if tile.inner_fh else 0))
    weight_loads = fmas // (tile.vectors * tile.weights_per_load(conv, machine))
    loads = input_rows * _distinct_columns(conv) + weight_loads
    costs = _costs_of(machine)
    starved = max(1.0, costs.sums / accumulators)
    loads_at_once = machine.loads_per_multiply_add if machine.has_few_registers else 2
    cycles = max(fmas * starved, loads / loads_at_once)
    cycles += costs.load * loads + costs.row * input_rows
    waste_columns = fmean(_round_up(n, tile.columns) / n for n in columns)
    waste_channels = _round_up(conv.group_outputs, tile.channels) / conv.group_outputs
    # A vector of half the width does half the work in an instruction.
    return cycles / fmas * waste_columns * waste_channels * machine.lanes / tile.lanes


def _strips(
    conv: ConvTranspose2d,
    tile: _RegisterTile,
    columns: int,
    max_rows: int,
    machine: CpuMachine,
    planes: int,
) -> Iterator[_Strip]:
    """Strips whose input, and sums if they are kept in scratch, stay in the level-2 cache.

    A single row is also cut into as many blocks of columns as there are threads: there are no other
    rows to share, and every thread that takes a part of the channels copies all of the input.
    """
    channel_tiles = -(-conv.group_outputs // tile.channels)
    tiles = -(-columns // tile.columns)
    splits = [d for d in range(1, channel_tiles + 1) if channel_tiles % d == 0]
    for height in range(1, max_rows + 1):
        in_bytes = 4 * conv.group_inputs * (height + conv.h.halo_extent)
        for split in splits:
            sums = planes * channel_tiles * tile.channels // split
            column_bytes = in_bytes + 4 * height * sums
            affordable = (machine.l2_bytes // column_bytes - conv.w.halo_extent) // tile.columns
            blocks = -(-tiles // max(affordable, 1))
            yield _Strip(height, -(-tiles // blocks), split)
            if max_rows == 1:
                yield _Strip(height, -(-tiles // _round_up(blocks, machine.threads)), split)


def _strip_cost(
    conv: ConvTranspose2d,
    tile: _RegisterTile,
    strip: _Strip,
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


def _imbalance(height: int, strip: _Strip, repeats: int, threads: int) -> float:
    """Work of the busiest thread over the mean; ``repeats`` pieces share each strip of rows."""
    strips = -(-height // strip.rows)
    pieces = strips * repeats * strip.channel_splits
    share = -(-pieces // threads)
    # Every strip but the last is whole; the busiest thread is one that has no last strip.
    busiest = share * strip.rows if share < pieces else height * repeats * strip.channel_splits
    return busiest * threads / (height * repeats * strip.channel_splits)


def _round_up(size: int, unit: int) -> int:
    return -(-size // unit) * unit
