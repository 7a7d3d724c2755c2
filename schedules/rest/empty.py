"""Nothing is done for a result without elements.

TVM bounds the intermediate buffers of a function by the divisions of its fused loops, and computes
those bounds where the function begins: dividing by a size of 0 would end the process.
"""

from __future__ import annotations

from collections.abc import Iterable

import tvm_ffi
from tvm import s_tir, tirx

from .stage import Expr, Var, static_value


def skip_empty(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """``func``, scheduled, with its body under a condition where its sizes may be 0.

    Functions without intermediate buffers stay as they are.
    """
    root = func.body.block
    if not root.alloc_buffers:
        return func
    sizes = [_free_sizes(buffer) for buffer in _results(func)]
    if not all(sizes):
        return func
    body = s_tir.SBlockRealize(
        [],
        True,
        s_tir.SBlock([], [], [], "unless_empty", root.body, alloc_buffers=root.alloc_buffers),
    )
    condition = _joined(tirx.Or, (_joined(tirx.And, (size > 0 for size in some)) for some in sizes))
    outer = s_tir.SBlock([], [], [], root.name_hint, tirx.IfThenElse(condition, body, None))
    return func.with_body(s_tir.SBlockRealize([], True, outer))


def _results(func: tirx.PrimFunc) -> list[Var]:
    """The parameters that are written."""
    stored: list[Var] = []
    tvm_ffi.structural_walk(func.body, (tirx.BufferStore, lambda s: stored.append(s.buffer)))
    return [param for param in func.params if any(param.same_as(other) for other in stored)]


def _free_sizes(buffer: Var) -> list[Expr]:
    return [size for size in buffer.shape if static_value(size) is None]


def _joined(kind: type, conditions: Iterable[Expr]) -> Expr:
    first, *rest = conditions
    for condition in rest:
        first = kind(first, condition)
    return first
