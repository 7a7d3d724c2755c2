"""What all parts of the loop nest know of the piece of work that they are in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_deconv.algebra.geometry import ConvTranspose2d

from .reach import Reach
from .tile import PixelTile


@dataclass(frozen=True)
class Strip:
    """A strip of rows of one group and picture, or its share of the output channels.

    ``batch``, ``group`` and ``top``, its first block row, say which one. What is copied of the
    input begins ``above`` rows from those of ``top`` on, at the column ``reach.first_column``.
    ``x``, ``weights`` and ``out`` are the function's buffers, all others are scratch of this piece
    alone:

    - ``copied`` has (row, channel, column) of the input, ``row`` numbers in a row of all channels
      and ``copied_columns`` in one of a channel;
    - ``sums`` has (row, column) of the output, ``row_of_sums`` in a row, each with the channels of
      a tile; one tile after the other if they are kept;
    - ``lines`` has a row of each channel of a vector.
    """

    conv: ConvTranspose2d
    tile: PixelTile
    x: Any
    weights: Any
    out: Any
    batch: Any
    group: Any
    top: Any
    reach: Reach
    above: Any
    block_rows: Any
    column_tiles: Any
    copied: Any
    row: Any
    copied_columns: Any
    sums: Any
    row_of_sums: Any
    lines: Any

    @property
    def blocks(self) -> int:
        """Of input channels that are added up at a time."""
        return -(-self.conv.group_inputs // self.tile.inputs)
