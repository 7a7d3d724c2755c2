"""Sizes of the loops of Winograd's form of bytes, and what they cost.

Measured on a Xeon with AVX-512 VNNI, one thread beside other work, 64 channels to 64 of 128x128
behind a nearest resize by 2: 4.1 ms, 9.5 in the direct form. 16 vectors of outputs took 98 cycles
(perf), less than a fifth of the time; x lies in whole vectors, so products, most of the rest, come
near the peak.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import inf
from typing import TYPE_CHECKING

from tvm_deconv.algebra.exact_winograd import additions, products_of, schemes_of
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


@dataclass(frozen=True)
class _Costs:
    """Cycles of a vector: of outputs, of outputs whose ``unit`` is undone, of products that are
    stored and loaded again, of words that are packed and dealt to columns apart, of samples that
    are loaded and stored at a point, of a sum; and of outputs of float32, more for each vector
    beside it, since those of a strip leave the level-1 cache.

    ``near`` is how many bytes come from the level-2 cache in a cycle, and ``afar`` from beyond it.
    """

    output: float
    undone: float
    kept: float
    spread: float
    sample: float
    sum: float
    beside: float
    near: float
    afar: float


# Fitted to six layers of 32 to 128 channels, stored as bytes and as float32, on the Xeon above: ten
# of twelve times are met within 6 %, two by 17 %.
_COSTS = _Costs(7, 20, 2, 12, 5, 0.7, 5, inf, 8)
# By samples (perf) of a layer of 64 channels of 96x96 on Zen 5, whose products run at the peak;
# what comes from caches by other tiles of it, and by one of 224x224; float32 by two layers more.
_COSTS_OF_ZEN5 = _Costs(3.5, 4, 0.5, 4.2, 1.4, 0.25, 2.5, 28, 16)
# Of the level-2 cache samples have so much there, and what does not fit is fetched.
_ROOM = 0.75


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
    op: ConvTranspose2d,
    dot: Dot,
    sizes: Sizes,
    shared: bool,
    machine: CpuMachine,
    own: str = "uint8",
) -> tuple[PointsTile, float]:
    """The tile with the fewest cycles of the busiest thread, and these.

    ``own`` is the dtype of outputs (``Store``).
    """
    batch, down, _ = tiles_of(op, sizes)
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
            cycles = points_cycles(op, dot, sizes, tile, shared, machine, own)
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
    own: str = "uint8",
) -> float:
    """Cycles of the busiest thread."""
    batch, down, across = tiles_of(op, sizes)
    down_scheme, across_scheme = schemes_of(op)
    outputs = across_scheme.outputs * down_scheme.outputs * op.h.stride * op.w.stride
    points, depth = down_scheme.points * across_scheme.points, depth_of(op, dot)
    height, width = products_of(op, shared)
    count = height.count * width.count
    blocks = -(-op.out_channels // tile.channels) // tile.splits
    vectors = _vectors(dot, across, tile.rows, tile.vectors)
    sums = tile.channels * tile.vectors
    loads = 1 / tile.vectors + (1 + dot.lanes / 16) / tile.channels
    costs = _COSTS_OF_ZEN5 if machine.is_zen5 else _COSTS
    size = dot.word_bits // 8
    brought = size * (dot.lanes / tile.channels + 1 / tile.vectors) / costs.near
    each = max(product_cycles(dot, loads, machine) * waiting(sums), brought)
    products = count * depth * each
    of_samples, of_outputs = additions(op, shared)
    output = costs.undone if down_scheme.unit * across_scheme.unit > 1 else costs.output
    if own == "float32":
        output += costs.beside * across_scheme.outputs * op.w.stride
    stored = outputs * output + count * costs.kept + of_outputs * costs.sum
    computed = blocks * tile.channels * vectors * (products + stored)
    # A transformed vector may be a half.
    chunks = -(-across * 2 // dot.lanes) / 2
    samples_down = down_scheme.outputs * tile.rows + down_scheme.taps - 1
    spread = samples_down * across_scheme.outputs * (-(-(across + 1) // dot.lanes)) * costs.spread
    transform = points * costs.sample + of_samples * costs.sum
    read = depth * (spread * dot.group / 2 + tile.rows * chunks * transform)
    word = depth * size
    # Weights are read for each strip, transformed samples for each block.
    weights = blocks * tile.channels * count * word
    samples = points * word * (vectors + 1) * dot.lanes
    fetched: float = weights if weights > machine.l2_bytes // 4 else 0
    if machine.is_zen5:
        fetched += blocks * max(0, samples - _ROOM * machine.l2_bytes)
    else:
        fetched += blocks * samples if samples > machine.l2_bytes else 0
    pieces = batch * -(-down // tile.rows) * tile.splits
    return -(-pieces // machine.threads) * (computed + read + fetched / costs.afar)


def scratch_bytes(op: ConvTranspose2d, dot: Dot, sizes: Sizes, tile: PointsTile) -> int:
    """Of the samples of a strip at all points."""
    _, _, across = tiles_of(op, sizes)
    down_scheme, across_scheme = schemes_of(op)
    points = down_scheme.points * across_scheme.points
    vectors = _vectors(dot, across, tile.rows, tile.vectors) + 1
    return points * depth_of(op, dot) * vectors * dot.lanes * dot.word_bits // 8


def tiles_of(op: ConvTranspose2d, sizes: Sizes) -> tuple[int, int, int]:
    """Batch, and rows and columns of tiles."""
    batch, rows, columns = blocks_of(op, sizes)
    height, width = schemes_of(op)
    down = -(-(rows + max(op.h.shifts)) // height.outputs)
    return batch, down, -(-(columns + max(op.w.shifts)) // width.outputs)


def _vectors(dot: Dot, across: int, rows: int, vectors: int) -> int:
    """Of tiles of a strip."""
    return -(-across * rows // (dot.lanes * vectors)) * vectors
