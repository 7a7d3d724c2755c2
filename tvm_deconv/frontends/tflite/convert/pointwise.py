"""Functions of single elements, and of several tensors that broadcast."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from tvm_deconv.frontends.onnx.nodes import refuse
from tvm_deconv.frontends.tflite.translation import NCHW

from .call import Call, normal_axes

Converter: TypeAlias = Callable[[Call], None]


def unary(*kinds: str) -> Converter:
    """The operators of ONNX one after the other."""

    def convert(call: Call) -> None:
        order = call.same_order(0)
        x = call.form(0, order)
        for kind in kinds:
            x = call.emit(kind, x)
        call.result(x, order)

    return convert


def binary(*kinds: str) -> Converter:
    """The first operator of two tensors that broadcast, then the others of its result."""

    def convert(call: Call) -> None:
        order, (x, y) = _operands(call, 0, 1)
        result = call.emit(kinds[0], x, y)
        for kind in kinds[1:]:
            result = call.emit(kind, result)
        call.result(result, order)

    return convert


def _operands(call: Call, *indices: int) -> tuple[tuple[int, ...], list[str]]:
    """Inputs that broadcast, and the order of the axes of all of them."""
    rank = max(call.rank(index) for index in indices)
    widest = [index for index in indices if call.rank(index) == rank]
    order = call.same_order(*widest)
    return order, [call.broadcast(index, order) for index in indices]


def clip(low: float, high: float) -> Converter:
    def convert(call: Call) -> None:
        order = call.same_order(0)
        limits = call.number(low), call.number(high)
        call.result(call.emit("Clip", call.form(0, order), *limits), order)

    return convert


def same(call: Call) -> None:
    """CAST, DEQUANTIZE of float16 weights, DENSIFY: the type is that of the output."""
    dtype = call.graph.file.tensors[call.output()].dtype
    kinds = {"float32": 1, "int32": 6, "int64": 7, "bool": 9, "float16": 10, "float64": 11}
    kinds |= {"uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "uint32": 12, "uint64": 13}
    if dtype not in kinds:
        refuse(f"its result has the type {dtype}, which is not computed with")
    order = call.same_order(0)
    call.result(call.emit("Cast", call.form(0, order), to=kinds[dtype]), order)


def dequantize(call: Call) -> None:
    """Integers with a scale, or weights of float16."""
    order, tensor = call.same_order(0), call.input(0)
    if call.quantization(0) is not None and call.graph.value(tensor) is None:
        # A node of its own, which gets the name of the result.
        call.result(call.graph.dequantized(call.graph.form(tensor, order), tensor), order)
    elif call.quantization(0) is not None:
        call.result(call.form(0, order), order)
    elif call.dtype(0) == "float16":
        same(call)
    else:
        refuse(f"its input is {call.dtype(0)} without a scale")


def quantize(call: Call) -> None:
    """To the scale of the result, of floats or of integers with another scale."""
    if call.graph.quantization(call.output()) is None:
        refuse("its result has no scale: the file is damaged")
    order = call.same_order(0)
    call.result(call.form(0, order), order)


def squared_difference(call: Call) -> None:
    order, (x, y) = _operands(call, 0, 1)
    difference = call.emit("Sub", x, y)
    call.result(call.emit("Mul", difference, difference), order)


def square(call: Call) -> None:
    order = call.same_order(0)
    x = call.form(0, order)
    call.result(call.emit("Mul", x, x), order)


def floor_div(call: Call) -> None:
    """Down, also of integers, which ONNX divides towards zero: (x - x mod y) / y."""
    order, (x, y) = _operands(call, 0, 1)
    if call.dtype(0).startswith("float"):
        call.result(call.emit("Floor", call.emit("Div", x, y)), order)
        return
    whole = call.emit("Sub", x, call.emit("Mod", x, y))
    call.result(call.emit("Div", whole, y), order)


def floor_mod(call: Call) -> None:
    """With the sign of the divisor, which ONNX's Mod has for integers only."""
    order, (x, y) = _operands(call, 0, 1)
    if not call.dtype(0).startswith("float"):
        call.result(call.emit("Mod", x, y), order)
        return
    times = call.emit("Floor", call.emit("Div", x, y))
    call.result(call.emit("Sub", x, call.emit("Mul", times, y)), order)


def add_n(call: Call) -> None:
    indices = range(len(call.operator.inputs))
    order = call.same_order(*indices)
    call.result(call.emit("Sum", *(call.form(index, order) for index in indices)), order)


def prelu(call: Call) -> None:
    order, (x, slope) = _operands(call, 0, 1)
    call.result(call.emit("PRelu", x, slope), order)


def leaky_relu(call: Call) -> None:
    order = call.same_order(0)
    alpha = float(call.option("Alpha"))
    call.result(call.emit("LeakyRelu", call.form(0, order), alpha=alpha), order)


def gelu(call: Call) -> None:
    """x * P(X < x): by erf, or with Approximate by tanh(sqrt(2 / pi) * (x + 0.044715 x^3))."""
    order = call.same_order(0)
    x = call.form(0, order)
    if call.option("Approximate", False):
        cube = call.emit("Mul", call.emit("Mul", x, x), x)
        inner = call.emit("Add", x, call.emit("Mul", cube, call.number(0.044715)))
        gate = call.emit("Tanh", call.emit("Mul", inner, call.number(np.sqrt(2 / np.pi))))
    else:
        gate = call.emit("Erf", call.emit("Mul", x, call.number(np.sqrt(0.5))))
    half = call.emit("Mul", x, call.number(0.5))
    call.result(call.emit("Mul", half, call.emit("Add", gate, call.number(1))), order)


def select(call: Call) -> None:
    if len({call.rank(index) for index in range(3)}) != 1:
        refuse("its condition has fewer axes than what it chooses from: use SELECT_V2")
    select_v2(call)


def select_v2(call: Call) -> None:
    order, operands = _operands(call, 0, 1, 2)
    call.result(call.emit("Where", *operands), order)


def softmax(call: Call) -> None:
    order, axis = _last_axis(call)
    x, beta = call.form(0, order), float(call.option("Beta", 1.0))
    if beta != 1:
        x = call.emit("Mul", x, call.number(beta))
    call.result(call.emit("Softmax", x, axis=axis), order)


def log_softmax(call: Call) -> None:
    order, axis = _last_axis(call)
    call.result(call.emit("LogSoftmax", call.form(0, order), axis=axis), order)


def l2_normalization(call: Call) -> None:
    """Over the last axis; norms below 1e-6 are taken for that."""
    order, axis = _last_axis(call)
    x = call.form(0, order)
    norm = call.emit("ReduceL2", x, axes=[axis], keepdims=1)
    call.result(call.emit("Div", x, call.emit("Max", norm, call.number(1e-6))), order)


def local_response_normalization(call: Call) -> None:
    """x / (Bias + Alpha * sum of the squares of the channels up to Radius away) ^ Beta.

    ONNX takes Alpha times their mean.
    """
    alpha, beta, bias = (float(call.option(name)) for name in ("Alpha", "Beta", "Bias"))
    count = 2 * int(call.option("Radius")) + 1
    call.image()
    how = {"size": count, "alpha": alpha * count, "beta": beta, "bias": bias}
    call.result(call.emit("LRN", call.form(0, NCHW), **how), NCHW)


def one_hot(call: Call) -> None:
    """Input 2 where an index is the place along a new axis, else input 3; none is counted back."""
    rank, (depth,) = call.rank(0), call.integers(1, "depth")
    (axis,) = normal_axes([int(call.option("Axis", -1))], rank + 1, "Axis")
    places = np.arange(depth).reshape([depth if k == axis else 1 for k in range(rank + 1)])
    indices = call.emit("Unsqueeze", call.form(0), call.constant(np.array([axis])))
    is_there = call.emit("Equal", indices, call.constant(places, call.dtype(0)))
    call.result(call.emit("Where", is_there, call.form(2), call.form(3)))


def _last_axis(call: Call) -> tuple[tuple[int, ...], int]:
    (last,) = normal_axes([-1], call.rank(0), "axis")
    order = call.same_order(0)
    return order, order.index(last)
