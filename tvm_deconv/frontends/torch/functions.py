"""Elementwise functions of one tensor: mathematics and activations.

Half precision is computed in float32 and rounded once, as PyTorch does; integers become floats
where PyTorch's do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tvm import relax

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends import functions as formulas
from tvm_deconv.frontends.functions import number

from .arithmetic import apply
from .translation import Converter, Translation
from .values import shape_of

Op = Callable[..., relax.Expr]
op = relax.op


def working_dtype(dtype: str) -> str:
    """The type in which PyTorch computes functions of ``dtype``."""
    return "float32" if dtype == "float16" else dtype


def sign(t: Translation, x: relax.Expr) -> relax.Expr:
    if t.dtype == "uint8":
        return op.minimum(x, number(x, 1))
    return x if t.dtype == "bool" else op.sign(x)


def negative(t: Translation, x: relax.Expr) -> relax.Expr:
    return op.subtract(number(x, 0), x) if t.dtype == "uint8" else op.negative(x)


def absolute(t: Translation, x: relax.Expr) -> relax.Expr:
    return x if t.dtype in ("uint8", "bool") else op.abs(x)


def identity(t: Translation, x: relax.Expr, *_attributes: Any) -> relax.Expr:
    """What copies, casts or detaches: a tensor of this package has no other properties."""
    return t.cast(x, t.dtype)


def exact(of: Op) -> Converter:
    """Of any type, without rounding."""

    def convert(t: Translation, x: relax.Expr) -> relax.Expr:
        return of(t.cast(x, t.dtype))

    return convert


def rounding(of: Op) -> Converter:
    """Of floats; integers stay what they are."""

    def convert(t: Translation, x: relax.Expr) -> relax.Expr:
        return of(x) if t.dtype.startswith("float") else x

    return convert


def function(of: Op) -> Converter:
    """Of floats, to floats. ``of`` takes further arguments of the operator as numbers."""

    def convert(t: Translation, x: relax.Expr, *numbers: Any) -> relax.Expr:
        wide = t.cast(x, working_dtype(t.dtype))
        return t.cast(t.emit(of(wide, *numbers)), t.dtype)

    return convert


def test(of: Op, of_integers: bool) -> Converter:
    """Of floats, to bool; ``of_integers`` is the answer for every integer."""

    def convert(t: Translation, x: relax.Expr) -> relax.Expr:
        if str(x.ty.dtype).startswith("float"):
            return of(x)
        return op.full(x.ty.shape, relax.const(of_integers, "bool"), "bool")

    return convert


def logical_not(t: Translation, x: relax.Expr) -> relax.Expr:
    return op.logical_not(t.cast(x, "bool"))


def bitwise_not(t: Translation, x: relax.Expr) -> relax.Expr:
    return op.logical_not(x) if t.dtype == "bool" else op.bitwise_not(x)


# Mathematics


def log2(x: relax.Expr) -> relax.Expr:
    return op.multiply(op.log(x), number(x, 1 / math.log(2)))


def log10(x: relax.Expr) -> relax.Expr:
    return op.multiply(op.log(x), number(x, 1 / math.log(10)))


def exp2(x: relax.Expr) -> relax.Expr:
    return op.exp(op.multiply(x, number(x, math.log(2))))


def erfc(x: relax.Expr) -> relax.Expr:
    return op.subtract(number(x, 1.0), op.erf(x))


def reciprocal(x: relax.Expr) -> relax.Expr:
    return op.divide(number(x, 1.0), x)


def round_decimals(x: relax.Expr, decimals: int) -> relax.Expr:
    """Rounded to a power of ten; 10 to a negative power is not exact, so that is a division."""
    scale = number(x, 10.0 ** abs(decimals))
    there, back = (op.multiply, op.divide) if decimals >= 0 else (op.divide, op.multiply)
    return back(op.round(there(x, scale)), scale)


# Activations


def leaky_relu(x: relax.Expr, negative_slope: float) -> relax.Expr:
    return op.nn.leakyrelu(x, float(negative_slope))


def rrelu(
    t: Translation, x: relax.Expr, lower: float, upper: float, training: bool, *_generator: Any
) -> relax.Expr:
    """In evaluation the mean of both slopes."""
    if training:
        raise ModelError("training draws random slopes: export the module after .eval()")
    return function(leaky_relu)(t, x, (lower + upper) / 2)


def rrelu_with_noise(
    t: Translation,
    x: relax.Expr,
    noise: relax.Expr,
    lower: float,
    upper: float,
    training: bool,
    *_: Any,
) -> list[relax.Expr]:
    if training:
        raise ModelError("training draws random slopes: export the module after .eval()")
    wide = t.cast(x, working_dtype(str(x.ty.dtype)))
    y = t.cast(t.emit(leaky_relu(wide, (lower + upper) / 2)), str(x.ty.dtype))
    return [y, noise]


def elu(x: relax.Expr, alpha: float, scale: float, input_scale: float) -> relax.Expr:
    """scale * x where x is positive, else scale * alpha * (exp(input_scale * x) - 1)."""
    zero, inner = number(x, 0.0), op.multiply(x, number(x, input_scale))
    if input_scale < 0:  # where x is negative, the exponent is positive
        negative = op.multiply(formulas.expm1(inner, x), number(x, scale * alpha))
    else:
        negative = formulas.elu(op.minimum(inner, zero), scale * alpha, x)
    return op.where(op.greater(x, zero), op.multiply(x, number(x, scale)), negative)


def gelu(x: relax.Expr, approximate: str) -> relax.Expr:
    return op.nn.gelu_tanh(x) if approximate == "tanh" else op.nn.gelu(x)


def softplus(x: relax.Expr, beta: float, threshold: float) -> relax.Expr:
    """log(1 + exp(beta x)) / beta, x itself where beta x exceeds the threshold."""
    return op.nn.softplus(x, float(beta), float(threshold))


def hardtanh(t: Translation, x: relax.Expr, low: Any, high: Any) -> relax.Expr:
    if t.dtype.startswith("float"):
        return op.clip(x, low, high)
    return apply(t, op.minimum, (apply(t, op.maximum, (x, low), t.dtype), high), t.dtype)


def prelu(t: Translation, x: relax.Expr, slope: relax.Expr) -> relax.Expr:
    """One slope for all, or one for each channel (axis 1)."""
    shape, axis = shape_of(x), min(1, len(shape_of(x)) - 1)
    slopes = math.prod(shape_of(slope))
    if axis < 0 or (slopes == 1 and not isinstance(shape[axis], int)):
        zero = number(x, 0.0)
        below = op.multiply(op.minimum(x, zero), t.reshape(slope, []))
        return op.add(op.maximum(x, zero), below)
    if slopes not in (1, shape[axis]):
        raise ModelError(f"weight has {slopes} slopes, the input {shape[axis]} channels")
    flat = t.reshape(slope, [slopes])
    if slopes != shape[axis]:
        flat = t.emit(op.broadcast_to(flat, [shape[axis]]))
    return op.nn.prelu(x, flat, axis)
