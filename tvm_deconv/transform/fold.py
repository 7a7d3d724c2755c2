"""Constant expressions become constants: by NumPy where it gives TVM's bits, the rest by TVM.

    expand_dims(constant, 0) => constant        sqrt(add(constant, constant)) => constant

TVM's ``FoldConstant`` compiles a kernel for each call that it evaluates, which takes 20 to 40 ms,
and importers write a reshape of every bias and a few operators for each normalisation: they were
half of the time that a network of 50 layers took to compile, and what makes floats of quantized
weights and biases a third. ``FoldExactly`` does what moves data, and what IEEE 754 rounds in one
way. The rest is left to TVM, but it writes out every operator of a network to see which of them are
constant: ``FoldConstants`` shows it those that are.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tvm
import tvm_ffi
from tvm import relax

from tvm_deconv.relax_functions import with_changed

from .constants import Constants
from .graph import Graph, constant, dtype_of, op_name
from .rebind import WithValues

_MOVES = {
    "relax.broadcast_to",
    "relax.expand_dims",
    "relax.permute_dims",
    "relax.repeat",
    "relax.reshape",
    "relax.shape_to_tensor",
    "relax.squeeze",
    "relax.where",
}
_TRUE_OR_FALSE = {
    "relax.equal",
    "relax.greater",
    "relax.greater_equal",
    "relax.less",
    "relax.less_equal",
    "relax.logical_and",
    "relax.logical_not",
    "relax.logical_or",
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
_INTEGERS = {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"}
_NUMBERS = {*_FLOATS, *_INTEGERS, "bool"}


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.FoldExactly")
class FoldExactly:
    """Relax module pass; a module without such expressions is handed back untouched."""

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return with_changed(mod, _folded)


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.FoldConstants")
class FoldConstants:
    """Relax module pass: what ``relax.transform.FoldConstant`` would fold in dataflow blocks.

    A module without constant expressions is handed back untouched.
    """

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        def folded(func: relax.Function) -> relax.Function | None:
            return _with_constants(func, _folded_by_tvm(mod, func))

        return with_changed(mod, folded)


def _folded_by_tvm(mod: tvm.IRModule, func: relax.Function) -> dict[relax.Var, relax.Expr]:
    """The value of each variable that depends on constants only, where TVM folds it."""
    bindings = _constant_bindings(func)
    if not any(isinstance(binding.value, relax.Call) for binding in bindings):
        return {}
    names = [binding.var for binding in bindings]
    result = relax.Var("constants", relax.TupleType([var.ty for var in names]))
    block = relax.DataflowBlock([*bindings, relax.VarBinding(result, relax.Tuple(names))])
    alone = relax.Function([], relax.SeqExpr([block], result), result.ty)
    kernels = {var: f for var, f in mod.functions_items() if isinstance(f, tvm.tirx.PrimFunc)}
    folded = relax.transform.FoldConstant()(tvm.IRModule({**kernels, "main": alone}))
    *_, last = folded["main"].body.blocks[-1].bindings
    pairs = zip(names, last.value.fields, strict=True)
    return {var: value for var, value in pairs if isinstance(value, tvm.ir.GenericConst)}


def _constant_bindings(func: relax.Function) -> list[relax.VarBinding]:
    """Those of dataflow blocks that depend on no parameter and no free size."""
    found: list[relax.VarBinding] = []
    known: set[relax.Var] = set()
    for block in func.body.blocks:
        for binding in block.bindings if isinstance(block, relax.DataflowBlock) else ():
            if isinstance(binding, relax.VarBinding) and _variables(binding.value) <= known:
                found.append(binding)
                known.add(binding.var)
    return found


def _variables(value: relax.Expr) -> set[relax.Var]:
    """All that are in an expression, those of sizes, too."""
    found: list[relax.Var] = []
    note = found.append
    tvm_ffi.structural_walk(value, (tvm.ir.Var, note), (relax.DataflowVar, note))
    return set(found)


def _folded(func: relax.Function) -> relax.Function | None:
    return _with_constants(func, {var: constant(x) for var, x in _evaluated(func).items()})


def _with_constants(
    func: relax.Function, constants: Mapping[relax.Var, relax.Expr]
) -> relax.Function | None:
    """The function with ``constants`` for the values of variables; None where there are none."""
    values = {var: lambda _, value=value: value for var, value in constants.items()}
    return WithValues(values).visit_expr(func) if values else None


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
    if op_name(value) in _TRUE_OR_FALSE:
        return {dtype_of(argument) for argument in value.args} <= _NUMBERS
    if op_name(value) == "relax.astype":
        return _is_exact_cast(dtype_of(value.args[0]), dtype_of(value))
    if op_name(value) == "relax.dequantize":
        # A difference of int32, rounded to float32, and the product with a scale is rounded.
        data, _, zero_point = (dtype_of(argument) for argument in value.args)
        return dtype_of(value) == "float32" and {data, zero_point} <= _INTEGERS
    return op_name(value) in _ROUNDED_ONCE and dtype_of(value) in _FLOATS


def _is_exact_cast(given: str, wanted: str) -> bool:
    """Of integers to float32, which rounds once, or to a type that holds every value."""
    if wanted == "float32" and given in _INTEGERS:
        return True
    return {given, wanted} <= _NUMBERS and np.can_cast(given, wanted)
