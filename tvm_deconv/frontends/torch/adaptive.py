"""Adaptive pooling, one axis after the other: means and maxima over a window factorise.

Window i of ``out`` covers floor(i*size/out) up to ceil((i+1)*size/out), both tables where the sizes
are fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tvm import relax, te, tirx

from .functions import working_dtype
from .pooling import AVERAGE_POOLS, INDICES, MAX_POOLS, batched, read_or_nothing
from .translation import Converter, Translation
from .values import constant, shape_of

op = relax.op


def adaptive_average_pool(n: int) -> Converter:
    def convert(t: Translation, x: relax.Expr, _output_size: Sequence[Any]) -> relax.Expr:
        wide, out = t.cast(x, working_dtype(t.dtype)), t.shape
        kernel = _even_windows(shape_of(x)[-n:], out[-n:])
        if kernel is not None and all(size == 1 for size in out[-n:]):
            return t.cast(t.emit(op.mean(wide, list(range(-n, 0)), True)), t.dtype)
        if kernel is not None:
            whole = t.reshape(wide, batched(shape_of(x), n))
            y = t.emit(AVERAGE_POOLS[n](whole, kernel, kernel))
            return t.cast(t.reshape(y, out), t.dtype)
        for axis in range(len(out) - n, len(out)):
            wide = _mean_along(t, wide, axis, out[axis])
        return t.cast(wide, t.dtype)

    return convert


def adaptive_max_pool(n: int) -> Converter:
    def convert(t: Translation, x: relax.Expr, _output_size: Sequence[Any]) -> list[Any]:
        out = t.shape
        kernel = _even_windows(shape_of(x)[-n:], out[-n:])
        if kernel is not None:
            whole = t.reshape(x, batched(shape_of(x), n))
            return [t.reshape(t.emit(MAX_POOLS[n](whole, kernel, kernel)), out), INDICES]
        for axis in range(len(out) - n, len(out)):
            x = _along(t, x, axis, out[axis], te.max)
        return [x, INDICES]

    return convert


def _even_windows(sizes: Sequence[Any], out: Sequence[Any]) -> list[int] | None:
    """The size of the windows where they are all the same and lie side by side."""
    if not all(isinstance(size, int) for size in (*sizes, *out)):
        return None
    if any(size % o for size, o in zip(sizes, out, strict=True)):
        return None
    return [size // o for size, o in zip(sizes, out, strict=True)]


def _mean_along(t: Translation, x: relax.Expr, axis: int, out: Any) -> relax.Expr:
    size, dtype = shape_of(x)[axis], str(x.ty.dtype)
    total = _along(t, x, axis, out, te.sum)
    if isinstance(size, int) and isinstance(out, int):
        begins, ends = _tables(size, out)
        shape = [-1 if d == axis else 1 for d in range(len(shape_of(x)))]
        counts = (ends - begins).astype(dtype).reshape(shape)
        return t.emit(op.divide(total, constant(counts)))

    def mean(total: te.Tensor, size: Any, out: Any) -> te.Tensor:
        def value(*i: Any) -> Any:
            begin, end = _window(i[axis], size, out)
            return total[i] / tirx.Cast(dtype, end - begin)

        return te.compute(total.shape, value, name="mean")

    return t.te(mean, total, size, out)


def _along(
    t: Translation, x: relax.Expr, axis: int, out: Any, combine: Callable[..., Any]
) -> relax.Expr:
    """``combine`` over the windows of one axis."""
    size = shape_of(x)[axis]

    def pool(
        x: te.Tensor, longest: Any, out: Any, window: Callable[[Any], tuple[Any, Any]]
    ) -> te.Tensor:
        tap = te.reduce_axis((0, longest), name="tap")

        def value(*i: Any) -> Any:
            begin, end = window(i[axis])
            at = begin + tap
            read = x(*i[:axis], at, *i[axis + 1 :])
            return combine(read_or_nothing([at < end], read, x.dtype, combine), axis=tap)

        shape = [out if d == axis else length for d, length in enumerate(x.shape)]
        return te.compute(shape, value, name="pool")

    if isinstance(size, int) and isinstance(out, int):
        begins, ends = _tables(size, out)
        longest = int((ends - begins).max())

        def pool_by_tables(x: te.Tensor, begins: te.Tensor, ends: te.Tensor) -> te.Tensor:
            return pool(x, longest, out, lambda i: (begins[i], ends[i]))

        return t.te(pool_by_tables, x, constant(begins), constant(ends))

    def pool_by_sizes(x: te.Tensor, out: Any) -> te.Tensor:
        size = x.shape[axis]
        # No window is longer than this; the taps beyond its own end are left out.
        longest = tirx.floordiv(size + out - 1, out) + 1
        return pool(x, longest, out, lambda i: _window(i, size, out))

    return t.te(pool_by_sizes, x, out)


def _tables(size: int, out: int) -> tuple[np.ndarray, np.ndarray]:
    i = np.arange(out, dtype="int64")
    return i * size // out, ((i + 1) * size + out - 1) // out


def _window(i: Any, size: Any, out: Any) -> tuple[Any, Any]:
    return tirx.floordiv(i * size, out), tirx.floordiv((i + 1) * size + out - 1, out)
