"""Random operands of a layer of bytes, and what its kernel must make of them: equal, not near.

    y = clip(round(scale * (sum of (x - X_ZERO) * weight)) + zero point)

The scale is a power of 2, so that nothing but the rounding to an integer rounds, and such that most
results are within the range of a byte, in the middle of which the zero point is.
"""

from __future__ import annotations

from math import ceil, log2, sqrt

import numpy as np

from tvm_deconv.algebra import exact_winograd
from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.known_weights import obeying
from tvm_deconv.logs.layer import Candidate, Layer
from tvm_deconv.measure.reference import transposed_convolution
from tvm_deconv.schedules.cpu.integer.variant import IntegerVariant
from tvm_deconv.schedules.cpu.integer.winograd.variant import is_shared

X_ZERO = 3
# Weights are drawn from -largest to largest: bytes, and those of a folded nearest resize by 2.
_LARGEST = {"int8": 127, "int16": 4 * 127}
# The standard deviation of a byte of x, and that of a result to be.
_OF_X, _OF_Y = 74, 50


def draw(layer: Layer, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """x (NCHW) and weight (IOHW)."""
    dtype, weight_dtype = layer.operands
    bounds, most, conv = np.iinfo(dtype), _LARGEST[weight_dtype], layer.conv
    if conv.h.equal_sums or conv.w.equal_sums:
        # One tap of each phase makes sums equal, and has to fit as well.
        most = max(1, most // (4 * conv.h.max_taps * conv.w.max_taps))
    x = random.integers(bounds.min, bounds.max, layer.input_shape, dtype, endpoint=True)
    while True:
        weight = random.integers(-most, most, conv.weight_shape, weight_dtype, endpoint=True)
        if most == 1 or exact_winograd.refusal(conv) or _fit(conv, weight):
            return x, weight
        most //= 2


def _fit(conv: ConvTranspose2d, weight: np.ndarray) -> bool:
    """Whether the layer has Winograd's form with these weights."""
    return exact_winograd.fits(conv, obeying(conv, weight), is_shared(conv))


def expected(layer: Layer, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The bytes of y (NCHW), as float64."""
    conv, bounds = layer.conv, np.iinfo(x.dtype)
    numbers = conv.strides, conv.padding, conv.output_padding, conv.dilation, conv.groups
    centred = x.astype("float64") - X_ZERO
    sums = transposed_convolution(centred, weight.astype("float64"), *numbers)
    units = np.rint(sums.astype("float32") * _scale(layer)).astype("float64")
    return (units + _zero_point(layer)).clip(bounds.min, bounds.max)


def operands(candidate: Candidate, weight: np.ndarray) -> list[np.ndarray]:
    """What the kernel takes between x and y."""
    layer, variant = candidate.layer, candidate.variant
    assert isinstance(variant, IntegerVariant)
    kernel = variant.integer(layer.conv, candidate.parameters, layer.dtype)
    wide = weight.astype("int64")
    shape = (layer.conv.out_channels, *layer.conv.strides)
    return [
        kernel.pack(wide),
        kernel.points(X_ZERO, _zero_point(layer)),
        kernel.lines(-kernel.corrections(wide, X_ZERO)).astype("int32"),
        kernel.lines(np.full(shape, _scale(layer), "float32")),
        kernel.store.numbers(_zero_point(layer)),
    ]


def _zero_point(layer: Layer) -> int:
    """Of y."""
    bounds = np.iinfo(layer.operands[0])
    return (int(bounds.min) + int(bounds.max)) // 2 + 1


def _scale(layer: Layer) -> np.float32:
    conv = layer.conv
    taps = conv.group_inputs * conv.h.max_taps * conv.w.max_taps
    of_sum = sqrt(max(taps, 1)) * _OF_X * _LARGEST[layer.operands[1]] / sqrt(3)
    return np.float32(2.0 ** -ceil(log2(of_sum / _OF_Y)))
