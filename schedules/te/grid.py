"""How the whole tiles of a parameter set cover an output of known size.

A split that does not divide leaves a predicate in TE, and a predicate within a vector makes TVM
compute every lane on its own. So nothing is split here that is not a whole number of tiles: rows
are shared out evenly between the strips, columns are either divided without a rest or, where they
are *ragged*, computed up to whole tiles into a row of scratch, from which the output is copied.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms.expressions import ceil_div, round_up
from tvm_deconv.schedules.algorithms.stages import Domain
from tvm_deconv.schedules.cpu.tiling import Tiling

# Elements that the copy of a row of input moves at once, if strips begin at a multiple of them; on
# a processor without vectors, of which a tile has a single lane, it moves one.
_COPIED = (16, 8, 4, 2, 1)


@dataclass(frozen=True)
class Grid:
    """Strips of ``rows`` block rows and ``block_columns`` block columns; ``domain`` holds them all.

    ``out_columns`` is the width of the output and ``stride`` the columns of a block. ``vectors``
    says that the processor has some.
    """

    domain: Domain
    rows: int
    block_columns: int
    out_columns: int
    stride: int
    vectors: bool

    @property
    def ragged(self) -> int:
        """Columns of the domain beyond the output, which are computed and dropped."""
        return int(self.domain.columns) * self.stride - self.out_columns

    @property
    def copied(self) -> int:
        """Elements of a row that are copied as one vector: strips begin at a multiple of them."""
        if not self.vectors:
            return 1
        if self.domain.columns == self.block_columns:
            return _COPIED[0]
        return next(n for n in _COPIED if self.block_columns % n == 0)

    def columns_to_copy(self, halo: int) -> int:
        """Columns of a strip's input with a halo of so many, in whole vectors."""
        return int(round_up(self.block_columns + halo, self.copied))


def grid_of(conv: ConvTranspose2d, tile: Tiling, shape: tuple[int, ...], columns: int) -> Grid:
    """The grid of a layer for an input of ``shape``, NCHW.

    ``columns`` are the block columns of the narrowest part that is computed whole: those of a
    register tile, or of a vector.
    """
    *_, height, width = shape
    block_rows = max(1, ceil_div(conv.h.output_size(height), conv.h.stride))
    block_columns = max(1, ceil_div(conv.w.output_size(width), conv.w.stride))
    out_columns = conv.w.output_size(width)
    tiles = ceil_div(block_columns, columns)
    rows = tile.rows
    if tiles * columns * conv.w.stride == out_columns:
        wanted = max(1, tile.block_columns // columns)
        in_strip = next(n for n in range(min(wanted, tiles), 0, -1) if tiles % n == 0)
    else:
        # A row of output is copied as a whole; strips of less height take no more scratch.
        in_strip = tiles
        rows = max(1, rows * tile.block_columns // (tiles * columns))
    strips = ceil_div(block_rows, min(rows, block_rows))
    rows = ceil_div(block_rows, strips)
    return Grid(
        domain=Domain(round_up(conv.group_outputs, tile.channels), rows * strips, tiles * columns),
        rows=rows,
        block_columns=in_strip * columns,
        out_columns=out_columns,
        stride=conv.w.stride,
        vectors=tile.lanes > 1,
    )
