"""Pointwise operators that are computed twice, of the same operands, are computed once.

    a = f(x), b = f(x) => a = f(x), b = a

Exporters write an operator for each reader: the activation in front of the three branches of a
vocoder's block, for one. Behind a convolution that nobody else reads it is then part of a store.
"""

from __future__ import annotations

import tvm
import tvm_ffi
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.relax_functions import holds, with_changed

from .graph import ELEMENTWISE, op_name


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.MergeEqual")
class MergeEqual:
    """Relax module pass: equal pointwise operators of a dataflow block become the first of them.

    What is returned keeps its own variable.
    """

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return with_changed(
            mod, lambda func: _Merged().visit_expr(func) if holds(func, _is_pointwise) else None
        )


def _is_pointwise(value: relax.Expr) -> bool:
    return op_name(value) in ELEMENTWISE


@mutator
class _Merged(PyExprMutator):
    def __init__(self) -> None:
        super().__init__()
        self.known: dict[tuple, list[tuple[relax.Expr, relax.Var]]] = {}

    def visit_dataflow_block_(self, block: relax.DataflowBlock) -> relax.DataflowBlock:
        self.known = {}
        return super().visit_dataflow_block_(block)

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        inside = isinstance(binding.var, relax.DataflowVar)
        if not (inside and _is_pointwise(binding.value)):
            super().visit_var_binding_(binding)
            return
        value = self.visit_expr(binding.value)
        of = tuple(arg for arg in value.args if isinstance(arg, relax.Var))
        known = self.known.setdefault((op_name(value), of), [])
        for equal, var in known:
            if tvm_ffi.structural_equal(value, equal):
                self.set_var_remap(binding.var, var)
                return
        super().visit_var_binding_(binding)
        known.append((value, self.visit_expr(binding.var)))
