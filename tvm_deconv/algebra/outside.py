"""What a transposed convolution adds beyond the map that it enlarges, and how to take it back.

A resize and a convolution become one transposed convolution of the small map x (``weights``,
``bilinear``). The convolution pads the enlarged map u with zeros; the transposed convolution sees
what x enlarges to, which may go on: with the edge of x where it is interpolated, with the copies of
its last sample where u was cropped to an odd size. Here u is made to go on with copies of its edge
over all of the padding, and the taps that lie there are subtracted.

One axis; E = d*(K-1) + 1 is the extent of the kernel, P the padding at its begin, Q at its end. The
transposed convolution gives

    y'[i] = sum_k w[k] * u[i + d*k - P],    also where i + d*k - P is outside the map,

too much by the taps outside. There u is constant, its first or last sample, so that the surplus of
output i at the begin, i < P, is that sample times the sum of w[k] over d*k + i < P; of output t
counted from the end, t < Q, over d*k >= E - Q + t. The two sets of taps are disjoint however short
the map is, so both are subtracted where they meet: no size is an exception.

**Two axes.** The taps outside are those outside in height, and those inside in height but outside
in width. Outside in height the map is its first or last row, enlarged, and continued in width as
the transposed convolution sees it: the surplus is a convolution of this one row with
``outside_weights`` along the height. The rest is a convolution of the first or last column,
enlarged and padded with zeros in height, with ``outside_weights`` along the width. Both are of one
dimension: the cost grows with the perimeter.

Where a padding between resize and convolution copies the edge, u goes on as it should, and only the
zeros outside of the copies are too much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# At begin and end of an axis.
Pair = tuple[int, int]


@dataclass(frozen=True)
class Ends:
    """What stands at begin and end of one axis of the enlarged map before the convolution.

    ``factor`` is 1 for an axis that keeps its size. ``zeros`` stand outside of ``copies`` of the
    edge, which are negative where so many samples are cropped. The transposed convolution is of x
    padded by ``edge`` copies of its own edge, and has ``surplus`` outputs with taps outside.
    """

    factor: int
    zeros: Pair
    copies: Pair
    edge: Pair
    surplus: Pair

    @property
    def total(self) -> Pair:
        return self.zeros[0] + self.copies[0], self.zeros[1] + self.copies[1]

    def line(self, goes_on: bool) -> tuple[Pair, Pair]:
        """Copies and zeros at the ends of a line along this axis, enlarged by ``factor``.

        One that ``goes_on`` is as the transposed convolution sees it, else as it should be.
        """
        sides = zip(self.zeros, self.copies, self.surplus, strict=True)
        begin, end = ((z + c, 0) if goes_on and s else (c, z) for z, c, s in sides)
        return (begin[0], end[0]), (begin[1], end[1])


def ends_of_copies(factor: int, zeros: Pair, copies: Pair) -> Ends:
    """Of a nearest resize: zeros need nothing where whole samples of x are copied, or none."""
    surplus = [z if c % factor else 0 for z, c in zip(zeros, copies, strict=True)]
    edge = [max(-(-(c + s) // factor), 0) for c, s in zip(copies, surplus, strict=True)]
    return Ends(factor, zeros, copies, (edge[0], edge[1]), (surplus[0], surplus[1]))


def outside_weights(w: np.ndarray, axis: int, dilation: int, zeros: Pair) -> np.ndarray:
    """Minus the taps that lie in the zeros around one axis, for each output that has such taps.

    ``w`` is OIHW, ``axis`` 2 or 3, ``zeros`` the padding (begin, end). The result is
    (S*O*D, C/groups, 1, K) in the dtype of ``w``, K that of the other axis: a convolution along
    the line over which the outputs stand. S counts the sides that have zeros, begin first, and D
    is the larger of both paddings; channel (s*O + o)*D + p belongs to output p from this side.
    """
    rows = np.moveaxis(w, axis, 0).astype(np.float64)
    places = dilation * np.arange(len(rows))
    extent, depth = int(places[-1]) + 1, max(zeros)
    sides = []
    for is_end, count in enumerate(zeros):
        if not count:
            continue
        outputs = np.arange(depth)[:, None]
        outside = places >= extent - count + outputs if is_end else places + outputs < count
        sides.append(-np.einsum("dk,kocj->odcj", outside.astype(np.float64), rows))
    o, c, k = rows.shape[1:]
    return np.stack(sides).reshape(len(sides) * o * depth, c, 1, k).astype(w.dtype)
