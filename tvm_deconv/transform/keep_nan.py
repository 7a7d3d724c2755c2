"""Bounds that let NaN through and answers that know it, as in ONNX Runtime and PyTorch.

    relu(x) => maximum(0, x)        clip(x, a, b) => minimum(b, maximum(a, x))
    maximum(x, c) => maximum(c, x)  for a constant c; minimum likewise
    logical_not(x) => int8(x) == 0  not_equal(x, y) => int8(x == y) == 0
    x == x => not isnan(x)          x != x => isnan(x)    x <= x and x >= x as x == x
    x * 0 => x * [0]                0 / x => [0] / x

TVM lowers ``maximum(a, b)`` to ``a > b ? a : b``, so NaN survives as the second operand only: a
network whose weights hold NaN would give zeros, not NaN. Processors do the same work either way.
It simplifies ``not (a > b)`` to ``a <= b``, which is false where either is NaN, and lowers
``a != b`` to what is false there, too; within another answer it takes ``x == x`` for true. It takes
a product with 0 for 0, which is true of finite numbers only; it does not look into a tensor. All
that comes after the rewrite, which knows the operators by their names.
"""

from __future__ import annotations

import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.relax_functions import with_changed

from .graph import op_name

_RELU, _CLIP = "relax.nn.relu", "relax.clip"
_EXTREMES = {"relax.maximum": relax.op.maximum, "relax.minimum": relax.op.minimum}
_NOT, _DIFFER = "relax.logical_not", "relax.not_equal"
_EQUAL = frozenset(("relax.equal", "relax.greater_equal", "relax.less_equal"))
_PRODUCTS = {"relax.multiply": relax.op.multiply, "relax.divide": relax.op.divide}
_CHANGED = frozenset((_RELU, _CLIP, *_EXTREMES, _NOT, _DIFFER, *_EQUAL, *_PRODUCTS))


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.KeepNaN")
class KeepNaN:
    """Relax module pass; operators of integers are left as they are."""

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return with_changed(mod, lambda func: _Ordered().visit_expr(func))


@mutator
class _Ordered(PyExprMutator):
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = super().visit_call_(call)
        name = op_name(call)
        if name not in _CHANGED:
            return call
        x = call.args[0]
        dtype = str(x.ty.dtype) if isinstance(x.ty, relax.TensorType) else ""
        if name == _NOT and dtype == "bool":
            return self._not(x)
        if not dtype.startswith("float") or name == _NOT:
            return call
        if name in _PRODUCTS:
            return _PRODUCTS[name](*map(_zero_in_memory, call.args)) if call.ty.ndim else call
        if name == _DIFFER or name in _EQUAL:
            return self._compared(call)
        if name == _RELU:
            return relax.op.maximum(_scalar(0.0, x), x)
        if name == _CLIP:
            low, high = (float(bound.value) for bound in call.args[1:])
            above = self.builder_.emit(relax.op.maximum(_scalar(low, x), x))
            return relax.op.minimum(_scalar(high, x), above)
        y = call.args[1]
        return _EXTREMES[name](y, x) if isinstance(y, tvm.ir.GenericConst) else call

    def _compared(self, call: relax.Call) -> relax.Expr:
        x, y = call.args
        differ = op_name(call) == _DIFFER
        if x.same_as(y):
            is_nan = relax.op.isnan(x)
            return is_nan if differ else self._not(self.builder_.emit(is_nan))
        return self._not(self.builder_.emit(relax.op.equal(x, y))) if differ else call

    def _not(self, x: relax.Expr) -> relax.Expr:
        """Turned over as a number, which TVM does not simplify."""
        number = self.builder_.emit(relax.op.astype(x, "int8"))
        return relax.op.equal(number, relax.const(0, "int8"))


def _zero_in_memory(x: relax.Expr) -> relax.Expr:
    if not isinstance(x, tvm.ir.GenericConst) or x.ty.ndim or x.value.numpy() != 0:
        return x
    return relax.const(x.value.numpy().reshape(1), str(x.ty.dtype))


def _scalar(value: float, like: relax.Expr) -> relax.Expr:
    return relax.const(value, str(like.ty.dtype))
