"""Quantized tensors and the layers of quantized networks, as QDQ and as QLinearConv."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph import Graph, NodeRefused, Value
from ..values import weights
from . import convolutions, pads, pointwise, resizes, shuffles

BYTES = ("uint8", "int8")
# By how much a scale is larger than the values need: below 1 some of them saturate.
_SLACK = (1.0, 0.6, 1.7, 12.0)


@dataclass(frozen=True)
class Quantized:
    """Bytes, and the names of their scale and zero point; no zero point is 0 of uint8."""

    value: Value
    scale: str
    zero: str

    @property
    def operands(self) -> list[str]:
        return [self.scale, self.zero] if self.zero else [self.scale]


def quantized(g: Graph, x: Value, like: Quantized | None = None) -> Quantized:
    """Of any scale and zero point, or of those of another tensor."""
    if like is None:
        scale, zero = parameters(g, float(x.array.min()), float(x.array.max()))
    else:
        scale, zero = like.scale, like.zero
    operands = [scale, zero] if zero else [scale]
    return Quantized(g.node("QuantizeLinear", x, *operands), scale, zero)


def real(g: Graph, x: Quantized) -> Value:
    """Floats again."""
    return g.node("DequantizeLinear", x.value, *x.operands)


def parameters(g: Graph, least: float, most: float, dtype: str = "") -> tuple[str, str]:
    """A scale for values between the two and a zero point of uint8 or int8, anywhere.

    The scale is a power of 2 at times, so that sums of such tensors lie halfway between integers.
    """
    dtype = dtype or g.draw.pick(BYTES)
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    middle = (low + high + 1) // 2
    usual = g.draw.pick((True, False), [3, 1])
    zero = g.draw.pick((middle, low, high)) if usual else g.draw.integer(low, high)
    if zero == (low if most <= 0 else high if least >= 0 else None):
        zero = middle  # all would saturate
    above = most / (high - zero) if most > 0 and zero < high else 0.0
    below = least / (low - zero) if least < 0 and zero > low else 0.0
    scale = (max(above, below) or 1.0) * g.draw.pick(_SLACK, [6, 1, 2, 0.3])
    if g.draw.chance(0.25):
        scale = 2.0 ** np.round(np.log2(scale))
    name = g.given(np.array(scale, "float32"))
    if dtype == "uint8" and zero == 0 and g.draw.chance(0.5):
        return name, ""
    return name, g.given(np.array(zero, dtype))


# -- layers: of a quantized tensor another one -----------------------------------------------------


def layer(g: Graph, x: Quantized, channels: int | None = None) -> Quantized:
    """A convolution or a transposed one between DequantizeLinear and QuantizeLinear."""
    inner, make = real(g, x), with_bytes(g, x)
    if channels is None and g.draw.chance(0.3):
        y = convolutions.conv_transpose(g, inner, make=make)
    else:
        y = convolutions.conv(g, inner, channels, same=g.draw.chance(0.6), make=make)
    for _ in g.draw.many(0, 2, 0.4):
        y = activated(g, y)
    return quantized(g, y)


def with_bytes(g: Graph, x: Quantized) -> convolutions.Make:
    """Adds a layer of ``x`` with weights of bytes, mostly."""
    unit = float(g.constants[x.scale])

    def make(g: Graph, inner: Value, drawn: convolutions.Layer) -> Value:
        return g.node(drawn.operator, inner, *_operands(g, drawn, unit), **drawn.attributes)

    return make


def qlinear_conv(g: Graph, x: Quantized, channels: int | None = None) -> Quantized:
    """QLinearConv, whose zero points are operands."""
    unit, dtype = float(g.constants[x.scale]), str(x.value.array.dtype)
    zero = x.zero or g.given(np.array(0, "uint8"))
    largest = float(np.abs(x.value.array.astype("float32") - g.constants[zero]).max()) * unit
    # The weights are such that a sum is about as large as its terms.
    scale, offset = parameters(g, -2 * largest, 2 * largest, dtype)
    offset = offset or g.given(np.array(0, "uint8"))

    def make(g: Graph, inner: Value, drawn: convolutions.Layer) -> Value:
        kernel, factors, zeros = _kernel(g, drawn, any_type=dtype == "uint8")
        operands = [x.scale, zero, g.given(kernel), g.given(factors), g.given(zeros), scale, offset]
        if g.draw.chance(0.6):
            operands.append(g.given(_bias(g, drawn, unit * factors)[0]))
        return g.node("QLinearConv", inner, *operands, **drawn.attributes)

    y = convolutions.conv(g, x.value, channels, same=g.draw.chance(0.6), make=make)
    return Quantized(y, scale, offset)


def expanding(g: Graph, x: Quantized) -> Quantized:
    """A convolution to the channels of a shuffle, and the shuffle."""
    r, outputs = g.draw.pick((2, 3, 4)), g.draw.pick((3, 1, 2, 4))
    way = g.draw.pick((layer, qlinear_conv), [3, 1])
    y = way(g, x, outputs * r * r)
    return _through(g, y, lambda g, v: shuffles.depth_to_space(g, v, r))


def enlarging(g: Graph, x: Quantized) -> Quantized:
    """A nearest resize, and a convolution behind it."""
    y = _through(g, x, resizes.nearest)
    return g.draw.pick((layer, qlinear_conv), [3, 1])(g, y)


def moved(g: Graph, x: Quantized) -> Quantized:
    """What only moves or chooses values, in bytes or in floats, with a new scale at times."""
    ways = (_max_pool, shuffles.depth_to_space, resizes.nearest, pads.pad, _transposed, _sliced)
    grow = g.draw.pick(ways, [2, 2, 2, 2, 1, 1])
    return _through(g, x, grow)


def bounded(g: Graph, x: Quantized) -> Quantized:
    """An activation between a DequantizeLinear and a QuantizeLinear of its own."""
    return quantized(g, activated(g, real(g, x)))


def averaged(g: Graph, x: Quantized) -> Quantized:
    """Means of windows or of whole maps, or a linear resize."""
    way = g.draw.pick(("AveragePool", "GlobalAveragePool", "Resize"), [3, 1, 2])
    inner = real(g, x)
    if way == "AveragePool":
        kernel = [g.draw.pick((2, 3, 1)) for _ in x.value.shape[2:]]
        strides = [g.draw.pick((2, 1)) for _ in kernel]
        y = g.node(way, inner, kernel_shape=kernel, strides=strides)
    elif way == "Resize" and g.opset >= 11:
        scales = g.floats(1, 1, *(g.draw.pick((2, 3, 1)) for _ in x.value.shape[2:]))
        y = g.node(way, inner, "", scales, mode="linear")
    else:
        y = g.node("GlobalAveragePool", inner)
    return quantized(g, y)


def added(g: Graph, x: Quantized, others: list[Quantized]) -> Quantized:
    """A sum with another tensor of the same shape."""
    fitting = [other for other in others if other.value.shape == x.value.shape]
    other = fitting[-1 - g.draw.below(len(fitting))]
    y = g.node("Add", *g.draw.shuffled([real(g, x), real(g, other)]))
    return quantized(g, activated(g, y) if g.draw.chance(0.3) else y)


def concatenated(g: Graph, x: Quantized, others: list[Quantized]) -> Quantized:
    """Side by side with others of its size; in bytes where all have the same scale."""
    shape = x.value.shape
    fitting = [
        o for o in others if (o.value.shape[0], *o.value.shape[2:]) == (shape[0], *shape[2:])
    ]
    parts = [x, *(fitting[-1 - g.draw.below(len(fitting))] for _ in g.draw.many(1, 2, 0.3))]
    parts = g.draw.shuffled(parts)
    if len({(part.scale, part.zero) for part in parts}) == 1 and g.draw.chance(0.5):
        return Quantized(g.node("Concat", *(p.value for p in parts), axis=1), x.scale, x.zero)
    return quantized(g, g.node("Concat", *(real(g, part) for part in parts), axis=1))


def _through(g: Graph, x: Quantized, grow: Any) -> Quantized:
    if g.draw.chance(0.2):
        return Quantized(grow(g, x.value), x.scale, x.zero)
    y = grow(g, real(g, x))
    return quantized(g, y, x if g.draw.chance(0.6) else None)


def _max_pool(g: Graph, x: Value) -> Value:
    kernel = [g.draw.pick((2, 3, 1)) for _ in x.shape[2:]]
    padding = [g.draw.below(k) for k in kernel * 2] if g.draw.chance(0.4) else None
    strides = [g.draw.pick((2, 1)) for _ in kernel]
    return g.node("MaxPool", x, kernel_shape=kernel, strides=strides, pads=padding)


def _transposed(g: Graph, x: Value) -> Value:
    return g.node("Transpose", x, perm=g.draw.pick(((0, 1, 3, 2), (0, 2, 3, 1), (0, 3, 1, 2))))


def _sliced(g: Graph, x: Value) -> Value:
    axis, step = 1 + g.draw.below(x.rank - 1), g.draw.pick((1, 2))
    end = x.shape[axis] - g.draw.below(2)
    return g.node("Slice", x, g.ints(g.draw.below(2)), g.ints(end), g.ints(axis), g.ints(step))


def activated(g: Graph, x: Value) -> Value:
    way = g.draw.pick(("Relu", "Clip", "LeakyRelu", "PRelu", "Sigmoid", "Tanh"), [4, 4, 4, 2, 1, 1])
    if way == "PRelu":
        return g.node(way, x, g.positive(x.shape[1], *(1 for _ in x.shape[2:])))
    if way == "Clip":
        return pointwise.clip(g, x)
    return g.node(way, x, alpha=g.draw.pick((0.01, 0.2)) if way == "LeakyRelu" else None)


# -- operands --------------------------------------------------------------------------------------


def _operands(g: Graph, drawn: convolutions.Layer, unit: float) -> list[Value | str]:
    """Weights of bytes and a bias of int32 behind DequantizeLinear; or floats, of either."""
    kernel, factors, zeros = _kernel(g, drawn)
    axis = None if factors.ndim == 0 else 1 if drawn.operator == "ConvTranspose" else 0
    zero = [] if kernel.dtype == np.uint8 and not zeros.any() else [g.given(zeros)]
    way = g.draw.pick(("bytes", "quantized", "floats"), [8, 1, 1])
    scale = g.given(factors)
    weight: Value | str
    if way == "bytes":
        weight = g.node("DequantizeLinear", g.given(kernel), scale, *zero, axis=axis)
    else:
        weight = g.weight(*drawn.shape, terms=drawn.terms)
        if way == "quantized":
            inner = g.node("QuantizeLinear", weight, scale, *zero, axis=axis)
            weight = g.node("DequantizeLinear", inner, scale, *zero, axis=axis)
    way = g.draw.pick(("integers", "none", "floats"), [5, 2, 1])
    if way == "none":
        return [weight]
    if way == "floats":
        return [weight, g.weight(drawn.outputs)]
    bias, steps = _bias(g, drawn, unit * factors)
    behind = g.node(
        "DequantizeLinear", g.given(bias), g.given(steps), axis=0 if steps.ndim else None
    )
    return [weight, behind]


def _kernel(
    g: Graph, drawn: convolutions.Layer, any_type: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights of bytes, their scale and zero point: for all, or for each output channel."""
    if np.prod(drawn.shape) > 1 << 17:
        raise NodeRefused("too large")
    floats = weights(drawn.shape, "float32", g.count, drawn.terms)
    dtype = g.draw.pick(("int8", "uint8"), [4, 1]) if any_type else "int8"
    limits = np.iinfo(dtype)
    axis = 1 if drawn.operator == "ConvTranspose" else 0
    each = g.opset >= 13 or drawn.operator == "QLinearConv"
    each = each and g.draw.chance(0.5)
    others = tuple(i for i in range(floats.ndim) if i != axis)
    largest = np.abs(floats).max(axis=others if each else None)
    factors = (largest / 127).astype("float32")
    middle = (int(limits.min) + int(limits.max) + 1) // 2
    zeros = np.full(factors.shape, middle, dtype)
    if g.draw.chance(0.1):
        count = zeros.size if each else 1
        some = [g.draw.integer(int(limits.min), int(limits.max)) for _ in range(min(count, 3))]
        zeros = np.resize(np.array(some, dtype), factors.shape)
    column = (-1, *(1 for _ in others)) if axis == 0 else (1, -1, *(1 for _ in others[1:]))
    spread = factors.reshape(column) if each else factors
    offset = zeros.astype("float32").reshape(column) if each else zeros.astype("float32")
    kernel = np.clip(np.rint(floats / spread) + offset, limits.min, limits.max).astype(dtype)
    return kernel, factors, zeros


def _bias(g: Graph, drawn: convolutions.Layer, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A bias in int32, and the unit that it counts in: one, or for each channel one."""
    steps = steps.astype("float32")
    if steps.ndim:
        steps = np.resize(steps, drawn.outputs)  # a transposed convolution has them for a group
    floats = weights((drawn.outputs,), "float32", g.count, 1)
    return np.rint(np.clip(floats / steps, -(2**30), 2**30)).astype("int32"), steps
