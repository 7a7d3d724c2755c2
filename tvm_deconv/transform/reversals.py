"""Axes read backwards, each in a function of its own.

Behind a division, TVM 0.27's iterator maps take an index that runs backwards for another one:
``iter_map_simplify`` makes ``v // -2 + 3`` of ``(7 - v) // 2``, which is 2 instead of 3 for v = 1.
Fused with a shuffle before it, a reversed slice would return other elements. A copy by itself
divides nothing.
"""

from __future__ import annotations

import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from .functions import holds
from .graph import op_name

_FLIP, _SLICE = "relax.flip", "relax.strided_slice"
# TVM's OpPatternKind: FuseOps leaves it alone.
_OPAQUE = 8


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.SeparateReversals")
class SeparateReversals:
    """Relax module pass: flips and slices with a negative stride become opaque PrimFuncs."""

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        result = mod
        for name, func in mod.functions_items():
            if isinstance(func, relax.Function) and holds(func, _is_reversal):
                separate = _Separate(result)
                func = separate.visit_expr(func)
                result = separate.builder_.get()
                result.update_func(name, func)
        return result


def _is_reversal(expr: relax.Expr) -> bool:
    name = op_name(expr)
    if name != _SLICE:
        return name == _FLIP
    strides = expr.args[4] if len(expr.args) == 5 else ()
    return not all(isinstance(stride, tvm.tirx.IntImm) and stride.value > 0 for stride in strides)


@mutator
class _Separate(PyExprMutator):
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = super().visit_call_(call)
        if not _is_reversal(call):
            return call
        copy = call.op.get_attr("FLegalize")(self.builder_, call)
        callee = copy.args[0]
        func = self.builder_.get()[callee].with_attr("op_pattern", _OPAQUE)
        self.builder_.update_func(callee, func)
        return copy
