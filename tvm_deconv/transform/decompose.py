"""Pixel shuffles that stay, in operators that TVM can compile.

TVM 0.27 cannot: its legalization of ``relax.nn.pixel_shuffle`` calls ``topi.nn.pixel_shuffle``,
which is not exported.
"""

from __future__ import annotations

import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from .matching import Graph, op_name
from .shuffle import PIXEL_SHUFFLE, emit_shuffle


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.DecomposePixelShuffle")
class DecomposePixelShuffle:
    """Relax module pass: ``pixel_shuffle`` to reshape -> permute_dims -> reshape."""

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        changed = {}
        for name, func in mod.functions_items():
            if isinstance(func, relax.Function) and _has_shuffle(func):
                changed[name] = _Decompose().visit_expr(func)
        if not changed:
            return mod
        mod = mod.clone()
        for name, func in changed.items():
            mod.update_func(name, func)
        return mod


def _has_shuffle(func: relax.Function) -> bool:
    return any(op_name(value) == PIXEL_SHUFFLE for value in Graph(func).values.values())


@mutator
class _Decompose(PyExprMutator):
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = super().visit_call_(call)
        if op_name(call) != PIXEL_SHUFFLE:
            return call
        return emit_shuffle(self.builder_, call.args[0], int(call.attrs.upscale_factor))
