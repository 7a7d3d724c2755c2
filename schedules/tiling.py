"""Tile sizes of the direct template: the numbers, and how they are chosen for a machine."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from tvm_deconv.geometry import ConvTranspose2d

from .machine import CpuMachine

# Below this many multiply-adds for each core, waking the other cores costs more than they save:
# a parallel region costs about 5 us, in which one core does about 0.25 M multiply-adds.
_MIN_WORK_PER_THREAD = 250_000

# The inner loop is written out in full. Beyond this many multiply-adds it no longer fits the
# level-1 instruction cache (about 8 bytes each in 32 KiB), and compiling it takes seconds.
_MAX_UNROLLED = 1024

# Sizes assumed for a dimension that is not known at compile time.
_UNKNOWN_ROWS, _UNKNOWN_COLUMNS = 256, 256


@dataclass(frozen=True)
class Tiling:
    """Sizes of the loop nest in ``direct``.

    The register tile is ``channels`` x (phases: ``stride_w``, and ``stride_h`` too if
    ``inner_fh``) x ``vectors`` accumulators of ``lanes`` columns. A strip has ``rows`` block rows and
    ``column_tiles`` register tiles; ``channel_splits`` strips of equal place run in parallel, each
    with its share of the output channels. ``unroll_th`` writes out the taps in height too.
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

    @property
    def tile_columns(self) -> int:
        return self.vectors * self.lanes

    @property
    def block_columns(self) -> int:
        return self.column_tiles * self.tile_columns


def choose_tiling(
    conv: ConvTranspose2d,
    batch: int | None,
    height: int | None,
    width: int | None,
    machine: CpuMachine,
) -> Tiling:
    """Tile sizes for a layer; ``None`` stands for a size that is not known at compile time."""
    columns = conv.w.blocks(width) if width is not None else _UNKNOWN_COLUMNS
    total_rows = conv.h.blocks(height) if height is not None else _UNKNOWN_ROWS
    out_group, in_group = conv.out_channels // conv.groups, conv.in_channels // conv.groups
    lanes, vectors, channels, inner_fh = _register_tile(conv, columns, out_group, machine)

    tile_columns = lanes * vectors
    tiles = -(-columns // tile_columns)
    rows, column_tiles = _strip(conv, in_group, total_rows, tiles, tile_columns, machine)

    channel_tiles = -(-out_group // channels)
    strips = (batch or 1) * conv.groups * -(-total_rows // rows) * -(-tiles // column_tiles)
    splits = _channel_splits(channel_tiles, strips, machine)
    work = conv.multiply_adds(batch or 1, height or _UNKNOWN_ROWS, width or _UNKNOWN_COLUMNS)
    uneven_h = len({len(conv.h.taps(f)) for f in range(conv.h.stride)}) > 1
    accumulators = vectors * channels * conv.w.stride * (conv.h.stride if inner_fh else 1)
    return Tiling(
        lanes=lanes,
        vectors=vectors,
        channels=channels,
        rows=rows,
        column_tiles=column_tiles,
        inner_fh=inner_fh,
        unroll_fh=uneven_h and not inner_fh,
        unroll_th=uneven_h or accumulators * conv.h.max_taps * conv.w.max_taps <= _MAX_UNROLLED,
        channel_splits=splits,
        parallel=machine.threads > 1 and work >= 2 * _MIN_WORK_PER_THREAD,
    )


def _register_tile(
    conv: ConvTranspose2d, columns: int, out_group: int, machine: CpuMachine
) -> tuple[int, int, int, bool]:
    """(lanes, vectors, channels, inner_fh) of the lowest cost for each useful output."""
    return min(_register_tiles(conv, columns, out_group, machine), key=lambda pair: pair[0])[1]


def _register_tiles(conv, columns, out_group, machine):
    lane_choices = [n for n in (16, 8, 4) if n <= machine.lanes]
    for lanes, inner_fh in product(lane_choices, (False, True)):
        if inner_fh and conv.h.stride == 1:
            continue
        phases = conv.w.stride * (conv.h.stride if inner_fh else 1)
        for vectors, channels in product(range(1, 9), range(1, 17)):
            accumulators = phases * vectors * channels
            if accumulators > _max_accumulators(machine) or channels > out_group:
                if (vectors, channels) != (1, 1):
                    continue
            cost = _tile_cost(conv, columns, out_group, machine, lanes, vectors, channels, inner_fh)
            yield cost, (lanes, vectors, channels, inner_fh)


def _max_accumulators(machine: CpuMachine) -> int:
    """Accumulators that leave room for the input vectors and a few broadcast weights.

    TVM moves a buffer of more than 1 KiB from the stack to its workspace, and LLVM then keeps
    accumulators in memory: with 24 of 64 bytes the speed halves (nearest x2 64->64 on Zen 4).
    """
    registers = 20 if machine.vector_registers >= 32 else 12
    return min(registers, 1024 // (4 * machine.lanes))


def _tile_cost(conv, columns, out_group, machine, lanes, vectors, channels, inner_fh) -> float:
    """Cycles for each useful lane of work, up to a factor; a step of the reduction over one ic.

    One fused multiply-add and two loads start in a cycle. A weight is loaded once for ``vectors``
    uses, an input vector once for each distinct column offset and row.
    """
    fh = conv.h.stride if inner_fh else 1
    fmas = vectors * channels * fh * conv.w.stride * conv.h.max_taps * conv.w.max_taps
    low, high = conv.w.halo
    distinct_columns = (high - low) // max(conv.w.tap_step, 1) + 1
    distinct_rows = conv.h.max_taps + (1 if inner_fh and conv.h.stride > 1 else 0)
    input_loads = vectors * distinct_rows * distinct_columns
    weight_loads = fmas // vectors
    # A latency of 4 cycles at 2 multiply-adds in a cycle needs 8 independent accumulators.
    accumulators = vectors * channels * fh * conv.w.stride
    starved = max(1.0, 8 / accumulators)
    cycles = max(fmas * starved, (input_loads + weight_loads) / 1.0)
    cycles += 0.15 * (input_loads + weight_loads)
    tiles = -(-columns // (vectors * lanes))
    waste_columns = tiles * vectors * lanes / columns
    waste_channels = -(-out_group // channels) * channels / out_group
    # Half-width vectors do half the work in an instruction.
    return cycles / fmas * waste_columns * waste_channels * machine.lanes / lanes


def _strip(conv, in_group, total_rows, tiles, tile_columns, machine) -> tuple[int, int]:
    """(rows, column tiles) of a strip: its input stays in half of the level-2 cache."""
    budget = machine.l2_bytes // 2
    halo_rows = conv.h.halo[1] - conv.h.halo[0]
    halo_columns = conv.w.halo[1] - conv.w.halo[0]
    rows = min(8, total_rows)
    row_bytes = 4 * in_group * (rows + halo_rows)
    affordable = max(1, (budget // row_bytes - halo_columns) // tile_columns)
    if affordable < tiles and affordable * tile_columns < 128:
        # Narrow blocks would reload their halo too often: rather fewer rows.
        rows = min(4, total_rows)
        row_bytes = 4 * in_group * (rows + halo_rows)
        affordable = max(1, (budget // row_bytes - halo_columns) // tile_columns)
    blocks = -(-tiles // affordable)
    return rows, -(-tiles // blocks)


def _channel_splits(channel_tiles: int, strips: int, machine: CpuMachine) -> int:
    """Ways to split the output channels so that every thread has about four pieces of work."""
    if strips >= 4 * machine.threads:
        return 1
    wanted = -(-4 * machine.threads // strips)
    divisors = [d for d in range(1, channel_tiles + 1) if channel_tiles % d == 0]
    return next((d for d in divisors if d >= wanted), divisors[-1])
