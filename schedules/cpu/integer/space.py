"""The search space of integer kernels: values to try, and what cannot pay."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms.expressions import ceil_div
from tvm_deconv.schedules.costs import Cost, waste
from tvm_deconv.schedules.cpu.dot import Dot
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.cpu.tiling_space import (
    idle_threads,
    some_parts,
    split_values,
    unequal_shares,
)
from tvm_deconv.schedules.variant import Sizes

from .tile import Tile, blocks_of, may_be_flat, packed_bytes, sums_of, written_out

# Twice what ``choose_tile`` goes to: LLVM takes seconds for them.
_MOST_PRODUCTS = 8192
MOST_CHANNELS, MOST_VECTORS, MOST_ROWS = 24, 6, 64
# A strip's words may be as many times the level-2 cache.
CACHES = 4


@dataclass(frozen=True)
class TileSpace:
    """The space of ``Tile`` for products by ``dot``."""

    dot: Dot

    def fields(
        self, conv: ConvTranspose2d, sizes: Sizes, own: Tile, machine: CpuMachine
    ) -> dict[str, set[int]]:
        """Values of each field besides those of ``own``, which the variant chooses itself."""
        channels = range(1, min(conv.group_outputs, MOST_CHANNELS) + 1)
        _, rows, _ = blocks_of(conv, sizes)
        strips = {*range(1, 17), 20, 24, 32, 48, MOST_ROWS} | some_parts(rows, 8)
        tiles = {conv.groups * ceil_div(conv.group_outputs, n) for n in channels}
        return {
            "channels": set(channels),
            "vectors": set(range(1, MOST_VECTORS + 1)),
            "rows": {n for n in strips if n <= min(rows, MOST_ROWS)},
            "joined": {0, 1} if conv.h.stride > 1 else {0},
            "flat": {0, 1} if may_be_flat(conv, self.dot, sizes) else {0},
            "splits": split_values(tiles, machine),
        }

    def refusal(
        self, conv: ConvTranspose2d, sizes: Sizes, tile: Tile, machine: CpuMachine
    ) -> str | None:
        """Why the kernel cannot be written, in words; None if it can."""
        if tile.channels > conv.group_outputs:
            return f"{tile.channels} channels in a tile, where a group has {conv.group_outputs}"
        if tile.joined and conv.h.stride == 1:
            return "joined needs phases along the height, and there is one"
        if tile.flat and not may_be_flat(conv, self.dot, sizes):
            return "flat vectors need a width that is known, and words that hold one tap"
        tiles = conv.groups * ceil_div(conv.group_outputs, tile.channels)
        return unequal_shares(tiles, "tiles of channels", tile.splits)

    def costs(
        self, conv: ConvTranspose2d, sizes: Sizes, tile: Tile, machine: CpuMachine
    ) -> list[Cost]:
        """What the tile costs; the list is as long for every ``tile``."""
        outputs = conv.group_outputs
        batch, rows, columns = blocks_of(conv, sizes)
        wide = self.dot.lanes * tile.vectors
        line = columns * tile.rows if tile.flat else columns
        scratch = packed_bytes(conv, self.dot, sizes, tile)
        pieces = batch * ceil_div(rows, tile.rows) * tile.splits
        return [
            # One holds a weight.
            Cost("vector registers", sums_of(conv, tile) + tile.vectors + 1, self.dot.registers),
            Cost("products written out", written_out(conv, tile), _MOST_PRODUCTS),
            waste("channels", outputs, ceil_div(outputs, tile.channels) * tile.channels),
            waste("columns", line, ceil_div(line, wide) * wide),
            Cost("bytes of scratch", scratch, CACHES * machine.l2_bytes),
            Cost("rows of blocks in a strip", tile.rows, rows),
            idle_threads(pieces, True, machine),
        ]
