"""Sizes of the Winograd form: its parameters, and what follows from them for a layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tvm_deconv.algebra.cook_toom import Transforms, point_count, transforms
from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.schedules.algorithms.expressions import ceil_div

# Values of float32 in a cache line.
LINE = 16


def largest(a: int, b: int) -> int:
    """Of two integers, or of each pair in arrays of them, which ``max`` does not compare."""
    return a + (b > a) * (b - a)


def least(a: int, b: int) -> int:
    """Likewise."""
    return a - (a > b) * (a - b)


@dataclass(frozen=True)
class WinogradTile:
    """Parameters of the loop nest in ``winograd``.

    A tile gives ``outputs`` (rows, columns) of every phase. A strip is ``tiles`` (rows, columns) of
    them; its transformed input stays in cache while ``block`` output channels after the other are
    computed from it. ``channel_splits`` strips of equal place run in parallel, each with its share
    of the blocks. The register tile of the products is ``channels`` rows, a row being a phase of an
    output channel, by ``vectors`` vectors of ``lanes`` tiles; ``unroll`` input channels are written
    out in the reduction. ``weight_vectors`` loads the weights of an input channel in whole vectors.
    """

    lanes: int
    vectors: int
    channels: int
    outputs: tuple[int, int]
    tiles: tuple[int, int]
    block: int
    channel_splits: int = 1
    unroll: int = 1
    parallel: bool = True
    weight_vectors: bool = False


@dataclass(frozen=True)
class WinogradAxis:
    """One axis: where the phases' tiles lie in the input and in the output.

    All phases share the transformed input. Their first taps read at different offsets, so phase f
    finds its outputs ``shifts[f]`` samples later in its tiles. In width a strip interleaves the
    phases, so it needs all of them for each of its blocks (``together``) and its tiles overlap the
    next strip's; in height the phases are rows of their own, and a strip has other rows of each.
    """

    axis: Axis
    outputs: int
    tiles: int
    together: bool

    @property
    def taps(self) -> int:
        return self.axis.max_taps

    @property
    def points(self) -> int:
        """Inputs of a tile, and products for each of them."""
        return point_count(self.outputs, self.taps)

    @property
    def first(self) -> int:
        """Input offset of a tile's first sample from its block."""
        return min(self.axis.first_offsets)

    @property
    def shifts(self) -> tuple[int, ...]:
        """For each phase, how much later than a tile's start its outputs start."""
        return self.axis.shifts

    @property
    def span(self) -> int:
        """Blocks of output of each phase that a strip covers."""
        return self.outputs * self.tiles - (max(self.shifts) if self.together else 0)

    def strips(self, size: Any) -> Any:
        """Strips that cover the output for an input of ``size`` samples."""
        late = 0 if self.together else max(self.shifts)
        return ceil_div(self.axis.blocks(size) + late, self.span)

    @property
    def inputs(self) -> int:
        """Input samples that a strip reads."""
        return self.outputs * self.tiles + self.taps - 1

    @property
    def matrices(self) -> Transforms:
        return transforms(self.outputs, self.taps)


@dataclass(frozen=True)
class Layout:
    """Sizes of the buffers of one strip, whose axes are ``h`` and ``w``."""

    conv: ConvTranspose2d
    tile: WinogradTile
    h: WinogradAxis = field(init=False)
    w: WinogradAxis = field(init=False)

    def __post_init__(self) -> None:
        # Thousands of layouts are weighed for a layer: a lock for each, as in cached_property,
        # would take a third of the time.
        (rows, columns), tiles = self.tile.outputs, self.tile.tiles
        object.__setattr__(self, "h", WinogradAxis(self.conv.h, rows, tiles[0], False))
        object.__setattr__(self, "w", WinogradAxis(self.conv.w, columns, tiles[1], True))

    @property
    def chunks(self) -> int:
        """Vectors that cover a row of tiles; the last may reach beyond it."""
        return -(-self.w.tiles // self.tile.lanes)

    @property
    def strip_tiles(self) -> int:
        """Tiles that products are computed for: a strip's, rounded up to register tiles."""
        wide = self.tile.lanes * self.tile.vectors
        return -(-self.h.tiles * self.w.tiles // wide) * wide

    @property
    def reach(self) -> int:
        """End of the last row of tiles, where rows are whole vectors."""
        return (self.h.tiles - 1) * self.w.tiles + self.chunks * self.tile.lanes

    @property
    def pitch(self) -> int:
        """Tiles from one row of transformed inputs or products to the next in memory.

        Rows an odd number of cache lines apart spread over all sets of a cache; a power of two
        apart they would evict each other (64 channels of 64 tiles, 36 points).
        """
        return (-(-largest(self.strip_tiles, self.reach) // LINE) | 1) * LINE

    @property
    def spread(self) -> int:
        """Samples of each residue of the column that a row of tiles reads, in whole vectors."""
        beyond = -(-(self.w.taps - 1) // self.w.outputs)
        return (self.chunks + -(-beyond // self.tile.lanes)) * self.tile.lanes

    @property
    def row_inputs(self) -> int:
        """Samples of a row of input, in whole groups of vectors."""
        return self.spread * self.w.outputs

    @property
    def phases(self) -> int:
        return self.conv.h.stride * self.conv.w.stride

    @property
    def blocks(self) -> int:
        """Blocks of output channels in a group."""
        return -(-self.conv.group_outputs // self.tile.block)

    @property
    def computed_channels(self) -> int:
        """Output channels of a group, rounded up to the same number of blocks for each share."""
        splits = self.tile.channel_splits
        return -(-self.blocks // splits) * splits * self.tile.block

    @property
    def row_steps(self) -> int:
        """Register tiles that cover a block's rows."""
        return -(-self.tile.block * self.phases // self.tile.channels)

    @property
    def rows(self) -> int:
        """Rows of a block, rounded up to register tiles."""
        return self.row_steps * self.tile.channels
