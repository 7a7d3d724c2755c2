"""Winograd's minimal filtering F(m, k): three matrices that trade multiplications for additions.

A correlation of m outputs with k taps, ``y[i] = sum_t w[t] x[i + t]``, takes m*k products. With
a = m + k - 1 points (the last at infinity) the same result is

    y = A^T ((G w) * (B^T x))             a products instead of m*k

In two dimensions the transforms act on rows and on columns. Derived by Toom's and Cook's
interpolation: ``G`` evaluates the kernel's polynomial at the points, ``A^T`` evaluates the
transposed problem's, and ``B^T`` holds the coefficients of the Lagrange polynomials; their
denominators stand in ``G``, which is applied at compile time. Lavin and Gray, "Fast Algorithms for
Convolutional Neural Networks", CVPR 2016 (arXiv 1509.09308).

The points decide the rounding error (Barabasz et al., arXiv 1803.10986). Most of those below come
in pairs of opposite sign, so that even and odd parts are shared, and all are dyadic fractions, so
that what is applied at run time, A^T and B^T, is exact in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from tvm_deconv.errors import GeometryError

# Finite points by the number of all points: of those tried, in eighths or sixteenths up to 3, the
# ones whose products' errors grow least on the way back, which are most of the error. For random
# data and taps the product of point j is as large as |G_j| |B^T_j|, and A_ij of its error comes
# through to output i: F(4, 3) multiplies the error of a sum by 2.2, F(6, 3) by 4.5, F(3, 7) by 8.5,
# F(4, 7) by 10.5, and F(5, 7), which has 11 points, by 20 at best (root mean squares).
# The point 1 is the first wherever it is one of them, as ``algebra.winograd`` needs it.
_POINTS: dict[int, tuple[Fraction, ...]] = {
    count: tuple(Fraction(point) for point in points.split())
    for count, points in {
        1: "",
        2: "0",
        3: "1 0",
        4: "1 0 -1",
        5: "1 0 -1 2",
        6: "0 5/8 -5/8 3/2 -3/2",
        7: "1 0 1/2 -1/2 -1 5/2",
        8: "1 0 1/2 -1/2 -1 2 -2",
        9: "0 3/4 -3/4 9/8 -9/8 9/4 -9/4 3/8",
        10: "0 3/8 -3/8 7/8 -7/8 5/4 -5/4 9/4 -9/4",
    }.items()
}

MAX_POINTS = max(_POINTS)


@dataclass(frozen=True)
class Transforms:
    """``inverse`` A^T (m, a), ``kernel`` G (a, k) and ``data`` B^T (a, a), float64.

    ``points`` are those of the first a-1 rows; the last is at infinity.
    """

    inverse: np.ndarray
    kernel: np.ndarray
    data: np.ndarray
    points: tuple[float, ...]

    @property
    def growth(self) -> float:
        """What the errors of products are multiplied by on the way back, root mean square.

        For random data and taps the product of point j is as large as |G_j| |B^T_j|.
        """
        sizes = (self.kernel**2).sum(1) * (self.data**2).sum(1)
        return float(np.sqrt((self.inverse**2 @ sizes).mean() / self.kernel.shape[1]))


def point_count(outputs: int, taps: int) -> int:
    """Points of F(outputs, taps): inputs of a tile, and products for each pair of channels."""
    return outputs + taps - 1


@cache
def transforms(outputs: int, taps: int) -> Transforms:
    """The matrices of F(outputs, taps).

    Raises GeometryError if the two together need more points than are known to be accurate.
    """
    count = point_count(outputs, taps)
    if count not in _POINTS:
        raise GeometryError(
            f"F({outputs}, {taps}) needs {count} points; "
            f"points are known for {min(_POINTS)} to {MAX_POINTS}"
        )
    points = _POINTS[count]
    kernel, data = [], []
    for index, point in enumerate(points):
        others = points[:index] + points[index + 1 :]
        scale = _product([point - other for other in others])
        kernel.append([point**power / scale for power in range(taps)])
        data.append([*_coefficients(others), Fraction(0)])
    kernel.append(_at_infinity(taps))
    data.append(_coefficients(points))
    inverse = [
        [*(point**power for point in points), last]
        for power, last in enumerate(_at_infinity(outputs))
    ]
    return Transforms(
        inverse=np.array(inverse, dtype="float64"),
        kernel=np.array(kernel, dtype="float64"),
        data=np.array(data, dtype="float64"),
        points=tuple(float(point) for point in points),
    )


@cache
def nested_transforms(outer: tuple[int, int], inner: tuple[int, int]) -> Transforms:
    """The matrices of F(n, p) of tiles of F(m, k), each an (outputs, taps), as one for n m outputs.

    Piece j of the kernel has taps from j m on, m of them but for the last, which has k.
    """
    (_, pieces), (outputs, taps) = outer, inner
    a, b = transforms(*outer), transforms(*inner)
    samples = np.arange(len(a.data))[:, None] * outputs + np.arange(len(b.data))
    data = np.zeros((len(a.data) * len(b.data), samples[-1, -1] + 1))
    for entries, places in zip(np.kron(a.data, b.data).T, samples.ravel(), strict=True):
        data[:, places] += entries
    kernel = [
        np.kron(a.kernel[:, piece], b.kernel[:, tap])
        for piece in range(pieces)
        for tap in range(taps if piece == pieces - 1 else outputs)
    ]
    return Transforms(np.kron(a.inverse, b.inverse), np.array(kernel).T, data, points=())


def _at_infinity(length: int) -> list[Fraction]:
    """Only the highest coefficient counts at infinity."""
    return [Fraction(0)] * (length - 1) + [Fraction(1)]


def _product(factors: list[Fraction]) -> Fraction:
    result = Fraction(1)
    for factor in factors:
        result *= factor
    return result


def _coefficients(roots: tuple[Fraction, ...]) -> list[Fraction]:
    """Coefficients, lowest first, of the product of (x - root)."""
    result = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *result]
        result = [b - root * a for a, b in zip([*result, Fraction(0)], shifted, strict=True)]
    return result
