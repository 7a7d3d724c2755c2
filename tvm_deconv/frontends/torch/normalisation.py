"""Normalisations, in two passes: first the mean, then the squared differences from it.

TVM's layer, group and instance norms take mean(x²) - mean(x)² in one pass, which cancels where the
mean is large beside the deviation (x + 100 in float32: three digits are left).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import relax

from tvm_deconv.frontends.functions import number

from .functions import working_dtype
from .reductions import squared_deviation
from .translation import Missing, Translation
from .values import constant, shape_of, value_of

op = relax.op
_STATISTICS = Missing("the saved statistics of a normalisation are for training only")


def batch_norm(
    t: Translation,
    x: relax.Expr,
    weight: relax.Expr | None,
    bias: relax.Expr | None,
    mean: relax.Expr,
    var: relax.Expr,
    _momentum: float,
    eps: float,
) -> list[Any]:
    """x * scale + offset per channel, in evaluation: scale = weight / sqrt(var + eps)."""
    dtype = working_dtype(str(x.ty.dtype))
    shape = _for_channels(x, shape_of(mean)[0])
    scale, shift = _known_scale(weight, bias, mean, var, eps, dtype) or _computed_scale(
        t, weight, bias, mean, var, eps, dtype
    )
    y = t.emit(op.multiply(t.cast(x, dtype), t.reshape(scale, shape)))
    y = t.emit(op.add(y, t.reshape(shift, shape)))
    return [t.cast(y, str(x.ty.dtype)), _STATISTICS, _STATISTICS]


def _known_scale(
    weight: relax.Expr | None,
    bias: relax.Expr | None,
    mean: relax.Expr,
    var: relax.Expr,
    eps: float,
    dtype: str,
) -> tuple[relax.Expr, relax.Expr] | None:
    """Scale and offset as constants; None where one of the parts is none."""
    values = []
    for part, absent in ((weight, 1.0), (bias, 0.0), (mean, 0.0), (var, 1.0)):
        known = np.float64(absent) if part is None else value_of(part)
        if known is None:
            return None
        values.append(known.astype("float64"))
    w, b, m, v = values
    factor = w / np.sqrt(v + eps)
    return constant(factor.astype(dtype)), constant((b - m * factor).astype(dtype))


def _computed_scale(
    t: Translation,
    weight: relax.Expr | None,
    bias: relax.Expr | None,
    mean: relax.Expr,
    var: relax.Expr,
    eps: float,
    dtype: str,
) -> tuple[relax.Expr, relax.Expr]:
    var = t.cast(var, dtype)
    scale = t.emit(op.rsqrt(op.add(var, number(var, eps))))
    if weight is not None:
        scale = t.emit(op.multiply(scale, t.cast(weight, dtype)))
    offset = t.emit(op.negative(op.multiply(t.cast(mean, dtype), scale)))
    if bias is not None:
        offset = t.emit(op.add(offset, t.cast(bias, dtype)))
    return scale, offset


def batch_norm_of_batch(
    t: Translation,
    x: relax.Expr,
    weight: relax.Expr | None,
    bias: relax.Expr | None,
    _training: bool,
    _momentum: float,
    eps: float,
) -> list[Any]:
    """By the statistics of the batch itself: instance norm, and batch norm that tracks none."""
    shape = shape_of(x)
    axes = [axis for axis in range(len(shape)) if axis != 1]
    y = _normalised(t, x, axes, eps)
    return [_affine(t, y, weight, bias, _for_channels(x, shape[1]), x), _STATISTICS, _STATISTICS]


def group_norm(
    t: Translation,
    x: relax.Expr,
    weight: relax.Expr | None,
    bias: relax.Expr | None,
    _n: Any,
    _c: Any,
    _area: Any,
    groups: int,
    eps: float,
) -> list[Any]:
    shape = shape_of(x)
    size = math.prod(shape[1:]) // groups
    grouped = t.reshape(x, [shape[0], groups, size])
    y = t.reshape(_normalised(t, grouped, [2], eps), shape)
    return [_affine(t, y, weight, bias, _for_channels(x, shape[1]), x), _STATISTICS, _STATISTICS]


def layer_norm(
    t: Translation,
    x: relax.Expr,
    normalized: Sequence[Any],
    weight: relax.Expr | None,
    bias: relax.Expr | None,
    eps: float,
) -> list[Any]:
    rank = len(shape_of(x))
    y = _normalised(t, x, list(range(rank - len(normalized), rank)), eps)
    return [_affine(t, y, weight, bias, list(normalized), x), _STATISTICS, _STATISTICS]


def _normalised(t: Translation, x: relax.Expr, axes: list[int], eps: float) -> relax.Expr:
    """(x - mean) / sqrt(variance + eps) in the working type."""
    x = t.cast(x, working_dtype(str(x.ty.dtype)))
    mean = t.emit(op.mean(x, axes, True))
    var = t.emit(op.mean(squared_deviation(t, x, axes), axes, True))
    inverse = t.emit(op.rsqrt(op.add(var, number(x, eps))))
    return t.emit(op.multiply(t.emit(op.subtract(x, mean)), inverse))


def _affine(
    t: Translation,
    y: relax.Expr,
    weight: relax.Expr | None,
    bias: relax.Expr | None,
    shape: Sequence[Any],
    like: relax.Expr,
) -> relax.Expr:
    """y * weight + bias, in the type of ``like``."""
    for operator, part in ((op.multiply, weight), (op.add, bias)):
        if part is not None:
            y = t.emit(operator(y, t.reshape(t.cast(part, str(y.ty.dtype)), shape)))
    return t.cast(y, str(like.ty.dtype))


def _for_channels(x: relax.Expr, channels: Any) -> list[Any]:
    return [1, channels, *[1] * (len(shape_of(x)) - 2)]
