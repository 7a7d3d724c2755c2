"""What register tiles read of a picture: which taps, and which part of it with a border of zeros.

Where a kernel is as wide as the picture, as with dilations of 12 over 16x16, most of its taps read
only padding for most outputs. A tile computes those that read the picture for any of its pixels, a
range along each axis, and then the border need not be wider than what such a tile reads beyond.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from tvm import tirx

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.schedules.cpu.tiling import blocks_of
from tvm_deconv.schedules.variant import Sizes

# All taps are computed where more than this share of them is left: each tap of a tile fetches
# weights ahead, and one that is left out fetches none.
_MOST_COMPUTED = 0.85


@dataclass(frozen=True)
class Reach:
    """Of register tiles of ``lines`` x ``columns`` blocks of a layer's output.

    A kernel of free size computes all taps.
    """

    conv: ConvTranspose2d
    height: int | None
    width: int | None
    lines: int
    columns: int

    @cached_property
    def share(self) -> float:
        """Of the taps of all tiles, those that are computed; 1 where none is left out."""
        if self.height is None or self.width is None:
            return 1.0
        (h, w), (down, right) = self.conv.axes, self.conv.step
        share = _share_inside(h, down, self.height, self.lines)
        share *= _share_inside(w, right, self.width, self.columns)
        return share if share <= _MOST_COMPUTED else 1.0

    def copied_rows(self, rows: int) -> int:
        """Rows of the input that ``rows`` block rows read; those that no tap reads are left out."""
        return self._border_left_out(
            (rows - 1) * row_pitch(self.conv) + 1 + self.conv.h.halo_extent,
            self.height,
            self._least_row,
        )

    def copied_columns(self, columns: Any) -> Any:
        """Columns of the input that ``columns`` block columns read, a number or an expression."""
        read = (columns - 1) * self.conv.step[1] + 1 + self.conv.w.halo_extent
        return self._border_left_out(read, self.width, self._least_column)

    def first_row(self, top: Any) -> Any:
        """The first row copied for a strip, counted from that of its block row ``top``."""
        first, least = self.conv.h.halo[0], self._least_row
        if least is None:
            return first
        return tirx.max(tirx.const(first, top.ty.dtype), least - top * self.conv.step[0])

    @property
    def first_column(self) -> int:
        """The first column that is copied; before the input it is negative."""
        first, least = self.conv.w.halo[0], self._least_column
        return first if least is None else max(first, least)

    @property
    def _least_row(self) -> int | None:
        """The first row that a tile of which a part is inside reads; None for all rows."""
        down = self.conv.step[0]
        if self.share == 1 or row_pitch(self.conv) < down:
            return None
        return (1 - self.lines) * down

    @property
    def _least_column(self) -> int | None:
        return None if self.share == 1 else (1 - self.columns) * self.conv.step[1]

    @staticmethod
    def _border_left_out(read: Any, size: int | None, least: int | None) -> Any:
        if size is None or least is None:
            return read
        most = size - 2 * least
        return min(read, most) if isinstance(read, int) else tirx.min(read, most)


@lru_cache(maxsize=4096)
def reach_of(conv: ConvTranspose2d, sizes: Sizes, lines: int, columns: int) -> Reach:
    """``Reach``, whose share is computed once."""
    return Reach(conv, sizes.height, sizes.width, lines, columns)


def row_pitch(conv: ConvTranspose2d) -> int:
    """Copied rows from those of one block row to the next."""
    return min(conv.step[0], conv.h.halo_extent + 1)


def taps_inside(
    axis: Axis, phase: int, step: int, size: Any, first: Any, unit: int
) -> tuple[Any, Any]:
    """Which of a phase's taps read the input for any of ``unit`` blocks from ``first`` on: the
    first one and the end. ``size`` and ``first`` are numbers or expressions.
    """
    least, most = (min, max) if isinstance(first, int) else (tirx.min, tirx.max)
    low = first * step + axis.first_offset(phase)
    high = low + (unit - 1) * step
    begin = most(-(high // axis.tap_step), 0)
    end = least((size - 1 - low) // axis.tap_step + 1, len(axis.taps(phase)))
    return begin, most(begin, end)


@lru_cache(maxsize=4096)
def _share_inside(axis: Axis, step: int, size: int, unit: int) -> float:
    """Of the taps of all tiles of ``unit`` blocks, those that read the input for any of them."""
    tiles = -(-blocks_of(axis, step, size) // unit)
    ends = [
        taps_inside(axis, phase, step, size, tile * unit, unit)
        for phase in range(axis.stride)
        for tile in range(tiles)
    ]
    return sum(end - begin for begin, end in ends) / max(1, tiles * axis.useful_taps)
