"""Elementwise functions of one tensor that TVM's importer computes wrongly or not for every dtype.

In float16 they are computed in float32, as ONNX Runtime does, and as LLVM needs for some of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tvm
from tvm import relax

from tvm_deconv.frontends import functions
from tvm_deconv.frontends.onnx.nodes import refuse

from .call import Call, dtype_of, shape_of

Function = Callable[[Call, relax.Expr], relax.Expr]


def in_single(function: Function) -> Callable[[Call], relax.Expr]:
    """A converter that computes ``function`` of float16 tensors in float32."""

    def convert(call: Call) -> relax.Expr:
        x = call.tensor(0)
        if dtype_of(x) != "float16":
            return function(call, x)
        wide = call.emit(relax.op.astype(x, "float32"))
        return relax.op.astype(call.emit(function(call, wide)), "float16")

    return convert


def elu(call: Call, x: relax.Expr) -> relax.Expr:
    below = functions.elu(x, call.get("alpha", 1.0))
    return relax.op.where(_is_positive(call, x), x, below)


def selu(call: Call, x: relax.Expr) -> relax.Expr:
    alpha = call.get("alpha", 1.67326319217681884765625)
    gamma = call.number(call.get("gamma", 1.05070102214813232421875), x)
    below = functions.elu(x, alpha)
    return relax.op.multiply(gamma, relax.op.where(_is_positive(call, x), x, below))


def celu(call: Call, x: relax.Expr) -> relax.Expr:
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1))."""
    alpha, zero = call.get("alpha", 1.0), call.number(0, x)
    if alpha == 0:
        refuse("alpha is 0: x / alpha is not defined")
    ratio = call.emit(relax.op.divide(x, call.number(alpha, x)))
    below = functions.elu(ratio, alpha)
    if alpha < 0:
        below = relax.op.multiply(functions.expm1(ratio), call.number(alpha, x))
    return relax.op.add(relax.op.maximum(x, zero), relax.op.minimum(below, zero))


def thresholded_relu(call: Call, x: relax.Expr) -> relax.Expr:
    above = relax.op.greater(x, call.number(call.get("alpha", 1.0), x))
    return relax.op.where(above, x, call.number(0, x))


def swish(call: Call, x: relax.Expr) -> relax.Expr:
    alpha = call.get("alpha", 1.0)
    scaled = x if alpha == 1 else relax.op.multiply(call.number(alpha, x), x)
    return relax.op.multiply(x, relax.op.sigmoid(scaled))


def plain(operator: Callable[[relax.Expr], relax.Expr]) -> Function:
    """A function without attributes."""
    return lambda call, x: operator(x)


def is_inf(call: Call) -> relax.Expr:
    """IsInf of both signs, or of one."""
    x = call.tensor(0)
    infinite = relax.op.isinf(x)
    if not call.get("detect_negative", 1):
        infinite = relax.op.logical_and(infinite, relax.op.greater(x, call.number(0, x)))
    if not call.get("detect_positive", 1):
        infinite = relax.op.logical_and(infinite, relax.op.less(x, call.number(0, x)))
    return infinite


def clip(call: Call) -> relax.Expr:
    """Bounds are attributes until opset 10, then inputs. One that is NaN is none.

    Where there is none it is the largest finite number, so that no infinity goes through.
    """
    x = call.tensor(0)
    limits = np.finfo(dtype_of(x)) if dtype_of(x) in ("float16", "float32", "float64") else None
    for index, name, bounded in (
        (1, "min", relax.op.maximum),
        (2, "max", relax.op.minimum),
    ):
        given = call.get(name, None) if call.opset < 11 else call.input(index)
        bound = _bound(call, given, x, name)
        if bound is None and limits is not None:
            bound = call.number(float(getattr(limits, name)), x)
        if bound is not None:
            x = call.emit(bounded(x, bound))
    return x


def _bound(call: Call, given: Any, x: relax.Expr, name: str) -> relax.Expr | None:
    if given is None:
        return None
    if isinstance(given, (int, float)):
        return None if given != given else call.number(given, x)
    if any(size != 1 for size in shape_of(given)):
        refuse(f"{name} has the shape {shape_of(given)}: it must be a scalar")
    if isinstance(given, tvm.ir.GenericConst):
        value = given.value.numpy().reshape(())
        return None if value != value else relax.const(value, dtype_of(given))
    scalar = call.emit(relax.op.reshape(given, ()))
    if not dtype_of(x).startswith("float"):
        return scalar
    limit = call.number(-np.inf if name == "min" else np.inf, x)
    return call.emit(relax.op.where(relax.op.isnan(scalar), limit, scalar))


def prelu(call: Call) -> relax.Expr:
    """x where it is not negative, else x times the slope, which broadcasts to x.

    One slope for all, and one for each channel, have operators of their own, which the rewrite
    knows.
    """
    x, slope = call.tensor(0), call.tensor(1)
    shape, slopes = shape_of(x), shape_of(slope)
    slopes = [1] * (len(shape) - len(slopes)) + slopes
    if len(slopes) > len(shape) or any(
        isinstance(a, int) and isinstance(b, int) and b not in (1, a)
        for a, b in zip(shape, slopes, strict=True)
    ):
        refuse(f"its slope of shape {shape_of(slope)} does not broadcast to its input's, {shape}")
    places = [axis for axis, size in enumerate(slopes) if size != 1]
    if not places and isinstance(slope, tvm.ir.GenericConst):
        return relax.op.nn.leakyrelu(x, float(slope.value.numpy().reshape(())))
    if places == [1] and len(shape) > 1 and isinstance(shape[1], int):
        return relax.op.nn.prelu(x, call.emit(relax.op.reshape(slope, (slopes[1],))), 1)
    below = relax.op.multiply(x, slope)
    return relax.op.where(relax.op.less(x, call.number(0, x)), below, x)


def _is_positive(call: Call, x: relax.Expr) -> relax.Expr:
    return relax.op.greater(x, call.number(0, x))
