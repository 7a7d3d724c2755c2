"""Divisions of what grows with a free size, which is never negative.

TVM does not know that of a size and writes each rounding down out, with the sign of a remainder and
of a divisor. Nested, as in ``piece % (ceil(h, 18) * ceil(w, 64)) // ceil(w, 64)``, an index became
13,000 letters long, and TVM took six of the nine seconds in which the network of the README with
free sizes was compiled to simplify it again and again::

    piece % (m * n) // n   =>   truncdiv(truncmod(piece, m * n), n)
"""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Expr, Var
from tvm.s_tir import SBlock
from tvm.sym import Analyzer, ConstIntBound

from . import edit

_NOT_NEGATIVE = ConstIntBound(0, ConstIntBound.POS_INF)


def with_sizes_from_zero(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """``func``, scheduled, with the divisions by TVM's ``Div`` and ``Mod`` that may be.

    Those of known sizes TVM finds itself, and those by powers of two are shifts already.
    """
    sizes = sizes_of(func)
    if not sizes:
        return func
    analyzer = Analyzer()
    for var in sizes | _counters(func, analyzer):
        analyzer.update(var, _NOT_NEGATIVE, True)

    def truncated(node: Any) -> Expr:
        if _is_power_of_two(node.b) or not reads(node, sizes):
            return node
        if any(analyzer.const_int_bound(part).min_value < 0 for part in (node.a, node.b)):
            return node
        divide = tirx.truncdiv if isinstance(node, tirx.FloorDiv) else tirx.truncmod
        return divide(node.a, node.b)

    kinds = (tirx.FloorDiv, tirx.FloorMod)
    return func.with_body(tvm_ffi.structural_map(func.body, (kinds, truncated)))


def sizes_of(func: tirx.PrimFunc) -> set[Var]:
    """The variables among the dimensions of the parameters."""
    dims = (dim for param in func.params for dim in getattr(param.ty, "shape", None) or ())
    return set().union(*map(edit.variables_of, dims))


def _counters(func: tirx.PrimFunc, analyzer: Analyzer) -> set[Var]:
    """The variables of loops and of blocks that begin at 0 or later."""
    begins: list[tuple[Var, Expr]] = []

    def of_loop(loop: tirx.For) -> None:
        begins.append((loop.loop_var, loop.min))

    def of_block(block: SBlock) -> None:
        begins.extend((axis.var, axis.dom.min) for axis in block.iter_vars)

    tvm_ffi.structural_walk(func.body, [(tirx.For, of_loop), (SBlock, of_block)])
    early = {var for var, begin in begins if analyzer.const_int_bound(begin).min_value < 0}
    return {var for var, _ in begins} - early


def _is_power_of_two(divisor: Expr) -> bool:
    return isinstance(divisor, tirx.IntImm) and int(divisor.value).bit_count() == 1


def reads(expr: Expr, variables: set[Var]) -> bool:
    """Whether one of ``variables`` occurs in ``expr``."""
    return not variables.isdisjoint(edit.variables_of(expr))
