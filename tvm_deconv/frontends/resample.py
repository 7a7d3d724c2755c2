"""Separable resampling of a tensor along any of its axes, emitted as Relax.

    out[.., i, ..] = sum over taps t of weight_t(i) * x[.., index_t(i), ..]

for one axis after the other. Importers say what is resampled (``Resampled``: axis, size,
coordinate, kernel); ``resample`` finds the form: an axis that stays is left out; a nearest resize
by whole factors along two axes, or of a line as a picture of one row, becomes
``relax.image.resize2d``, and of a volume ``relax.repeat``s, which the rewrite understands; and all
else is a PrimFunc for each
axis, which reads indices and weights from tables. Linear resizes by whole factors say so in an
attribute (``INTERPOLATED``), and those of lines are of pictures of one row, too. Whether a map is
one of these is found by evaluating it. Where sizes are fixed the tables are constants; where they
are free, small PrimFuncs compute them from the same formulas.

    nearest of PyTorch's F.interpolate(x, size=(5, 7)) of a map of 8 by 9:

    step = np.float32(8) / np.float32(5)
    rows = Resampled(2, 5, lambda ops, i, n, m: i * step, Nearest("floor"))
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np
import tvm
from tvm import relax, sym, te, tirx

from tvm_deconv.algebra.axis_map import LARGEST_FACTOR
from tvm_deconv.algebra.bilinear import interpolates
from tvm_deconv.algebra.reads import reads
from tvm_deconv.annotations import INTERPOLATED, READS, RESAMPLED
from tvm_deconv.errors import ModelError

from .numbers_tir import TensorIR
from .taps import Coordinate, Kernel, Nearest, Numbers, NumPy, Windowed

# Past this float32 skips whole numbers, so that no coordinate in it is right.
LARGEST_SIZE = 2**24

# Sums of up to this many taps are written out.
_UNROLLED = 8

# Input sizes at which the map of an axis of free size is evaluated. A map that is right at all of
# them depends on the size by its ratio alone.
_JUDGED_SIZES = (*range(1, 41), 127, 128, 1000, 4095, 4096, 10007)


# One at which it is asked which samples such a map reads.
_SAMPLE = 64


@dataclass(frozen=True)
class Resampled:
    """One axis of the result.

    ``axis`` counts from 0; ``size`` is the result's, an int or an integer expression of the sizes
    of x. Places outside the input get the fill value where ``fills`` is set; otherwise the kernel
    says what is there.
    """

    axis: int
    size: Any
    coordinate: Coordinate
    kernel: Kernel
    fills: bool = False


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
    shape = [_static(dim) for dim in x.ty.shape.values]
    axes = [replace(axis, size=_static(axis.size)) for axis in axes]
    for axis in axes:
        _check(axis, shape[axis.axis], dtype)
    changed = [axis for axis in axes if not _is_identity(axis, shape[axis.axis], dtype)]
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
    linear = {axis.axis: _linear_factor(axis, shape[axis.axis], dtype) for axis in changed}
    if len(shape) == 3 and linear.keys() == {2} and linear[2] is not None:
        picture = builder.emit(relax.op.expand_dims(x, 2))
        wider = resample(builder, picture, [replace(changed[0], axis=3)], fill, what)
        return builder.emit(relax.op.squeeze(wider, [2]))
    left = next((axis for axis in changed if linear[axis.axis] is None), None)
    if left is not None:
        what = f"{what}, {_why_not_folded(left, shape[left.axis])}"
    for axis in ordered:
        attrs: dict[str, Any] = {RESAMPLED: what} if axis is ordered[-1] else {}
        if linear[axis.axis] is not None:
            attrs[INTERPOLATED] = f"{axis.axis} {linear[axis.axis]}"
        x = _along(builder, x, axis, dtype, attrs)
    for axis in axes:
        if axis.fills:
            x = _filled(builder, x, axis, shape[axis.axis], fill)
    return x if str(x.ty.dtype) == dtype else builder.emit(relax.op.astype(x, dtype))


def whole_factor(axis: Resampled, size: Any) -> int | None:
    """r where the axis is nearest xr, output i copying input i div r; else None.

    ``size`` is the input's, an int or an expression.
    """
    factor = _ratio(size, axis.size)
    if not isinstance(axis.kernel, Nearest) or axis.fills or factor is None:
        return None
    for n in _sizes(size, factor):
        indices, _ = tables(axis, n, n * factor, "float32")
        if (indices[0] != np.arange(n * factor) // factor).any():
            return None
    return factor


def _linear_factor(axis: Resampled, size: Any, dtype: str) -> int | None:
    """r where the axis is a linear resize (half_pixel) by r; else None."""
    factor = _ratio(size, axis.size)
    if isinstance(axis.kernel, Nearest) or axis.fills or factor is None:
        return None
    for n in _sizes(size, factor):
        indices, weights = tables(axis, n, n * factor, _arithmetic(axis.kernel, dtype))
        if not interpolates(indices, weights, n):
            return None
    return factor


def _why_not_folded(axis: Resampled, size: Any) -> str:
    """What keeps a resampling from being folded into the convolution behind it, for a report."""
    if isinstance(axis.kernel, Nearest):
        return "no nearest resize by whole factors"
    where = f"axis {axis.axis}"
    if _ratio(size, axis.size) is None:
        return f"from {size} to {axis.size} samples along {where}, by no whole factor"
    if isinstance(axis.kernel, Windowed) and axis.kernel.a is not None:
        return f"whose weights along {where} are not those of linear interpolation"
    return f"which does not lie at (i + 1/2)/r - 1/2 along {where}"


def tables(
    axis: Resampled, size: int, target: int, dtype: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Indices (int32) and weights (``dtype``) of every output sample, both [tap, target].

    The weights are None where all are 1.
    """
    place, ops = _place(axis, size, target, dtype)
    n = np.full(1, size, dtype)
    kernel = axis.kernel
    taps = [kernel.tap(ops, place, n, np.full(1, t, dtype)) for t in range(kernel.count)]
    indices = np.stack([np.broadcast_to(index, target) for index, _ in taps]).astype(np.int32)
    if taps[0][1] is None:
        return indices, None
    weights = np.stack([np.broadcast_to(weight, target) for _, weight in taps])
    if kernel.normalised:
        weights = weights / _divisor(weights.sum(0, keepdims=True))
    return indices, weights.astype(dtype)


def _place(axis: Resampled, size: int, target: int, dtype: str) -> tuple[Any, NumPy]:
    ops = NumPy(dtype)
    n, m = (np.full(1, value, dtype) for value in (size, target))
    return axis.coordinate(ops, np.arange(target, dtype=dtype), n, m), ops


def _divisor(total: np.ndarray) -> np.ndarray:
    """Sums of weights to divide by: 1 where all are 0, so far outside that nothing is reached."""
    return np.where(total == 0, total.dtype.type(1), total)


def _check(axis: Resampled, size: Any, dtype: str) -> None:
    for value in (size, axis.size):
        if isinstance(value, int) and not 0 < value <= LARGEST_SIZE:
            raise ModelError(
                f"an axis of {size} samples cannot be resampled to {axis.size}: sizes are from 1 "
                f"to {LARGEST_SIZE}"
            )
    if not isinstance(axis.kernel, Nearest) and not dtype.startswith("float"):
        raise ModelError(
            f"{axis.kernel.name} interpolation of {dtype} is not computed: cast to float32 before"
        )


def _is_identity(axis: Resampled, size: Any, dtype: str) -> bool:
    if axis.fills or _ratio(size, axis.size) != 1:
        return False
    for n in _sizes(size, 1):
        indices, weights = tables(axis, n, n, _arithmetic(axis.kernel, dtype))
        kept = np.ones(indices.shape) if weights is None else weights
        if not np.array_equal(np.where(indices == np.arange(n), kept, 0).sum(0), np.ones(n)):
            return False
        if np.where(indices == np.arange(n), 0, kept).any():
            return False
    return True


def _sizes(size: Any, factor: int) -> Sequence[int]:
    if isinstance(size, int):
        return (size,)
    return [n for n in _JUDGED_SIZES if n * factor <= LARGEST_SIZE]


def _ratio(size: Any, target: Any) -> int | None:
    """target / size where that is provably a whole number."""
    if isinstance(size, int) and isinstance(target, int):
        return target // size if target % size == 0 else None
    if isinstance(size, int):
        return None
    analyzer = sym.Analyzer()
    quotient = analyzer.simplify(tirx.floordiv(tirx.convert(target), size))
    if not isinstance(quotient, tirx.IntImm):
        # A size such as h * 3 - 1 is not divided out.
        factors = range(1, LARGEST_FACTOR + 1)
        return next((r for r in factors if analyzer.can_prove_equal(target, size * r)), None)
    if int(quotient) < 1:
        return None
    return int(quotient) if analyzer.can_prove_equal(target, size * int(quotient)) else None


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
    return axis.size / size if _is_fixed(axis, size) else 1.0


def _is_fixed(axis: Resampled, size: Any) -> bool:
    return isinstance(size, int) and isinstance(axis.size, int)


def _arithmetic(kernel: Kernel, dtype: str) -> str:
    """The type of coordinates and weights."""
    return "float64" if dtype == "float64" and not isinstance(kernel, Nearest) else "float32"


def _along(
    builder: relax.BlockBuilder, x: relax.Expr, axis: Resampled, dtype: str, attrs: dict[str, Any]
) -> relax.Expr:
    """One axis. Weighted sums stay in the type of the arithmetic."""
    arithmetic = _arithmetic(axis.kernel, dtype)
    size = _static(x.ty.shape.values[axis.axis])
    if _is_fixed(axis, size):
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
    if _is_fixed(axis, size):
        return reads(*tables(axis, size, axis.size, arithmetic), size)
    factor = _ratio(size, axis.size)
    if factor is None:
        return None
    return reads(*tables(axis, _SAMPLE, _SAMPLE * factor, arithmetic), _SAMPLE)


def _tables_at_run_time(
    builder: relax.BlockBuilder, axis: Resampled, size: Any, arithmetic: str
) -> list[relax.Expr]:
    """What ``tables`` gives, computed from sizes that are only known when the function runs."""
    kernel, ops = axis.kernel, TensorIR(arithmetic)

    def table(which: int, dtype: str) -> relax.Expr:
        def compute(size: Any, target: Any) -> te.Tensor:
            def value(t: Any, i: Any) -> Any:
                n = ops.number(size)
                place = axis.coordinate(ops, ops.number(i), n, ops.number(target))
                return kernel.tap(ops, place, n, ops.number(t))[which].astype(dtype)

            return te.compute((kernel.count, target), value, name="taps")

        return builder.emit_te(compute, size, axis.size, primfunc_name_hint="taps")

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
    if _is_fixed(axis, size):
        place, ops = _place(axis, size, axis.size, "float32")
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


def _static(dim: Any) -> Any:
    return int(dim.value) if isinstance(dim, tvm.tirx.IntImm) else dim
