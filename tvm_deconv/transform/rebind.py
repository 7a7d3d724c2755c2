"""Giving a variable of a function another value while the function is rebuilt."""

from __future__ import annotations

from tvm import relax
from tvm.relax.expr_functor import PyExprMutator


def rebind(mutator: PyExprMutator, binding: relax.VarBinding, value: relax.Expr) -> None:
    """Bind the variable of ``binding`` to another value; it stays an output if it was one."""
    value = mutator.builder_.normalize(value)
    var = mutator.with_type(mutator.visit_var_def(binding.var), value.ty)
    mutator.set_var_remap(binding.var, var)
    mutator.builder_.emit_normalized(relax.VarBinding(var, value))
