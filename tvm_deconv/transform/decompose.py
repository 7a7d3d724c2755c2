"""Pixel shuffles that stay, in operators that TVM can compile.

TVM 0.27 cannot: its legalization of ``relax.nn.pixel_shuffle`` calls ``topi.nn.pixel_shuffle``,
which is not exported.
"""

from __future__ import annotations

import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.transform.rules.shuffle import PIXEL_SHUFFLE, emit_shuffle

from .graph import op_name, shape_of


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.DecomposePixelShuffle")
class DecomposePixelShuffle:
    """Relax module pass: ``pixel_shuffle`` to reshape -> permute_dims -> reshape.

    A shuffle of a tensor whose shape is not known, not even symbolically, is left as it is.
    """

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
    found = []

    def visit(expr: relax.Expr) -> None:
        if op_name(expr) == PIXEL_SHUFFLE:
            found.append(expr)

    relax.analysis.post_order_visit(func, visit)
    return bool(found)


@mutator
class _Decompose(PyExprMutator):
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = super().visit_call_(call)
        if op_name(call) != PIXEL_SHUFFLE or shape_of(call.args[0]) is None:
            return call
        return emit_shuffle(self.builder_, call.args[0], int(call.attrs.upscale_factor))
