"""Sizes of a program with free dimensions: from PyTorch's symbols to TensorIR.

``torch.export`` records for every tensor its shape in terms of the inputs' free dimensions
(``2*s0``, ``TruncToInt(1.5*ToFloat(s0))``). Reading these formulas, rather than replaying the size
arithmetic of the graph, gives every tensor the shape that PyTorch itself derived.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import sympy
import torch
from tvm import sym, tirx

from tvm_deconv.errors import ModelError

# A factor p/q with parts up to this is applied in integers: p*n stays far from the end of int64.
_LARGEST_PART = 2**20


class Sizes:
    """The variables that stand for the program's free dimensions, by PyTorch's symbol."""

    def __init__(self) -> None:
        self.variables: dict[str, tirx.Expr] = {}
        self._known: dict[sympy.Basic, sympy.Basic] = {}
        self._analyzer = sym.Analyzer()

    def __call__(self, value: Any) -> Any:
        """A size as int if it is one, else as an expression of int64 (float64 for a SymFloat).

        ``value`` is an int, float, bool, SymInt, SymFloat, SymBool or sympy expression. Raises
        ModelError for a formula that has no translation.
        """
        if isinstance(value, (bool, int, float)):
            return value
        expr = value if isinstance(value, sympy.Basic) else value.node.expr
        expr = expr.xreplace(self._known)
        if isinstance(expr, sympy.Integer):
            return int(expr)
        if isinstance(expr, (sympy.Float, sympy.Rational)):
            return float(expr)
        if expr in (sympy.true, sympy.false):
            return bool(expr)
        translated = self._analyzer.simplify(self._translate(expr))
        return int(translated.value) if isinstance(translated, tirx.IntImm) else translated

    def learn(self, size: Any, value: int) -> None:
        """Take ``value`` for the formula of ``size`` from now on: the program requires it."""
        if isinstance(size, torch.SymInt) and not size.node.expr.is_Symbol:
            self._known[size.node.expr] = sympy.Integer(value)

    def shape(self, tensor: torch.Tensor) -> list[Any]:
        """The shape of a (fake) tensor."""
        return [self(size) for size in tensor.shape]

    def equal(self, a: Any, b: Any) -> bool:
        """True if two sizes are provably equal."""
        if isinstance(a, int) and isinstance(b, int):
            return a == b
        return bool(self._analyzer.can_prove_equal(integer(a), integer(b)))

    def _translate(self, expr: sympy.Basic) -> tirx.Expr:
        if isinstance(expr, sympy.Symbol):
            if expr.name not in self.variables:
                raise ModelError(
                    f"the shapes depend on {expr.name}, which no dimension of an input gives: "
                    "a size that depends on data cannot be compiled"
                )
            return self.variables[expr.name]
        if isinstance(expr, sympy.Integer):
            return tirx.IntImm("int64", int(expr))
        if isinstance(expr, (sympy.Float, sympy.Rational)):
            return tirx.FloatImm("float64", float(expr))
        if type(expr).__name__ in ("TruncToInt", "FloorToInt"):
            whole = self._in_integers(expr.args[0])
            if whole is not None:
                return whole
        build = BUILDERS.get(type(expr).__name__)
        if build is None:
            raise ModelError(
                f"the shapes need {type(expr).__name__} ({expr}), which cannot be compiled: "
                "export with a fixed size there"
            )
        return build(*(self._translate(arg) for arg in expr.args))

    def _in_integers(self, expr: sympy.Basic) -> tirx.Expr | None:
        """floor(p/q * n) as ``p*n // q`` where the float factor is exactly p/q; n is not negative.

        Equal because the product of such a factor and a size below 2**32 is exact in float64.
        """
        if type(expr).__name__ == "IntTrueDiv":
            # A quotient of integers below 2**53 is not rounded up to a whole number.
            numerator, denominator = (self._translate(arg) for arg in expr.args)
            nonnegative = expr.args[0].is_nonnegative and expr.args[1].is_positive
            return tirx.floordiv(numerator, denominator) if nonnegative else None
        if not isinstance(expr, sympy.Mul) or len(expr.args) != 2:
            return None
        factor, size = expr.args
        if not isinstance(factor, sympy.Float) or type(size).__name__ != "ToFloat":
            return None
        p, q = float(factor).as_integer_ratio()
        if not 0 < p <= _LARGEST_PART or q > _LARGEST_PART or not size.args[0].is_nonnegative:
            return None
        return tirx.floordiv(self._translate(size.args[0]) * p, tirx.IntImm("int64", q))


def integer(size: Any) -> tirx.Expr:
    """A size as a TensorIR expression."""
    return tirx.IntImm("int64", size) if isinstance(size, int) else size


def is_float(expr: tirx.Expr) -> bool:
    return str(expr.ty.dtype).startswith("float")


def _joined(operator: Callable[[Any, Any], Any]) -> Callable[..., tirx.Expr]:
    """n-ary: integers are float64 beside a float, as in Python."""

    def build(*args: tirx.Expr) -> tirx.Expr:
        if any(map(is_float, args)):
            args = tuple(as_float(arg) for arg in args)
        return reduce(operator, args)

    return build


def as_float(expr: tirx.Expr) -> tirx.Expr:
    return expr if is_float(expr) else tirx.Cast("float64", expr)


def _true_divide(a: tirx.Expr, b: tirx.Expr) -> tirx.Expr:
    return tirx.div(as_float(a), as_float(b))


def _power(base: tirx.Expr, exponent: tirx.Expr) -> tirx.Expr:
    if isinstance(exponent, tirx.IntImm) and 0 < int(exponent.value) <= 8:
        return reduce(lambda a, b: a * b, [base] * int(exponent.value))
    if isinstance(exponent, tirx.IntImm) and int(exponent.value) == -1:
        return _true_divide(tirx.FloatImm("float64", 1.0), base)
    if isinstance(exponent, tirx.FloatImm) and float(exponent.value) == 0.5:
        return tirx.sqrt(as_float(base))
    return tirx.pow(as_float(base), as_float(exponent))


def _truncated(expr: tirx.Expr) -> tirx.Expr:
    """By a conversion: TVM has no types for tirx.trunc, floor and ceil inside another formula."""
    return tirx.Cast("int64", as_float(expr))


def _is_less(a: tirx.Expr, b: tirx.Expr) -> tirx.Expr:
    """1 where a < b, else 0."""
    return tirx.Cast("int64", as_float(a) < as_float(b))


BUILDERS: dict[str, Callable[..., tirx.Expr]] = {
    "Add": _joined(lambda a, b: a + b),
    "Mul": _joined(lambda a, b: a * b),
    "Pow": _power,
    "PowByNatural": _power,
    "FloatPow": _power,
    "FloorDiv": tirx.floordiv,
    "CleanDiv": tirx.floordiv,
    "CeilDiv": lambda a, b: tirx.floordiv(a + b - 1, b),
    "Mod": tirx.floormod,
    "PythonMod": tirx.floormod,
    "ModularIndexing": lambda a, b, c: tirx.floormod(tirx.floordiv(a, b), c),
    "Max": _joined(tirx.max),
    "Min": _joined(tirx.min),
    "ToFloat": as_float,
    "IntTrueDiv": _true_divide,
    "FloatTrueDiv": _true_divide,
    "TruncToInt": _truncated,
    "FloorToInt": lambda expr: _truncated(expr) - _is_less(expr, _truncated(expr)),
    "CeilToInt": lambda expr: _truncated(expr) + _is_less(_truncated(expr), expr),
    "RoundToInt": lambda expr: _truncated(tirx.nearbyint(as_float(expr))),
    "Identity": lambda a: a,
    "OpaqueUnaryFn_sqrt": lambda a: tirx.sqrt(as_float(a)),
}
