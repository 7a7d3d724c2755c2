"""Tile sizes of ``channels``, how they are chosen for a machine, and what a layer costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from statistics import fmean

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.cpu.tiling import MIN_WORK_PER_THREAD, blocks_of, lanes_of, round_up
from tvm_deconv.schedules.cpu.tiling_cycles import bytes_a_cycle
from tvm_deconv.schedules.typical import typical
from tvm_deconv.schedules.variant import Sizes

from .reach import Reach, reach_of

_MOST_VECTORS, _MOST_PIXELS = 4, 30
_ROWS = (*range(1, 17), 20, 24, 28, 32)


@dataclass(frozen=True)
class _Costs:
    """In cycles of one multiply-add.

    Of a load: ``weights`` are a vector of them from the level-2 cache, where those of a tile mostly
    are, and ``inputs`` lie beside others. Of a vector: ``copy`` to scratch, ``store`` with the
    transposition before it, ``interleave`` more where the width has phases, and ``carry``: to set a
    register to zero, or to what the block before left, and to leave it for the next. ``busy`` are
    how many sums have to be under way.
    """

    weights: float
    inputs: float
    copy: float
    store: float
    carry: float
    busy: int
    interleave: float = 0.0


# A latency of 4 cycles at 2 multiply-adds in a cycle. With less for copies and stores, 1x1 layers
# were taken (56->12 at 224x224, 128->64 at 256x256) that took 1.1 to 1.4 times as long as with
# ``revd2`` on one and on two threads of an Intel Xeon.
_COSTS = _Costs(0.8, 0.03, 7.0, 16.0, 2.0, 8)
# Of an Intel Xeon (model 207), one thread: deconvolutions of kernel 2 and stride 2 of 64 to 512
# channels store a vector in 22 to 40 more, of volumes in 90 to 105, where lines of output come from
# memory. With 55 the faster one of this and ``revd2`` is taken of all 12 that were measured. Zen 5
# starts shuffles beside what else it does: of twelve such layers, phases take nothing more there.
_COSTS_OF_INTEL = replace(_COSTS, interleave=55.0)
# Of AVX2, fitted to 17 layers: code for Haswell on an Intel Xeon (Emerald Rapids), one thread.
# Haswell's latency is 5 cycles.
_COSTS_OF_FEW_REGISTERS = _Costs(1.0, 0.05, 5.5, 20.0, 2.0, 10)
# Of ARM, where each input is a load of its own, by LLVM's models of the whole kernels: beside a
# multiply-add it takes 0.3 to 0.7 on Cortex-A55, which starts instructions in order, and next to
# nothing on A72. A copy costs what it does in ``revd2``: 1x1 56->12 at 64x64 is faster there.
_COSTS_OF_ARM = replace(_COSTS, inputs=0.3, copy=12.0)


def _costs_of(machine: CpuMachine) -> _Costs:
    if machine.has_few_registers:
        return _COSTS_OF_FEW_REGISTERS
    if not machine.memory_operands:
        return _COSTS_OF_ARM
    return _COSTS_OF_INTEL if machine.has_wide_avx512 and not machine.is_zen5 else _COSTS


# Input channels whose weights are worth another round over the sums.
_LEAST_INPUTS = 16


@dataclass(frozen=True)
class PixelTile:
    """Sizes of the loop nest in ``write``.

    The register tile is ``vectors`` of ``lanes`` output channels, for ``lines`` x ``columns`` block
    pixels of one phase. A strip has ``rows`` block rows, rounded up to whole register tiles.
    ``inputs`` input channels are added up at a time. ``splits`` strips of equal place run in
    parallel, each with its share of the tiles of output channels, whose number it divides.
    """

    lanes: int
    vectors: int
    columns: int
    lines: int
    rows: int
    inputs: int
    splits: int = 1
    parallel: bool = True

    @property
    def channels(self) -> int:
        """Output channels of a register tile."""
        return self.lanes * self.vectors

    @property
    def whole_rows(self) -> int:
        """Rows of a strip."""
        return round_up(self.rows, self.lines)

    @property
    def sums(self) -> int:
        """Registers of a tile."""
        return self.vectors * self.lines * self.columns


def choose_pixels(conv: ConvTranspose2d, sizes: Sizes, machine: CpuMachine) -> PixelTile:
    """Tile sizes for a layer."""
    register = min(
        _register_tiles(conv, machine), key=lambda tile: _register_cost(conv, sizes, tile, machine)
    )
    return min(
        _strips(conv, sizes, register, machine),
        key=lambda tile: pixel_cycles(conv, sizes, tile, machine),
    )


def pixel_cycles(
    conv: ConvTranspose2d, sizes: Sizes, tile: PixelTile, machine: CpuMachine
) -> float:
    """Cycles of the busiest thread that the model expects; a free size counts as a typical one."""
    threads = machine.threads if tile.parallel else 1
    heights, widths = _typical(conv, sizes)
    reach = reach_of(conv, sizes, tile.lines, tile.columns)
    found = []
    for height, width in product(heights, widths):
        strips = -(-height // tile.whole_rows)
        pieces = (sizes.batch or 1) * strips * conv.groups * tile.splits
        whole = min(height, tile.whole_rows)
        found.append(-(-pieces // threads) * _piece_cycles(reach, tile, whole, width, machine))
    return fmean(found)


def _piece_cycles(
    reach: Reach, tile: PixelTile, rows: int, columns: int, machine: CpuMachine
) -> float:
    """Cycles of one strip of so many block rows and columns, for one share of its channels."""
    conv = reach.conv
    inputs, phases = conv.group_inputs, conv.h.stride * conv.w.stride
    tiles = -(-conv.group_outputs // tile.channels) // tile.splits
    places = -(-rows // tile.lines) * -(-columns // tile.columns)
    taps = conv.h.useful_taps * conv.w.useful_taps
    blocks = -(-inputs // tile.inputs)
    sums = reach.share * tiles * places * inputs * taps * _step_cycles(tile, machine)
    costs = _costs_of(machine)
    sums += tiles * places * phases * tile.sums * blocks * costs.carry
    outputs = tiles * tile.channels * rows * columns * phases
    copied = inputs * reach.copied_rows(rows) * reach.copied_columns(columns)
    store = costs.store + costs.interleave * (conv.w.stride > 1)
    moved = (store * outputs + costs.copy * copied) / tile.lanes
    weights = 4 * tiles * tile.channels * inputs * taps
    kept = 4 * outputs if blocks > 1 else 0
    # What a block of inputs passes through the cache, again and again for each tile of channels.
    near = 4 * copied // blocks
    far = 0.0
    if near > machine.l2_bytes // 2:
        # Read for each tile of channels, and not fetched ahead. Of what is read over and over, none
        # is left if it fills the cache. 3x3 stride 2 32->64 from 256x256 takes 4.8 ms in one strip
        # and 3.2 in any of 3 to 30 rows (Zen 5, one thread).
        missing = min(1.0, 2 * near / machine.l2_bytes - 1)
        moved += missing * 4 * copied * tiles / bytes_a_cycle(machine)
    elif blocks > 1:
        far += 4 * copied + (2 * blocks * kept if near + kept > machine.l2_bytes else 0)
    if weights + 4 * copied > machine.l2_bytes:
        far += weights
        # Those of a phase, and of the next one, which are fetched ahead: they are read once for
        # each tile of pixels, and had better stay.
        at_once = 4 * 2 * tile.channels * taps // phases * tile.inputs
        far += weights * (places - 1) * (at_once >= machine.l2_bytes)
    # All that is left of it is fetched ahead.
    return max(sums + moved, far / bytes_a_cycle(machine))


def _step_cycles(tile: PixelTile, machine: CpuMachine) -> float:
    """Cycles of one tap of an input channel: its products, or its loads."""
    pixels = tile.lines * tile.columns
    loads, costs = tile.vectors + pixels, _costs_of(machine)
    cycles = max(tile.sums, loads / machine.loads_per_multiply_add, costs.busy)
    return cycles + costs.weights * tile.vectors + costs.inputs * pixels


def _register_tiles(conv: ConvTranspose2d, machine: CpuMachine) -> Iterator[PixelTile]:
    """Tiles whose sums, weights and one input are in registers at once.

    On ARM some inputs more, which a core that starts instructions in order loads ahead: for
    Cortex-A53 LLVM spills of 28 sums and a vector of weights, and the kernel takes 2.08 cycles for
    each multiply-add (by the model of A55), with 24 sums 1.36.
    """
    spare = int(machine.has_few_registers) if machine.memory_operands else 4
    for lanes, vectors in product(lanes_of(machine), range(1, _MOST_VECTORS + 1)):
        for columns, lines in product(range(1, _MOST_PIXELS + 1), range(1, 9)):
            pixels = columns * lines
            fits = vectors * pixels + vectors + spare < machine.vector_registers
            if (fits and pixels <= _MOST_PIXELS) or vectors * pixels == 1:
                yield PixelTile(lanes, vectors, columns, lines, lines, conv.group_inputs)


def _register_cost(
    conv: ConvTranspose2d, sizes: Sizes, tile: PixelTile, machine: CpuMachine
) -> tuple[float, int, int]:
    """Cycles for each useful product of a vector, up to a factor; of equals, the plainest tile."""
    heights, widths = _typical(conv, sizes)
    cost = _step_cycles(tile, machine) / (tile.lines * tile.columns * tile.channels)
    cost *= _waste(heights, tile.lines) * _waste(widths, tile.columns)
    cost *= reach_of(conv, sizes, tile.lines, tile.columns).share
    cost *= round_up(conv.group_outputs, tile.channels) / conv.group_outputs
    return round(cost, 6), tile.lines, tile.sums


def _strips(
    conv: ConvTranspose2d, sizes: Sizes, register: PixelTile, machine: CpuMachine
) -> Iterator[PixelTile]:
    heights, widths = _typical(conv, sizes)
    reach = reach_of(conv, sizes, register.lines, register.columns)
    tiles = -(-conv.group_outputs // register.channels)
    splits = [n for n in range(1, 4 * machine.threads + 1) if tiles % n == 0]
    work = conv.multiply_adds(
        sizes.batch or 1, sizes.height or max(heights), sizes.width or max(widths)
    )
    parallel = machine.threads > 1 and work >= 2 * MIN_WORK_PER_THREAD
    taps = conv.h.useful_taps * conv.w.useful_taps
    most = max(heights)
    for rows in sorted({min(round_up(n, register.lines), most) for n in (*_ROWS, most)}):
        plane = reach.copied_rows(round_up(rows, register.lines))
        plane *= reach.copied_columns(round(fmean(widths)))
        near = machine.l2_bytes // 2 // (4 * (plane + taps * register.channels))
        parts = -(-conv.group_inputs // max(near, _LEAST_INPUTS))
        inputs = -(-conv.group_inputs // parts)
        for share in splits if parallel else [1]:
            yield PixelTile(
                register.lanes,
                register.vectors,
                register.columns,
                register.lines,
                rows,
                inputs,
                share,
                parallel,
            )


@lru_cache(maxsize=256)
def _typical(conv: ConvTranspose2d, sizes: Sizes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Block rows and columns to do well on: those of the sizes, or typical ones."""
    heights, widths = typical(sizes)
    return (
        tuple(blocks_of(conv.h, conv.step[0], n) for n in heights),
        tuple(blocks_of(conv.w, conv.step[1], n) for n in widths),
    )


@lru_cache(maxsize=1024)
def _waste(sizes: tuple[int, ...], unit: int) -> float:
    """How much longer ``sizes`` are in whole ``unit``s, on average."""
    return fmean(round_up(n, unit) / n for n in sizes)
