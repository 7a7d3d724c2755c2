"""Sizes of a strip of the Winograd form and of its buffers, for a tile and a layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.algebra.slices import Slices
from tvm_deconv.algebra.volumes import depth_axis
from tvm_deconv.algebra.winograd import Filter, depth_filter, filters, is_line
from tvm_deconv.schedules.cache_lines import odd_lines

from .axis import WinogradAxis
from .tile import WinogradTile, largest

# Lanes of vectors of which there are 32 registers, in any case.
_LANES_OF_MANY_REGISTERS = 16

# Terms that are added one to the other. What a sum is rounded by grows with it, and the transform
# back multiplies that; of lines, which have more points, by 10. 512 terms in parts of 64 have a
# third of the error, in parts of 16 a quarter, and take 0 to 5 % longer.
_MOST_TERMS, _MOST_LINE_TERMS = 64, 16

# The depth of a picture.
_FLAT = WinogradAxis(Axis(1), Filter(1, 1), 1, False)


@dataclass(frozen=True)
class Layout:
    """Sizes of the buffers of one strip, whose axes are ``d``, ``h`` and ``w``.

    Along ``d`` there is one output of one tap where the tile has no depth. Tiles of a strip lie in
    the order of (d, h, w), and so do pieces.
    """

    conv: ConvTranspose2d
    tile: WinogradTile
    d: WinogradAxis = field(init=False)
    h: WinogradAxis = field(init=False)
    w: WinogradAxis = field(init=False)

    def __post_init__(self) -> None:
        # Thousands of layouts are weighed for a layer: a lock for each, as in cached_property,
        # would take a third of the time.
        tiles = self.tile.tiles
        tile = self.tile
        rows, columns = filters(self.conv, tile.outputs, tile.shared, tile.shifted)
        deep, slices = _FLAT, self.depth_slices
        if slices is not None:
            along = depth_filter(self.conv, self.tile.depth[0])
            deep = WinogradAxis(depth_axis(slices), along, self.tile.depth[1], False)
        object.__setattr__(self, "d", deep)
        down = WinogradAxis(self.conv.h, rows, tiles[0], False, self.tile.apart)
        object.__setattr__(self, "h", down)
        object.__setattr__(self, "w", WinogradAxis(self.conv.w, columns, tiles[1], True))

    @property
    def depth_slices(self) -> Slices | None:
        """The slices of a stack whose depth is an axis of the tiles."""
        return self.conv.slices if self.tile.depth[0] else None

    @property
    def chunks(self) -> int:
        """Vectors that cover a row of transformed tiles; the last may reach beyond it."""
        return -(-self.w.positions // self.tile.lanes)

    @property
    def output_chunks(self) -> int:
        """Vectors that cover the tiles of a row that have outputs."""
        return -(-self.w.tiles // self.tile.lanes)

    @property
    def residues(self) -> int:
        return self.h.step * self.w.step

    @property
    def pieces(self) -> int:
        return self.d.pieces * self.h.pieces * self.w.pieces

    @property
    def products(self) -> tuple[int, int]:
        """Of all phases (in height, in width), the latter at each point of the depth in turn."""
        return self.h.products, self.w.products * self.d.points

    @property
    def group_inputs(self) -> int:
        """Input channels of a group that are transformed; those of a tap are the others'."""
        return self.conv.group_inputs // (self.d.pieces + self.d.taps - 1)

    @property
    def slice_lines(self) -> int:
        """Rows of transformed tiles of one tile along the depth."""
        return self.h.positions * self.h.step

    @property
    def slice_tiles(self) -> int:
        """Transformed tiles of one tile along the depth."""
        return self.slice_lines * self.w.step * self.w.positions

    @property
    def strip_tiles(self) -> int:
        """Tiles that products are computed for: a strip's, rounded up to register tiles."""
        wide = self.tile.lanes * self.tile.vectors
        last = self.h.tiles * self.residues * self.w.positions
        return -(-((self.d.tiles - 1) * self.slice_tiles + last) // wide) * wide

    @property
    def read_tiles(self) -> int:
        """Transformed tiles that products are computed from: those of the last piece lie last."""
        return self.strip_tiles + self.later_tiles(self.pieces - 1)

    @property
    def parts(self) -> int:
        """Parts that the terms of a product are summed in."""
        most = _MOST_LINE_TERMS if is_line(self.conv) else _MOST_TERMS
        return -(-self.group_inputs * self.pieces // most)

    @property
    def turns(self) -> int:
        """Turns of the reduction, of ``unroll`` input channels each, for a part."""
        return -(-self.group_inputs // self.tile.unroll // self.parts)

    def later_tiles(self, piece: Any) -> Any:
        """How many tiles after those of the first piece ``piece`` reads."""
        row, plane = self.residues * self.w.positions, self.h.pieces * self.w.pieces
        deeper = 0
        if self.d.pieces > 1:
            deeper, piece = piece // plane * self.slice_tiles, piece % plane
        return deeper + piece // self.w.pieces * row + piece % self.w.pieces

    @property
    def reach(self) -> int:
        """End of the last row of transformed tiles, where rows are whole vectors."""
        last = self.d.positions * self.h.positions * self.residues - self.abreast
        return last * self.w.positions + self.chunks * self.tile.lanes

    @property
    def output_reach(self) -> int:
        """End of the last row of tiles that outputs are computed from, in whole vectors."""
        last = (self.d.tiles - 1) * self.slice_tiles
        last = last + (self.h.tiles * self.residues - 1) * self.w.positions
        return last + self.output_chunks * self.tile.lanes

    @property
    def pitch(self) -> int:
        """Tiles from one row of products to the next in memory.

        64 channels of 64 tiles, at 36 points, would evict each other in lines a power of two apart.
        """
        return odd_lines(largest(self.strip_tiles, self.output_reach))

    @property
    def point_tiles(self) -> int:
        """Tiles from one point along the depth to the next, in a row of transformed inputs.

        All are written for an input channel before the next one. In planes of their own they would
        be 216 places instead of 36, and a processor foresees writes to a few dozen: 192 channels of
        32x32x32 took 4 times as long to transform (Intel Xeon, model 207).
        """
        return -(-largest(self.read_tiles, self.reach) // self.tile.lanes) * self.tile.lanes

    @property
    def transform_pitch(self) -> int:
        """``pitch`` of transformed inputs, of which a row has those of all points of the depth.

        The last vector of a row may reach into the next channel's place, which is written later:
        8x8 columns in tiles of 2x2 have 16 tiles, and rows of one cache line in place of three.
        """
        if self.d.points == 1:
            return odd_lines(self.read_tiles)
        return odd_lines(self.d.points * self.point_tiles)

    @property
    def transform_rows(self) -> int:
        """Rows of transformed inputs of a point: an odd number, of which one is no channel's."""
        return self.group_inputs + 1 | 1

    @property
    def output_rows(self) -> int:
        """Rows of output of a channel, of all phases of a strip."""
        return self.h.unit * self.h.tiles * self.h.phases

    def row_lines(self, values: int) -> int:
        """Cache lines of ``values`` each that a row of output takes."""
        return -(-self.w.span * self.w.axis.stride // values)

    def fetched_lines(self, values: int) -> int:
        """Of the outputs of a block."""
        rows = self.d.unit * self.d.tiles * self.output_rows
        return self.tile.block * rows * self.row_lines(values)

    @property
    def spread(self) -> int:
        """Samples of each residue of the column that vectors of tiles load, in whole vectors."""
        return (self.chunks + -(-self._beyond // self.tile.lanes)) * self.tile.lanes

    @property
    def _beyond(self) -> int:
        """Tiles after its own of which the last one of a row reads samples."""
        return -(-(self.w.filter.inputs - self.w.outputs) // self.w.outputs)

    @property
    def tail(self) -> int:
        """Samples of a row that its last tiles read beyond whole vectors of tiles."""
        return largest(0, self.w.inputs - self.chunks * self.tile.lanes * self.w.unit)

    @property
    def deals_in_registers(self) -> bool:
        """Whether samples are dealt out in registers, where a vector of tiles is transformed.

        They are not stored and loaded again then. Of 16 registers half would be spilled: code for
        AVX2 takes up to 5 % longer. Lines, with more points, take as long either way, and a dilated
        layer has too many residues.
        """
        few = self.tile.lanes < _LANES_OF_MANY_REGISTERS
        return self.h.points > 1 and self.w.step == 1 and not few

    @property
    def row_vectors(self) -> int:
        """Vectors of samples of a row of input."""
        return self.chunks * self.w.unit + -(-self.tail // self.tile.lanes)

    @property
    def row_inputs(self) -> int:
        """Samples of a row of input, in whole vectors."""
        return self.row_vectors * self.tile.lanes

    @property
    def abreast(self) -> int:
        """Rows of tiles whose tiles lie side by side in a vector, where the depth is transformed.

        Of narrow volumes: with 8 tiles in a row half of each vector would be empty. They are as far
        apart as can be, so that those of the next vector follow right behind.
        """
        alone = self.h.pieces == self.w.pieces == self.h.step == self.w.step == 1
        if not alone or self.d.points == 1:
            return 1
        count = largest(self.tile.lanes // self.w.tiles, 1)
        fills = (count * self.w.tiles == self.tile.lanes) * (self.h.tiles % count == 0)
        # A vector of samples is of one of them.
        fills = fills * (self.w.tiles * self.w.unit % self.tile.lanes == 0)
        return 1 + fills * (count - 1)

    @property
    def rows_of_tiles(self) -> int:
        """Rows of tiles that are transformed, those abreast as one."""
        return self.h.positions // self.abreast

    @property
    def dealt_rows(self) -> int:
        """Rows of input that these are transformed from."""
        return self.rows_of_tiles * self.h.unit + (self.h.taps - 1) * self.h.step

    @property
    def tile_samples(self) -> int:
        """Samples of a row that a tile is transformed from, of all residues."""
        return self.w.unit + (self.w.taps - 1) * self.w.step

    @property
    def shifts_tiles(self) -> bool:
        """Whether what the next tile begins with is made of a row's dealt samples and a vector."""
        return self.abreast == 1 and self._late_samples <= self.tile.lanes

    @property
    def _late_samples(self) -> int:
        """How much later than a tile its last samples start, in whole tiles."""
        return (self.tile_samples - 1) // self.w.unit * self.w.unit

    @property
    def samples_beyond(self) -> int:
        """Samples of a row that are read behind those that a vector of tiles starts with."""
        if self.tile_samples == self.w.unit:
            return 0
        return self.tile.lanes if self.shifts_tiles else self._late_samples

    @property
    def volume_row_inputs(self) -> int:
        """Samples of a row of input, in whole vectors, where the depth is transformed."""
        late = -(-self.samples_beyond // self.tile.lanes)
        return (self.chunks * self.w.unit + late) * self.tile.lanes

    def line(self, deep: Any, row: Any) -> Any:
        """Number among those of the strip of row of tiles ``row`` of a tile along the depth."""
        if self.abreast > 1:
            row = row % self.rows_of_tiles * self.abreast + row // self.rows_of_tiles
        return deep * self.slice_lines + row * self.h.step

    @property
    def read_together(self) -> int:
        """Samples of a row of input that are read in one go: those of a vector of tiles, or, where
        columns are transformed before rows, a vector."""
        return self.tile.lanes * (1 if self.h.points > 1 else self.w.unit)

    @property
    def phases(self) -> int:
        """Of a strip."""
        return self.h.phases * self.w.phases

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
    def block_rows(self) -> int:
        """Rows of a block: its channels, and those phases of each that share no products."""
        return self.tile.block * self.h.row_phases * self.w.row_phases

    @property
    def row_steps(self) -> int:
        """Register tiles that cover a block's rows."""
        return -(-self.block_rows // self.tile.channels)

    @property
    def rows(self) -> int:
        """Rows of a block, rounded up to register tiles."""
        return self.row_steps * self.tile.channels


def multiply_adds(conv: ConvTranspose2d, tile: WinogradTile) -> float:
    """Of an output: ``Algorithm.multiply_adds``."""
    layout = Layout(conv, tile)
    axes = layout.d, layout.h, layout.w
    return layout.group_inputs * prod(axis.filter.products_an_output for axis in axes)
