"""exp, log, sigmoid, tanh, erf, sin and cos as arithmetic that LLVM keeps in vector registers.

TVM hands these functions to LLVM, which calls the C library once per lane: 2.5 to 7 ns for each
value, where the arithmetic below takes 0.2 to 0.6 ns (one Zen 4 core), sin and cos 1.5 ns (Sapphire
Rapids). Largest errors against float64, relative to the result: exp, log and sigmoid 2e-7, tanh
4e-7, erf 5e-7, sin and cos 2.4e-7 (the last bit of float32 is 1.2e-7). Infinities and NaN come out
as from the C library; results of exp and sigmoid below 2.4e-38 may come out as zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import Expr, Var

from .circular import cos, sin
from .series import bind, number, polynomial


def with_vector_math(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """``func`` with the calls named above replaced, in float32 and float16 (by way of float32)."""

    def replace(call: tvm.ir.Call) -> Expr:
        compute = FUNCTIONS.get(getattr(call.op, "name", ""))
        # A pointer, such as the address of a prefetch, has no dtype.
        dtype = str(getattr(call.ty, "dtype", ""))
        if compute is None or dtype not in ("float32", "float16"):
            return call
        argument = tvm_ffi.structural_map(call.args[0], (tirx.Cast, _number_of_flag))
        return compute(argument.astype("float32")).astype(dtype)

    return func.with_body(tvm_ffi.structural_map(func.body, (tvm.ir.Call, replace)))


def _number_of_flag(cast: tirx.Cast) -> Expr:
    """A number made of a boolean as a choice: TVM cannot bind a vector of casts from booleans."""
    dtype = str(cast.ty.dtype)
    if str(cast.value.ty.dtype) != "bool" or not dtype.startswith("float"):
        return cast
    return tirx.Select(cast.value, tirx.const(1, dtype), tirx.const(0, dtype))


# Beyond these the result is infinite, or below the smallest normal number.
_EXP_RANGE = (-87.5, 89.0)

# log(2) in two parts: the first has few enough bits that its product with n is exact.
_LOG2_HIGH = 0.693359375
_LOG2_LOW = log(2) - _LOG2_HIGH

# 2 exp(r) on |r| <= log(2)/2 with the least largest error relative to the result: 2e-9. The 2 makes
# up for a power of half the size, which is a normal number wherever the result is.
_EXP_POLYNOMIAL = [
    2 * coefficient
    for coefficient in (
        0.00138436062,
        0.00837419572,
        0.0416680047,
        0.166664308,
        0.499999942,
        1.00000003,
        1.0,
    )
]

# 1.5 * 2^23: to a float32 of this size is added only the nearest integer. 126 more, and the lowest
# bits of x / log(2) + _ROUNDING are the exponent of 2^(n-1).
_ROUNDING = 1.5 * 2**23 + 126
_SIGNIFICAND_BITS = 23


def _exp(x: Expr) -> Expr:
    """exp(x) = 2^n exp(r) with n = round(x / log 2) and |r| <= log(2) / 2."""

    def reduced(x: Var) -> Expr:
        moved = x * number(1 / log(2)) + number(_ROUNDING)
        return bind("m", moved, lambda m: scaled(x, m))

    def scaled(x: Var, m: Var) -> Expr:
        bits = tirx.reinterpret("int32", m) << _SIGNIFICAND_BITS
        return bind("n", m - number(_ROUNDING), lambda n: series(x, n, bits))

    def series(x: Var, n: Var, bits: Expr) -> Expr:
        rest = x - n * number(_LOG2_HIGH) - n * number(_LOG2_LOW)
        twice = bind("r", rest, lambda r: polynomial(r, _EXP_POLYNOMIAL))
        return twice * tirx.reinterpret("float32", bits)

    # With the constant first, a comparison with NaN fails and NaN stays.
    low, high = _EXP_RANGE
    return bind("x", tirx.min(number(high), tirx.max(number(low), x)), reduced)


# 2 * 2^r on |r| <= 1/2 with the least largest error relative to the result, 9.1e-08.
_EXP2_POLYNOMIAL = [
    2 * coefficient
    for coefficient in (
        0.00132647272,
        0.00967151269,
        0.0555073374,
        0.240222421,
        0.693146978,
        1.0,
    )
]


def exp_of_a_difference(x: Expr, highest: Expr) -> Expr:
    """exp(x - highest) for x <= ``highest``, as in softmax, in two thirds of the instructions.

    The result is at most 1 and right to 2e-7 of that, not of itself: t = (x - highest) / log(2) is
    rounded, and 2^t = 2^n 2^r with n = round(t) needs no log(2) in two parts. Minus infinity gives
    0 and NaN stays.
    """

    def scaled(t: Var) -> Expr:
        return bind("m", t + number(_ROUNDING), lambda m: series(t, m))

    def series(t: Var, m: Var) -> Expr:
        bits = tirx.reinterpret("int32", m) << _SIGNIFICAND_BITS
        twice = bind("r", t - (m - number(_ROUNDING)), lambda r: polynomial(r, _EXP2_POLYNOMIAL))
        return twice * tirx.reinterpret("float32", bits)

    # At -126 the power, of half the size, is 0.
    return bind("t", tirx.max(number(-126), (x - highest) * number(1 / log(2))), scaled)


def _sigmoid(x: Expr) -> Expr:
    return number(1.0) / (number(1.0) + _exp(number(0.0) - x))


def _ratio(x: Expr, above: Sequence[float], below: Sequence[float], one_from: float) -> Expr:
    """x P(x²) / Q(x²), which is odd and at most 1.

    At ``one_from`` the quotient is more than 1 by several units of the last place, and so it is 1
    for what lies beyond, infinity included.
    """

    def either(x: Var) -> Expr:
        ratio = bind("s", x * x, lambda s: x * polynomial(s, above) / polynomial(s, below))
        return _within(1.0, ratio)

    return bind("t", _within(one_from, x), either)


def _within(bound: float, x: Expr) -> Expr:
    """``x`` between -``bound`` and ``bound``. With the constants first, as in ``_exp``."""
    return tirx.min(number(bound), tirx.max(number(-bound), x))


# Fitted to the least largest error relative to the result, 2.3e-8, on |x| <= 9.1. No coefficient is
# negative, so nothing cancels.
_TANH_ABOVE = [1.31776199e-08, 2.04812641e-05, 0.00348781608, 0.133744791, 1.0]
_TANH_BELOW = [7.70408803e-07, 0.00032729283, 0.0258474089, 0.467077941, 1.0]


def _tanh(x: Expr) -> Expr:
    return _ratio(x, _TANH_ABOVE, _TANH_BELOW, 10.0)


# The same on |x| <= 4: 2.5e-8.
_ERF_ABOVE = [1.986813e-06, 0.000284563634, 0.00388321397, 0.0531013384, 0.193541944, 1.12837911]
_ERF_BELOW = [3.74203773e-05, 0.00118554104, 0.015206987, 0.115348712, 0.50485462, 1.0]


def _erf(x: Expr) -> Expr:
    return _ratio(x, _ERF_ABOVE, _ERF_BELOW, 4.2)


_SMALLEST_NORMAL = 2.0**-126
# What a number below that is multiplied by: 2 to the power of the bits of a significand.
_NORMALISING_BITS = _SIGNIFICAND_BITS
_SQRT_HALF = 0x3F3504F3  # the bits of float32's sqrt(1/2)
# 2 * artanh(s) = 2s * (1 + s²/3 + s⁴/5 + ...); the first term left out is 2e-9.
_ARTANH_SERIES = [1 / 9, 1 / 7, 1 / 5, 1 / 3, 1.0]


def _log(x: Expr) -> Expr:
    """log(m * 2^n) = n log 2 + 2 artanh((m - 1) / (m + 1)), m between sqrt(1/2) and sqrt(2)."""

    def any_sign(x: Var) -> Expr:
        is_tiny = x < number(_SMALLEST_NORMAL)
        scaled = tirx.Select(is_tiny, x * number(2.0**_NORMALISING_BITS), x)
        more = tirx.Select(is_tiny, tirx.const(_NORMALISING_BITS, "int32"), tirx.const(0, "int32"))
        above = tirx.reinterpret("int32", scaled) - _SQRT_HALF
        positive = bind("above", above, lambda above: split(above, more))
        # Of infinity the logarithm is infinite; a comparison with NaN fails.
        finite = tirx.Select(x < number(float("inf")), positive, x)
        others = tirx.Select(x.equal(number(0.0)), number(float("-inf")), number(float("nan")))
        return tirx.Select(x > number(0.0), finite, others)

    def split(above: Var, more: Expr) -> Expr:
        exponent = (above >> 23) - more
        bits = (above & 0x7FFFFF) + _SQRT_HALF
        factor = tirx.reinterpret("float32", bits) - number(1.0)
        power = exponent.astype("float32")
        return bind("n", power, lambda n: bind("f", factor, lambda f: near_one(f, n)))

    def near_one(f: Var, n: Var) -> Expr:
        ratio = f / (f + number(2.0))
        return bind("s", ratio, lambda s: joined(s, n))

    def joined(s: Var, n: Var) -> Expr:
        series = s * number(2.0) * polynomial(s * s, _ARTANH_SERIES)
        return n * number(_LOG2_HIGH) + (series + n * number(_LOG2_LOW))

    return bind("x", x, any_sign)


# By the name of TVM's intrinsic.
FUNCTIONS: dict[str, Callable[[Expr], Expr]] = {
    "tirx.exp": _exp,
    "tirx.log": _log,
    "tirx.sigmoid": _sigmoid,
    "tirx.tanh": _tanh,
    "tirx.erf": _erf,
    "tirx.sin": sin,
    "tirx.cos": cos,
}
