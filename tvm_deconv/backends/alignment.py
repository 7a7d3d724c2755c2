"""Kernels that read a network's inputs take them at any address.

TVM tells LLVM that each tensor begins at a multiple of 64 bytes, and a vector is loaded by an
instruction that faults elsewhere. So do the tensors that TVM allocates, but an array of NumPy or a
part of one of PyTorch, which are inputs like any other, need not. Loads that may be at any address
take no longer where they are not.
"""

from __future__ import annotations

import tvm
import tvm_ffi
from tvm import relax, tirx

from tvm_deconv.relax_functions import KERNEL_CALLS, all_bindings, variables_in

from .views import is_reshape


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.AcceptUnaligned")
class AcceptUnaligned:
    """Relax module pass, to run when everything is scheduled."""

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        places: dict[tvm.ir.GlobalVar, set[int]] = {}
        for _, func in mod.functions_items():
            if isinstance(func, relax.Function):
                _add_readers(mod, func, places)
        for name, found in places.items():
            mod[name] = _unaligned(mod[name], found)
        return mod


def _add_readers(
    mod: tvm.IRModule, func: relax.Function, places: dict[tvm.ir.GlobalVar, set[int]]
) -> None:
    """Note which kernels read an input of the function, or a view of one, and at which places."""
    bindings = all_bindings(func)
    given = set(func.params)
    count = 0
    while count != len(given):
        count = len(given)
        for binding in bindings:
            value = binding.value
            if isinstance(value, relax.Call) and value.op in KERNEL_CALLS:
                kernel, arguments = value.args[0], value.args[1]
                read = {place for place, each in enumerate(arguments) if each in given}
                if read:
                    places.setdefault(kernel, set()).update(read)
                is_view = bool(read) and is_reshape(mod[kernel])
            elif isinstance(value, relax.Call):
                is_view = False
            else:
                is_view = not given.isdisjoint(variables_in(value))
            if is_view:
                given.add(binding.var)


def _unaligned(func: tirx.PrimFunc, places: set[int]) -> tirx.PrimFunc:
    """``func`` with parameters that begin at a multiple of the size of their elements."""
    instead = {}
    for place in places:
        param = func.params[place]
        known = param.ty
        if isinstance(known, tirx.BufferType):
            instead[param] = tirx.decl_buffer(
                known.shape,
                known.dtype,
                param.name,
                None,
                known.strides,
                known.elem_offset,
                known.storage_scope,
                known.dtype.dtype.itemsize,
                known.offset_factor,
                layout=known.layout,
            )
    return tvm_ffi.structural_map(func, (tvm.ir.Var, lambda var: instead.get(var, var)))
