"""Formulas of functions of floats that keep their digits: within a few ulp, relative to the result.

As they are usually written, exp(x) - 1 has no digit left near 0, nor has log((1 + x) / (1 - x)),
and log(1 + exp(x)) has none below -10.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial
from typing import Any

from tvm import tirx

from .series import bind

# Of the standards' SELU: what multiplies x, and what multiplies exp(x) - 1.
SELU_SCALE = 1.0507009873554805
SELU_FACTOR = SELU_SCALE * 1.6732632423543772

# Where the series of exp(x) - 1 takes over from the difference, which there keeps all bits but one.
EXPM1_BOUND = 0.35
_ATANH_BOUND = 0.3


def _number(value: float, like: Any) -> Any:
    return tirx.const(value, str(like.ty.dtype))


def _is_double(x: Any) -> bool:
    return str(x.ty.dtype) == "float64"


def _polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """By Horner's rule; the coefficient of the highest power comes last."""
    *rest, highest = coefficients
    total = _number(highest, x)
    for coefficient in reversed(rest):
        total = total * x + _number(coefficient, x)
    return total


def artanh_over(square: Any, largest: float) -> Any:
    """artanh(s) / s = 1 + s²/3 + s⁴/5 + ... of ``square`` = s², |s| being at most ``largest``.

    The first term left out is below half of the last bit.
    """
    half_a_bit = 2.0 ** (-54 if _is_double(square) else -25)
    terms = 1
    while largest ** (2 * terms) / (2 * terms + 1) > half_a_bit:
        terms += 1
    return _polynomial(square, [1 / (2 * k + 1) for k in range(terms)])


def expm1_coefficients(is_double: bool) -> list[float]:
    """1, 1/2!, 1/3!, ...: of (exp(x) - 1) / x within ``EXPM1_BOUND``, to the last bit."""
    return [1 / factorial(k) for k in range(1, (14 if is_double else 8) + 1)]


def expm1_below(x: Any) -> Any:
    """exp(x) - 1 of an ``x`` that is not positive."""
    series = x * _polynomial(x, expm1_coefficients(_is_double(x)))
    difference = tirx.exp(x) - _number(1, x)
    return tirx.Select(x > _number(-EXPM1_BOUND, x), series, difference)


def selu(x: Any) -> Any:
    """SELU_SCALE x where x is positive, else SELU_FACTOR (exp(x) - 1)."""
    positive = x * _number(SELU_SCALE, x)
    below = expm1_below(x) * _number(SELU_FACTOR, x)
    return tirx.Select(x > _number(0, x), positive, below)


def log1p_of_power(x: Any) -> Any:
    """log1p(exp(-|x|)) as 2 artanh(s) of s = e / (2 + e), which is at most 1/3."""

    def of_quotient(s: Any) -> Any:
        return bind("square", s * s, lambda square: (s + s) * artanh_over(square, 1 / 3))

    power = tirx.exp(_number(0, x) - tirx.abs(x))
    return bind("e", power, lambda e: bind("s", e / (e + _number(2, x)), of_quotient))


def softplus(x: Any, beta: float, threshold: float) -> Any:
    """log(1 + exp(beta x)) / beta; x where beta x exceeds the threshold."""
    scaled = x if beta == 1 else x * _number(beta, x)
    total = tirx.max(_number(0, x), scaled) + log1p_of_power(scaled)
    soft = total if beta == 1 else total / _number(beta, x)
    return tirx.Select(scaled > _number(threshold, x), x, soft)


def atanh(x: Any) -> Any:
    """artanh(x), near 0 as a series."""
    one = _number(1, x)
    near_zero = x * artanh_over(x * x, _ATANH_BOUND)
    exact = _number(0.5, x) * tirx.log((one + x) / (one - x))
    return tirx.Select(tirx.abs(x) < _number(_ATANH_BOUND, x), near_zero, exact)


def tanh(x: Any) -> Any:
    """-e / (2 + e) of e = exp(-2 |x|) - 1, with the sign of x."""
    e = expm1_below(_number(-2, x) * tirx.abs(x))
    size = bind("e", e, lambda e: (_number(0, x) - e) / (e + _number(2, x)))
    return tirx.copysign(size, x)
