"""Cycles of Winograd's form in a tile, by its stages; a vector's multiply-add takes one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from math import inf, prod
from typing import Any

import numpy as np

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.winograd import is_line
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.tir.straight_line import prime_factors
from tvm_deconv.schedules.typical import typical
from tvm_deconv.schedules.variant import Sizes

from .tile import LINE, MOST_FETCHED, Layout, WinogradTile, least


@dataclass(frozen=True)
class StageCycles:
    """Cycles of a vector of tiles or of outputs, and bytes in a cycle.

    Copying a vector of input, on its way from memory, takes ``read``, and each of the shuffles that
    deal it out ``deal``. Transforming a vector of tiles takes ``transform`` for each point, and
    back ``invert``. In a row of tiles that does not begin with a whole vector, most vectors lie in
    two cache lines, and take ``split_transform`` and ``split_invert`` more. Storing a vector of
    outputs takes ``store``, ``unfetched`` more where its line was not prefetched, and each of the
    shuffles that interleave it ``interleave``. A vector of a register tile takes ``drain`` to be
    set to zero and stored, each load for a multiply-add ``load``, and one of samples or of products
    ``deep`` to be transformed along the depth of a volume.

    The others are bytes in a cycle: of ``weights``, which are prefetched, and of ``scratch``, each
    between a core and the level-3 cache and between a core and memory; and of scratch in the
    level-2 cache ``loads``. Of that cache ``near`` times what may be counted on is. Products, of
    which all points are read in turn, count ``scattered`` times beyond it. If ``far_part`` is not
    0, one of so many parts of the level-3 cache counts, and of a strip that takes more only what is
    too much comes from memory.
    """

    read: float
    deal: float
    transform: float
    invert: float
    split_transform: float
    split_invert: float
    store: float
    unfetched: float
    interleave: float
    drain: float
    deep: float
    load: float
    weights: tuple[float, float]
    scratch: tuple[float, float]
    loads: float
    near: int = 1
    scattered: int = 1
    far_part: int = 0


# Of one Zen 4 core (EPYC, AVX-512), fitted to the times of 120 tiles for ten layers, plain,
# sub-pixel, nearest and transposed, with 32 to 256 channels; the model is 10 % away from a time on
# average, which is about what two runs on that machine differ by. Split vectors make no difference
# to the 1,079 times of its tuning log; lines were not prefetched then.
_AVX512 = StageCycles(
    read=5,
    deal=4,
    transform=13,
    invert=5,
    split_transform=0,
    split_invert=0,
    store=8,
    unfetched=0,
    interleave=4,
    drain=5,
    deep=6,
    load=0.03,
    weights=(30, 4),
    scratch=(10, 4),
    loads=inf,
)
# Lines are transformed along one axis, and their rows of scratch lie far apart.
_AVX512_LINES = replace(_AVX512, transform=7, invert=3, scratch=(4, 4), loads=64)

# Of an Intel Xeon (model 207, AVX-512), where a core loads and computes twice as many whole vectors
# in a cycle, and a shuffle starts in each: fitted to 853 tiles for twenty layers, one thread. The
# model is 11 % away from a time there, with Zen 4's shuffles and loads 14 %. Of the tiles of a
# layer that these prefer, its first is 1.4 % slower than the fastest on average, theirs 6.4; of all
# tiles of a layer that were measured together 1.3 and 3.8 %.
_INTEL = replace(
    _AVX512,
    read=8,
    deal=1.3,
    split_transform=12,
    split_invert=6,
    store=10,
    unfetched=6,
    interleave=1.4,
    drain=2,
    load=0.2,
    loads=100,
)
# Lines there: fitted to 430 tiles for 21 layers of 3 to 15 taps, one thread. They may fill all of
# the level-2 cache, of which half counts (``cpu.machine``). The model is 9 % away from a time, and
# what it takes first 3 % slower than the best on average; with Zen 4's numbers 23 % and 6 %.
_INTEL_LINES = replace(_AVX512_LINES, transform=3, unfetched=18, scratch=(6, 4), near=2)

# Pictures on Zen 5 (EPYC, family 26 model 2) fare with Intel's but for this, by 555 tiles for 22
# layers, two threads of an idle machine: of the tiles of a layer the first is 0.3 % slower than the
# best on average, with Intel's numbers 1.7. Shuffles start beside what else a core does. What is
# transformed is read in order by each block of channels, so it comes ahead of its use from the
# level-3 cache; products lie in a place for each point, and do not. So blocks of not too many
# channels are faster: 256->256 behind a resize by 2 takes 0.88 of the time with 32 in place of 64.
# The level-3 cache is everybody's: half of a core's share counts. Volumes fare alike: of 52 tiles
# of six layers (one thread, CPU time beside other programs) the first is 5 % slower than the best
# on average, with Intel's numbers 30: 96->32 channels of 64x64x64 have strips of 7 MB, not of 220,
# and take 0.59 of the time, 64->64 of 32x32x32 0.67.
_ZEN5 = replace(
    _INTEL,
    deal=0.5,
    split_transform=6,
    split_invert=3,
    interleave=0.5,
    scratch=(30, 8),
    scattered=6,
    far_part=2,
)
# Of lines there the shuffles are as for pictures: of 46 tiles of five lines, beside other programs,
# the first is 3.7 % slower than the fastest on average, which was 5.7.
_ZEN5_LINES = replace(_INTEL_LINES, deal=1.3, interleave=1.4)

# Of AVX2, where two multiply-adds start in a cycle and none of the shuffles takes two registers:
# fitted to 110 tiles for 13 layers, code for Haswell on an Intel Xeon (Emerald Rapids), one thread.
# The model is 16 % away on average with that processor's caches. Of lines none was measured: what
# they take is half of the above, since a cycle has two multiply-adds. What split vectors and lines
# that are not prefetched take was fitted to 288 tiles for ten layers likewise, two threads.
_AVX2 = StageCycles(
    read=4,
    deal=3.5,
    transform=6.5,
    invert=2.6,
    split_transform=5,
    split_invert=3,
    store=8.5,
    unfetched=18,
    interleave=9.5,
    drain=2.4,
    deep=4,
    load=0.03,
    weights=(15, 5),
    scratch=(4, 2.5),
    loads=inf,
)
_AVX2_LINES = replace(
    _AVX2,
    transform=3.5,
    invert=1.5,
    split_transform=0,
    split_invert=0,
    scratch=(2, 2),
    loads=32,
)


# Sums that have to be under way at once. With as many as the latency asks for, two vectors by four
# rows, products take longer on an Intel Xeon (model 207): two by six are 4 to 9 % faster for 256
# channels of 14x14 to 64x64, and no faster for 64 and 128.
_BUSY, _BUSY_WIDE = 8, 8.25

# Strips of volumes may be as large as the level-3 cache, which others use, too: on an Intel Xeon
# (model 207, beside other programs) 192 channels of 32x32x32 took twice as long in strips of 60 MB
# as in strips of 11 to 18, 96 of 64x64x64 1.08 times as long in strips of 29 as in strips of 4.
_CROWDED_BY_SLICES = 2


def cycles_of(machine: CpuMachine, line: bool) -> StageCycles:
    """Those of the machine's kind, for lines or for pictures and volumes."""
    if machine.has_few_registers:
        return _AVX2_LINES if line else _AVX2
    if machine.is_zen5:
        return _ZEN5_LINES if line else _ZEN5
    if machine.has_wide_avx512:
        return _INTEL_LINES if line else _INTEL
    return _AVX512_LINES if line else _AVX512


def tile_cycles(
    conv: ConvTranspose2d, sizes: Sizes, tile: WinogradTile, machine: CpuMachine
) -> float:
    """Cycles of the busiest thread that the model expects; a free size counts as a typical one.

    Where fields other than ``outputs`` are arrays, so is the result: what follows has operators
    only, and of them those that give one number the bits that they give an array.
    """
    layout = Layout(conv, tile)
    heights, widths = typical(sizes)
    threads = machine.threads if tile.parallel else 1
    piece = _piece_cycles(layout, machine)
    deep, slices = 1, layout.depth_slices
    if slices is not None:
        deep, heights = layout.d.strips(slices.depth), (slices.height,)
    rows, columns = map(layout.h.strips, heights), map(layout.w.strips, widths)
    shares = [(sizes.batch or 1) * deep * down * across for down, across in product(rows, columns)]
    kinds = layout.h.kinds * conv.groups * tile.channel_splits
    pieces = [share * kinds for share in shares]
    return sum(-(-count // threads) for count in pieces) / len(pieces) * piece


def _piece_cycles(layout: Layout, machine: CpuMachine) -> float:
    """Cycles of one strip, for one share of its channels."""
    tile, conv, d, h, w = layout.tile, layout.conv, layout.d, layout.h, layout.w
    lanes, inputs = tile.lanes, layout.group_inputs
    points, products_a_row = d.points * h.points * w.filter.transformed, prod(layout.products)
    blocks = -(-layout.blocks // tile.channel_splits)
    read_lines = d.positions * h.positions * layout.residues // layout.abreast
    lines = d.tiles * h.tiles * layout.residues
    tile_vectors = lines * layout.output_chunks * d.outputs
    line = is_line(conv)
    takes = cycles_of(machine, line)

    deal = takes.read + takes.deal * _shuffles(w.unit)
    # What a row begins and ends with takes about as long as one more vector of tiles.
    samples = inputs * d.positions * d.points * h.inputs * layout.spread / lanes * w.unit
    if d.points > 1:
        rows = layout.dealt_rows * layout.chunks * layout.tile_samples
        samples = inputs * d.positions * d.points * rows
    read = samples * deal
    transform = inputs * read_lines * layout.chunks * points * takes.transform
    split = inputs * _split(read_lines, w.positions, lanes) * layout.chunks
    transform = transform + split * points * takes.split_transform
    rows = blocks * layout.rows
    vectors = layout.strip_tiles // lanes
    sums = inputs * layout.pieces
    # What is added to another part is in the level-1 cache: 0 to 5 % for parts of 16 to 64 terms.
    drain = takes.drain + layout.parts - 1
    each = sums * register_cycles(tile, machine, line) + drain
    multiply = products_a_row * rows * vectors * each
    used = least(blocks * tile.block, conv.group_outputs) * layout.phases
    of_slice = h.points * w.points
    invert = used * tile_vectors * of_slice * takes.invert
    split = used * _split(lines, w.positions, lanes) * layout.output_chunks * d.outputs
    invert = invert + split * of_slice * takes.split_invert
    interleave = takes.store + takes.interleave * _shuffles(w.unit * w.axis.stride)
    interleave = interleave + takes.unfetched * (layout.fetched_lines(LINE) > MOST_FETCHED)
    store = used * tile_vectors * h.outputs * w.outputs * interleave
    if d.points > 1:
        # Transformed tiles of all points of the depth are written in turn.
        transform = transform + inputs * read_lines * layout.chunks * points * takes.deep
        read = read + samples * takes.deep
        invert = invert + rows * products_a_row * vectors * takes.deep

    weights = 4 * products_a_row * rows * sums
    transformed = 4 * h.points * w.filter.transformed * inputs * layout.transform_pitch
    products = 4 * products_a_row * layout.rows * layout.pitch
    resident = transformed + products + weights // blocks
    near = _near(conv, machine)
    moved = _stream(weights, weights, takes.weights, near, machine)
    written_and_read = (1 + blocks) * transformed + 2 * blocks * products
    crowding = 0 if layout.depth_slices is None else _CROWDED_BY_SLICES
    moved += _stream(
        resident,
        written_and_read + 2 * blocks * products * (takes.scattered - 1),
        takes.scratch,
        near,
        machine,
        in_turn=line,
        crowding=crowding,
        far_part=takes.far_part,
    )
    if not line:
        moved += written_and_read / takes.loads
    else:
        # Those of a point are read again for each register tile of rows.
        loaded = written_and_read + blocks * (layout.row_steps - 1) * transformed
        beyond = 1 - machine.l1_bytes / resident
        moved += loaded * (beyond * (beyond > 0)) / takes.loads
    return read + transform + multiply + invert + store + moved


def _split(rows: int, positions: int, lanes: int) -> Any:
    """How many of ``rows`` of tiles, one right after the other, begin within a vector.

    Of rows of which two fit into a vector it does not matter: they lie in lines that are at hand.
    """
    period = lanes // np.gcd(positions, lanes)
    return (2 * positions > lanes) * (rows + -rows // period)


@cache
def _shuffles(count: int) -> int:
    """Shuffles of two registers for each vector that ``StraightLine.interleave`` makes."""
    return sum(factor - 1 for factor in prime_factors(count))


def _near(conv: ConvTranspose2d, machine: CpuMachine) -> int:
    """Bytes of the level-2 cache that the model counts on.

    Rows of input and of output pass through it. Measured on an Intel Xeon (Emerald Rapids), one
    thread beside other programs: where 7/8 count, three layers of 28 and 32 channels take 0.74 to
    0.93 of the time and one of 128 1.04; where 2/3 do, three of 64 and 256 take 1.03 to 1.18. Of
    seven lines three take 1.13 to 1.28 of it where 7/8 count, and three 0.94 to 0.96. On Zen 4,
    where fewer multiply-adds hide more, the whole cache is nearer to the times of the tuning log.
    """
    if is_line(conv):
        return machine.l2_bytes * cycles_of(machine, line=True).near
    few = machine.loads_per_multiply_add == 1
    return machine.l2_bytes * 7 // 8 if few else machine.l2_bytes


def _stream(
    held: float,
    moved: float,
    bytes_a_cycle: tuple[float, float],
    near: int,
    machine: CpuMachine,
    in_turn: bool = False,
    crowding: int = 0,
    far_part: int = 0,
) -> float:
    """Cycles to move ``moved`` bytes of data that take ``held`` bytes, beyond the level-2 cache.

    ``near`` bytes of that count; ``bytes_a_cycle`` are those of the level-3 cache and of memory,
    where data lie that fit into neither cache, and of less ``crowding`` times its share of them, or
    what one ``far_part`` of the level-3 cache does not hold. Of data that are read ``in_turn``,
    over and over, none is left there when it is read again if they fill the level-2 cache, and all
    if they fill half of it.
    """
    share = held / (machine.l2_bytes + machine.l3_bytes)
    if far_part:
        beyond = 1 - (machine.l2_bytes + machine.l3_bytes // far_part) / held
        beyond = beyond * (beyond > 0)
    else:
        beyond = least(crowding * share, 1.0) if crowding else share > 1
    cached, uncached = bytes_a_cycle
    missing = least(2 * held / near - 1, 1.0) if in_turn else 1 - near / held
    return moved * (missing * (missing > 0)) * (beyond / uncached + (1 - beyond) / cached)


def register_cycles(tile: WinogradTile, machine: CpuMachine, line: bool) -> float:
    """Cycles for each vector's multiply-add, of which one starts in a cycle."""
    accumulators = tile.vectors * tile.channels
    busy = _BUSY_WIDE if machine.has_wide_avx512 else _BUSY
    starved = np.maximum(1.0, busy / accumulators)
    loads = (tile.vectors + _weight_loads(tile)) / accumulators
    slowed = np.maximum(1.0, loads / machine.loads_per_multiply_add)
    return starved * slowed + cycles_of(machine, line).load * loads


def _weight_loads(tile: WinogradTile) -> int:
    """Loads that bring the weights of one input channel for a register tile."""
    saved = tile.channels - tile.channels // tile.lanes
    return tile.channels - tile.weight_vectors * saved
