"""Cycles of Winograd's form in a tile, by its stages; a vector's multiply-add takes one."""

from __future__ import annotations

from functools import cache
from itertools import product
from math import prod
from typing import Any

import numpy as np

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.winograd import is_line
from tvm_deconv.schedules.cache_lines import LINE
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.tir.straight_line import prime_factors
from tvm_deconv.schedules.typical import typical
from tvm_deconv.schedules.variant import Sizes

from .layout import Layout
from .stage_cycles import cycles_of
from .tile import MOST_FETCHED, WinogradTile, least

# Sums that have to be under way at once. With as many as the latency asks for, two vectors by four
# rows, products take longer on an Intel Xeon (model 207): two by six are 4 to 9 % faster for 256
# channels of 14x14 to 64x64, and no faster for 64 and 128.
_BUSY, _BUSY_WIDE = 8, 8.25

# Strips of volumes may be as large as the level-3 cache, which others use, too: on an Intel Xeon
# (model 207, beside other programs) 192 channels of 32x32x32 took twice as long in strips of 60 MB
# as in strips of 11 to 18, 96 of 64x64x64 1.08 times as long in strips of 29 as in strips of 4.
_CROWDED_BY_SLICES = 2


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
