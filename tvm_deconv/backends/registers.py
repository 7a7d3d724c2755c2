"""Named values in memory, which LLVM turns to registers, of kernels that want it so.

TVM's code generator simplifies the value of each name with the values of all names in it put in
their places, before it makes an instruction of it. A kernel that is written out for any size has
hundreds of names, whose values hold those before them, down to a formula of free sizes: making the
instructions of a depthwise layer of 5 x 5 took 0.6 s of the 0.7 that LLVM took for all of it, and
takes 0.02 in memory, which the generator does not look into. LLVM makes the same machine code::

    a = x[place]; b = a * w; y[place] = b
    => a[0] = x[place]; b[0] = a[0] * w; y[place] = b[0]

Names of integers stay, but for those that are hidden (``schedules.tir.hiding``): what is
known of an address says how it is aligned, and of the others the generator knows nothing.
"""

from __future__ import annotations

from typing import Any

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import Call, Var

from tvm_deconv.schedules.tir.last_steps import NAMES_IN_MEMORY

_CALLS_LLVM = tvm.ir.Op.get("tirx.call_llvm_pure_intrin"), tvm.ir.Op.get("tirx.call_llvm_intrin")


def in_registers(mod: tvm.IRModule) -> tvm.IRModule:
    """Lowered functions for the code generator, which ``NAMES_IN_MEMORY`` marks among others."""
    changed = {
        name: _in_registers(func)
        for name, func in mod.functions.items()
        if NAMES_IN_MEMORY in func.attrs
    }
    if changed:
        mod = mod.clone()
        mod.update(tvm.IRModule(changed))
    return mod


def _in_registers(func: tirx.PrimFunc) -> tirx.PrimFunc:
    binds: list[tirx.Bind] = []
    tvm_ffi.structural_walk(func.body, (tirx.Bind, binds.append))
    registers = {
        bind.var: tirx.decl_buffer((1,), bind.var.ty.dtype, name=bind.var.name)
        for bind in binds
        if _is_hidden(bind) or _is_float_or_vector(bind.var)
    }
    first = [tirx.IntImm("int32", 0)]

    def stored(bind: tirx.Bind) -> Any:
        register = registers.get(bind.var)
        if register is None:
            return bind
        store = tirx.BufferStore(register, bind.value, first)
        return tirx.SeqStmt([tirx.AllocBuffer(register), store])

    def loaded(var: Var, kind: tvm_ffi.DefRegionKind) -> Any:
        register = registers.get(var) if kind == tvm_ffi.DefRegionKind.NONE else None
        return var if register is None else tirx.BufferLoad(register, first)

    body = tvm_ffi.structural_map(func.body, (tirx.Bind, stored), (Var, loaded))
    return func.with_body(body)


def _is_hidden(bind: tirx.Bind) -> bool:
    value = bind.value
    return isinstance(value, Call) and value.op in _CALLS_LLVM and not _is_float_or_vector(bind.var)


def _is_float_or_vector(var: Var) -> bool:
    dtype = getattr(var.ty, "dtype", None)  # A pointer has none.
    return dtype is not None and (dtype.lanes > 1 or str(dtype).startswith("float"))
