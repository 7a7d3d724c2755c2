"""``integer_winograd``: Winograd's form of bytes as a tuner and a log see it.

Whether a layer has the form at all depends on its weights (``algebra.byte_forms``), which a tuner
does not see: it draws weights of which that is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tvm import tirx

from tvm_deconv.algebra import exact_winograd
from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms.expressions import ceil_div
from tvm_deconv.schedules.costs import Cost, waste
from tvm_deconv.schedules.cpu.dot import Dot
from tvm_deconv.schedules.cpu.integer.kernel import Store
from tvm_deconv.schedules.cpu.integer.space import CACHES, MOST_CHANNELS, MOST_ROWS, MOST_VECTORS
from tvm_deconv.schedules.cpu.integer.variant import IntegerVariant, operands_of
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.cpu.tiling_space import (
    idle_threads,
    some_parts,
    split_values,
    unequal_shares,
)
from tvm_deconv.schedules.variant import Sizes, Space

from .kernel import WinogradInteger
from .tile import PointsTile, choose_points_tile, points_cycles, scratch_bytes, tiles_of
from .write import write_winograd

# The name in a log, where tap by tap has ``integer``.
INTEGER_WINOGRAD = "integer_winograd"


def is_shared(conv: ConvTranspose2d) -> bool:
    """Whether phases share products, by what ``conv`` knows of its weights."""
    return conv.strides != (1, 1) and conv.h.equal_sums and conv.w.equal_sums


@dataclass(frozen=True)
class PointsVariant(IntegerVariant):
    """Products by ``dot``, of 16 bits, at the points of a tile."""

    name: ClassVar[str] = INTEGER_WINOGRAD
    parameters: ClassVar[type] = PointsTile

    @property
    def space(self) -> Space:
        return PointsSpace(self.dot)

    def choose(self, conv: ConvTranspose2d, sizes: Sizes, machine: Any) -> Any:
        return choose_points_tile(conv, self.dot, sizes, is_shared(conv), machine)[0]

    def cycles(self, conv: ConvTranspose2d, sizes: Sizes, parameters: Any, machine: Any) -> float:
        return points_cycles(conv, self.dot, sizes, parameters, is_shared(conv), machine)

    def cannot(self, conv: ConvTranspose2d) -> str | None:
        return exact_winograd.refusal(conv)

    def integer(self, conv: ConvTranspose2d, parameters: Any, dtype: str) -> WinogradInteger:
        """The kernel that stores bytes like those of its input, of a layer of ``dtype``."""
        operands = operands_of(dtype)
        assert operands is not None, dtype
        data = operands[0]
        return WinogradInteger(conv, data, self.dot, parameters, Store(data), is_shared(conv))

    def kernel(
        self, conv: ConvTranspose2d, parameters: Any, dtype: str, shape: Sequence[int]
    ) -> tirx.PrimFunc:
        return write_winograd(self.integer(conv, parameters, dtype), shape)


@dataclass(frozen=True)
class PointsSpace:
    """The space of ``PointsTile`` for products by ``dot``."""

    dot: Dot

    def fields(
        self, conv: ConvTranspose2d, sizes: Sizes, own: PointsTile, machine: CpuMachine
    ) -> dict[str, set[int]]:
        """Values of each field besides those of ``own``, which the variant chooses itself."""
        channels = range(1, min(conv.out_channels, MOST_CHANNELS) + 1)
        _, down, _ = tiles_of(conv, sizes)
        rows = {*range(1, 9), 12, 16, 24, 32, 48, MOST_ROWS} | some_parts(down, 8)
        blocks = {ceil_div(conv.out_channels, n) for n in channels}
        return {
            "channels": set(channels),
            "vectors": set(range(1, MOST_VECTORS + 1)),
            "rows": {n for n in rows if n <= min(down, MOST_ROWS)},
            "splits": split_values(blocks, machine),
        }

    def refusal(
        self, conv: ConvTranspose2d, sizes: Sizes, tile: PointsTile, machine: CpuMachine
    ) -> str | None:
        """Why the kernel cannot be written, in words; None if it can."""
        if tile.channels > conv.out_channels:
            return f"{tile.channels} channels in a tile, where there are {conv.out_channels}"
        blocks = ceil_div(conv.out_channels, tile.channels)
        return unequal_shares(blocks, "blocks of channels", tile.splits)

    def costs(
        self, conv: ConvTranspose2d, sizes: Sizes, tile: PointsTile, machine: CpuMachine
    ) -> list[Cost]:
        """What the tile costs; the list is as long for every ``tile``."""
        outputs = conv.out_channels
        batch, down, across = tiles_of(conv, sizes)
        wide = self.dot.lanes * tile.vectors
        of_strip = min(tile.rows, down) * across
        pieces = batch * ceil_div(down, tile.rows) * tile.splits
        return [
            # One holds a weight.
            Cost(
                "vector registers",
                tile.channels * tile.vectors + tile.vectors + 1,
                self.dot.registers,
            ),
            waste("channels", outputs, ceil_div(outputs, tile.channels) * tile.channels),
            waste("tiles", of_strip, ceil_div(of_strip, wide) * wide),
            Cost(
                "bytes of scratch",
                scratch_bytes(conv, self.dot, sizes, tile),
                CACHES * machine.l2_bytes,
            ),
            Cost("rows of tiles in a strip", tile.rows, down),
            idle_threads(pieces, True, machine),
        ]
