"""Quotients by a known number without a division, where they are rounded to small integers.

A processor divides a vector in the time of ten to twenty multiply-adds. With the reciprocal r of c,

    q = x r          q' = q + (x - q c) r

is the quotient but for a unit of its last place, and nearly always the rounded one. It matters
only where a quotient lies within that of the middle between two integers, and there are so few such
x for numbers of a byte that all of them are tried (``reciprocal``): what comes of them has to be
what a division, rounded to float32, and then to an integer gives.
"""

from __future__ import annotations

import numpy as np

# Neighbours in float32 of each middle that are tried, on both sides: errors are of a unit or two.
_NEAR = 16
# Of c: neither its reciprocal nor what is left of x is a denormal number.
_LEAST, _MOST = 2.0**-100, 2.0**100
# Where a sum of float64 lies so near to the middle of two float32, parts of its last place may
# decide how a fused multiply-add rounds it.
_DOUBT = 2.0**-50


def reciprocal(c: float, low: int, high: int) -> float | None:
    """r, with which rounded quotients from ``low`` to ``high`` are exact; None where it is not.

    x has to be held between ``bounds``.
    """
    by = np.float32(c)
    if not _LEAST < by < _MOST:
        return None
    r = np.float32(1) / by
    middles = np.arange(low - 1, high + 1) + 0.5
    around = np.arange(-_NEAR, _NEAR + 1, dtype="int32")
    first = (middles * float(by)).astype("float32").view("int32")
    x = (first[:, None] + around).view("float32")
    by64, r64, x64 = float(by), float(r), x.astype("float64")
    q = (x64 * r64).astype("float32").astype("float64")
    left = (x64 - q * by64).astype("float32").astype("float64")
    total = q + left * r64
    made = total.astype("float32")
    other = np.nextafter(made, np.where(total > made, np.inf, -np.inf).astype("float32"))
    middle = (made.astype("float64") + other.astype("float64")) / 2
    sure = np.abs(total - middle) > _DOUBT * np.abs(total)
    exact = np.rint(made) == np.rint(x / by)
    return float(r) if bool((sure & exact).all()) else None


def bounds(c: float, low: int, high: int) -> tuple[float, float]:
    """x that are ``low`` and ``high`` times c: beyond them no quotient is of interest."""
    by = np.float32(c)
    least, most = float(np.float32(low) * by), float(np.float32(high) * by)
    assert np.rint(np.float32(least) / by) == low, (c, low)
    assert np.rint(np.float32(most) / by) == high, (c, high)
    return least, most
