"""Maxima and minima that are NaN where an operand is, as those of PyTorch and NumPy are.

    max(a, b)    =>    |b| <= inf ? max(b, a) : b

TVM lowers ``max(a, b)`` to ``a > b ? a : b``, false where either is NaN: a NaN survives as the
second operand only, and in a reduction ``m = max(m, x)`` until the next term takes its place. Of
the comparisons that tell a NaN only the one above does: TVM makes scalar code of ``isnan(b)`` in a
vector, and 1 of ``b == b``. LLVM makes one comparison of it that is not in the chain of maxima: on
AVX-512 (2 threads of an Intel Xeon) pools of 3x3 and 5x5 windows take 6 to 21 % longer, one of 2x2
windows with stride 2 as long as before. NEON has a maximum that keeps NaN in one instruction.

With a constant among the operands it is enough that it stands first, which costs nothing.
"""

from __future__ import annotations

import math

import tvm_ffi
from tvm import tirx
from tvm.ir import Expr
from tvm.ir import TensorLoad as Load

from tvm_deconv.schedules import llvm

_INTRINSICS: dict[type, str] = {tirx.Max: "llvm.maximum", tirx.Min: "llvm.minimum"}


def with_nan_kept(func: tirx.PrimFunc, in_one_instruction: bool) -> tirx.PrimFunc:
    """``func``, scheduled or not, with such maxima and minima of floats.

    ``in_one_instruction`` says that the processor has them.
    """

    def kept(node: tirx.Max | tirx.Min) -> Expr:
        dtype = str(node.ty.dtype)
        if not dtype.startswith("float") or not _is_of_elements(node):
            return node
        a, b = (node.b, node.a) if _is_number(node.b) else (node.a, node.b)
        if _is_number(a):
            return type(node)(a, b)
        number = llvm.intrinsic(_INTRINSICS[type(node)]) if in_one_instruction else 0
        if number:
            return tirx.call_llvm_pure_intrin(dtype, number, a, b)
        if isinstance(b, (tirx.Var, Load)):
            return _second_first(node, a, b)
        once = tirx.Var("term", b.ty)
        return tirx.Let(once, b, _second_first(node, a, once))

    return func.with_body(tvm_ffi.structural_map(func.body, ((tirx.Max, tirx.Min), kept)))


def _is_of_elements(node: Expr) -> bool:
    """Not a place computed in floats, which is no NaN: TVM cannot bound it as a choice."""
    loads: list[Load] = []
    tvm_ffi.structural_walk(node, (Load, loads.append))
    # Halves of a vector, which lanes are joined by, were loaded before.
    halves: list[tirx.Shuffle] = []
    tvm_ffi.structural_walk(node, (tirx.Shuffle, halves.append))
    return bool(halves) or any(str(load.source.dtype).startswith("float") for load in loads)


def _second_first(node: tirx.Max | tirx.Min, a: Expr, b: Expr) -> Expr:
    infinite = tirx.const(math.inf, str(b.ty.dtype))
    return tirx.Select(tirx.abs(b) <= infinite, type(node)(b, a), b)


def _is_number(expr: Expr) -> bool:
    return isinstance(expr, tirx.FloatImm) and not math.isnan(expr.value)
