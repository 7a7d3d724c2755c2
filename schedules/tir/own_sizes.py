"""Dimensions as the numbers that they are, not as the formulas that a network has for them.

A product of matrices in an attention layer has ``h * w`` rows, one behind windows of a picture has
``(h + 3) // 4 * ((w + 3) // 4) * 16``. For its loops that is one number, and TVM reads it off an
argument at run time as well as any other; but the formula would stand in each index of hundreds of
unrolled statements, to be simplified in each, and took most of the time of compiling such a layer::

    y: (n, h * w, 16)   =>   y: (n, rows, 16)
"""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Expr, Var
from tvm.sym import detect_linear_equation

from . import edit


def with_own_sizes(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """``func``, unscheduled, with a variable for each formula that it need not know.

    A reshape of ``(h, w)`` to ``(h * w,)`` has to: that the numbers belong together is what makes
    its index a simple one. So a product keeps its formula where its variables are read elsewhere,
    and a rounded size where another formula has them.
    """
    left = sorted(_formulas(func), key=_letters)
    known: list[Expr] = []
    while left:
        formula, *left = left
        size = Var("size", formula.ty)
        own = _replaced(func, formula, size)
        others = [_replaced(other, formula, size) for other in left]
        read = _needed(own) if _is_product(formula) else _read([*known, *others])
        if read & edit.variables_of(formula):
            known.append(formula)
        else:
            func, left = own, others
    return func


def _formulas(func: tirx.PrimFunc) -> list[Expr]:
    """The dimensions of the arguments that are more than ``a * h + b``, once each.

    Of those TVM proves what it needs, and such a factor leaves no rest behind whole vectors.
    """
    found: list[Expr] = []
    for dim in _dimensions(func):
        if not _is_linear(dim) and not any(tvm_ffi.structural_equal(dim, other) for other in found):
            found.append(dim)
    return found


def _dimensions(func: tirx.PrimFunc) -> list[Expr]:
    return [dim for param in func.params for dim in getattr(param.ty, "shape", None) or ()]


def _replaced(node: Any, formula: Expr, size: Var) -> Any:
    def replace(expr: Any) -> Any:
        return size if tvm_ffi.structural_equal(expr, formula) else expr

    return tvm_ffi.structural_map(node, (type(formula), replace), order="pre")


def _is_linear(dim: Expr) -> bool:
    variables = list(edit.variables_of(dim))
    return len(variables) < 2 and bool(detect_linear_equation(dim, variables))


def _is_product(formula: Expr) -> bool:
    """Whether the formula rounds nothing."""
    divisions: list[Any] = []
    kinds = (tirx.FloorDiv, tirx.FloorMod)
    tvm_ffi.structural_walk(formula, (kinds, divisions.append))
    return not divisions


def _letters(formula: Expr) -> int:
    return len(str(formula))


def _needed(func: tirx.PrimFunc) -> set[Var]:
    """The variables that the body or a dimension of an argument reads."""
    return _read([func.body, *_dimensions(func)])


def _read(nodes: list[Any]) -> set[Var]:
    return set().union(*map(edit.variables_of, nodes))
