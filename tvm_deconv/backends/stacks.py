"""Stacks of kernels begin at a multiple of a vector's size.

A kernel may have more in its loops than there are registers for: LLVM stores a vector on the stack
and loads it again. It places that at a multiple of 16 bytes only, as the stack of whoever calls is
aligned, since it learns of such a store too late to align the stack itself (``canRealignStack`` of
``X86RegisterInfo``). A vector of 64 bytes then lies across two lines of a cache, and in one of 64
places that a stack may have, by chance in one of so many processes, across two pages: there a
transposed convolution of bytes, kernel 4, stride 2, 256->128 channels of 16x16, took 0.59 ms in
place of 0.31 (AMD Zen 5, one thread).

LLVM aligns the stack of a function with a variable that has to be aligned, so each parallel loop's
body, which is a function of its own, and each kernel around has one. What is computed does not
change; the address of the variable is prefetched, or LLVM would leave it away.
"""

from __future__ import annotations

from typing import Any

import tvm
import tvm_ffi
from tvm import tirx

from tvm_deconv.schedules import llvm
from tvm_deconv.schedules.tir.edit import FUNCTION, index, prefetch, with_loop


def with_aligned_stacks(mod: tvm.IRModule) -> tvm.IRModule:
    """Functions for a processor, lowered but for what a host's are finalized by."""
    changed = {
        name: func.with_body(_aligned(func.body))
        for name, func in mod.functions.items()
        if _has_wide_vectors(func)
    }
    if changed:
        mod = mod.clone()
        mod.update(tvm.IRModule(changed))
    return mod


def _has_wide_vectors(func: tirx.PrimFunc) -> bool:
    """Whether the processor has vectors larger than what the stack of a caller is aligned to."""
    target = func.attrs.get("target") if func.attrs else None
    return target is not None and target.kind.name == "llvm" and llvm.has_feature(target, "avx")


def _aligned(body: tirx.Stmt) -> tirx.Stmt:
    def loop(node: tirx.For) -> Any:
        is_parallel = node.kind == tirx.ForKind.PARALLEL
        return with_loop(node, body=_behind_variable(node.body)) if is_parallel else node

    def scope(node: tirx.AttrStmt) -> Any:
        # TVM makes one of all but the checks of arguments, and our schedules of parts.
        if node.attr_key != FUNCTION:
            return node
        return tirx.AttrStmt(node.node, node.attr_key, node.value, _behind_variable(node.body))

    return tvm_ffi.structural_map(body, [(tirx.For, loop), (tirx.AttrStmt, scope)])


def _behind_variable(body: tirx.Stmt) -> tirx.Stmt:
    variable = tirx.decl_buffer((1,), "int32x16", name="aligned")
    kept = prefetch(tirx.BufferLoad(variable, [index(0)]))
    return tirx.SeqStmt([tirx.AllocBuffer(variable), kept, body])
