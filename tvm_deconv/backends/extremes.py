"""Maxima and minima of float32 with a constant, for AArch64: one instruction each.

TVM makes a comparison and a choice of each, which x86 has as one instruction, NaN included, and
AArch64 as two or three; a tanh has four of them, an exp two. A ReLU stays: it is compared with the
zero in an instruction, where this one wants it in a register, which LLVM keeps through the loop of
the products (DCGAN by the model of Cortex-A55: 104 Mcycles with, 100.5 without). They differ in
what comes of NaN, and each side of a comparison with NaN has its own::

    max(c, x)  NaN where x is NaN  => fmax          max(x, c)  c where x is NaN  => fmaxnm
"""

from __future__ import annotations

import math

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import Expr
from tvm.target import Target

from tvm_deconv.schedules.cpu.machine import is_aarch64
from tvm_deconv.schedules.llvm import intrinsic

# For a constant that comes first, and for one that comes second.
_INTRINSICS = {
    tirx.Max: ("llvm.maximum", "llvm.maxnum"),
    tirx.Min: ("llvm.minimum", "llvm.minnum"),
}


def with_extremes(mod: tvm.IRModule) -> tvm.IRModule:
    """Lowered functions for the code generator; others than for AArch64 stay as they are."""
    changed = {
        name: func.with_body(tvm_ffi.structural_map(func.body, (tuple(_INTRINSICS), _instruction)))
        for name, func in mod.functions.items()
        if _is_for_aarch64(func)
    }
    if changed:
        mod = mod.clone()
        mod.update(tvm.IRModule(changed))
    return mod


def _is_for_aarch64(func: tirx.PrimFunc) -> bool:
    target = (func.attrs or {}).get("target")
    return isinstance(target, Target) and target.kind.name == "llvm" and is_aarch64(target)


def _instruction(expr: Expr) -> Expr:
    """``expr``, by LLVM's intrinsic if it is of float32 and has such a constant."""
    dtype = expr.ty.dtype
    if not str(dtype).startswith("float32") or "xvscale" in str(dtype):
        return expr
    first, second = _INTRINSICS[type(expr)]
    name = first if _is_number(expr.a) else second if _is_number(expr.b) else None
    if name is None:
        return expr
    return tirx.call_llvm_pure_intrin(str(dtype), intrinsic(name), expr.a, expr.b)


def _is_number(expr: Expr) -> bool:
    """Whether it is a constant, neither zero nor NaN."""
    value = expr.value if isinstance(expr, tirx.Broadcast) else expr
    if not isinstance(value, tirx.FloatImm):
        return False
    return value.value != 0 and not math.isnan(value.value)
