"""Pixel shuffles that stay, in operators that TVM can compile.

TVM 0.27 cannot: its legalization of ``relax.nn.pixel_shuffle`` calls ``topi.nn.pixel_shuffle``,
which is not exported.
"""

from __future__ import annotations

import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.relax_functions import holds, with_changed

from .graph import PIXEL_SHUFFLE, op_name, shape_of


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.DecomposePixelShuffle")
class DecomposePixelShuffle:
    """Relax module pass: ``pixel_shuffle`` to reshape -> permute_dims -> reshape.

    A shuffle of a tensor whose shape is not known, not even symbolically, is left as it is.
    """

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return with_changed(mod, _decomposed)


def _decomposed(func: relax.Function) -> relax.Function | None:
    if not holds(func, lambda expr: op_name(expr) == PIXEL_SHUFFLE):
        return None
    return _Decompose().visit_expr(func)


@mutator
class _Decompose(PyExprMutator):
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = super().visit_call_(call)
        if op_name(call) != PIXEL_SHUFFLE or shape_of(call.args[0]) is None:
            return call
        return emit_shuffle(self.builder_, call.args[0], int(call.attrs.upscale_factor))


def emit_shuffle(builder: relax.BlockBuilder, x: relax.Expr, factor: int) -> relax.Expr:
    """``pixel_shuffle(x, factor)`` as reshape -> permute_dims -> reshape (NCHW, CRD)."""
    n, c, h, w = x.ty.shape.values
    r = tvm.tirx.IntImm("int64", factor)
    split = builder.emit(relax.op.reshape(x, (n, c // (r * r), r, r, h, w)))
    moved = builder.emit(relax.op.permute_dims(split, [0, 1, 4, 2, 5, 3]))
    return relax.op.reshape(moved, (n, c // (r * r), h * r, w * r))
