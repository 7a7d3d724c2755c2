"""Parameters of Winograd's form on a GPU, and what follows from them for a layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.algebra.winograd import filters
from tvm_deconv.schedules.algorithms.expressions import ceil_div
from tvm_deconv.schedules.cpu.winograd.axis import WinogradAxis
from tvm_deconv.schedules.gpu.domain import tiles_of
from tvm_deconv.schedules.gpu.tile import SHARED, GpuTile
from tvm_deconv.schedules.typical import GPU_SIZE
from tvm_deconv.schedules.variant import Sizes


@dataclass(frozen=True)
class GpuWinogradTile:
    """``outputs`` (rows, columns) of every phase from one tile of Winograd's F(m, k): at least 2,
    and with the taps of a phase at most ``winograd.MAX_PLANE_POINTS`` points (m + k - 1) on each
    axis.

    The other fields are those of a ``GpuTile`` for the products, matrices of *rows* (a phase of an
    output channel) x input channels x *columns* (a tile): a thread has ``channels`` rows x
    ``lanes`` columns, a block of threads ``channel_threads`` x ``column_threads`` of them.
    ``reduction`` divides the input channels of a group. ``stage_input`` is 1 to copy a block's
    columns to shared memory and 0 to read them where they lie, ``stage_weights`` the same for its
    rows. The block need not divide the output channels.
    """

    outputs: tuple[int, int]
    channels: int
    lanes: int
    channel_threads: int
    column_threads: int
    reduction: int
    stage_input: int = SHARED
    stage_weights: int = 1

    @property
    def products(self) -> GpuTile:
        """The tile of the products: one row of columns."""
        return GpuTile(
            channels=self.channels,
            rows=1,
            lanes=self.lanes,
            channel_threads=self.channel_threads,
            row_threads=1,
            column_threads=self.column_threads,
            reduction=self.reduction,
            stage_input=self.stage_input,
            stage_weights=self.stage_weights,
        )


@dataclass(frozen=True)
class GpuLayout:
    """Where the tiles of a layer lie in its input and output, and the sizes of its matrices."""

    conv: ConvTranspose2d
    tile: GpuWinogradTile

    @cached_property
    def h(self) -> WinogradAxis:
        rows, _ = filters(self.conv, self.tile.outputs)
        return WinogradAxis(self.conv.h, rows, tiles=1, together=False)

    @cached_property
    def w(self) -> WinogradAxis:
        _, columns = filters(self.conv, self.tile.outputs)
        return WinogradAxis(self.conv.w, columns, tiles=1, together=False)

    @property
    def phases(self) -> int:
        return self.conv.h.stride * self.conv.w.stride

    @property
    def points(self) -> int:
        """Products for each tile, row and input channel: as many matrices are multiplied."""
        return self.h.points * self.w.points

    @property
    def row_blocks(self) -> int:
        """Blocks of rows that cover the output channels of a group."""
        return ceil_div(self.conv.group_outputs * self.phases, self.tile.products.block_channels)

    @property
    def matrix(self) -> ConvTranspose2d:
        """The matrix product of a group and a point, as a layer with a kernel of 1."""
        rows = self.conv.group_outputs * self.phases
        return ConvTranspose2d(self.conv.group_inputs, rows, Axis(1), Axis(1))

    def matrix_sizes(self, sizes: Sizes) -> Sizes:
        """Those of ``matrix``: an image of a row of columns for each image, group and point."""
        tiles = self.tiles(self.h, sizes.height or GPU_SIZE) * self.tiles(
            self.w, sizes.width or GPU_SIZE
        )
        return Sizes((sizes.batch or 1) * self.conv.groups * self.points, 1, tiles)

    def tiles(self, axis: WinogradAxis, size: Any) -> Any:
        """Tiles along an axis that cover its output for an input of ``size``."""
        output = axis.axis.output_size(size) + begin_earlier(axis.axis)
        return tiles_of(output, axis.outputs * axis.axis.stride)

    def columns(self, height: Any, width: Any) -> Any:
        """Columns of the matrices: the tiles of an image, in whole blocks of threads."""
        block = self.tile.products.block_columns
        return tiles_of(self.tiles(self.h, height) * self.tiles(self.w, width), block) * block


def begin_earlier(axis: Axis) -> int:
    """Outputs before the first that the first tile holds.

    Some phases read one input sample later than the others. In the same tile, which is of the same
    inputs for all, their outputs are those of a block earlier. Such phases are the last of a block,
    so a tile still is a run of consecutive outputs, which begins with the first of them.
    """
    first = [axis.first_offset(phase) for phase in range(axis.stride)]
    return sum(offset > min(first) for offset in first)


def is_a_run(axis: Axis) -> bool:
    """Whether ``begin_earlier`` is right: offsets rise by one, once."""
    first = [axis.first_offset(phase) for phase in range(axis.stride)]
    return first == sorted(first) and max(first) - min(first) <= 1


def multiply_adds(conv: ConvTranspose2d, tile: GpuWinogradTile) -> float:
    """Of an output: ``Algorithm.multiply_adds``."""
    axes = filters(conv, tile.outputs)
    return conv.group_inputs * prod(axis.products_an_output for axis in axes)
