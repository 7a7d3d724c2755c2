"""Numbers quantized by a known scale, without a division.

    cast(min(max(round(x / c) + z, low), high))
    => h = x held between (low - z) c and (high - z) c
       q = h r;  cast(int(q + (h - q c) r) + z)

The same integers, as ``algebra.quotients`` says, where processors multiply and add at once. Of 1.6
million numbers a division for each took 0.31 ms, this 0.23, of which 0.19 is reading them (one
thread of an Intel Xeon beside other work).
"""

from __future__ import annotations

from dataclasses import dataclass

import tvm_ffi
from tvm import ir, tirx
from tvm.ir import Expr

from tvm_deconv.algebra.quotients import bounds, reciprocal

from .series import bind, number

# A float32 whose unit is 1: what is added to it is rounded to an integer, half to even.
_ROUNDS = 1.5 * 2**23


def with_known_quotients(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """``func``, for a processor that multiplies and adds at once, with every such byte so."""

    def multiplied(cast: tirx.Cast) -> Expr:
        found = _quantized(cast)
        if found is None:
            return cast
        factor = reciprocal(found.scale, found.low, found.high)
        return cast if factor is None else _product(found, factor, str(cast.ty.dtype))

    return func.with_body(tvm_ffi.structural_map(func.body, (tirx.Cast, multiplied)))


@dataclass(frozen=True)
class _Quantized:
    """``value`` in units of ``scale``, between ``low`` and ``high``; then ``zero`` is added."""

    value: Expr
    scale: float
    zero: int
    low: int
    high: int


def _quantized(cast: tirx.Cast) -> _Quantized | None:
    held = cast.value
    if str(cast.ty.dtype) not in ("uint8", "int8") or not isinstance(held, tirx.Min):
        return None
    if not isinstance(held.a, tirx.Max):
        return None
    units = held.a.a
    zero: int | None = 0
    if isinstance(units, tirx.Add):
        units, zero = units.a, _whole(units.b)
    low, high = _whole(held.a.b), _whole(held.b)
    if zero is None or low is None or high is None or not low <= high:
        return None
    is_rounded = isinstance(units, ir.Call) and getattr(units.op, "name", "") == "tirx.round"
    quotient = units.args[0] if is_rounded else None
    if not isinstance(quotient, tirx.Div) or not isinstance(quotient.b, tirx.FloatImm):
        return None
    if str(quotient.ty.dtype) != "float32" or _has_names(quotient.a):
        return None
    return _Quantized(quotient.a, float(quotient.b.value), zero, low - zero, high - zero)


def _has_names(value: Expr) -> bool:
    """Whether something is named in it, as in a function that is written out.

    Within another name TVM finds bounds for such a name twice, and not the same ones (``log``).
    """
    names: list[tirx.Let] = []
    tvm_ffi.structural_walk(value, (tirx.Let, names.append))
    return bool(names)


def _whole(expr: Expr) -> int | None:
    """The integer that a number of floats is."""
    value = float(expr.value) if isinstance(expr, tirx.FloatImm) else 0.5
    return int(value) if value.is_integer() else None


def _product(found: _Quantized, factor: float, dtype: str) -> Expr:
    least, most = map(number, bounds(found.scale, found.low, found.high))
    r, c = number(factor), number(-found.scale)

    def fused(a: Expr, b: Expr, added: Expr) -> Expr:
        return tirx.call_llvm_pure_intrin("float32", "llvm.fma", a, b, added)

    def rounded(h: Expr, q: Expr) -> Expr:
        quotient = fused(fused(q, c, h), r, q)
        units = tirx.reinterpret("int32", quotient + number(_ROUNDS))
        return (units + tirx.const(found.zero, "int32")).astype(dtype)

    def held(x: Expr) -> Expr:
        # NaN is the least.
        above = tirx.Select(x > least, x, least)
        inside = bind("b", above, lambda b: tirx.Select(b < most, b, most))
        return bind("h", inside, lambda h: bind("q", h * r, lambda q: rounded(h, q)))

    return bind("x", found.value, held)
