"""Kernels that need not check their arguments: the virtual machine computed all of them.

TVM has each kernel ask of every argument whether it is a tensor, of which type and sizes, without
gaps, on which device, and say in words what is wrong. For a small kernel that is most of its code:
of a network for small pictures two thirds of the library, and half of the time of making it.

A tensor that a kernel of the network wrote is what the network says that it is, since the virtual
machine allocated it so. If that is what the kernel reads, whatever the free sizes are, no check can
fail. What the caller gave is checked, and so are views of it and what other libraries return::

    @T.prim_func                                  y = call_tir(f, (x,))   # x is the caller's
    def g(y: (n, 4, h), z: (n, 4, h * 2)):   =>   z = call_tir(g, (y,))   # y: (n, 4, h)
        ...                                       # g is marked as TRUSTED
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tvm
import tvm_ffi
from tvm import relax, sym, tirx
from tvm.ir import GlobalVar, Var

from tvm_deconv.relax_functions import CALL_TIR, KERNEL_CALLS, all_bindings, variables_in

from .views import is_reshape

# The attribute of a function whose arguments are what its parameters say.
TRUSTED = "tvm_deconv.trusted"

_VIEW = tvm.ir.Op.get("relax.reshape")


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.TrustCalls")
class TrustCalls:
    """Relax module pass, to run when everything is scheduled; ``unchecked`` acts on it."""

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        called: dict[GlobalVar, bool] = {}
        for _, func in mod.functions_items():
            if isinstance(func, relax.Function):
                _add_calls(mod, func, called)
        for name, trusted in called.items():
            if trusted:
                mod[name] = mod[name].with_attr(TRUSTED, True)
        return mod


def unchecked(mod: tvm.IRModule) -> tvm.IRModule:
    """Lowered functions for a processor: those that are trusted without their checks."""
    trusted = {name: func for name, func in mod.functions.items() if TRUSTED in func.attrs}
    if not trusted:
        return mod
    mod = mod.clone()
    mod.update(tirx.transform.SkipAssert()(tvm.IRModule(trusted)))
    return mod


def _add_calls(mod: tvm.IRModule, func: relax.Function, called: dict[GlobalVar, bool]) -> None:
    """Note of the kernels that the function calls whether all calls can be trusted."""
    computed: set[relax.Var] = set()

    def is_known(value: Any) -> bool:
        """Whether a value is what its type says: no tensor of the caller's or a view of one."""
        # A size is a variable, too.
        is_size = isinstance(value.ty, tvm.ir.PrimType)
        return is_size or not isinstance(value, relax.Var) or value in computed

    for binding in all_bindings(func):
        value = binding.value
        if not isinstance(value, relax.Call):
            # A name, a tuple, or a part of one.
            if all(map(is_known, variables_in(value))) and isinstance(binding, relax.VarBinding):
                computed.add(binding.var)
        elif value.op == _VIEW:
            if is_known(value.args[0]):
                computed.add(binding.var)
        elif value.op in KERNEL_CALLS:
            name, given = value.args[0], list(value.args[1].fields)
            known = all(map(is_known, given))
            # TVM makes a view of what such a kernel reads.
            if known or not is_reshape(mod[name]):
                computed.add(binding.var)
            called[name] = called.get(name, True) and known and _fits(mod[name], value)


def _fits(kernel: tirx.PrimFunc, call: relax.Call) -> bool:
    """Whether the arguments of a call have the types and sizes that the kernel's parameters say."""
    given = [*call.args[1].fields]
    if call.op == CALL_TIR:
        given += _results(call.ty)
    if len(call.args) > 2:
        given += call.args[2].values
    if len(given) != len(kernel.params):
        return False
    pairs: list[tuple[Any, Any]] = []
    for param, argument in zip(kernel.params, given, strict=True):
        if not isinstance(param.ty, tirx.BufferType):
            pairs.append((param, argument))
            continue
        ty = argument if isinstance(argument, relax.TensorType) else argument.ty
        shape = getattr(getattr(ty, "shape", None), "values", None)
        if shape is None or len(shape) != len(param.ty.shape) or ty.dtype != param.ty.dtype:
            return False
        pairs += zip(param.ty.shape, shape, strict=True)
    return _are_equal(pairs)


def _results(ty: Any) -> list[Any]:
    return list(ty.fields) if isinstance(ty, relax.TupleType) else [ty]


def _are_equal(pairs: Sequence[tuple[Any, Any]]) -> bool:
    """Whether the sizes of a kernel are those of a call, for all values of its variables."""
    bound: dict[Var, Any] = {}
    for size, given in pairs:
        if isinstance(size, Var):
            bound.setdefault(size, given)
    analyzer = sym.Analyzer()

    def equal(size: Any, given: Any) -> bool:
        if isinstance(size, tirx.IntImm) and isinstance(given, tirx.IntImm):
            return int(size.value) == int(given.value)
        size = tvm_ffi.structural_map(size, (Var, lambda var: bound.get(var, var)))
        return bool(analyzer.can_prove_equal(size, given))

    return all(equal(size, given) for size, given in pairs)
