"""Constant expressions that NumPy evaluates to the bits that TVM would.

    expand_dims(constant, 0) => constant        sqrt(add(constant, constant)) => constant

TVM's ``FoldConstant`` compiles a kernel for each call that it evaluates, which takes 20 to 40 ms,
and importers write a reshape of every bias and a few operators for each normalisation: they were
half of the time that a network of 50 layers took to compile. Here is only what moves data, and what
IEEE 754 rounds in one way; the rest is left to TVM.
"""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.relax_functions import with_changed

from .constants import Constants
from .graph import Graph, constant, dtype_of, op_name
from .rebind import rebind

_MOVES = {
    "relax.broadcast_to",
    "relax.expand_dims",
    "relax.permute_dims",
    "relax.reshape",
    "relax.squeeze",
}
# Of floats: TVM divides integers and lets them overflow in ways of its own.
_ROUNDED_ONCE = {
    "relax.add",
    "relax.divide",
    "relax.multiply",
    "relax.negative",
    "relax.sqrt",
    "relax.subtract",
}
_FLOATS = {"float16", "float32", "float64"}


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.FoldExactly")
class FoldExactly:
    """Relax module pass; a module without such expressions is handed back untouched."""

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return with_changed(mod, _folded)


def _folded(func: relax.Function) -> relax.Function | None:
    arrays = _evaluated(func)
    return _Replace(arrays).visit_expr(func) if arrays else None


def _evaluated(func: relax.Function) -> dict[relax.Var, np.ndarray]:
    """The value of each variable that such an expression of constants computes."""
    graph = Graph(func)
    calls = [var for var in graph.order if _is_exact(graph.values[var])]
    exact = {var: graph.values[var] for var in calls}
    constants = Constants(exact)
    with np.errstate(all="ignore"):
        values = {var: constants.evaluate(var) for var in calls}
    return {var: array for var, array in values.items() if array is not None}


def _is_exact(value: relax.Expr) -> bool:
    if op_name(value) in _MOVES:
        return True
    return op_name(value) in _ROUNDED_ONCE and dtype_of(value) in _FLOATS


@mutator
class _Replace(PyExprMutator):
    def __init__(self, arrays: dict[relax.Var, np.ndarray]) -> None:
        super().__init__()
        self.arrays = arrays

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        array = self.arrays.get(binding.var)
        if array is None:
            super().visit_var_binding_(binding)
        else:
            rebind(self, binding, constant(array))
