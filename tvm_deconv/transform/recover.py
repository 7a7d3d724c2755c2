"""A working copy in which operators that an importer lowered too early are Relax operators again.

TVM 0.27's ONNX importer emits Pad, Clip and Tile as calls of PrimFuncs, and symbolic sizes of
Resize as ``Cast(int64, float32(2) * Cast(float32, H))``. Names say nothing reliable about a
PrimFunc, so each is compared structurally with what TVM itself generates for the operator that it
might be: equal code is equal meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import tvm
import tvm_ffi
from tvm import relax, topi
from tvm.relax.expr_functor import PyExprMutator, mutator
from tvm.relax.utils import gen_call_tir_inputs

from .matching import op_name, shape_of

# Wider paddings than this are not searched for: nobody pads a convolution's input by so much.
_WIDEST_PAD = 32

Guess = tuple[Callable[..., Any], tuple[Any, ...], Callable[[], relax.Expr]]


def recover(mod: tvm.IRModule) -> tvm.IRModule:
    """A copy of ``mod`` with PrimFuncs recognised as Relax operators, aliases removed and sizes
    in integers; ``mod`` itself if there is nothing of the kind."""
    work = relax.transform.CanonicalizeBindings()(mod)
    for name, func in work.functions_items():
        if isinstance(func, relax.Function):
            new = _Recover(work).visit_expr(func)
            if not new.same_as(func):
                work = work.clone()
                work.update_func(name, new)
    return work


@mutator
class _Recover(PyExprMutator):
    def __init__(self, mod: tvm.IRModule) -> None:
        super().__init__()
        self.mod = mod

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = super().visit_call_(call)
        if op_name(call) != "relax.call_tir":
            return call
        found = recognise(self.mod, call)
        return call if found is None else self.builder_.normalize(found)

    def visit_cast_(self, cast: Any) -> Any:
        return integer_size(cast)


def integer_size(expr: Any) -> Any:
    """``Cast(int64, float(k) * Cast(float, n))`` as ``k*n`` where k is a whole number.

    Equal for every n below 2**24, where float32 starts to skip integers.
    """
    if not isinstance(expr, tvm.tirx.Cast) or not _is_integer(expr):
        return expr
    inner = expr.value
    if isinstance(inner, tvm.tirx.Mul):
        for scale, size in ((inner.a, inner.b), (inner.b, inner.a)):
            whole = isinstance(scale, tvm.tirx.FloatImm) and float(scale.value).is_integer()
            if whole and isinstance(size, tvm.tirx.Cast) and _is_integer(size.value):
                n = integer_size(size.value)
                return tvm.arith.Analyzer().simplify(n * int(scale.value))
    return expr


def recognise(mod: tvm.IRModule, call: relax.Call) -> relax.Call | None:
    """The Relax call that a ``call_tir`` is the lowered form of, or None."""
    if not isinstance(call.args[1], relax.Tuple) or len(call.ty_args) != 1:
        return None
    func = mod[call.args[0]]
    tensors = list(call.args[1].fields)
    if not isinstance(func, tvm.tirx.PrimFunc) or not tensors:
        return None
    for generate, arguments, build in _guesses(call, func, tensors):
        try:
            expected = gen_call_tir_inputs(generate, *arguments)[0]
        except (ValueError, TypeError, tvm.error.TVMError):
            continue
        if tvm_ffi.structural_equal(expected, func):
            return build()
    return None
