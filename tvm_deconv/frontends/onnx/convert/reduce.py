"""Reductions, TopK and OneHot."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from tvm import relax

from tvm_deconv.frontends.onnx.nodes import refuse

from .call import Call, dtype_of, is_float, normal_axis, shape_of

# (before the reduction, the reduction, after it); None for nothing.
_Step = Callable[[Call, relax.Expr], relax.Expr] | None


def square(call: Call, x: relax.Expr) -> relax.Expr:
    return relax.op.multiply(x, x)


def absolute(call: Call, x: relax.Expr) -> relax.Expr:
    return relax.op.abs(x)


def root(call: Call, x: relax.Expr) -> relax.Expr:
    return _in_floats(call, x, relax.op.sqrt)


def logarithm(call: Call, x: relax.Expr) -> relax.Expr:
    return _in_floats(call, x, relax.op.log)


def _in_floats(
    call: Call, x: relax.Expr, function: Callable[[relax.Expr], relax.Expr]
) -> relax.Expr:
    """``function`` of integers, too, cut to integers again."""
    if is_float(x):
        return function(x)
    found = call.emit(function(call.emit(relax.op.astype(x, "float64"))))
    return relax.op.astype(found, dtype_of(x))


def reduction(
    operator: Callable[..., relax.Expr], before: _Step = None, after: _Step = None
) -> Callable[[Call], relax.Expr]:
    """A converter; axes are an attribute, or an input: since 13 of ReduceSum, 18 of the others.

    With ``noop_with_empty_axes`` and no axes nothing is summed, but ``before`` and ``after`` are
    applied, in ONNX Runtime and in the standard's reference.
    """

    def convert(call: Call) -> relax.Expr:
        x, axes = call.tensor(0), _axes(call)
        kind = dtype_of(x)
        # Sums and squares of float16 overflow at 65,504; the result may be far below.
        computed = {"bool": "uint8", "float16": "float32"}.get(kind, kind)
        x = call.emit(relax.op.astype(x, computed)) if computed != kind else x
        x = x if before is None else call.emit(before(call, x))
        if axes is None or axes:
            x = call.emit(operator(x, axes, bool(call.get("keepdims", 1))))
        x = x if after is None else call.emit(after(call, x))
        return relax.op.astype(x, kind) if computed != kind else x

    return convert


def global_average_pool(call: Call, x: relax.Expr) -> relax.Expr:
    """The mean of each channel of each image."""
    return relax.op.mean(x, list(range(2, len(shape_of(x)))), keepdims=True)


def log_sum_exp(call: Call) -> relax.Expr:
    """The largest value is subtracted before, so that nothing overflows."""
    x, axes = call.tensor(0), _axes(call)
    if axes is not None and not axes:
        return x
    wide = x if is_float(x) else call.emit(relax.op.astype(x, "float64"))
    largest = call.emit(relax.op.max(wide, axes, True))
    # Of infinities themselves nothing is subtracted: inf - inf is no number.
    finite = relax.op.isfinite(largest)
    shift = call.emit(relax.op.where(finite, largest, call.number(0, largest)))
    powers = call.emit(relax.op.exp(relax.op.subtract(wide, shift)))
    logarithm = relax.op.log(call.emit(relax.op.sum(powers, axes, True)))
    y = call.emit(relax.op.add(logarithm, shift))
    if not call.get("keepdims", 1):
        y = call.emit(relax.op.squeeze(y, axes))
    return y if is_float(x) else relax.op.astype(y, dtype_of(x))


def _axes(call: Call) -> list[int] | None:
    """Axes counted from 0; None for all, [] for none."""
    as_input = 13 if call.node.op_type == "ReduceSum" else 18
    given = call.get("axes", None) if call.opset < as_input else call.constant(1, "axes")
    if given is None or not len(given):
        return [] if call.get("noop_with_empty_axes", 0) else None
    rank = len(shape_of(call.tensor(0)))
    axes = [normal_axis(int(axis), rank, "axes:") for axis in given]
    if len(set(axes)) != len(axes):
        refuse(f"axes {[int(axis) for axis in given]} name one twice")
    return axes


# What TVM's runtime sorts.
_SORTED = ("float16", "float32", "float64", "int8", "int32", "int64", "uint8")


def top_k(call: Call) -> relax.Expr:
    """Sorted, which ``sorted=0`` allows, too."""
    x = call.tensor(0)
    k = call.get("k", None) if call.opset < 10 else call.constant(1, "k")
    if k is None or np.size(k) != 1 or int(np.ravel(k)[0]) < 1:
        refuse("k must be one positive number")
    count = int(np.ravel(k)[0])
    axis = normal_axis(call.get("axis", -1), len(shape_of(x)))
    size = shape_of(x)[axis]
    if isinstance(size, int) and count > size:
        refuse(f"k is {count}, axis {axis} has {size} samples")
    if dtype_of(x) not in _SORTED:
        refuse(f"its input is {dtype_of(x)}: sorted are {', '.join(_SORTED)}; put a Cast before it")
    largest = bool(call.get("largest", 1))
    return relax.op.topk(x, count, axis, ret_type="both", largest=largest, dtype="int64")
