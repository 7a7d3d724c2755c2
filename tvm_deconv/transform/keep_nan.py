"""Bounds that let NaN through, as ONNX Runtime and PyTorch do.

    relu(x) => maximum(0, x)        clip(x, a, b) => minimum(b, maximum(a, x))
    maximum(x, c) => maximum(c, x)  for a constant c; minimum likewise

TVM lowers ``maximum(a, b)`` to ``a > b ? a : b``, so NaN survives as the second operand only: a
network whose weights hold NaN would give zeros, not NaN. Processors do the same work either way.
It runs after the rewrite, which knows the operators by their names.
"""

from __future__ import annotations

import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.relax_functions import with_changed

from .graph import op_name

_RELU, _CLIP = "relax.nn.relu", "relax.clip"
_EXTREMES = {"relax.maximum": relax.op.maximum, "relax.minimum": relax.op.minimum}


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.KeepNaN")
class KeepNaN:
    """Relax module pass; integers are left as they are."""

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return with_changed(mod, lambda func: _Ordered().visit_expr(func))


@mutator
class _Ordered(PyExprMutator):
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = super().visit_call_(call)
        name = op_name(call)
        if name not in (_RELU, _CLIP, *_EXTREMES):
            return call
        x = call.args[0]
        if not isinstance(x.ty, relax.TensorType) or not str(x.ty.dtype).startswith("float"):
            return call
        if name == _RELU:
            return relax.op.maximum(_scalar(0.0, x), x)
        if name == _CLIP:
            low, high = (float(bound.value) for bound in call.args[1:])
            above = self.builder_.emit(relax.op.maximum(_scalar(low, x), x))
            return relax.op.minimum(_scalar(high, x), above)
        y = call.args[1]
        return _EXTREMES[name](y, x) if isinstance(y, tvm.ir.GenericConst) else call


def _scalar(value: float, like: relax.Expr) -> relax.Expr:
    return relax.const(value, str(like.ty.dtype))
