"""Sizes of the loops of F(2x2, 2x2) of bytes, and what they cost.

Measured on a Xeon with AVX-512 VNNI, one thread beside other work, 64 channels to 64 of 128x128
behind a nearest resize by 2: 4.1 ms, 9.5 in the direct form. 16 vectors of outputs took 98 cycles
(perf), less than a fifth of the time; x lies in whole vectors, so products, most of the rest, come
near the peak.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from tvm_deconv.algebra.exact_winograd import OUTPUTS, POINTS, products_of
from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.cpu.dot import Dot
from tvm_deconv.schedules.cpu.integer.tile import (
    blocks_of,
    depth_of,
    free_sums,
    product_cycles,
    splits_of,
    strip_heights,
    waiting,
)
from tvm_deconv.schedules.variant import Sizes

if TYPE_CHECKING:
    from tvm_deconv.schedules.cpu.machine import CpuMachine

_MOST_VECTORS, _MOST_CHANNELS, _MOST_ROWS = 4, 16, 32
# Cycles of a vector: of outputs, of products that are stored and loaded again, of words that are
# packed and dealt to even columns and odd ones, of tiles that are transformed.
_OUTPUT, _KEPT, _SPREAD, _TRANSFORM = 6, 2, 4, 15
# Bytes that come from beyond a core's own cache in a cycle.
_FROM_AFAR = 8


@dataclass(frozen=True)
class PointsTile:
    """Sums of ``channels`` x ``vectors`` of tiles are in registers, of one product at a time.

    A strip has ``rows`` rows of tiles, which one thread transforms and computes at a time; or
    ``splits`` threads do, each for its share of the blocks of ``channels``, of which it is a
    divisor.
    """

    channels: int
    vectors: int
    rows: int
    splits: int = 1


def choose_points_tile(
    op: ConvTranspose2d, dot: Dot, sizes: Sizes, shared: bool, machine: CpuMachine
) -> tuple[PointsTile, float]:
    """The tile with the fewest cycles of the busiest thread, and these."""
    batch, down, _ = _tiles(op, sizes)
    best: tuple[float, PointsTile] | None = None
    shapes = product(
        range(1, _MOST_VECTORS + 1), range(1, min(_MOST_CHANNELS, op.out_channels) + 1)
    )
    for vectors, channels in shapes:
        if channels * vectors > free_sums(dot, vectors) and channels * vectors > 1:
            continue
        blocks = -(-op.out_channels // channels)
        for rows in strip_heights(down, _MOST_ROWS):
            splits = splits_of(blocks, batch * -(-down // rows), machine.threads)
            tile = PointsTile(channels, vectors, rows, splits)
            cycles = points_cycles(op, dot, sizes, tile, shared, machine)
            if best is None or cycles < best[0]:
                best = cycles, tile
    assert best is not None
    return best[1], best[0]


def points_cycles(
    op: ConvTranspose2d,
    dot: Dot,
    sizes: Sizes,
    tile: PointsTile,
    shared: bool,
    machine: CpuMachine,
) -> float:
    """Cycles of the busiest thread."""
    batch, down, across = _tiles(op, sizes)
    depth, outputs = depth_of(op, dot), OUTPUTS**2 * op.h.stride * op.w.stride
    height, width = products_of(op, shared)
    count = height.count * width.count
    blocks = -(-op.out_channels // tile.channels) // tile.splits
    vectors = _vectors(dot, across, tile.rows, tile.vectors)
    sums = tile.channels * tile.vectors
    loads = 1 / tile.vectors + 1 / tile.channels
    products = count * depth * product_cycles(dot, loads) * waiting(sums)
    stored = outputs * _OUTPUT + count * _KEPT
    computed = blocks * tile.channels * vectors * (products + stored)
    chunks = -(-across // dot.lanes)
    spread = (OUTPUTS * tile.rows + 1) * OUTPUTS * (chunks + 1) * _SPREAD
    read = depth * (spread * dot.group / 2 + tile.rows * chunks * _TRANSFORM)
    word = depth * dot.word_bits // 8
    # Weights are read for each strip, transformed samples for each block.
    weights = blocks * tile.channels * count * word
    samples = POINTS**2 * word * (vectors + 1) * dot.lanes
    fetched = weights if weights > machine.l2_bytes // 4 else 0
    fetched += blocks * samples if samples > machine.l2_bytes else 0
    pieces = batch * -(-down // tile.rows) * tile.splits
    return -(-pieces // machine.threads) * (computed + read + fetched / _FROM_AFAR)


def _tiles(op: ConvTranspose2d, sizes: Sizes) -> tuple[int, int, int]:
    """Batch, and rows and columns of tiles."""
    batch, rows, columns = blocks_of(op, sizes)
    down = -(-(rows + max(op.h.shifts)) // OUTPUTS)
    return batch, down, -(-(columns + max(op.w.shifts)) // OUTPUTS)


def _vectors(dot: Dot, across: int, rows: int, vectors: int) -> int:
    """Of tiles of a strip."""
    return -(-across * rows // (dot.lanes * vectors)) * vectors
