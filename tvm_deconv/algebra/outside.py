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

**Several axes.** Each tap outside belongs to the first axis, in the order of the tensor's, in which
it is outside: it is inside along the axes before that one, and anywhere along those after it. Where
it is outside the map is one of its two *faces* there, the first or the last row of a picture, the
first or the last slice of a volume, enlarged. So the surplus is, for each axis, a convolution of
its faces with ``outside_weights``, of one dimension less than the map. Along the axes after it a
face is continued as the transposed convolution sees it, along those before it padded with zeros as
it should be, and no tap is counted twice. Of a picture those are rows that go on beyond the corners
and columns between the rows. The cost grows with the perimeter, or the surface.

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

    def along(self, goes_on: bool) -> tuple[Pair, Pair]:
        """Copies and zeros at the ends of a face along this axis, enlarged by ``factor``.

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

    ``w`` is OIHW or OIDHW, ``axis`` one of those behind OI, ``zeros`` the padding (begin, end). The
    result is (S*O*D, C/groups, *K) in the dtype of ``w``, K those of the other axes, with 1 before
    the one of a picture: a convolution over the face, of which a row or a column is a picture of
    one row. S counts the sides that have zeros, begin first, and D is the larger of both paddings;
    channel (s*O + o)*D + p belongs to output p from this side.
    """
    taps = np.moveaxis(w, axis, 0).astype(np.float64)
    places = dilation * np.arange(len(taps))
    extent, depth = int(places[-1]) + 1, max(zeros)
    sides = []
    for is_end, count in enumerate(zeros):
        if not count:
            continue
        outputs = np.arange(depth)[:, None]
        outside = places >= extent - count + outputs if is_end else places + outputs < count
        sides.append(-np.einsum("dk,koc...->odc...", outside.astype(np.float64), taps))
    _, o, c, *kernel = taps.shape
    kernel = [1] * (2 - len(kernel)) + kernel
    return np.stack(sides).reshape(len(sides) * o * depth, c, *kernel).astype(w.dtype)
