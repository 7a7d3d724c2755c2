"""sin and cos of float32 vectors of any size, by way of float64.

With t = x * 2/pi they are a series in (t - q) * pi/2 for the whole number q next to t, and which
series, and its sign, q modulo 4 says. So t is needed modulo 4 only, however large x is: 2/pi is cut
into pieces of 29 bits, whose products with the 24 bits of x are exact in float64, as is what a
product leaves when multiples of 4 are taken off. There are no branches and no tables, so that all
lanes do the same. (M. Payne and R. Hanek, Radian reduction for trigonometric functions, 1983, with
floating-point numbers in place of words.)
"""

from __future__ import annotations

from functools import cache
from math import factorial, pi

from tvm import tirx
from tvm.ir import Expr, Var

from .series import bind, number, polynomial

_PIECE_BITS = 29

# The largest float32 is below 2^128: 203 bits leave an error of 2^-75.
_PIECES = 7

# On |r| <= pi/4 the first terms left out are r^11/11! = 2e-9 and r^12/12! = 1e-10.
_SIN_SERIES = [(-1) ** k / factorial(2 * k + 1) for k in range(4, -1, -1)]
_COS_SERIES = [(-1) ** k / factorial(2 * k) for k in range(5, -1, -1)]


def sin(x: Expr) -> Expr:
    """sin of a float32."""
    return bind("x", x.astype("float64"), lambda x: _turned(x, 0))


def cos(x: Expr) -> Expr:
    """cos(x) = sin(x + pi/2): one quarter further."""
    return bind("x", x.astype("float64"), lambda x: _turned(x, 1))


def _double(value: float) -> Expr:
    return number(value, "float64")


def _turned(x: Var, further: int) -> Expr:
    """sin(x + further * pi/2); x is a float32 as a float64."""
    first, *others = two_over_pi()

    def from_first(rest: Var) -> Expr:
        # For all but large numbers the others are small: without whole quarters in the way, none
        # of their bits are lost.
        return bind("q", _nearest(rest), lambda q: with_others(rest - q, q))

    def with_others(rest: Expr, quarters: Var) -> Expr:
        total = rest
        for piece in others:
            total = total + bind("p", x * _double(piece), _modulo_4)
        return bind("t", total, lambda t: bind("n", _nearest(t), lambda n: split(t, n, quarters)))

    def split(t: Var, nearest: Var, quarters: Var) -> Expr:
        angle = ((t - nearest) * _double(pi / 2)).astype("float32")
        # Of NaN, which has no whole number, any will do: the angle is NaN, too.
        quarter = tirx.max(nearest + quarters, _double(-64.0))
        count = quarter.astype("int32") + further
        return bind("k", count, lambda k: bind("r", angle, lambda r: of_quarter(k, r)))

    def of_quarter(k: Var, r: Var) -> Expr:
        return bind("s", r * r, lambda square: signed(k, r, square))

    def signed(k: Var, r: Var, square: Var) -> Expr:
        is_odd = (k & 1).equal(1)
        sine, cosine = r * polynomial(square, _SIN_SERIES), polynomial(square, _COS_SERIES)
        return tirx.Select(is_odd, cosine, sine) * (1 - (k & 2)).astype("float32")

    return bind("p", x * _double(first), lambda p: bind("u", _modulo_4(p), from_first))


def _nearest(t: Expr) -> Expr:
    return tirx.floor(t + _double(0.5))


def _modulo_4(p: Var) -> Expr:
    """``p`` less a multiple of 4, between -2 and 2; exact."""
    return p - _nearest(p * _double(0.25)) * _double(4.0)


@cache
def two_over_pi() -> tuple[float, ...]:
    """2/pi as numbers of 29 bits, each as far below the one before."""
    bits = _PIECE_BITS * _PIECES
    spare = 64
    whole = (2 << (2 * bits + spare)) // _pi(bits + spare)
    pieces = []
    for i in range(_PIECES):
        piece = whole >> (bits - _PIECE_BITS * (i + 1)) & ((1 << _PIECE_BITS) - 1)
        pieces.append(piece * 2.0 ** (-_PIECE_BITS * (i + 1)))
    return tuple(pieces)


def _pi(bits: int) -> int:
    """pi * 2^bits, by Machin's formula: pi = 16 arctan(1/5) - 4 arctan(1/239)."""
    more = 32
    one = 1 << (bits + more)

    def arctan_of_inverse(n: int) -> int:
        power = total = one // n
        k = 1
        while power:
            power //= n * n
            k += 2
            total += (-1) ** (k // 2) * (power // k)
        return total

    return (16 * arctan_of_inverse(5) - 4 * arctan_of_inverse(239)) >> more
