"""Sorting and searching. Equal elements keep their order, as PyTorch's do on a CPU."""

from __future__ import annotations

import math
from typing import Any

from tvm import relax, te, tirx

from .places import extreme_along
from .slicing import sliced
from .translation import Translation
from .values import shape_of

op = relax.op


def sort(t: Translation, x: relax.Expr, dim: int, descending: bool) -> list[relax.Expr]:
    return stable_sort(t, x, True, dim, descending)


def stable_sort(
    t: Translation, x: relax.Expr, _stable: Any, dim: int, descending: bool
) -> list[relax.Expr]:
    if not shape_of(x):
        return [x, relax.const(0, "int64")]
    axis = dim % len(shape_of(x))
    keys = _ordered(t, x) if str(x.ty.dtype).startswith("float") else x
    indices = t.emit(op.argsort(keys, axis, descending, dtype="int64"))
    return [t.emit(op.gather_elements(x, indices, axis)), indices]


def _ordered(t: Translation, x: relax.Expr) -> relax.Expr:
    """Integers in the order of the floats, both zeros equal, NaN above all numbers.

    TVM's sort compares by ``<``, which orders nothing where there is a NaN. The bits of a float,
    read as an integer, ascend with it; those of negative ones descend.
    """
    wide = t.cast(x, "float32") if str(x.ty.dtype) == "float16" else x
    dtype = {"float32": "int32", "float64": "int64"}[str(wide.ty.dtype)]

    def keys(x: te.Tensor) -> te.Tensor:
        most = tirx.max_value(dtype)
        zero = tirx.const(0, dtype)

        def key(*i: Any) -> Any:
            bits = tirx.reinterpret(dtype, x[i])
            number = tirx.Select(bits < zero, tirx.bitwise_xor(bits, most), bits)
            either = tirx.Select(x[i] == tirx.const(0, x.dtype), zero, number)
            return tirx.Select(tirx.isnan(x[i]), most, either)

        return te.compute(x.shape, key, name="keys")

    return t.te(keys, wide)


def topk(
    t: Translation, x: relax.Expr, k: int, dim: int, largest: bool, _sorted: bool
) -> list[relax.Expr]:
    axis = dim % len(shape_of(x))
    values, indices = stable_sort(t, x, True, axis, largest)
    return [sliced(t, y, axis, 0, k, 1) for y in (values, indices)]


def kth_value(t: Translation, x: relax.Expr, k: int, dim: int, keepdim: bool) -> list[relax.Expr]:
    """The k-th smallest, counted from 1."""
    if not shape_of(x):
        return [x, relax.const(0, "int64")]
    axis = dim % len(shape_of(x))
    shape = [size for d, size in enumerate(shape_of(x)) if d != axis]
    if keepdim:
        shape.insert(axis, 1)
    ordered = stable_sort(t, x, True, axis, False)
    return [t.reshape(sliced(t, y, axis, k - 1, 1, 1), shape) for y in ordered]


def median(t: Translation, x: relax.Expr, dim: int, keepdim: bool) -> list[relax.Expr]:
    """The lower of the two in the middle; the first NaN where there is one."""
    if not shape_of(x):
        return [x, relax.const(0, "int64")]
    axis = dim % len(shape_of(x))
    middle = kth_value(t, x, (shape_of(x)[axis] + 1) // 2, axis, keepdim)
    if not str(x.ty.dtype).startswith("float"):
        return middle
    largest = extreme_along(t, x, axis, keepdim, True)
    is_nan = t.emit(op.isnan(largest[0]))
    return [t.emit(op.where(is_nan, a, b)) for a, b in zip(largest, middle, strict=True)]


def median_all(t: Translation, x: relax.Expr) -> relax.Expr:
    flat = t.reshape(x, [math.prod(shape_of(x))])
    return t.reshape(median(t, flat, 0, False)[0], [])


def bucketize(
    t: Translation, x: relax.Expr, boundaries: relax.Expr, _int32: bool, right: bool
) -> relax.Expr:
    """How many boundaries lie below x, or not above it where ``right``; all below NaN."""
    dtype = t.dtype

    def bucketize(x: te.Tensor, boundaries: te.Tensor) -> te.Tensor:
        k = te.reduce_axis((0, boundaries.shape[0]), name="k")

        def value(*i: Any) -> Any:
            below = boundaries[k] <= x[i] if right else boundaries[k] < x[i]
            if str(x.dtype).startswith("float"):
                below = tirx.any(below, tirx.isnan(x[i]))
            return te.sum(tirx.Cast(dtype, below), axis=k)

        return te.compute(x.shape, value, name="bucketize")

    return t.te(bucketize, x, boundaries)
