"""Sizes of the loops of unfolded taps of bytes, and what they cost.

Measured on a Xeon with AVX-512 VNNI, one thread beside other work, behind a nearest resize by 2: 64
channels to 64 of 128x128 1.95 ms, of which products by the peak of byte products take 1.33; by
F(2x2, 2x2) of 16 bits 3.0. Of ten layers and 20 tiles each, this model's first takes 1.03 times as
long as the best in the mean, 1.11 at the most, and other costs do not choose better ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.unfolding import offsets, taps
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
from tvm_deconv.schedules.typical import means
from tvm_deconv.schedules.variant import Sizes

if TYPE_CHECKING:
    from tvm_deconv.schedules.cpu.machine import CpuMachine

_MOST_VECTORS, _MOST_CHANNELS, _MOST_ROWS = 4, 16, 64
# Cycles of a vector: of outputs, of sums that are stored and loaded again, of one channel that is
# packed.
_OUTPUT, _KEPT, _PACK = 5, 1, 1.5
# Bytes that come from the next cache in a cycle, and from beyond a core's own.
_FROM_NEAR, _FROM_AFAR = 32, 8


@dataclass(frozen=True)
class UnfoldedTile:
    """Sums of ``channels`` x ``taps`` x ``vectors`` of samples are in registers.

    The taps are neighbours in a row of the kernel, of whose length they are a divisor. A strip has
    ``rows`` rows of blocks, which one thread packs and computes at a time; or ``splits`` threads
    do, each for its share of the blocks of ``channels``, of which it is a divisor.
    """

    taps: int
    channels: int
    vectors: int
    rows: int
    splits: int = 1


def choose_unfolded_tile(
    op: ConvTranspose2d, dot: Dot, sizes: Sizes, machine: CpuMachine
) -> tuple[UnfoldedTile, float]:
    """The tile with the fewest cycles of the busiest thread, and these."""
    batch, down, _ = blocks_of(op, sizes)
    columns = taps(op.w)
    best: tuple[float, UnfoldedTile] | None = None
    shapes = product(
        [count for count in range(1, columns + 1) if columns % count == 0],
        range(1, min(_MOST_CHANNELS, op.out_channels) + 1),
        range(1, _MOST_VECTORS + 1),
    )
    for together, channels, vectors in shapes:
        sums = together * channels * vectors
        if sums > free_sums(dot, vectors) and sums > 1:
            continue
        blocks = -(-op.out_channels // channels)
        for rows in strip_heights(down, _MOST_ROWS):
            splits = splits_of(blocks, batch * -(-down // rows), machine.threads)
            tile = UnfoldedTile(together, channels, vectors, rows, splits)
            cycles = unfolded_cycles(op, dot, sizes, tile, machine)
            if best is None or cycles < best[0]:
                best = cycles, tile
    assert best is not None
    return best[1], best[0]


def unfolded_cycles(
    op: ConvTranspose2d, dot: Dot, sizes: Sizes, tile: UnfoldedTile, machine: CpuMachine
) -> float:
    """Cycles of the busiest thread."""
    batch, down, across = blocks_of(op, sizes)
    _, width = means(sizes)
    depth, count = depth_of(op, dot), taps(op.h) * taps(op.w)
    blocks = -(-op.out_channels // tile.channels) // tile.splits
    channels = blocks * tile.channels
    low, high = offsets(op.h)
    vectors = -(-width // (dot.lanes * tile.vectors)) * tile.vectors
    # Of the rows beside a strip not all taps are read: half of them, say.
    rows = tile.rows + (high - low) / 2
    together = tile.taps * tile.channels
    # Of weights several are loaded at once.
    loads = (tile.vectors + -(-together // dot.weights)) / (together * tile.vectors)
    each = product_cycles(dot, loads, machine) * waiting(together * tile.vectors)
    products = count * depth * each
    chunks = -(-across // dot.lanes)
    stored = op.h.stride * op.w.stride * _OUTPUT + count * _KEPT
    computed = channels * (rows * vectors * products + (tile.rows + high - low) * chunks * stored)
    row = depth * vectors * dot.lanes * dot.word_bits // 8
    read = (tile.rows + high - low) * depth * vectors * dot.group * _PACK
    # A row is read at each step from the same place, and so are the sums of it, if there is room.
    kept = tile.channels * (chunks + 2) * dot.lanes * 4 * (count + (high - low) * op.strides[1] * 2)
    fetched = 0.0
    if row + kept > machine.l1_bytes:
        fetched += blocks * rows * (row + 2 * kept) / _FROM_NEAR
    weights = channels * count * depth * dot.word_bits // 8
    strip = (tile.rows + high - low) * row
    fetched += weights / _FROM_AFAR if weights > machine.l2_bytes // 4 else 0
    fetched += blocks * strip / _FROM_AFAR if strip > machine.l2_bytes else 0
    pieces = batch * -(-down // tile.rows) * tile.splits
    return -(-pieces // machine.threads) * (computed + read + fetched)
