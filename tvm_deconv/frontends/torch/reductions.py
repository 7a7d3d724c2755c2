"""Reductions over axes. Half precision is accumulated in float32, as PyTorch does."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tvm import relax

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.functions import number

from .arithmetic import whole_power
from .functions import working_dtype
from .places import extreme_along
from .translation import Converter, Translation
from .values import shape_of

op = relax.op
Reduce = Callable[..., relax.Expr]


def axes_of(x: relax.Expr, dims: int | Sequence[int] | None) -> list[int]:
    """The axes that ``dims`` names, ascending; all for None and for an empty list."""
    rank = len(shape_of(x))
    if dims is None or (not isinstance(dims, int) and not dims):
        return list(range(rank))
    return sorted(d % max(rank, 1) for d in ([dims] if isinstance(dims, int) else dims))


def count_of(t: Translation, x: relax.Expr, axes: Sequence[int]) -> Any:
    """How many elements are reduced to one: an int or an expression."""
    return math.prod(shape_of(x)[axis] for axis in axes)


def reduce_axes(t: Translation, of: Reduce, x: relax.Expr, dims: Any, keepdim: bool) -> relax.Expr:
    """``of`` over the axes, accumulated in the working type, as the recorded type."""
    axes = axes_of(x, dims)
    if not shape_of(x):
        return t.cast(x, t.dtype)
    wide = t.cast(x, working_dtype(t.dtype))
    return t.cast(t.emit(of(wide, axes, keepdim)), t.dtype)


def sum_(t: Translation, x: relax.Expr, dims: Any, keepdim: bool, _dtype: Any) -> relax.Expr:
    return reduce_axes(t, op.sum, x, dims, keepdim)


def sum_all(t: Translation, x: relax.Expr, _dtype: Any) -> relax.Expr:
    return reduce_axes(t, op.sum, x, None, False)


def mean(t: Translation, x: relax.Expr, dims: Any, keepdim: bool, _dtype: Any) -> relax.Expr:
    return reduce_axes(t, op.mean, x, dims, keepdim)


def mean_all(t: Translation, x: relax.Expr, _dtype: Any) -> relax.Expr:
    return reduce_axes(t, op.mean, x, None, False)


def product(t: Translation, x: relax.Expr, dim: int, keepdim: bool, _dtype: Any) -> relax.Expr:
    return reduce_axes(t, op.prod, x, dim, keepdim)


def product_all(t: Translation, x: relax.Expr, _dtype: Any) -> relax.Expr:
    return reduce_axes(t, op.prod, x, None, False)


def extreme(of: Reduce) -> Converter:
    """amax, amin: exact in every type; bool by way of int8."""

    def convert(
        t: Translation, x: relax.Expr, dims: Any = None, keepdim: bool = False
    ) -> relax.Expr:
        if t.dtype == "bool":
            x = t.cast(x, "int8")
        if not shape_of(x):
            return t.cast(x, t.dtype)
        return t.cast(t.emit(of(x, axes_of(x, dims), keepdim)), t.dtype)

    return convert


def any_(t: Translation, x: relax.Expr, dims: Any = None, keepdim: bool = False) -> relax.Expr:
    return extreme(op.max)(t, t.cast(x, "bool"), dims, keepdim)


def all_(t: Translation, x: relax.Expr, dims: Any = None, keepdim: bool = False) -> relax.Expr:
    return extreme(op.min)(t, t.cast(x, "bool"), dims, keepdim)


def variance(
    t: Translation, x: relax.Expr, dims: Any, correction: Any, keepdim: bool
) -> relax.Expr:
    """The mean of squared differences from the mean, over count - correction (1 by default)."""
    wide = t.cast(x, working_dtype(t.dtype))
    axes = axes_of(x, dims)
    count = count_of(t, x, axes)
    off = 1 if correction is None else correction
    total = t.emit(op.sum(squared_deviation(t, wide, axes), axes, keepdim))
    divisor = t.scalar(count, str(wide.ty.dtype))
    if isinstance(count, int):
        if count <= off:
            raise ModelError(
                f"the variance of {count} elements with correction {off} is not defined"
            )
        divisor = number(wide, count - off)
    else:
        divisor = op.subtract(divisor, number(wide, off))
    return t.cast(t.emit(op.divide(total, divisor)), t.dtype)


def variance_and_mean(
    t: Translation, x: relax.Expr, dims: Any, correction: Any, keepdim: bool
) -> list[relax.Expr]:
    return [
        variance(t, x, dims, correction, keepdim),
        reduce_axes(t, op.mean, x, dims, keepdim),
    ]


def squared_deviation(t: Translation, x: relax.Expr, axes: Sequence[int]) -> relax.Expr:
    """(x - mean)²: the difference of two large sums, mean(x²) - mean(x)², would cancel."""
    deviation = t.emit(op.subtract(x, t.emit(op.mean(x, list(axes), True))))
    return t.emit(op.multiply(deviation, deviation))


def extreme_with_index(largest: bool) -> Converter:
    """max.dim and min.dim: the value and where it first occurs."""

    def convert(t: Translation, x: relax.Expr, dim: int, keepdim: bool) -> list[relax.Expr]:
        if not shape_of(x):
            return [x, relax.const(0, "int64")]
        data = t.cast(x, "int8") if str(x.ty.dtype) == "bool" else x
        (axis,) = axes_of(x, dim)
        value, place = extreme_along(t, data, axis, keepdim, largest)
        return [t.cast(value, str(x.ty.dtype)), place]

    return convert


def position(largest: bool) -> Converter:
    """argmax, argmin; of the flattened tensor without ``dim``."""

    def convert(t: Translation, x: relax.Expr, dim: int | None, keepdim: bool) -> relax.Expr:
        shape = shape_of(x)
        if not shape:
            return relax.const(0, "int64")
        if dim is None:
            flat = t.reshape(x, [math.prod(shape)])
            return t.reshape(extreme_along(t, flat, 0, False, largest)[1], t.shape)
        return extreme_along(t, x, dim % len(shape), keepdim, largest)[1]

    return convert


def softmax(of: Reduce) -> Converter:
    def convert(t: Translation, x: relax.Expr, dim: int, _half_to_float: bool) -> relax.Expr:
        wide, rank = t.cast(x, working_dtype(t.dtype)), len(shape_of(x))
        if rank == 0:
            wide = t.reshape(wide, [1])
        y = t.emit(of(wide, dim % max(rank, 1)))
        return t.cast(t.reshape(y, t.shape), t.dtype)

    return convert


def cumulative(of: Reduce) -> Converter:
    def convert(t: Translation, x: relax.Expr, dim: int, *_dtype: Any) -> relax.Expr:
        if not shape_of(x):
            return t.cast(x, t.dtype)
        wide = t.cast(x, working_dtype(t.dtype))
        return t.cast(t.emit(of(wide, dim % len(shape_of(x)))), t.dtype)

    return convert


def distances(t: Translation, a: relax.Expr, b: relax.Expr, order: float, _mode: Any) -> relax.Expr:
    """The norm of each row of ``a`` less each row of ``b``: of differences, which do not cancel."""
    difference = t.emit(op.subtract(t.emit(op.expand_dims(a, -2)), t.emit(op.expand_dims(b, -3))))
    return vector_norm(t, difference, order, [-1], False, None)


def vector_norm(
    t: Translation, x: relax.Expr, order: Any, dims: Any, keepdim: bool, _dtype: Any
) -> relax.Expr:
    """(sum |x|^p)^(1/p); the largest or smallest |x| for p = ±inf, how many are not 0 for p = 0."""
    wide = t.emit(op.abs(t.cast(x, working_dtype(t.dtype))))
    axes = axes_of(x, dims)
    if not shape_of(x):
        return t.cast(wide, t.dtype)
    if order in (math.inf, -math.inf):
        result = (op.max if order > 0 else op.min)(wide, axes, keepdim)
    elif order == 0:
        result = op.sum(t.cast(t.cast(wide, "bool"), str(wide.ty.dtype)), axes, keepdim)
    elif order == 1:
        result = op.sum(wide, axes, keepdim)
    elif order == 2:
        result = op.sqrt(op.sum(op.multiply(wide, wide), axes, keepdim))
    else:
        whole = float(order).is_integer() and 0 < order <= 64
        powers = op.power(wide, number(wide, float(order)))
        if whole:
            powers = whole_power(t, wide, int(order))
        result = op.power(op.sum(powers, axes, keepdim), number(wide, 1 / float(order)))
    return t.cast(t.emit(result), t.dtype)
