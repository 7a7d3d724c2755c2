"""How the kernel of a layer is cut for Winograd's minimal filtering, along each axis.

The points of ``cook_toom`` end where the rounding error grows, so a tile of m outputs takes only so
many taps. A longer kernel is cut into pieces of m taps,

    y[i] = sum_p sum_{t < m} w[m p + t] x[i + m p + t]

and piece p reads what piece 0 reads p tiles later. So all pieces share one transformed input, and
add up before the transform back: for each point, what remains is a convolution of as many taps as
there are pieces, over tiles. With F(4, 4), 7 taps take 2 * 7 products for 4 outputs instead of 28.

In two dimensions an error is multiplied by that of the other axis. A *line*, a layer whose kernels
have one row or one column, has no other, and may take more points.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm_deconv.algebra.cook_toom import MAX_POINTS, Transforms, point_count, transforms
from tvm_deconv.algebra.geometry import ConvTranspose2d

# Points of each axis in two dimensions. Largest error over the largest output, 512 channels of
# normal values in float32: F(6 x 6, 3 x 3), which has 8, up to 36e-6; of lines, F(6, 3) 4e-6,
# 7 taps by F(4, 7) with 10 points 10e-6 and by F(5, 7) with 11 25e-6, 11 taps by F(6, 6) with 11
# 29e-6. The plain sum has 1e-6 to 4e-6.
MAX_PLANE_POINTS = 8
# With 11 points F(9, 3) has 35e-6, the more outputs the more.
MAX_LINE_OUTPUTS = 6
# All of both axes are written out in the loop over input channels.
MAX_PIECES = 3


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
    return MAX_PIECES * max(_tile_outputs(conv, 2 * MAX_PIECES))


def _most_points(conv: ConvTranspose2d) -> int:
    return MAX_POINTS if is_line(conv) else MAX_PLANE_POINTS


def _filter(outputs: int, taps: int, most_points: int, step: int = 1) -> Filter:
    """In one piece if that can be, which takes fewer products than several."""
    if taps == 1:
        return Filter(outputs, taps)
    if point_count(outputs, taps) <= most_points:
        return Filter(outputs, taps, 1, step)
    return Filter(outputs, outputs, -(-taps // outputs), step)


def _tile_outputs(conv: ConvTranspose2d, taps: int) -> list[int]:
    if taps == 1:
        return [1]
    most = _most_points(conv)
    last = MAX_LINE_OUTPUTS if is_line(conv) else most - 1
    found = (_filter(outputs, taps, most) for outputs in range(2, last + 1))
    return [f.outputs for f in found if f.points <= most and f.pieces <= MAX_PIECES]
