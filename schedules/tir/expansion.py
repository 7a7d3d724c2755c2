"""How large the expression of an element becomes where operators are inlined into each other.

An operator names its operand several times: ``select(p > 0, p, a * p)`` three times, the series
behind ``exp`` some twenty times. Inlined n deep, that is to the power of n, also where the operand
is bound to a name: TVM 0.27's code generator simplifies the value of each binding with the values
of all others put in (``analyzer_->Bind`` in codegen_llvm.cc). Ten sigmoids would take it longer
than anyone waits and more memory than there is, so longer chains are cut by a pass over memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import Expr, Var
from tvm.ir import TensorLoad as Load

from .vector_math import FUNCTIONS

# Names in an expression. TVM takes about a second for a million; this many are six LeakyReLUs in a
# row, three sigmoids, or two tanhs.
LARGEST = 100_000

# Both sides of a choice are simplified under its condition.
_CHOICE = 2

_PARTS = ("a", "b", "value", "condition", "true_value", "false_value")


def size_of(value: Expr, load: Callable[[Load], int]) -> int:
    """How many names ``value`` has, where a load counts as ``load`` says."""

    def count(expr: Any, bound: Mapping[Var, int]) -> int:
        if isinstance(expr, Load):
            return load(expr)
        if isinstance(expr, tirx.Let):
            return count(expr.body, {**bound, expr.var: count(expr.value, bound)})
        if isinstance(expr, tvm.ir.Call):
            parts, factor = list(expr.args), _growth(str(getattr(expr.op, "name", "")))
        else:
            parts = [getattr(expr, name) for name in _PARTS if hasattr(expr, name)]
            factor = _CHOICE if isinstance(expr, tirx.Select) else 1
        parts = [part for part in parts if isinstance(part, Expr)]
        if parts:
            return factor * sum(count(part, bound) for part in parts)
        return bound.get(expr, 1) if isinstance(expr, Var) else 1

    return count(value, {})


def size_when_inlined(func: tirx.PrimFunc, sizes: Sequence[int]) -> int:
    """How many names the last store of an unscheduled function has with all others inlined.

    A load of the function's parameters counts as ``sizes`` says, in their order.
    """
    known: dict[Var, int] = dict(zip(func.params, sizes, strict=False))
    last = 1

    def note(store: tirx.BufferStore) -> None:
        nonlocal last
        last = size_of(store.value, lambda load: known.get(load.source, 1))
        known[store.buffer] = last

    tvm_ffi.structural_walk(func.body, (tirx.BufferStore, note))
    return last


@cache
def _growth(function: str) -> int:
    """How often the arithmetic that replaces a function names its argument; 1 for all others."""
    if function == "prim.if_then_else":
        return _CHOICE
    if function not in FUNCTIONS:
        return 1
    return size_of(FUNCTIONS[function](Var("x", "float32")), lambda load: 1)
