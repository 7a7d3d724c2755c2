"""Separable resampling of a tensor along any of its axes, emitted as Relax.

    out[.., i, ..] = sum over taps t of weight_t(i) * x[.., index_t(i), ..]

for one axis after the other. Importers say what is resampled (``Resampled``: axis, size,
coordinate, kernel); ``resample`` finds the form: an axis that stays is left out; a nearest resize
by whole factors along two axes, or of a line as a picture of one row, becomes
``relax.image.resize2d``, and of a volume ``relax.repeat``s, which the rewrite understands; and all
else is a PrimFunc for each axis, which reads indices and weights from tables. Linear resizes by
whole factors say so in an attribute (``INTERPOLATED``), and those of lines are of pictures of one
row, too; so do nearest resizes that are cropped (``REPEATED``), such as one of 68 samples to 135.
Whether a map is one of these is found by evaluating it. Where sizes are fixed the tables are
constants; where they are free, small PrimFuncs compute them from the same formulas.

    nearest of PyTorch's F.interpolate(x, size=(5, 7)) of a map of 8 by 9:

    step = np.float32(8) / np.float32(5)
    rows = Resampled(2, 5, lambda ops, i, n, m: i * step, Nearest("floor"))
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np
from tvm import relax, te, tirx

from tvm_deconv.algebra.reads import reads
from tvm_deconv.annotations import INTERPOLATED, READS, REPEATED, RESAMPLED
from tvm_deconv.schedules.algorithms.expressions import static

from .numbers_tir import TensorIR
from .resampled import (
    Resampled,
    arithmetic_of,
    check_axis,
    is_fixed,
    is_identity,
    linear_factor,
    place_of,
    repeats,
    tables,
    whole_factor,
    whole_ratio,
    why_not_folded,
)
from .taps import Nearest, Numbers

# Sums of up to this many taps are written out.
_UNROLLED = 8

# A size at which it is asked which samples the map of an axis of free size reads.
_SAMPLE = 64


def resample(
    builder: relax.BlockBuilder,
    x: relax.Expr,
    axes: Sequence[Resampled],
    fill: float = 0.0,
    what: str = "",
) -> relax.Expr:
    """``x`` (any rank and dtype, shape known at least symbolically) resampled along ``axes``.

    The result has the dtype of ``x``; sums are float32, of float64 tensors float64. ``what`` says
    in a report what stays a resampling, by default the kernel and the axes.

    Raises ModelError for a size over ``LARGEST_SIZE`` or under 1, and for interpolating integers.
    """
    dtype = str(x.ty.dtype)
    shape = [static(dim) for dim in x.ty.shape.values]
    axes = [replace(axis, size=static(axis.size)) for axis in axes]
    for axis in axes:
        check_axis(axis, shape[axis.axis], dtype)
    changed = [axis for axis in axes if not is_identity(axis, shape[axis.axis], dtype)]
    if not changed:
        return x
    factors = [whole_factor(axis, shape[axis.axis]) for axis in changed]
    if len(shape) == 4 and all(factors):
        layout = _layout({axis.axis for axis in changed})
        if layout is not None:
            return builder.emit(_resize2d(x, changed, layout))
    if len(shape) == 3 and all(factors) and [axis.axis for axis in changed] == [2]:
        picture = builder.emit(relax.op.expand_dims(x, 2))
        wider = builder.emit(_resize2d(picture, [replace(changed[0], axis=3)], "NCHW"))
        return builder.emit(relax.op.squeeze(wider, [2]))
    if len(shape) == 5 and all(factors):
        for axis, factor in zip(changed, factors, strict=True):
            x = builder.emit(relax.op.repeat(x, factor, axis.axis))
        return x
    # Axes that shrink come first, so that the others have less to do.
    ordered = sorted(changed, key=lambda axis: _growth(axis, shape[axis.axis]))
    places = ", ".join(str(axis.axis) for axis in sorted(changed, key=lambda axis: axis.axis))
    what = what or f"{changed[0].kernel.name} resampling of axes {places}"
    linear = {axis.axis: linear_factor(axis, shape[axis.axis], dtype) for axis in changed}
    repeated = {axis.axis: repeats(axis, shape[axis.axis]) for axis in changed}
    if len(shape) == 3 and linear.keys() == {2} and (linear[2] or repeated[2]):
        picture = builder.emit(relax.op.expand_dims(x, 2))
        wider = resample(builder, picture, [replace(changed[0], axis=3)], fill, what)
        return builder.emit(relax.op.squeeze(wider, [2]))
    left = next((axis for axis in changed if linear[axis.axis] is None), None)
    if left is not None:
        what = f"{what}, {why_not_folded(left, shape[left.axis])}"
    for axis in ordered:
        attrs: dict[str, Any] = {RESAMPLED: what} if axis is ordered[-1] else {}
        if linear[axis.axis] is not None:
            attrs[INTERPOLATED] = f"{axis.axis} {linear[axis.axis]}"
        if repeated[axis.axis] is not None:
            attrs[REPEATED] = f"{axis.axis} {repeated[axis.axis]}"
        x = _along(builder, x, axis, dtype, attrs)
    for axis in axes:
        if axis.fills:
            x = _filled(builder, x, axis, shape[axis.axis], fill)
    return x if str(x.ty.dtype) == dtype else builder.emit(relax.op.astype(x, dtype))


def _layout(axes: set[int]) -> str | None:
    """The layout in which ``axes`` are among height and width."""
    return "NCHW" if axes <= {2, 3} else "NHWC" if axes <= {1, 2} else None


def _resize2d(x: relax.Expr, axes: Sequence[Resampled], layout: str) -> relax.Expr:
    sizes = list(x.ty.shape.values)
    for axis in axes:
        sizes[axis.axis] = axis.size
    return relax.op.image.resize2d(
        x,
        relax.ShapeExpr([sizes[layout.index(name)] for name in "HW"]),
        layout=layout,
        method="nearest_neighbor",
        coordinate_transformation_mode="asymmetric",
        rounding_method="floor",
    )


def _growth(axis: Resampled, size: Any) -> float:
    return axis.size / size if is_fixed(axis, size) else 1.0


def _along(
    builder: relax.BlockBuilder, x: relax.Expr, axis: Resampled, dtype: str, attrs: dict[str, Any]
) -> relax.Expr:
    """One axis. Weighted sums stay in the type of the arithmetic."""
    arithmetic = arithmetic_of(axis.kernel, dtype)
    size = static(x.ty.shape.values[axis.axis])
    if is_fixed(axis, size):
        indices, weights = tables(axis, size, axis.size, arithmetic)
        found = [relax.const(indices, "int32")]
        found += [] if weights is None else [relax.const(weights, arithmetic)]
    else:
        found = _tables_at_run_time(builder, axis, size, arithmetic)
    read = _reads(axis, size, arithmetic)
    attrs = attrs if read is None else {**attrs, READS: f"{axis.axis} {read[0]} {read[1]}"}
    return builder.emit_te(
        _apply, x, axis.axis, *found, primfunc_name_hint="resample", primfunc_attrs=attrs
    )


def _reads(axis: Resampled, size: Any, arithmetic: str) -> tuple[Fraction, Fraction] | None:
    """What ``reads`` says of the axis; of one of free size where it grows by a whole factor."""
    if is_fixed(axis, size):
        return reads(*tables(axis, size, axis.size, arithmetic), size)
    factor = whole_ratio(size, axis.size)
    if factor is None:
        return None
    return reads(*tables(axis, _SAMPLE, _SAMPLE * factor, arithmetic), _SAMPLE)


def _tables_at_run_time(
    builder: relax.BlockBuilder, axis: Resampled, size: Any, arithmetic: str
) -> list[relax.Expr]:
    """What ``tables`` gives, computed from sizes that are only known when the function runs."""
    kernel, ops = axis.kernel, TensorIR(arithmetic)

    def table(which: int, dtype: str) -> relax.Expr:
        def compute(size: Any, target: Any, *also: Any) -> te.Tensor:
            def value(t: Any, i: Any) -> Any:
                n = ops.number(size)
                sizes = map(ops.number, (target, *also))
                place = axis.coordinate(ops, ops.number(i), n, *sizes)
                return kernel.tap(ops, place, n, ops.number(t))[which].astype(dtype)

            return te.compute((kernel.count, target), value, name="taps")

        return builder.emit_te(compute, size, axis.size, *axis.also, primfunc_name_hint="taps")

    indices = table(0, "int32")
    if isinstance(kernel, Nearest):
        return [indices]
    weights = table(1, arithmetic)
    if kernel.normalised:
        total = builder.emit(relax.op.sum(weights, [0], keepdims=True))
        one, zero = (relax.const(value, arithmetic) for value in (1, 0))
        total = builder.emit(relax.op.where(relax.op.equal(total, zero), one, total))
        weights = builder.emit(relax.op.divide(weights, total))
    return [indices, weights]


def _apply(
    x: te.Tensor, axis: int, indices: te.Tensor, weights: te.Tensor | None = None
) -> te.Tensor:
    """The weighted sum over the taps of both tables, [tap, target]."""
    count, target = indices.shape
    shape = [*x.shape[:axis], target, *x.shape[axis + 1 :]]

    def sample(at: Sequence[Any], t: Any) -> Any:
        value = x(*at[:axis], indices(t, at[axis]).astype("int64"), *at[axis + 1 :])
        return value if weights is None else value.astype(weights.dtype) * weights(t, at[axis])

    if int(count) > _UNROLLED:
        tap = te.reduce_axis((0, int(count)), "tap")
        return te.compute(shape, lambda *at: te.sum(sample(at, tap), tap), name="resample")
    return te.compute(
        shape,
        lambda *at: reduce(operator.add, [sample(at, t) for t in range(int(count))]),
        name="resample",
    )


def _filled(
    builder: relax.BlockBuilder, x: relax.Expr, axis: Resampled, size: Any, fill: float
) -> relax.Expr:
    """``x`` with ``fill`` where the place along ``axis`` is outside the input's ``size``."""
    if is_fixed(axis, size):
        place, ops = place_of(axis, size, axis.size, "float32")
        outside = _outside(ops, place, np.full(1, size, "float32"))
        mask = outside.reshape([-1 if i == axis.axis else 1 for i in range(x.ty.ndim)])
        value = relax.const(fill, x.ty.dtype)
        return builder.emit(relax.op.where(relax.const(mask, "bool"), value, x))

    def compute(x: te.Tensor, size: Any) -> te.Tensor:
        ops = TensorIR("float32")
        n, m = ops.number(size), ops.number(x.shape[axis.axis])

        def value(*at: Any) -> Any:
            place = axis.coordinate(ops, ops.number(at[axis.axis]), n, m)
            outside = _outside(ops, place, n)
            return tirx.Select(outside, tirx.const(fill, x.dtype), x(*at))

        return te.compute(x.shape, value, name="fill_outside")

    return builder.emit_te(compute, x, size, primfunc_name_hint="fill_outside")


def _outside(ops: Numbers, place: Any, n: Any) -> Any:
    return ops.either(place < 0.0, place > n - 1.0)
