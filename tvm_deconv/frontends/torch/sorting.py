"""Sorting and searching. Equal elements keep their order, as PyTorch's do on a CPU."""

from __future__ import annotations

from typing import Any

from tvm import relax, te, tirx

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
    indices = t.emit(op.argsort(x, axis, descending, dtype="int64"))
    return [t.emit(op.gather_elements(x, indices, axis)), indices]


def topk(
    t: Translation, x: relax.Expr, k: int, dim: int, largest: bool, _sorted: bool
) -> list[relax.Expr]:
    axis = dim % len(shape_of(x))
    values, indices = stable_sort(t, x, True, axis, largest)
    return [sliced(t, y, axis, 0, k, 1) for y in (values, indices)]


def kth_value(t: Translation, x: relax.Expr, k: int, dim: int, keepdim: bool) -> list[relax.Expr]:
    """The k-th smallest, counted from 1."""
    axis = dim % len(shape_of(x))
    found = []
    for y, record in zip(stable_sort(t, x, True, axis, False), t.value, strict=True):
        one = sliced(t, y, axis, k - 1, 1, 1)
        found.append(t.reshape(one, t.sizes.shape(record)))
    return found


def median(t: Translation, x: relax.Expr, dim: int, keepdim: bool) -> list[relax.Expr]:
    """The lower of the two in the middle."""
    size = shape_of(x)[dim % len(shape_of(x))]
    return kth_value(t, x, (size + 1) // 2, dim, keepdim)


def median_all(t: Translation, x: relax.Expr) -> relax.Expr:
    size = 1
    for axis in shape_of(x):
        size *= axis
    ordered, _ = stable_sort(t, t.reshape(x, [size]), True, 0, False)
    return t.reshape(sliced(t, ordered, 0, (size + 1) // 2 - 1, 1, 1), [])


def bucketize(
    t: Translation, x: relax.Expr, boundaries: relax.Expr, _int32: bool, right: bool
) -> relax.Expr:
    """How many boundaries lie below x, or not above it where ``right``."""
    dtype = t.dtype

    def bucketize(x: te.Tensor, boundaries: te.Tensor) -> te.Tensor:
        k = te.reduce_axis((0, boundaries.shape[0]), name="k")

        def value(*i: Any) -> Any:
            below = boundaries[k] <= x[i] if right else boundaries[k] < x[i]
            return te.sum(tirx.Cast(dtype, below), axis=k)

        return te.compute(x.shape, value, name="bucketize")

    return t.te(bucketize, x, boundaries)
