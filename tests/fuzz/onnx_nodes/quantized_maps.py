"""Layers of bytes as narrow maps have them, and what stands between them: resizes, means, joins."""

from __future__ import annotations

import numpy as np

from ..graph import Graph, Value, need_axes
from ..values import weights
from . import convolutions, resizes
from .quantized import Quantized, activated, parameters, quantized, real, with_bytes

# Enough for tiles of several channels; multiples of a word of four, and others.
_CHANNELS = (16, 8, 32, 24, 13, 6)
_FACTORS = (2.0, 3.0, 5.0, 1.0, 7.0, 4.0, 1.5, 0.5, 2.5, 0.6, 1.3)


def plain(g: Graph, x: Quantized) -> Quantized:
    """A convolution that keeps the size, of many channels."""
    y = convolutions.conv(g, real(g, x), g.draw.pick(_CHANNELS), same=True, make=with_bytes(g, x))
    return quantized(g, activated(g, y) if g.draw.chance(0.5) else y)


def strided(g: Graph, x: Quantized) -> Quantized:
    """A convolution with strides, or a transposed one, with a padding that halves or doubles."""
    need_axes(x.value, 4, 4)
    kernel = [g.draw.pick((3, 4, 1, 2, 5, 7)) for _ in "hw"]
    strides = [g.draw.pick((2, 1, 3)) for _ in "hw"]
    operator = g.draw.pick(("Conv", "ConvTranspose"))
    given, outputs = x.value.shape[1], g.draw.pick(_CHANNELS)
    pads = [k // 2 - g.draw.below(2) if k > 1 else 0 for k in (*kernel, *kernel)]
    shape = (outputs, given) if operator == "Conv" else (given, outputs)
    terms = given * kernel[0] * kernel[1]
    if operator == "ConvTranspose":
        terms = max(1, terms // (strides[0] * strides[1]))
    attributes = {"kernel_shape": kernel, "strides": strides, "pads": pads}
    drawn = convolutions.Layer(operator, (*shape, *kernel), outputs, terms, attributes)
    y = with_bytes(g, x)(g, real(g, x), drawn)
    return quantized(g, activated(g, y) if g.draw.chance(0.4) else y)


def resized(g: Graph, x: Quantized) -> Quantized:
    """Nearest or linear by any factors, at the scale of before or another."""
    need_axes(x.value, 4, 4)
    mode = g.draw.pick(("linear", "nearest"))
    factors = [g.draw.pick(_FACTORS) for _ in "hw"]
    if g.draw.chance(0.4):
        factors[1] = factors[0]
    attributes = {"mode": mode}
    if g.draw.chance(0.4) and g.opset >= 11:
        attributes = resizes.resize_attributes(g, mode)
    elif mode == "nearest":
        attributes |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    by_sizes = g.draw.chance(0.25)
    y = resizes.resized(g, real(g, x), attributes, by_sizes, [1.0, 1.0, *factors])
    return quantized(g, y, x if g.draw.chance(0.6) else None)


def mean(g: Graph, x: Quantized) -> Quantized:
    """Over whole maps, lines or channels, which keep their axes of one element mostly."""
    inner = real(g, x)
    if g.draw.chance(0.4):
        return quantized(g, g.node("GlobalAveragePool", inner))
    axes = g.draw.pick(([2, 3], [3], [2], [1], [1, 2, 3], [-1, -2]))
    keep = 0 if g.draw.chance(0.2) else 1
    if g.opset >= 18:
        return quantized(g, g.node("ReduceMean", inner, g.ints(*axes), keepdims=keep))
    return quantized(g, g.node("ReduceMean", inner, axes=axes, keepdims=keep))


def branched(g: Graph, x: Quantized) -> Quantized:
    """Concat of what is made of one map in several ways, along any axis, in bytes or floats."""
    axis = g.draw.pick((1, 3, 2, 0))
    same = [x, *(_branch(g, x, same=True) for _ in g.draw.many(0, 2, 0.3))]
    if g.draw.chance(0.4):
        return Quantized(g.node("Concat", *(y.value for y in same), axis=axis), x.scale, x.zero)
    parts = g.draw.shuffled([*same, *(_branch(g, x) for _ in g.draw.many(1, 2, 0.4))])
    joined = g.node("Concat", *(real(g, part) for part in parts), axis=axis)
    return quantized(g, joined, x if g.draw.chance(0.3) else None)


def multiplied(g: Graph, x: Quantized, others: list[Quantized]) -> Quantized:
    """Each row times a constant matrix, or times an earlier result that fits, transposed or not."""
    way = g.draw.pick(("constant", "operator", "computed"), [3, 2, 2])
    inputs, dtype = x.value.shape[-1], str(x.value.array.dtype)
    if way == "computed":
        return _attended(g, x, others)
    outputs = g.draw.pick((8, 16, 5, 1, 33, 64))
    floats = weights((inputs, outputs), "float32", g.count, inputs)
    each = g.draw.chance(0.5) and g.opset >= 13
    factors = (np.abs(floats).max(axis=0 if each else None) / 127).astype("float32")
    kernel = g.given(np.rint(floats / factors).astype("int8"))
    zeros = g.given(np.zeros(factors.shape, "int8"))
    if way == "operator":
        real_x = (x.value.array.astype("float32") - _zero(g, x)) * g.constants[x.scale]
        reach = 2 * float(np.abs(real_x).max())
        scale, zero = parameters(g, -reach, reach, dtype)
        names = [x.scale, x.zero or g.given(np.array(0, "uint8")), kernel, g.given(factors), zeros]
        zero = zero or g.given(np.array(0, "uint8"))
        y = g.node("QLinearMatMul", x.value, *names, scale, zero)
        return Quantized(y, scale, zero)
    axis = 1 if each else None
    weight = g.node("DequantizeLinear", kernel, g.given(factors), zeros, axis=axis)
    y = g.node("MatMul", real(g, x), weight)
    if g.draw.chance(0.5):
        y = g.node("Add", y, g.weight(outputs))
    return quantized(g, activated(g, y) if g.draw.chance(0.3) else y)


def _attended(g: Graph, x: Quantized, others: list[Quantized]) -> Quantized:
    shape = x.value.shape
    fitting = [o for o in others if o.value.shape[:2] == shape[:2]]
    straight = [o for o in fitting if o.value.shape[2:3] == shape[3:]]
    if straight and g.draw.chance(0.5):
        return quantized(g, g.node("MatMul", real(g, x), real(g, straight[-1])))
    crossed = [o for o in fitting if o.value.shape[3:] == shape[3:]]
    other = g.node("Transpose", real(g, crossed[-1]), perm=[0, 1, 3, 2])
    return quantized(g, g.node("MatMul", real(g, x), other))


def _zero(g: Graph, x: Quantized) -> np.ndarray:
    return g.constants[x.zero].astype("float32") if x.zero else np.float32(0)


def _branch(g: Graph, x: Quantized, same: bool = False) -> Quantized:
    """An activation of the map, with its scale or another."""
    y: Value = activated(g, real(g, x))
    return quantized(g, y, x if same else None)
