"""What vector forms of functions are made of: numbers, bindings and polynomials in float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tvm import tirx
from tvm.ir import Expr, Var


def number(value: float, dtype: str = "float32") -> Expr:
    """The number as an expression."""
    return tirx.const(value, dtype)


def bind(name: str, value: Expr, use: Callable[[Var], Expr]) -> Expr:
    """``use(value)`` with ``value`` computed once."""
    var = Var(name, value.ty)
    return tirx.Let(var, value, use(var))


def polynomial(x: Expr, coefficients: Sequence[float]) -> Expr:
    """Horner's rule; the coefficient of the highest power comes first."""
    result = number(coefficients[0])
    for coefficient in coefficients[1:]:
        result = result * x + number(coefficient)
    return result
