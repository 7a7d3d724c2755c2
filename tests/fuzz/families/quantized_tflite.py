"""Quantised TFLite networks of some operators.

A network grows operator by operator on LiteRT, which says what sizes a result has and between which
numbers it lies; so scales fit, and an operator that LiteRT refuses is taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..choices import Choices
from ..options import draw_processor
from ..tflite_quantized_case import Constant, QuantizedTflite, Scale, Step

_ACTIVATIONS = (0, 1, 3, 2)
_MOST_ELEMENTS = 1 << 15


class _Refused(Exception):
    """LiteRT refuses the operator, or it is of no use here."""


class _Net:
    """A network as it grows; ``arrays`` are LiteRT's values for the input."""

    def __init__(self, draw: Choices, x: np.ndarray, scale: Scale) -> None:
        self.draw, self.x, self.scale = draw, x, scale
        self.free: tuple[int, ...] = ()
        self.steps: list[Step] = []
        self.arrays, self.scales = [x], [scale]
        self.rng = np.random.default_rng(5)

    @property
    def last(self) -> int:
        return len(self.steps)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.arrays[-1].shape

    def case(self, *results: int, steps: Sequence[Step] = ()) -> QuantizedTflite:
        return QuantizedTflite(
            self.x, self.scale, (*self.steps, *steps), results or (self.last,), self.free
        )

    def real(self, number: int = -1) -> np.ndarray:
        """What a value stands for."""
        scale = self.scales[number]
        return (self.arrays[number].astype("float64") - scale.zero) * scale.scales[0]

    def fit(self, least: float, most: float, dtype: str = "") -> Scale:
        """A scale for values between the two and a zero point anywhere."""
        dtype = dtype or self.scale.dtype
        low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
        slack = self.draw.pick((1.0, 1.6, 0.7), [5, 1, 1])
        if dtype == "int16":
            return Scale(dtype, (max(-least, most, 1e-6) * slack / high,), 0)
        middle = (low + high + 1) // 2
        usual = round(low - least * (high - low) / max(most - least, 1e-9))
        zero = self.draw.pick((min(max(usual, low), high), middle, low, high), [6, 2, 1, 1])
        if zero == (low if most <= 0 else high if least >= 0 else None):
            zero = middle  # all would saturate
        above = most / (high - zero) if most > 0 and zero < high else 0.0
        below = least / (low - zero) if least < 0 and zero > low else 0.0
        scale = (max(above, below) or 1.0) * slack
        if self.draw.chance(0.2):
            scale = 2.0 ** round(np.log2(scale))
        return Scale(dtype, (float(np.float32(scale)),), zero)

    def add(
        self, operator: str, *operands: Any, to: Scale | None, kind: str = "", **fields: Any
    ) -> None:
        """Append an operator; raises _Refused where LiteRT does, and where nothing is left."""
        from tflite_reference import litert

        step = Step(operator, operands, to, kind, fields)
        try:
            (found,) = litert(self.case(self.last + 1, steps=[step]).file(), [self.x])
        except (RuntimeError, ValueError) as error:
            raise _Refused(str(error)) from error
        if not 0 < found.size <= _MOST_ELEMENTS:
            raise _Refused(f"{found.size} elements")
        self.steps.append(step)
        self.arrays.append(found)
        self.scales.append(to or Scale("float32", (1.0,), 0))

    def moved(self, operator: str, *further: Any, kind: str = "", **fields: Any) -> None:
        """An operator whose result has the scale of what it reads."""
        self.add(operator, self.last, *further, to=self.scales[-1], kind=kind, **fields)

    def integers(self, *values: Any) -> Constant:
        return Constant(np.array(values, np.int32))

    def window(self) -> dict[str, int]:
        return {"padding": self.draw.below(2), **self.strides()}

    def strides(self) -> dict[str, int]:
        high = self.draw.pick((1, 2, 3), [5, 2, 1])
        return {"strideH": high, "strideW": self.draw.pick((high, 1, 2, 3), [5, 1, 1, 1])}

    def kernel(self) -> tuple[int, int]:
        high = self.draw.pick((3, 1, 2, 4, 5), [5, 1, 1, 1, 1])
        return high, self.draw.pick((high, 3, 2), [5, 1, 1])

    def layer(
        self,
        operator: str,
        shape: tuple[int, ...],
        axis: int,
        before: Sequence[Constant] = (),
        terms: int | None = None,
        **fields: Any,
    ) -> None:
        """Weights of ``shape``, with a scale of each along ``axis`` or one, and perhaps a bias."""
        given, channels = self.scales[-1], shape[axis]
        taps = terms or int(np.prod(shape)) // channels
        reach = float(np.sqrt((self.real() ** 2).mean())) or 1.0
        is_old = given.dtype == "uint8"
        spread = self.rng.uniform(0.5, 1.5, channels)
        units = spread / (taps**0.5 * 74)
        if is_old or self.draw.chance(0.25):
            units = units[:1]
        if is_old:
            zero = self.draw.pick((128, 121, 0, 255), [3, 3, 1, 1])
            weights = self.rng.integers(0, 256, shape).astype("uint8")
        else:
            zero = 0
            weights = self.rng.integers(-127, 128, shape).astype("int8")
        # Of weights that are all on one side of the zero point sums are larger.
        growth = 1.0 if zero not in (0, 255) else 1.5 * max(taps**0.5 / 2, 1.0)
        scale = Scale(str(weights.dtype), tuple(map(float, units.astype("float32"))), zero, axis)
        to = self.fit(-3 * reach * growth, 3 * reach * growth)
        operands: list[Any] = [Constant(weights, scale), self.last]
        if not before:
            operands.reverse()
        # LiteRT refuses others without a bias, or reads the one that is not there.
        if operator != "TRANSPOSE_CONV" or self.draw.chance(0.6):
            unit = np.float32(given.scales[0]) * units.astype("float32")
            wide = "int64" if given.dtype == "int16" else "int32"
            values = np.rint(self.rng.normal(0, reach, channels) / unit).astype(wide)
            operands.append(Constant(values, Scale(wide, tuple(map(float, unit)), 0)))
        self.add(operator, *before, *operands, to=to, **fields)


def _conv(net: _Net) -> None:
    channels = net.draw.pick((4, 8, 12, 16, 9))
    _, _, _, c = net.shape
    kernel, dilation = net.kernel(), net.draw.pick((1, 2), [4, 1])
    how = {
        **net.window(),
        "dilationHFactor": dilation,
        "dilationWFactor": net.draw.pick((dilation, 1), [3, 1]),
        "fusedActivationFunction": net.draw.pick(_ACTIVATIONS, [5, 2, 1, 1]),
    }
    if net.draw.chance(0.2):
        times = net.draw.pick((1, 2), [3, 1])
        net.layer("DEPTHWISE_CONV_2D", (1, *kernel, c * times), 3, kind="DepthwiseConv2D",
                  terms=kernel[0] * kernel[1], depthMultiplier=times, **how)  # fmt: skip
        return
    groups = net.draw.pick([g for g in (1, 2, 4) if c % g == channels % g == 0], None)
    if net.scale.dtype != "int8" or net.draw.chance(0.7):
        groups = 1
    net.layer("CONV_2D", (channels, *kernel, c // groups), 0, kind="Conv2D", **how)


def _transpose_conv(net: _Net) -> None:
    (n, h, w, c), (kh, kw), how = net.shape, net.kernel(), net.window()
    channels, size = net.draw.pick((4, 3, 8)), []
    for s, k, stride in ((h, kh, how["strideH"]), (w, kw, how["strideW"])):
        full = s * stride if how["padding"] == 0 else (s - 1) * stride + k
        fewer = net.draw.below(stride)
        size.append(full - fewer if how["padding"] == 0 else full + fewer)
    how["fusedActivationFunction"] = net.draw.pick(_ACTIVATIONS, [5, 2, 1, 1])
    wanted = net.integers(n, *size, channels)
    net.layer("TRANSPOSE_CONV", (channels, kh, kw, c), 0, [wanted], kind="TransposeConv", **how)


def _expanding(net: _Net) -> None:
    """A convolution to the channels of a shuffle, and the shuffle."""
    r, outputs, (kh, kw) = net.draw.pick((2, 3)), net.draw.pick((3, 1, 2, 4)), net.kernel()
    net.layer("CONV_2D", (outputs * r * r, kh, kw, net.shape[3]), 0, kind="Conv2D", padding=0,
              strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1,
              fusedActivationFunction=net.draw.pick(_ACTIVATIONS, [5, 2, 1, 1]))  # fmt: skip
    if net.draw.chance(0.25):
        _activation(net)
    net.moved("DEPTH_TO_SPACE", kind="DepthToSpace", blockSize=r)


def _depth_to_space(net: _Net) -> None:
    c = net.shape[3]
    block = net.draw.pick([b for b in (2, 3) if c % b**2 == 0] or [1])
    net.moved("DEPTH_TO_SPACE", kind="DepthToSpace", blockSize=block)


def _resize(net: _Net) -> None:
    _, h, w, _ = net.shape
    by = net.draw.pick((2, 3, 4), [4, 1, 1])
    size = (h * by, w * by) if net.draw.chance(0.8) else (net.draw.integer(1, 20), w + 3)
    places = net.draw.pick(({}, {"halfPixelCenters": True}, {"alignCorners": True}), [3, 2, 1])
    kind = net.draw.pick(("NearestNeighbor", "Bilinear"), [3, 1])
    if net.scale.dtype == "int16":  # LiteRT's places have 10 bits
        kind = "NearestNeighbor"
    operator = "RESIZE_NEAREST_NEIGHBOR" if kind == "NearestNeighbor" else "RESIZE_BILINEAR"
    net.moved(operator, net.integers(*size), kind=f"Resize{kind}", **places)


def _enlarging(net: _Net) -> None:
    _resize(net)
    _conv(net)


def _pad(net: _Net) -> None:
    _, h, w, _ = net.shape
    (a, b), (d, e) = ([net.draw.below(3) for _ in "be"] for _ in "hw")
    widths = net.integers([0, 0], [a, b], [d, e], [0, 0])
    way = net.draw.pick(("PAD", "MIRROR_PAD", "PADV2"), [3, 2, 1])
    if way == "MIRROR_PAD" and min(h, w) > 3:
        net.moved(way, widths, kind="MirrorPad", mode=net.draw.below(2))
    elif way == "PADV2":
        limits = np.iinfo(net.scale.dtype)
        value = np.array([net.draw.integer(int(limits.min), int(limits.max))], net.scale.dtype)
        net.moved(way, widths, Constant(value, net.scales[-1]), kind="PadV2")
    else:
        net.moved("PAD", widths, kind="Pad")


def _activation(net: _Net) -> None:
    way = net.draw.pick(("RELU", "PRELU", "RELU6", "LEAKY_RELU", "HARD_SWISH", "LOGISTIC", "TANH",
                         "QUANTIZE", "RELU_0_TO_1"))  # fmt: skip
    least, most = float(net.real().min()), float(net.real().max())
    dtype = net.scale.dtype
    low = int(np.iinfo(dtype).min)
    if way in ("LOGISTIC", "TANH"):
        steps = (1 << 16 if dtype == "int16" else 256) >> (way == "TANH" or dtype == "int16")
        zero = 0 if dtype == "int16" else low + 128 * (way == "TANH")
        net.add(way, net.last, to=Scale(dtype, (1.0 / steps,), zero))
    elif way == "PRELU":
        if dtype == "int16":
            raise _Refused("LiteRT's product of two int16 overflows")
        slopes = net.rng.integers(low, -low or 256, (1, 1, net.shape[3])).astype(dtype)
        scale = Scale(dtype, (0.004,), 0 if dtype != "uint8" else 121)
        net.add(way, net.last, Constant(slopes, scale), to=net.fit(min(least, 0) / 2, most))
    elif way == "LEAKY_RELU":
        slope = net.draw.pick((0.2, 0.01))
        to = net.fit(min(least * slope, 0), most)
        net.add(way, net.last, to=to, kind="LeakyRelu", alpha=slope)
    else:
        low_end = least if way == "QUANTIZE" else min(0.0, least / 10)
        net.add(way, net.last, to=net.fit(low_end, max(most, 0.1)))


def _joined(net: _Net) -> None:
    """A sum or a product with an earlier value of the same shape or a constant, or a Concat."""
    same = [i for i, array in enumerate(net.arrays) if array.shape == net.shape]
    other = net.draw.pick(same)
    way = net.draw.pick(("ADD", "CONCATENATION", "SUB", "MUL", "MAXIMUM"), [5, 3, 1, 1, 1])
    if way == "CONCATENATION":
        # Of int8 it refuses two scales, of int16 it does not look at them.
        if net.scale.dtype == "int16":
            other = net.last
        to = net.scales[-1]
        if net.scales[other] != to and net.draw.chance(0.5):
            to = net.fit(*_ends(np.concatenate([net.real(), net.real(other)])))
        operands = net.draw.shuffled([net.last, other])
        net.add(way, *operands, to=to, kind="Concatenation", axis=net.draw.pick((-1, 3, 1)))
        return
    if way == "MAXIMUM":
        # LiteRT compares what is stored, of whatever scale.
        other = other if net.scales[other] == net.scales[-1] else net.last
        net.add(way, net.last, other, to=net.scales[-1], kind="MaximumMinimum")
        return
    by = {"ADD": np.add, "SUB": np.subtract, "MUL": np.multiply}[way]
    operands, values = [net.last, other], net.real(other)
    if net.draw.chance(0.2):
        limits = np.iinfo(net.scale.dtype)
        array = net.rng.integers(limits.min, limits.max, net.shape[-1:]).astype(net.scale.dtype)
        scale = net.scales[-1]
        operands[1] = Constant(array, scale)
        values = (array - float(scale.zero)) * scale.scales[0]
    to = net.fit(*_ends(by(net.real(), values)))
    how = {"fusedActivationFunction": net.draw.pick(_ACTIVATIONS, [5, 2, 1, 1])}
    net.add(way, *operands, to=to, kind=way.capitalize(), **how)


def _ends(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _pool(net: _Net) -> None:
    (kh, kw), how = net.kernel(), net.window()
    operator = net.draw.pick(("MAX_POOL_2D", "AVERAGE_POOL_2D"))
    how["fusedActivationFunction"] = net.draw.pick(_ACTIVATIONS, [5, 2, 1, 1])
    net.moved(operator, kind="Pool2D", filterHeight=kh, filterWidth=kw, **how)


def _rearranged(net: _Net) -> None:
    n, h, w, c = net.shape
    way = net.draw.pick(("SPACE_TO_DEPTH", "TRANSPOSE", "STRIDED_SLICE"))
    if way == "TRANSPOSE":
        order = net.draw.pick(((0, 2, 1, 3), (0, 3, 1, 2)))
        net.moved(way, net.integers(*order), kind="Transpose")
    elif way == "SPACE_TO_DEPTH":
        net.moved(way, kind="SpaceToDepth", blockSize=2)
    else:
        begin, by = [net.draw.below(2) for _ in "hw"], net.draw.pick((1, 2))
        ends = (net.integers(0, *begin, 0), net.integers(n, h, w, c), net.integers(1, by, 1, 1))
        net.moved(way, *ends, kind="StridedSlice")


def _gathered(net: _Net) -> None:
    """A mean, or a gate: what a mean of the channels multiplies."""
    c, x, kept = net.shape[3], net.last, net.real()
    net.add("MEAN", x, net.integers(1, 2), to=net.fit(*_ends(kept.mean((1, 2)))), kind="Reducer",
            keepDims=True)  # fmt: skip
    if net.draw.chance(0.6):
        net.layer("CONV_2D", (c, 1, 1, c), 0, kind="Conv2D", padding=0, strideH=1, strideW=1,
                  dilationHFactor=1, dilationWFactor=1)  # fmt: skip
        to = Scale(net.scale.dtype, (1 / 256,), int(np.iinfo(net.scale.dtype).min))
        net.add("LOGISTIC", net.last, to=to)
        gated = kept * net.real()
        net.add("MUL", x, net.last, to=net.fit(*_ends(gated)), kind="Mul")


_STEPS: tuple[tuple[Callable[[_Net], None], float], ...] = (
    (_conv, 6),
    (_expanding, 4),
    (_enlarging, 3),
    (_transpose_conv, 4),
    (_activation, 3),
    (_joined, 4),
    (_pad, 2),
    (_pool, 2),
    (_resize, 1),
    (_depth_to_space, 1),
    (_rearranged, 1),
    (_gathered, 1),
)


def quantized_tflite(draw: Choices) -> QuantizedTflite:
    """One to six steps from an image of int8, uint8 or int16."""
    sizes = (6, 9, 5, 8, 13, 1)
    shape = (draw.pick((1, 2, 3), [4, 1, 1]), draw.pick(sizes), draw.pick(sizes),
             draw.pick((4, 3, 8, 1)))  # fmt: skip
    dtype = draw.pick(("int8", "uint8", "int16"), [6, 3, 1])
    limits = np.iinfo(dtype)
    net = _Net(draw, np.zeros(shape, dtype), Scale(dtype, (1.0,), 0))
    net.scale = net.fit(-1.0, 1.0)
    net.scales[0] = net.scale
    net.arrays[0] = net.x = net.rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    net.free = (0,) if draw.chance(0.2) else ()
    steps, shares = zip(*_STEPS, strict=True)
    for _ in draw.many(1, 6, 0.7):
        kept = len(net.steps)
        try:
            if net.arrays[-1].ndim == 4:
                draw.pick(steps, shares)(net)
        except _Refused:
            del net.steps[kept:], net.arrays[kept + 1 :], net.scales[kept + 1 :]
    further = [i for i in range(1, net.last) if draw.chance(0.08)]
    if net.last and draw.chance(0.15):
        net.add("DEQUANTIZE", net.last, to=None)
    return replace(net.case(net.last, *further), target=draw_processor(draw))
