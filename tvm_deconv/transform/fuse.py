"""TVM's fusion, of which the result keeps the names of layers.

``FuseOps`` binds what a fused function returns to a variable of its own, and so forgets which layer
of the model that is. Profiles tell kernels apart by it: functions are shared by layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import tvm
from tvm import relax

from tvm_deconv.layer_names import layer_name, named
from tvm_deconv.relax_functions import KERNEL_CALLS


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.FuseNamed")
class FuseNamed:
    """Relax module pass: FuseOps, and each call has the name of the last layer in its function."""

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        before = named(mod)
        after = relax.transform.FuseOps()(before)
        names: dict[relax.Var, str] = {}
        for var, func in before.functions_items():
            if isinstance(func, relax.Function) and var in after.functions:
                names |= _names(func, after[var], after)
        return named(after, names)


def _names(
    before: relax.Function, after: relax.Function, mod: tvm.IRModule
) -> dict[relax.Var, str]:
    """The names that the variables of ``after`` have in ``before``, by what they are bound to."""
    originals: dict[Any, list[relax.Var]] = {}
    for var, value in _bindings(before):
        originals.setdefault(_key(value, {}), []).append(var)
    # What each variable of ``after``, and of the functions that it calls, was in ``before``.
    known: dict[relax.Expr, relax.Expr] = {}
    found = {}

    def meet(var: relax.Var, value: relax.Expr) -> relax.Var | None:
        same = originals.get(_key(value, known), [])
        # Of equal calls the one that is there still.
        own = [original for original in same if original.same_as(var)]
        original = next(iter([*own, *same]), None)
        if original is not None:
            known[var] = original
        return original

    for var, value in _bindings(after):
        callee = _callee(value, mod)
        if callee is None:
            original = meet(var, value)
        else:
            for param, argument in zip(callee.params, value.args, strict=True):
                known[param] = known.get(argument, argument)
            original = None
            for inner, step in _bindings(callee):
                original = meet(inner, step)
            if original is not None:
                known[var] = original
        if original is not None and original.span is not None:
            found[var] = layer_name(original)
    return found


def _callee(value: relax.Expr, mod: tvm.IRModule) -> relax.Function | None:
    """The function that fusion made, where ``value`` is a call of one."""
    if not isinstance(value, relax.Call) or not isinstance(value.op, tvm.ir.GlobalVar):
        return None
    func = mod[value.op]
    return func if isinstance(func, relax.Function) and "Primitive" in func.attrs else None


def _key(value: relax.Expr, known: Mapping[relax.Expr, relax.Expr]) -> Any:
    """Equal for equal calls of functions, given what their operands were before."""
    if not isinstance(value, relax.Call) or value.op not in KERNEL_CALLS:
        return value
    callee, operands = value.args[0], value.args[1].fields
    return callee.name_hint, *(known.get(operand, operand) for operand in operands)


def _bindings(func: relax.Function) -> Iterator[tuple[relax.Var, relax.Expr]]:
    for block in func.body.blocks:
        for binding in block.bindings:
            if isinstance(binding, relax.VarBinding):
                yield binding.var, binding.value
