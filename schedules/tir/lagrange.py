"""The input transform B^T of Winograd's filtering in few operations.

Row i of B^T holds the coefficients of the product of (z - p) over all points p but p_i, the last
row, that of the point at infinity, those of the product of all. To multiply a polynomial's
coefficients by the values is to filter them, y[k] = x[k+1] - p x[k] for each factor. So all rows
share what they can: a pair of points of opposite sign is one factor z^2 - p^2, a multiply-add for
each sample, the point 0 a shift, and the rows of a pair differ in the last step only,

    row of p = y[k+1] + p y[k]        row of -p = y[k+1] - p y[k]

F(4, 3) of points 0, p, -p, q, -q takes 12 operations, where the even and odd parts of the rows as
they are take 14; F(5, 3) 21 instead of 31.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .straight_line import StraightLine

# (degree, constant) of the polynomial z^degree - constant.
_Factor = tuple[int, float]


def lagrange(code: StraightLine, points: Sequence[float], values: Sequence[Any]) -> list[Any]:
    """B^T times ``values``, one more than there are ``points``, and as many results.

    A result for each point, in their order, and then that of infinity. ``points`` are distinct.
    """
    singles = [(1, p) for p in points if p and -p not in points]
    pairs = [(2, p * p) for p in points if p > 0 and -p in points]
    factors: tuple[_Factor, ...] = (*singles, *pairs)
    shift = int(0 in points)
    known: dict[tuple[tuple[_Factor, ...], int], Any] = {}

    def filtered(factors: tuple[_Factor, ...], at: int) -> Any:
        """Sample ``at`` of the values behind the filters of ``factors``."""
        if not factors:
            return values[at]
        if (factors, at) not in known:
            *before, (degree, constant) = factors
            later = filtered(tuple(before), at + degree)
            sooner = filtered(tuple(before), at)
            known[factors, at] = code.multiply_add(sooner, -constant, later)
        return known[factors, at]

    def row(point: float) -> Any:
        if not point:
            return filtered(factors, 0)
        if -point not in points:
            return filtered(tuple(f for f in factors if f != (1, point)), shift)
        others = tuple(f for f in factors if f != (2, point * point))
        return code.multiply_add(filtered(others, shift), point, filtered(others, shift + 1))

    return [*(row(point) for point in points), filtered(factors, shift)]
