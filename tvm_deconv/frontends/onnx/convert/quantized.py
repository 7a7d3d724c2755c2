"""Operators on quantized tensors (ONNX "QOperator"), as QuantizeLinear writes the same thing.

    QLinearConv(x, w, b) => quantize(Conv(dequantize(x), dequantize(w), dequantize(b)))

``quantize`` divides by the scale, rounds half to even, adds the zero point and saturates, as ONNX
Runtime does. What comes between is float32; where it is a convolution, ``LowerIntegers`` finds the
integers again. Operands with a scale and a zero point for each channel are taken along the axis
that the standard names: output channels of a kernel, rows of A and columns of B of a product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tvm
from tvm import relax

from tvm_deconv.frontends.onnx.nodes import refuse

from . import conv
from .broadcast import aligned
from .call import Call, dtype_of, normal_axis, shape_of, static


def qlinear_conv(call: Call) -> relax.Expr:
    """QLinearConv; the bias is int32, in units of the product of both scales."""
    x, weight = _operand(call, 0), _operand(call, 3, axis=0)
    bias = call.input(8)
    if bias is not None:
        scale = relax.op.multiply(call.tensor(1), call.tensor(4))
        bias = call.emit(relax.op.multiply(relax.op.astype(bias, "float32"), call.emit(scale)))
    inputs = [x, weight] + ([] if bias is None else [bias])
    return _result(call, conv.conv(replace(call, inputs=inputs)), 6)


def qlinear_matmul(call: Call) -> relax.Expr:
    a, b = _operand(call, 0, axis=-2), _operand(call, 3, axis=-1)
    a, b = aligned(call.builder, [a, b], [-2, -1])
    return _result(call, relax.op.matmul(a, b), 6)


def conv_integer(call: Call) -> relax.Expr:
    """ConvInteger: sums of integers, as int32."""
    wide = [_less_zero_point(call, 0, 2, 1), _less_zero_point(call, 1, 3, 0)]
    return conv.conv(replace(call, inputs=wide))


def _operand(call: Call, index: int, axis: int = 0) -> relax.Expr:
    """Inputs ``index``, its scale and its zero point, as float32."""
    x, scale, zero = call.tensor(index), call.tensor(index + 1), call.input(index + 2)
    if zero is None:
        zero = relax.const(np.zeros((), dtype_of(x)))
    if not shape_of(x):
        # Has no axis to dequantize along.
        less = [call.emit(relax.op.astype(value, "float32")) for value in (x, _scalar(zero))]
        difference = call.emit(relax.op.subtract(*less))
        return call.emit(relax.op.multiply(difference, _scalar(scale)))
    axis = normal_axis(axis, len(shape_of(x)))
    for what, value in (("scale", scale), ("zero point", zero)):
        sizes = shape_of(value)
        if len(sizes) > 1 or (sizes and sizes[0] not in (1, shape_of(x)[axis])):
            refuse(f"the {what} of input {index} has the shape {sizes}: give one or {axis=}'s size")
    return call.emit(relax.op.dequantize(x, _scalar(scale), _scalar(zero), axis, "float32"))


def _result(call: Call, value: relax.Expr, index: int) -> relax.Expr:
    """``value`` with the scale at input ``index`` and the zero point behind it."""
    scale, zero = call.tensor(index), call.input(index + 1)
    if zero is None:
        zero = relax.const(np.zeros((), "uint8"))
    value = call.emit(value)
    kind = dtype_of(zero)
    return relax.op.quantize(value, _scalar(scale), _scalar(zero), 0, kind)


def _scalar(value: Any) -> Any:
    """A tensor of one element without axes, which stands for all channels."""
    if isinstance(value, tvm.ir.GenericConst) and value.value.numpy().size == 1:
        array = value.value.numpy().reshape(())
        return relax.const(array, str(array.dtype))
    return value


def _less_zero_point(call: Call, index: int, at: int, axis: int) -> relax.Expr:
    """Input ``index`` as int32 less its zero point: of one element, or of one for each channel."""
    x, zero = call.emit(relax.op.astype(call.tensor(index), "int32")), call.input(at)
    if zero is None:
        return x
    zero = call.emit(relax.op.astype(zero, "int32"))
    sizes: Sequence[Any] = [static(size) for size in shape_of(zero)]
    if sizes and sizes != [1]:
        rank = len(shape_of(x))
        shape = [1] * rank
        shape[axis] = -1
        zero = call.emit(relax.op.reshape(zero, shape))
    return call.emit(relax.op.subtract(x, zero))
