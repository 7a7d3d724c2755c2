"""exp, log, sigmoid, tanh, erf, sin and cos as arithmetic that LLVM keeps in vector registers.

TVM hands these functions to LLVM, which calls the C library once per lane: 2.5 to 7 ns for each
value, where the arithmetic below takes 0.2 to 0.6 ns (one Zen 4 core), sin and cos 1.5 ns (Sapphire
Rapids). Largest errors against float64, relative to the result: exp, log and sigmoid 2e-7, tanh
6e-7, erf 6e-7, sin and cos 2.4e-7 (the last bit of float32 is 1.2e-7). Infinities and NaN come out
as from the C library; results of exp and sigmoid below 2.4e-38 may come out as zero.
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial, log, pi, sqrt

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

# Taylor series on |r| <= log(2)/2: the first term left out is r^8/8! = 5e-9.
_EXP_SERIES = [1 / factorial(k) for k in range(7, -1, -1)]


def _exp(x: Expr) -> Expr:
    """exp(x) = 2^n exp(r) with n = round(x / log 2) and |r| <= log(2) / 2."""

    def reduced(x: Var) -> Expr:
        nearest = tirx.floor(x * number(1 / log(2)) + number(0.5))
        return bind("n", nearest, lambda n: scaled(x, n))

    def scaled(x: Var, n: Var) -> Expr:
        rest = x - n * number(_LOG2_HIGH) - n * number(_LOG2_LOW)
        # 2^(n-1) has a valid exponent for every n; only the factor 2 may overflow, to infinity.
        bits = (n.astype("int32") + 126) * (1 << 23)
        power = tirx.reinterpret("float32", bits)
        series = bind("r", rest, lambda r: polynomial(r, _EXP_SERIES))
        return series * power * number(2.0)

    # With the constant first, a comparison with NaN fails and NaN stays.
    low, high = _EXP_RANGE
    return bind("x", tirx.min(number(high), tirx.max(number(low), x)), reduced)


def _sigmoid(x: Expr) -> Expr:
    return number(1.0) / (number(1.0) + _exp(number(0.0) - x))


# Below 0.25 the formula with exp would cancel; the first term left out of the series is 8e-9.
_TANH_SERIES = [62 / 2835, -17 / 315, 2 / 15, -1 / 3, 1.0]


def _tanh(x: Expr) -> Expr:
    def either(x: Var) -> Expr:
        near = x * polynomial(x * x, _TANH_SERIES)
        far = number(1.0) - number(2.0) / (_exp(x + x) + number(1.0))
        return tirx.Select(tirx.abs(x) < number(0.25), near, far)

    return bind("t", x, either)


# Series on |x| < 0.5; the first term left out is 8e-10.
_ERF_SERIES = [2 / sqrt(pi) * (-1) ** k / (factorial(k) * (2 * k + 1)) for k in range(6, -1, -1)]

# Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: error below 1.5e-7.
_ERF_SCALE = 0.3275911
_ERF_TAIL = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592, 0.0]


def _erf(x: Expr) -> Expr:
    def either(x: Var) -> Expr:
        near = x * polynomial(x * x, _ERF_SERIES)
        t = number(1.0) / (number(1.0) + number(_ERF_SCALE) * tirx.abs(x))
        tail = bind("u", t, lambda u: polynomial(u, _ERF_TAIL)) * _exp(number(0.0) - x * x)
        far = number(1.0) - tail
        signed = tirx.Select(x < number(0.0), number(0.0) - far, far)
        return tirx.Select(tirx.abs(x) < number(0.5), near, signed)

    return bind("t", x, either)


_SMALLEST_NORMAL = 2.0**-126
# What a number below that is multiplied by: 2 to the power of the bits of a significand.
_NORMALISING_BITS = 23
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
