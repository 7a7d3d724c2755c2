"""ONNX Runtime's operators of bytes, in their parts: what they compute, between the standard's own.

    QLinearAdd(a, b)  =>  QuantizeLinear(Add(DequantizeLinear(a), DequantizeLinear(b)))

Its quantizer writes them into files of the format "QOperator", and its optimizer into files of any
quantized network (``optimized_model_filepath``). They have one scale and zero point for each
tensor, a matrix of weights one for each column, too. Scales may be computed when the network runs.

Products of dynamically quantized networks stay what they are without the optimizer: sums of
integers, times both scales.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from .nodes import refuse
from .steps import Steps

Part = Callable[[Steps, list[str], dict[str, Any]], None]

# Of the standard: the first with QuantizeLinear, with its axis, and with a Softmax along one axis.
_FIRST, _BY_CHANNEL, _ALONG_ONE = 10, 13, 13


def _binary(kind: str) -> Part:
    def write(steps: Steps, inputs: list[str], _: dict[str, Any]) -> None:
        y = steps(kind, _real(steps, inputs, 0), _real(steps, inputs, 3))
        _stored(steps, y, inputs, 6, like=inputs[0])

    return write


def _unary(kind: str, *names: str) -> Part:
    """Of one tensor; ``names`` are attributes of the standard's operator, too."""

    def write(steps: Steps, inputs: list[str], options: dict[str, Any]) -> None:
        given = {name: options[name] for name in names if name in options}
        x, *scales = inputs
        is_last = options.get("channels_last", 0)
        operands = [_second(steps, x) if is_last else x, *scales]
        y = steps(kind, _real(steps, operands, 0), **given)
        if is_last:
            y = _stored(steps, y, inputs, 3, like=x, to="")
            _last(steps, y, like=x, to=steps.node.output[0])
        else:
            _stored(steps, y, inputs, 3, like=x)

    return write


def _concat(steps: Steps, inputs: list[str], options: dict[str, Any]) -> None:
    """The result's scale and zero point, then three inputs for each tensor."""
    parts = [_real(steps, inputs, index) for index in range(2, len(inputs), 3)]
    _stored(steps, steps("Concat", *parts, axis=options["axis"]), inputs, 0, like=inputs[2])


def _softmax(steps: Steps, inputs: list[str], options: dict[str, Any]) -> None:
    """Along one axis; by the rules before opset 13 along all from this one on.

    ONNX Runtime multiplies by the whole part of 1 / scale.
    """
    x, axis = _real(steps, inputs, 0), options.get("axis", -1)
    scale = steps.facts.values.get(inputs[3])
    if scale is not None and scale.size == 1:
        whole = 1 / np.floor(np.float32(1) / scale.reshape(()))
        inputs = [*inputs[:3], steps.constant("scale", whole.astype(np.float32)), *inputs[4:]]
    is_along_one = options.get("opset", _ALONG_ONE) >= _ALONG_ONE
    if is_along_one == (steps.facts.opset >= _ALONG_ONE):
        y = steps("Softmax", x, axis=axis)
    elif is_along_one:
        order = list(range(_rank(steps, inputs[0])))
        order[axis], order[-1] = order[-1], order[axis]
        y = steps("Softmax", steps("Transpose", x, perm=order), axis=len(order) - 1)
        y = steps("Transpose", y, perm=order)
    else:
        y = steps("Softmax", steps("Flatten", x, axis=axis), axis=1)
        y = steps("Reshape", y, steps("Shape", x))
    _stored(steps, y, inputs, 3, like=inputs[0])


def _where(steps: Steps, inputs: list[str], _: dict[str, Any]) -> None:
    y = steps("Where", inputs[0], _real(steps, inputs, 1), _real(steps, inputs, 4))
    _stored(steps, y, inputs, 7, like=inputs[1])


def _gemm(steps: Steps, inputs: list[str], options: dict[str, Any]) -> None:
    """C is int32, in units of the sum; without a scale of the result that is of floats."""
    inputs = inputs + [""] * (9 - len(inputs))
    alpha, columns = float(options.get("alpha", 1.0)), 0 if options.get("transB", 0) else 1
    operands = [_real(steps, inputs, 0), _real(steps, inputs, 3, columns)]
    if inputs[6]:
        scales = [_parameter(steps, inputs[index], True) for index in (1, 4)]
        if alpha != 1:
            scales.append(steps.constant("alpha", np.array(alpha, np.float32)))
        operands.append(_scaled(steps, inputs[6], scales))
    turned = {name: options.get(name, 0) for name in ("transA", "transB")}
    to = "" if inputs[7] else steps.node.output[0]
    y = steps("Gemm", *operands, to=to, alpha=alpha, **turned)
    if inputs[7]:
        _stored(steps, y, inputs, 7, like=inputs[0])


def _conv(steps: Steps, inputs: list[str], options: dict[str, Any]) -> None:
    """The standard's QLinearConv, or that with its channels last; weights are as they are there."""
    if not options.pop("channels_last", 0):
        steps("QLinearConv", *inputs, to=steps.node.output[0], **options)
        return
    y = steps("QLinearConv", _second(steps, inputs[0]), *inputs[1:], **options)
    _last(steps, y, like=inputs[0], to=steps.node.output[0])


def _max_pool(steps: Steps, inputs: list[str], options: dict[str, Any]) -> None:
    y = steps("MaxPool", _second(steps, inputs[0]), **options)
    _last(steps, y, like=inputs[0], to=steps.node.output[0])


def _matmul_to_float(steps: Steps, inputs: list[str], _: dict[str, Any]) -> None:
    a, b, a_scale, b_scale, a_zero, b_zero, bias = inputs + [""] * (7 - len(inputs))
    _product(steps, (a, a_scale, a_zero), (b, b_scale, b_zero), bias)


def _dynamic_matmul(steps: Steps, inputs: list[str], _: dict[str, Any]) -> None:
    a, b, scale, zero, bias = inputs + [""] * (5 - len(inputs))
    made = [steps.facts.fresh(f"{steps.node.output[0]}/{what}") for what in "xsz"]
    steps("DynamicQuantizeLinear", a, to=made)
    _product(steps, (made[0], made[1], made[2]), (b, scale, zero), bias)


def _product(steps: Steps, a: tuple[str, str, str], b: tuple[str, str, str], bias: str) -> None:
    """Of two tensors of bytes with their scales and zero points, as floats."""
    zeros = [zero and _parameter(steps, zero, True) for zero in (a[2], b[2])]
    while zeros and not zeros[-1]:
        zeros.pop()
    total = steps("MatMulInteger", a[0], b[0], *zeros)
    scales = [_parameter(steps, scale, True) for scale in (a[1], b[1])]
    y = _scaled(steps, total, scales, to="" if bias else steps.node.output[0])
    if bias:
        steps("Add", y, bias, to=steps.node.output[0])


def _scaled(steps: Steps, total: str, scales: Sequence[str], to: str = "") -> str:
    """Sums of int32 times scales, of which one may be that of columns."""
    factor, *others = scales
    for scale in others:
        factor = steps("Mul", factor, scale)
    by_column = any(steps.facts.shape(scale) for scale in scales)
    return steps("DequantizeLinear", total, factor, to=to, **_axis(steps, by_column, -1))


def _real(steps: Steps, inputs: Sequence[str], index: int, axis: int | None = None) -> str:
    """What input ``index`` means, by the scale and zero point behind it; several along ``axis``."""
    x, scale, zero = (*inputs[index : index + 3], "")[:3]
    scale = _parameter(steps, scale, axis is not None)
    by_channel = bool(steps.facts.shape(scale))
    operands = [x, scale]
    if zero:
        zero = _parameter(steps, zero, axis is not None)
        if by_channel and not steps.facts.shape(zero):
            zero = steps("Expand", zero, steps("Shape", scale))
        operands.append(zero)
    return steps("DequantizeLinear", *operands, **_axis(steps, by_channel, axis or 0))


def _axis(steps: Steps, by_channel: bool, axis: int) -> dict[str, Any]:
    """The attribute of a DequantizeLinear with one scale or with several along ``axis``."""
    if steps.facts.opset < _FIRST:
        refuse(f"needs DequantizeLinear, which the standard has since opset {_FIRST}")
    if by_channel and steps.facts.opset < _BY_CHANNEL:
        refuse(f"has several scales, which DequantizeLinear has since opset {_BY_CHANNEL}")
    return {"axis": axis} if by_channel else {}


def _stored(
    steps: Steps, y: str, inputs: Sequence[str], index: int, like: str, to: str | None = None
) -> str:
    """``y`` in the scale at ``index``, of the type of ``like`` where there is no zero point.

    It is the node's output, unless ``to`` says otherwise.
    """
    scale, zero = (*inputs[index : index + 2], "")[:2]
    if not zero:
        kind = steps.facts.types.get(like)
        element = kind.tensor_type.elem_type if kind is not None else onnx.TensorProto.UINT8
        zero = steps.constant("zero", np.zeros((), helper.tensor_dtype_to_np_dtype(element)))
    parameters = [_parameter(steps, key) for key in (scale, zero)]
    output = steps.node.output[0] if to is None else to
    return steps("QuantizeLinear", y, *parameters, to=output)


def _parameter(steps: Steps, key: str, may_be_several: bool = False) -> str:
    """A scale or zero point without axes, where it is one number: so the standard takes it."""
    shape = steps.facts.shape(key)
    if shape == [] or (may_be_several and shape not in (None, [1])):
        return key
    value = steps.facts.values.get(key)
    if value is not None:
        if value.size != 1:
            refuse(f"{key!r} has the shape {list(value.shape)}: give one scale and zero point")
        return steps.constant("one", value.reshape(()))
    return steps("Reshape", key, steps.constant("scalar", np.zeros(0, np.int64)))


def _rank(steps: Steps, x: str) -> int:
    shape = steps.facts.shape(x)
    if shape is None:
        refuse(f"moves {x!r}, whose number of axes is not known: run shape inference")
    return len(shape)


def _second(steps: Steps, x: str) -> str:
    """The channels from behind all other axes to behind the batch."""
    rank = _rank(steps, x)
    return steps("Transpose", x, perm=[0, rank - 1, *range(1, rank - 1)])


def _last(steps: Steps, y: str, like: str, to: str) -> None:
    """Back to where ``like`` has them."""
    steps("Transpose", y, to=to, perm=[0, *range(2, _rank(steps, like)), 1])


_WINDOW = ("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides")

PARTS: dict[str, Part] = {
    "DynamicQuantizeMatMul": _dynamic_matmul,
    "MatMulIntegerToFloat": _matmul_to_float,
    "NhwcMaxPool": _max_pool,
    "QGemm": _gemm,
    "QLinearAdd": _binary("Add"),
    "QLinearAveragePool": _unary("AveragePool", *_WINDOW),
    "QLinearConcat": _concat,
    "QLinearConv": _conv,
    "QLinearGlobalAveragePool": _unary("GlobalAveragePool"),
    "QLinearLeakyRelu": _unary("LeakyRelu", "alpha"),
    "QLinearMul": _binary("Mul"),
    "QLinearSigmoid": _unary("Sigmoid"),
    "QLinearSoftmax": _softmax,
    "QLinearWhere": _where,
}
