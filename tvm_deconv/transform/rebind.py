"""Giving variables of a function other values while the function is rebuilt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.relax_functions import with_rebuilt

# Emits the new value of a variable, with the mutator that rebuilds its function: that says what
# variables of the old function have become (``visit_expr``), and has the builder of the new one.
Emit: TypeAlias = Callable[[PyExprMutator], relax.Expr]


def with_other_values(
    mod: tvm.IRModule,
    values_of: Callable[[tvm.IRModule, relax.Function], Mapping[relax.Var, Emit]],
) -> tvm.IRModule:
    """``with_rebuilt``, where all that changes in a function are the values of variables.

    ``values_of`` gets the module as it is by then, and a function; a function of which it gives no
    variable stays as it is.
    """

    def rebuild(work: tvm.IRModule, func: relax.Function) -> WithValues | None:
        values = values_of(work, func)
        return WithValues(values, work) if values else None

    return with_rebuilt(mod, rebuild)


@mutator
class WithValues(PyExprMutator):
    """Copies a function; variables among ``values`` get what is emitted for them."""

    def __init__(self, values: Mapping[relax.Var, Emit], mod: tvm.IRModule | None = None) -> None:
        super().__init__(mod)
        self.values = values

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        emit = self.values.get(binding.var)
        if emit is None:
            super().visit_var_binding_(binding)
        else:
            rebind(self, binding, emit(self))


def rebind(mutator: PyExprMutator, binding: relax.VarBinding, value: relax.Expr) -> None:
    """Bind the variable of ``binding`` to another value; it stays an output if it was one."""
    value = mutator.builder_.normalize(value)
    var = mutator.with_type(mutator.visit_var_def(binding.var), value.ty)
    mutator.set_var_remap(binding.var, var)
    mutator.builder_.emit_normalized(relax.VarBinding(var, value))
