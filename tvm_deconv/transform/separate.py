"""Operators that are copied by themselves, though TVM would fuse them with what is around.

- *Axes read backwards.* Behind a division, TVM 0.27's iterator maps take an index that runs
  backwards for another one: ``iter_map_simplify`` makes ``v // -2 + 3`` of ``(7 - v) // 2``, which
  is 2 instead of 3 for v = 1. Fused with a shuffle before it, a reversed slice would return other
  elements. A copy by itself divides nothing.
- *A reflection of a reflection.* Each writes a choice between three indices in place of an index.
  Of two in a row, every index of what is before them becomes nine; behind a linear resize of three
  axes TVM's simplifier took a minute.
- *What TVM would cancel* of sums and comparisons of floats: ``cancelled``.
"""

from __future__ import annotations

import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.relax_functions import holds, opaque, with_rebuilt

from .cancelled import NOT_EQUAL, Cancelled, may_cancel
from .graph import ELEMENTWISE, PAD, op_name

_FLIP, _SLICE = "relax.flip", "relax.strided_slice"
_MIRRORS = ("reflect", "replicate", "circular")


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.SeparateCopies")
class SeparateCopies:
    """Relax module pass: what the module's docstring names becomes an opaque PrimFunc."""

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return with_rebuilt(
            mod, lambda work, func: _Separate(work) if holds(func, _may_be_separate) else None
        )


def _may_be_separate(expr: relax.Expr) -> bool:
    return _is_reversal(expr) or _is_mirror(expr) or may_cancel(expr)


def _is_reversal(expr: relax.Expr) -> bool:
    name = op_name(expr)
    if name != _SLICE:
        return name == _FLIP
    strides = expr.args[4] if len(expr.args) == 5 else ()
    return not all(isinstance(stride, tvm.tirx.IntImm) and stride.value > 0 for stride in strides)


def _is_mirror(expr: relax.Expr) -> bool:
    return op_name(expr) == PAD and str(expr.attrs.pad_mode) in _MIRRORS


@mutator
class _Separate(PyExprMutator):
    def __init__(self, mod: tvm.IRModule) -> None:
        super().__init__(mod)
        self.behind: dict[relax.Var, bool] = {}
        self.cancelled = Cancelled(self.lookup_binding)

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = super().visit_call_(call)
        if self.cancelled.is_simplified(call):
            if op_name(call) != NOT_EQUAL:
                return self._alone(call)
            equal = self.builder_.normalize(relax.op.equal(*call.args))
            return relax.op.logical_not(self.builder_.emit(self._alone(equal)))
        if _is_reversal(call) or (_is_mirror(call) and self._follows_mirror(call.args[0])):
            return self._alone(call)
        return call

    def _alone(self, call: relax.Call) -> relax.Call:
        copy = call.op.get_attr("FLegalize")(self.builder_, call)
        callee = copy.args[0]
        self.builder_.update_func(callee, opaque(self.builder_.get()[callee]))
        return copy

    def _follows_mirror(self, tensor: relax.Expr) -> bool:
        """Whether ``tensor`` is a reflection, perhaps behind pointwise operators."""
        if not isinstance(tensor, relax.Var):
            return False
        if tensor not in self.behind:
            value = self.lookup_binding(tensor)
            self.behind[tensor] = isinstance(value, relax.Call) and (
                _is_mirror(value)
                or (op_name(value) in ELEMENTWISE and any(map(self._follows_mirror, value.args)))
            )
        return self.behind[tensor]
