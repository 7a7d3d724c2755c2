"""Constants of a network that kernels take in another order: changed when it is compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import tvm
from tvm import relax, tirx
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.relax_functions import CALL_TIR, with_rebuilt

# A function, and by which parameter what packs the constants that it takes.
Packed: TypeAlias = tuple[tirx.PrimFunc, Mapping[int, Callable[[np.ndarray], np.ndarray]]]


def constant_parameters(mod: tvm.IRModule) -> dict[str, set[int]]:
    """By the name of a function: parameters that are constants wherever it is called."""
    found: dict[str, set[int]] = {}
    elsewhere: set[str] = set()

    def visit(expr: relax.Expr) -> None:
        if not isinstance(expr, relax.Call):
            return
        if expr.op != CALL_TIR:
            # Called in another way, or handed to someone.
            elsewhere.update(
                arg.name_hint for arg in (expr.op, *expr.args) if isinstance(arg, tvm.ir.GlobalVar)
            )
            return
        callee, arguments = expr.args[0].name_hint, expr.args[1].fields
        own = {i for i, a in enumerate(arguments) if isinstance(a, tvm.ir.GenericConst)}
        found[callee] = found[callee] & own if callee in found else own

    for _, func in mod.functions_items():
        if isinstance(func, relax.Function):
            relax.analysis.post_order_visit(func, visit)
    return {name: own for name, own in found.items() if name not in elsewhere}


def with_packed(mod: tvm.IRModule, packed: Mapping[str, Packed]) -> tvm.IRModule:
    """``mod`` calling what ``packed`` has in place of the functions of these names."""
    if not packed:
        return mod
    return with_rebuilt(mod, lambda work, _func: _Rebuild(work, packed))


@mutator
class _Rebuild(PyExprMutator):
    """Calls the functions that take constants packed, with these."""

    def __init__(self, mod: tvm.IRModule, packed: Mapping[str, Packed]) -> None:
        super().__init__(mod)
        self.packed = packed
        self.callees: dict[str, tvm.ir.GlobalVar] = {}

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        name = call.args[0].name_hint if call.op == CALL_TIR else ""
        if name not in self.packed:
            return super().visit_call_(call)
        func, packings = self.packed[name]
        if name not in self.callees:
            self.callees[name] = self.builder_.add_func(func, name)
        arguments = [
            _constant(packings[i](argument.value.numpy())) if i in packings else argument
            for i, argument in enumerate(self.visit_expr(call.args[1]).fields)
        ]
        given = [self.callees[name], relax.Tuple(arguments), *call.args[2:]]
        return relax.Call(call.op, given, call.attrs, call.ty_args)


def _constant(array: np.ndarray) -> relax.Expr:
    """Of the array's own type: TVM makes float32 of float64."""
    return relax.const(array, str(array.dtype))
