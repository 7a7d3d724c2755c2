"""What a maximum begins with: nothing is larger than -inf, and the first element has a place.

    m = -3.4e38, then m = max(m, x)    =>   m = -inf
    (i, m) = (-1, -3.4e38)             =>   (i, m) = (the largest integer, -inf)

TVM begins at the smallest finite number, which is larger than a row of nothing but -inf; and its
argmax keeps the smaller of two places where values are equal, so that -1 is what it finds there.
"""

from __future__ import annotations

import math

import tvm_ffi
from tvm import s_tir, tirx
from tvm.ir import Expr

from . import edit


def with_true_identities(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """``func``, unscheduled, with reductions that begin at a true identity."""

    def begun(block: s_tir.SBlock) -> s_tir.SBlock:
        if not any(_is_bound(value) for value in _beginnings(block)):
            return block
        init = tvm_ffi.structural_map(block.init, (tirx.BufferStore, _begun))
        return edit.changed(block, init=init)

    body = tvm_ffi.structural_map(func.body, (s_tir.SBlock, begun))
    return func if body.same_as(func.body) else func.with_body(body)


def finds_places(func: tirx.PrimFunc) -> bool:
    """Whether ``func`` has a reduction that begins at a bound and at the place -1."""
    found: list[bool] = []

    def note(block: s_tir.SBlock) -> None:
        values = _beginnings(block)
        found.append(any(map(_is_bound, values)) and any(map(_is_no_place, values)))

    tvm_ffi.structural_walk(func.body, (s_tir.SBlock, note))
    return any(found)


def _beginnings(block: s_tir.SBlock) -> list[Expr]:
    stores: list[tirx.BufferStore] = []
    if block.init is not None:
        tvm_ffi.structural_walk(block.init, (tirx.BufferStore, stores.append))
    return [store.value for store in stores]


def _is_no_place(value: Expr) -> bool:
    return isinstance(value, tirx.IntImm) and int(value.value) == -1


def _begun(store: tirx.BufferStore) -> tirx.BufferStore:
    value, dtype = store.value, str(store.value.ty.dtype)
    if isinstance(value, tirx.FloatImm) and _is_bound(value):
        value = tirx.FloatImm(dtype, math.copysign(math.inf, float(value.value)))
    elif _is_no_place(value):
        value = tirx.max_value(dtype)
    else:
        return store
    return tirx.BufferStore(store.buffer, value, store.indices)


def _is_bound(value: Expr) -> bool:
    """Whether a value is the smallest or largest of its type."""
    if not isinstance(value, (tirx.FloatImm, tirx.IntImm)):
        return False
    dtype = str(value.ty.dtype)
    bounds = (tirx.min_value(dtype), tirx.max_value(dtype))
    return any(value.value == bound.value for bound in bounds)
