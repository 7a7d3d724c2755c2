"""Quotients and remainders, of floats and of integers, as PyTorch rounds them."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_deconv.errors import ModelError

from .arithmetic import Op, apply
from .translation import Translation
from .values import value_of


def divide(t: Translation, a: Any, b: Any, rounding_mode: str | None = None) -> relax.Expr:
    """a / b, or the quotient rounded to ``floor`` or towards zero (``trunc``)."""
    if rounding_mode is None:
        return apply(t, relax.op.divide, (a, b), t.dtype)
    integers = not t.dtype.startswith("float")
    if rounding_mode == "floor":
        op = _floor_quotient_of_floats
        if integers:
            op = _whole(relax.op.floor_divide)
    else:
        op = _whole(relax.op.divide) if integers else _truncated_quotient
    return apply(t, op, (a, b), t.dtype)


def floor_divide(t: Translation, a: Any, b: Any) -> relax.Expr:
    return divide(t, a, b, "floor")


def _whole(op: Op) -> Op:
    """Integer division, by 1 instead of 0: PyTorch raises an error there, a processor traps."""

    def convert(a: relax.Expr, b: relax.Expr) -> relax.Expr:
        known = value_of(b)
        if known is not None and not known.all():
            raise ModelError("integer division by zero")
        if known is not None:
            return op(a, b)
        dtype = str(b.ty.dtype)
        zero, one = relax.const(0, dtype), relax.const(1, dtype)
        return op(a, relax.op.where(relax.op.equal(b, zero), one, b))

    return convert


def _truncated_quotient(a: relax.Expr, b: relax.Expr) -> relax.Expr:
    return relax.op.trunc(relax.op.divide(a, b))


def _floor_quotient_of_floats(a: relax.Expr, b: relax.Expr) -> relax.Expr:
    """Python's a // b: by the exact remainder, since a / b may be rounded up to a whole number."""
    one, half = relax.const(1, str(a.ty.dtype)), relax.const(0.5, str(a.ty.dtype))
    rest = relax.op.mod(a, b)
    quotient = relax.op.divide(relax.op.subtract(a, rest), b)
    quotient = relax.op.where(_signs_differ(rest, b), relax.op.subtract(quotient, one), quotient)
    whole = relax.op.floor(quotient)
    too_small = relax.op.greater(relax.op.subtract(quotient, whole), half)
    exact = relax.op.where(too_small, relax.op.add(whole, one), whole)
    zero = relax.const(0, str(a.ty.dtype))
    return relax.op.where(relax.op.equal(b, zero), relax.op.divide(a, b), exact)


def _signs_differ(rest: relax.Expr, divisor: relax.Expr) -> relax.Expr:
    """True where a remainder is not zero and has not the sign of the divisor."""
    zero = relax.const(0, str(divisor.ty.dtype))
    return relax.op.logical_and(
        relax.op.not_equal(rest, zero),
        # Not not_equal: LLVM has no comparison of floats for bools.
        relax.op.logical_xor(relax.op.less(rest, zero), relax.op.less(divisor, zero)),
    )


def remainder(t: Translation, a: Any, b: Any) -> relax.Expr:
    """The remainder with the sign of the divisor."""
    if not t.dtype.startswith("float"):
        return apply(t, _whole(relax.op.floor_mod), (a, b), t.dtype)

    def of_floats(x: relax.Expr, y: relax.Expr) -> relax.Expr:
        rest = relax.op.mod(x, y)
        return relax.op.where(_signs_differ(rest, y), relax.op.add(rest, y), rest)

    return apply(t, of_floats, (a, b), t.dtype)


def truncated_remainder(t: Translation, a: Any, b: Any) -> relax.Expr:
    """C's fmod: the remainder with the sign of the dividend."""
    if t.dtype.startswith("float"):
        return apply(t, relax.op.mod, (a, b), t.dtype)
    return apply(t, _whole(relax.op.mod), (a, b), t.dtype)
