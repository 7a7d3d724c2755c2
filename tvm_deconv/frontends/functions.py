"""Functions of floats in formulas that keep their digits: where nothing cancels, to a few ulp.

TVM computes exp(x) - 1, log(1 + x) and their kin as they are written: near 0, and softplus below
-10, no digit is left. Series end where the next term is below half of the last bit. ``like`` has
the type of ``x`` where that is a nested expression, which has none yet.
"""

from __future__ import annotations

from collections.abc import Sequence

from tvm import relax

from tvm_deconv.schedules.tir.exact import EXPM1_BOUND, SELU_FACTOR, expm1_coefficients

op = relax.op


def number(like: relax.Expr, value: float) -> relax.Expr:
    """A constant of the type of ``like``, which must be a variable or constant."""
    return relax.const(value, str(like.ty.dtype))


def expm1(x: relax.Expr, like: relax.Expr | None = None) -> relax.Expr:
    """exp(x) - 1, near 0 as the series x + x²/2! + x³/3! + ..."""
    like = x if like is None else like
    near_zero = op.multiply(x, _polynomial(like, x, expm1_coefficients(_is_double(like))))
    exact = op.subtract(op.exp(x), number(like, 1.0))
    return op.where(op.less(op.abs(x), number(like, EXPM1_BOUND)), near_zero, exact)


def log1p(x: relax.Expr) -> relax.Expr:
    """log(1 + x), near 0 as 2 artanh(x / (2 + x)).

    Not by Kahan's quotient of log(u) and u - 1 with u = 1 + x: TVM simplifies u - 1 to x.
    """
    s = op.divide(x, op.add(x, number(x, 2.0)))
    # At -1/4 it is -1/7.
    terms = 9 if _is_double(x) else 4
    series = _polynomial(x, op.multiply(s, s), [2 / (2 * k + 1) for k in range(terms)])
    exact = op.log(op.add(x, number(x, 1.0)))
    return op.where(op.less(op.abs(x), number(x, 0.25)), op.multiply(s, series), exact)


def elu(x: relax.Expr, factor: float, like: relax.Expr | None = None) -> relax.Expr:
    """``factor * (exp(x) - 1)``, of use where x is not positive."""
    return op.multiply(op.nn.selu(x), number(x if like is None else like, factor / SELU_FACTOR))


def softplus(x: relax.Expr) -> relax.Expr:
    """log(1 + exp(x)) for every x."""
    return op.nn.softplus(x, 1.0, float("inf"))


def mish(x: relax.Expr) -> relax.Expr:
    """x tanh(softplus(x))."""
    return op.multiply(x, op.tanh(softplus(x)))


def sinh(x: relax.Expr) -> relax.Expr:
    """With its sign, (m + m / (m + 1)) / 2 of m = exp(|x|) - 1, so that small values keep digits.

    Zeros keep their signs.
    """
    size, zero = op.abs(x), number(x, 0.0)
    m = expm1(size, x)
    small = op.multiply(op.add(m, op.divide(m, op.add(m, number(x, 1.0)))), number(x, 0.5))
    y = _with_half_exp(x, small)
    signed = op.where(op.less(x, zero), op.negative(y), y)
    return op.where(op.equal(x, zero), x, signed)


def cosh(x: relax.Expr) -> relax.Expr:
    both = op.add(op.exp(x), op.exp(op.negative(x)))
    return _with_half_exp(x, op.multiply(both, number(x, 0.5)))


def _with_half_exp(x: relax.Expr, y: relax.Expr) -> relax.Expr:
    """exp(|x|) / 2 beyond 40, else ``y``: as a product of roots, since exp(|x|) may be infinite."""
    size, half = op.abs(x), number(x, 0.5)
    root = op.exp(op.multiply(size, half))
    large = op.multiply(op.multiply(root, half), root)
    return op.where(op.greater(size, number(x, 40.0)), large, y)


def _is_double(like: relax.Expr) -> bool:
    return str(like.ty.dtype) == "float64"


def _polynomial(like: relax.Expr, x: relax.Expr, coefficients: Sequence[float]) -> relax.Expr:
    """By Horner's rule; the coefficient of the highest power comes last."""
    *rest, highest = coefficients
    total = number(like, highest)
    for coefficient in reversed(rest):
        total = op.add(op.multiply(total, x), number(like, coefficient))
    return total
