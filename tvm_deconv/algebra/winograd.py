"""How the kernel of a layer is cut for Winograd's minimal filtering, along each axis.

The points of ``cook_toom`` end where the rounding error grows, so a tile of m outputs takes only so
many taps. A longer kernel is cut into pieces of m taps, the last of which may have more,

    y[i] = sum_p sum_t w[m p + t] x[i + m p + t]

and piece p reads what piece 0 reads p tiles later. So all pieces share one transformed input, and
add up before the transform back: for each point, what remains is a convolution of as many taps as
there are pieces, over tiles. With F(5, 6), 11 taps in pieces of 5 and 6 take 2 * 10 products for 5
outputs instead of 55.

In two dimensions an error is multiplied by that of the other axis. A *line*, a layer whose kernels
have one row or one column, has no other, and may take more points.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from tvm_deconv.algebra.cook_toom import MAX_POINTS, Transforms, point_count, transforms
from tvm_deconv.algebra.geometry import ConvTranspose2d

# Points of each axis in two dimensions. Largest error over the largest output, 64 or 512 channels
# of normal values in float32: F(6 x 6, 3 x 3), which has 8, 6e-6; of lines, F(6, 3) 1.4e-6, 7 taps
# by F(4, 7) and 11 taps by F(5, 6), which have 10, 2.2e-6. The plain sum has 0.6e-6 to 4e-6. In the
# 72 layers of a vocoder one after the other errors grow to 20 times that.
MAX_PLANE_POINTS = 8
# The more outputs, the larger the error of the last: F(8, 3) has three times that of F(6, 3).
MAX_LINE_OUTPUTS = 6
# All of both axes are written out in the loop over input channels.
MAX_PIECES, MAX_LINE_PIECES = 3, 4


@dataclass(frozen=True)
class Filter:
    """F(``outputs``, ``taps``) along one axis, for each of ``pieces`` pieces of a kernel.

    Taps lie ``step`` samples apart: the samples of each residue by ``step`` are then a convolution
    of their own, with taps side by side.
    """

    outputs: int
    taps: int
    pieces: int = 1
    step: int = 1

    @property
    def points(self) -> int:
        """Inputs of a tile, and products for each piece."""
        return point_count(self.outputs, self.taps)

    @property
    def unit(self) -> int:
        """Samples from a tile to the next one of its residue, and outputs of a tile of each."""
        return self.outputs * self.step

    @property
    def matrices(self) -> Transforms:
        return transforms(self.outputs, self.taps)


def is_line(conv: ConvTranspose2d) -> bool:
    """Whether all phases have one tap along an axis."""
    return min(conv.h.max_taps, conv.w.max_taps) == 1


def filters(conv: ConvTranspose2d, outputs: tuple[int, int]) -> tuple[Filter, Filter]:
    """The filters (rows, columns) for tiles of ``outputs`` of every phase."""
    most = _most_points(conv)
    return (
        _filter(outputs[0], conv.h.max_taps, most, conv.h.tap_step),
        _filter(outputs[1], conv.w.max_taps, most, conv.w.tap_step),
    )


def tile_outputs(conv: ConvTranspose2d) -> tuple[list[int], list[int]]:
    """Outputs that a tile may have (rows, columns): only 1 where there is nothing to save.

    An axis with more taps than are known has none.
    """
    return _tile_outputs(conv, conv.h.max_taps), _tile_outputs(conv, conv.w.max_taps)


def most_taps(conv: ConvTranspose2d) -> int:
    """Taps of an axis up to which ``tile_outputs`` has any."""
    return next(taps for taps in count(1) if not _tile_outputs(conv, taps + 1))


def _most_points(conv: ConvTranspose2d) -> int:
    return MAX_POINTS if is_line(conv) else MAX_PLANE_POINTS


def _filter(outputs: int, taps: int, most_points: int, step: int = 1) -> Filter:
    """That of the fewest products; beyond ``most_points`` if pieces of ``outputs`` taps are."""
    found = [Filter(outputs, taps, 1, step)]
    for pieces in range(2, -(-taps // outputs) + 1):
        last = taps - outputs * (pieces - 1)
        found.append(Filter(outputs, max(outputs, last), pieces, step))
    most = max(most_points, found[-1].points)
    return min((f for f in found if f.points <= most), key=lambda f: f.pieces * f.points)


def _tile_outputs(conv: ConvTranspose2d, taps: int) -> list[int]:
    if taps == 1:
        return [1]
    most = _most_points(conv)
    last, pieces = (MAX_LINE_OUTPUTS, MAX_LINE_PIECES) if is_line(conv) else (most - 1, MAX_PIECES)
    found = (_filter(outputs, taps, most) for outputs in range(2, last + 1))
    return [f.outputs for f in found if f.points <= most and f.pieces <= pieces]
