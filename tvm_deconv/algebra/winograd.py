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

For each point, the pieces of a line are a convolution of so many taps over tiles, and that takes
fewer products by a Winograd form of its own, F(n, pieces) over n neighbouring tiles: the form is
*nested*. F(4, 4) in F(3, 2) computes 12 outputs of 7 taps with 28 products, where F(4, 7) takes 30
and multiplies errors by twice as much; F(4, 4) in F(4, 3) takes 42 for 16 outputs of 11 taps, where
pieces of 5 and 6 that are added up take 64.

All phases of a transposed convolution read the same transformed input. The weight of a phase at the
point 1 is the sum of its taps. Where all phases have the same sum (``Axis.equal_sums``), as behind
a resize that is folded into the weights, they have the same product at that point: r phases take
(a - 1) r + 1 products in place of a r. Behind a nearest resize by 2, a 3x3 kernel by F(4, 2) along
both axes takes 81 products for 64 outputs, where the phases by themselves take 100 and the taps
256. Other points save nothing: the phases of such a kernel differ by (z - 1) times a tap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from math import prod
from typing import Any

from tvm_deconv.algebra.cook_toom import (
    MAX_POINTS,
    Transforms,
    nested_transforms,
    point_count,
    transforms,
)
from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d

# Points of each axis in two dimensions. Largest error over the largest output, 64 or 512 channels
# of normal values in float32: F(6 x 6, 3 x 3), which has 8, 6e-6; of lines, F(6, 3) 1.4e-6, 7 taps
# by F(4, 7) and 11 taps by F(5, 6), which have 10, 2.2e-6. The plain sum has 0.6e-6 to 4e-6. In the
# 72 layers of a vocoder one after the other errors grow to 20 times that.
MAX_PLANE_POINTS = 8
# The more outputs, the larger the error of the last: F(8, 3) has three times that of F(6, 3).
MAX_LINE_OUTPUTS = 6
# All of both axes are written out in the loop over input channels.
MAX_PIECES, MAX_LINE_PIECES = 3, 4
# Outputs of nested tiles, which are more than any other tile has, and of each of two to four tiles.
_NESTED_OUTPUTS, _NESTED_TILES = (8, 10, 12, 15, 16, 20), (5, 4)
# That of F(6x6, 3x3), with some room for its rounding.
_MOST_PLANE_GROWTH = transforms(6, 3).growth ** 2 + 1e-6
# Outputs of tiles along the depth that save products.
_DEPTH_OUTPUTS = (2, 4)
# Of errors: that of F(4, 7), which has 10 points.
_MOST_GROWTH = 10.6


@dataclass(frozen=True)
class Filter:
    """F(``outputs``, ``taps``) along one axis, for each of ``pieces`` pieces of a kernel.

    Taps lie ``step`` samples apart: the samples of each residue by ``step`` are then a convolution
    of their own, with taps side by side. ``sharing`` phases have the product at the first point, 1,
    in common; with 1 each phase has all products for itself. With ``nested`` (outer, inner) it is
    the latter for each point of the former, whose taps are pieces and whose outputs are tiles.
    With ``late`` each phase has a tile of its own, of samples that start so many later: products
    are those of the phases in turn.
    """

    outputs: int
    taps: int
    pieces: int = 1
    step: int = 1
    sharing: int = 1
    nested: tuple[Filter, Filter] | None = None
    late: tuple[int, ...] = ()

    @property
    def inputs(self) -> int:
        """Samples that a tile reads."""
        return point_count(self.outputs, self.taps) + max(self.late, default=0)

    @property
    def levels(self) -> tuple[Filter, Filter]:
        """(outer, inner), of which the outer one does nothing where none is nested."""
        return self.nested or (Filter(1, 1), self)

    @property
    def points(self) -> int:
        """Products of a phase for each piece."""
        if self.nested is None:
            return point_count(self.outputs, self.taps)
        outer, inner = self.nested
        return outer.points * inner.points

    @property
    def transformed(self) -> int:
        """Points that a tile's samples are transformed to."""
        return self.points * max(1, len(self.late))

    @property
    def phases(self) -> int:
        """Whose products are counted together; the others are rows of the products."""
        return len(self.late) or self.sharing

    @property
    def products(self) -> int:
        """Of these phases: that which they share, then those of each point."""
        if self.late:
            return self.transformed
        return (self.points - 1) * self.sharing + 1

    @property
    def products_an_output(self) -> float:
        """Of an output and an input channel, of all pieces; shared ones in equal parts."""
        return self.products / self.phases * self.pieces / self.outputs

    def product(self, point: int, phase: Any) -> Any:
        """Which one a phase has at a point; ``phase`` is 0 where it is a row."""
        if self.late:
            return phase * self.points + point
        return (point - 1) * self.sharing + 1 + phase if point else 0

    def point(self, product: Any) -> Any:
        """Of those that are ``transformed``, the one at which a product is taken."""
        return product if self.late else (product + self.sharing - 1) // self.sharing

    @property
    def unit(self) -> int:
        """Samples from a tile to the next one of its residue, and outputs of a tile of each."""
        return self.outputs * self.step

    @property
    def matrices(self) -> Transforms:
        if self.nested is None:
            return transforms(self.outputs, self.taps)
        outer, inner = self.nested
        return nested_transforms((outer.outputs, outer.taps), (inner.outputs, inner.taps))


def is_line(conv: ConvTranspose2d) -> bool:
    """Whether all phases have one tap along an axis."""
    return min(conv.h.max_taps, conv.w.max_taps) == 1


def filters(
    conv: ConvTranspose2d,
    outputs: tuple[int, int],
    shared: bool = False,
    shifted: bool = False,
) -> tuple[Filter, Filter]:
    """The filters (rows, columns) for tiles of ``outputs`` of every phase.

    With ``shared`` the phases share products along each axis where they can. With ``shifted`` those
    in width have tiles of their own, if ``can_shift``.
    """
    most = _most_points(conv)
    rows = _filter(outputs[0], conv.h, most, shared)
    columns = _filter(outputs[1], conv.w, most, shared)
    return rows, replace(columns, late=conv.w.shifts) if shifted else columns


def can_shift(conv: ConvTranspose2d) -> bool:
    """Whether phases in width start at different samples, and taps lie side by side."""
    return max(conv.w.shifts) > 0 and conv.w.tap_step == 1


def depth_filter(conv: ConvTranspose2d, outputs: int) -> Filter:
    """The filter along the depth of a stack's slices, for tiles of so many of them.

    Of one slice, which saves no product, the taps are pieces, which share transformed slices. With
    0 the depth is none of the axes, and the taps are input channels.
    """
    if not outputs or conv.slices is None:
        return Filter(1, 1)
    taps = conv.slices.taps
    return Filter(1, 1, pieces=taps) if outputs == 1 else Filter(outputs, taps)


def depth_outputs(conv: ConvTranspose2d) -> list[int]:
    """Outputs that a tile may have along the depth; 0 where that is none of the axes."""
    if conv.slices is None or is_line(conv):
        return [0]
    taps = conv.slices.taps
    return [1, *(n for n in _DEPTH_OUTPUTS if point_count(n, taps) <= MAX_PLANE_POINTS)]


def is_exact(known: Iterable[Filter]) -> bool:
    """Whether filters of all axes multiply errors by no more than F(6x6, 3x3) does."""
    return prod(one.matrices.growth for one in known) <= _MOST_PLANE_GROWTH


def row_phases(conv: ConvTranspose2d, known: tuple[Filter, Filter], apart: bool = False) -> int:
    """Phases of an output channel that are rows of the products: those that read the same tiles,
    and share none.

    With ``apart`` those of one phase in height.
    """
    phases_h = 1 if apart else conv.h.stride // known[0].phases
    return phases_h * (conv.w.stride // known[1].phases)


def can_share(conv: ConvTranspose2d, outputs: tuple[int, int]) -> bool:
    """Whether ``filters`` of such tiles share any product."""
    return any(known.sharing > 1 for known in filters(conv, outputs, shared=True))


def tile_outputs(conv: ConvTranspose2d) -> tuple[list[int], list[int]]:
    """Outputs that a tile may have (rows, columns): only 1 where there is nothing to save.

    An axis with more taps than are known has none.
    """
    return _tile_outputs(conv, conv.h), _tile_outputs(conv, conv.w)


def most_taps(conv: ConvTranspose2d) -> int:
    """Taps of an axis up to which ``tile_outputs`` has any."""
    return next(taps for taps in count(1) if not _tile_outputs(conv, Axis(taps + 1)))


def _most_points(conv: ConvTranspose2d) -> int:
    return MAX_POINTS if is_line(conv) else MAX_PLANE_POINTS


def _filter(outputs: int, axis: Axis, most_points: int, shared: bool = False) -> Filter:
    """That of the fewest products; beyond ``most_points`` if pieces of ``outputs`` taps are.

    The sums of pieces are not those of phases, so several pieces share nothing.
    """
    taps, step = axis.max_taps, axis.tap_step
    if taps == 1:
        return Filter(outputs, taps)
    if outputs in _NESTED_OUTPUTS and most_points > MAX_PLANE_POINTS:
        nested = _nested(outputs, axis)
        if nested is not None:
            return nested
    found = [Filter(outputs, taps, 1, step)]
    for pieces in range(2, -(-taps // outputs) + 1):
        last = taps - outputs * (pieces - 1)
        found.append(Filter(outputs, max(outputs, last), pieces, step))
    most = max(most_points, found[-1].points)
    best = min((f for f in found if f.points <= most), key=lambda f: f.pieces * f.points)
    if not (shared and axis.equal_sums) or best.pieces > 1 or best.matrices.points[0] != 1:
        return best
    return replace(best, sharing=axis.stride)


def _tile_outputs(conv: ConvTranspose2d, axis: Axis) -> list[int]:
    if axis.max_taps == 1:
        return [1]
    most = _most_points(conv)
    last, pieces = (MAX_LINE_OUTPUTS, MAX_LINE_PIECES) if is_line(conv) else (most - 1, MAX_PIECES)
    found = (_filter(outputs, axis, most) for outputs in range(2, last + 1))
    known = [f for f in found if f.points <= most and f.pieces <= pieces]
    if is_line(conv):
        known += _nested_filters(known, axis)
    return [f.outputs for f in known]


def _nested_filters(plain: list[Filter], axis: Axis) -> list[Filter]:
    """Those with fewer products for an output than ``plain`` ones and than smaller ones."""
    least = min((f.points * f.pieces / f.outputs for f in plain), default=0.0)
    found = []
    for outputs in _NESTED_OUTPUTS:
        nested = _nested(outputs, axis)
        if nested is not None and nested.points / outputs < least:
            found.append(nested)
            least = nested.points / outputs
    return found


@lru_cache(maxsize=256)
def _nested(outputs: int, axis: Axis) -> Filter | None:
    """That of the fewest products; None if there are no points that are exact enough."""
    inner_outputs = next(count for count in _NESTED_TILES if outputs % count == 0)
    tiles, taps, found = outputs // inner_outputs, axis.max_taps, []
    for pieces in range(2, MAX_LINE_PIECES):
        last = max(taps - inner_outputs * (pieces - 1), inner_outputs)
        if point_count(inner_outputs, last) > MAX_POINTS:
            continue
        parts = Filter(tiles, pieces), Filter(inner_outputs, last)
        all_taps = inner_outputs * (pieces - 1) + last
        found.append(Filter(outputs, all_taps, step=axis.tap_step, nested=parts))
    found = [f for f in found if f.matrices.growth <= _MOST_GROWTH]
    return min(found, key=lambda f: f.points, default=None)
