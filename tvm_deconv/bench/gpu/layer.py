"""A layer of the GPU benchmark: random weights, and what it computes in float64.

NumPy only, so that it also runs where neither TVM's compiler nor ONNX is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tvm_deconv.algebra.weights import (
    pair,
    phase_bias,
    phase_channels,
    weight_convolution,
    weight_shuffle,
)
from tvm_deconv.measure.reference import convolution, transposed_convolution
from tvm_deconv.workloads.spec import LEAKY_SLOPE, LayerSpec


@dataclass(frozen=True)
class Tensors:
    """Random arrays for a layer, in ``dtype``: NCHW input, weights as trained, bias, slopes.

    float16 arrays are exact: whoever computes with them, in whatever precision, starts from the
    same numbers.
    """

    layer: LayerSpec
    x: np.ndarray
    weights: np.ndarray
    bias: np.ndarray | None
    slopes: np.ndarray | None

    @classmethod
    def draw(cls, layer: LayerSpec, dtype: str, seed: int) -> Tensors:
        rng = np.random.default_rng(seed)

        def normal(*shape: int, std: float = 1.0) -> np.ndarray:
            return (std * rng.standard_normal(shape, dtype=np.float32)).astype(dtype)

        return cls(
            layer,
            normal(*layer.input_shape),
            normal(*layer.weight_shape, std=terms_of(layer) ** -0.5),
            normal(layer.conv_channels, std=0.1) if layer.bias else None,
            normal(layer.output_shape[1], std=0.25) if layer.activation == "prelu" else None,
        )

    @property
    def bytes(self) -> int:
        """The fewest bytes that a call moves: input, weights and output, each once."""
        return elements_of(self.layer) * self.x.dtype.itemsize

    @cached_property
    def deconv_weights(self) -> np.ndarray:
        """IOHW weights of the transposed convolution, in float32 where they are sums."""
        layer, weights = self.layer, self.weights.astype(np.float32)
        if layer.kind == "deconv":
            return weights
        if layer.kind == "nearest":
            return weight_convolution(weights, layer.factor, layer.groups)
        return weight_shuffle(weights, layer.factor, layer.order, layer.groups)

    @cached_property
    def phase_bias(self) -> np.ndarray:
        """The bias as (O, r, r): one value per phase; zeros where the layer has none."""
        layer = self.layer
        if self.bias is None:
            return np.zeros((layer.output_shape[1], layer.factor, layer.factor), self.x.dtype)
        return per_phase(layer, self.bias)

    @property
    def epilogue_inputs(self) -> tuple[np.ndarray, ...]:
        """What a kernel of ours takes beside input and weights: phase bias, slopes if any."""
        return (self.phase_bias, *([] if self.slopes is None else [self.slopes]))

    def expected(self) -> np.ndarray:
        """The layer as trained, in float64."""
        layer = self.layer
        x, weights, padding = self.x, self.weights, (layer.padding,) * 4
        if layer.kind == "deconv":
            strides, extra = pair(layer.factor), (layer.output_padding,) * 2
            y = transposed_convolution(x, weights, strides, padding, extra, groups=layer.groups)
        else:
            if layer.kind == "nearest":
                x = x.repeat(layer.factor, axis=2).repeat(layer.factor, axis=3)
            y = convolution(x, weights, padding=padding, groups=layer.groups)
        if self.bias is not None:
            y += self.bias.astype(np.float64)[:, None, None]
        if layer.kind != "subpixel":
            return self._activated(y)
        if layer.activation_first:
            y = self._activated(y)
        y = _shuffled(y, layer)
        return y if layer.activation_first else self._activated(y)

    def _activated(self, y: np.ndarray) -> np.ndarray:
        kind = self.layer.activation
        if kind == "relu":
            return np.maximum(y, 0)
        if kind == "leaky_relu":
            return np.where(y > 0, y, LEAKY_SLOPE * y)
        if kind == "elu":
            return np.where(y > 0, y, np.expm1(np.minimum(y, 0)))
        if kind == "tanh":
            return np.tanh(y)
        if kind == "sigmoid":
            return 1 / (1 + np.exp(-y))
        if kind == "prelu":
            assert self.slopes is not None
            return np.where(y > 0, y, self.slopes.astype(np.float64)[:, None, None] * y)
        return y


def terms_of(layer: LayerSpec) -> float:
    """Products in a sum: a deconvolution has kernel²/factor² taps in a phase."""
    taps = layer.kernel**2 / (layer.factor**2 if layer.kind == "deconv" else 1)
    return layer.input_shape[1] / layer.groups * taps


def elements_of(layer: LayerSpec) -> int:
    """Of input, weights and output, each once."""
    shapes = layer.input_shape, layer.geometry().weight_shape, layer.output_shape
    return int(sum(map(np.prod, shapes)))


def per_phase(layer: LayerSpec, values: np.ndarray) -> np.ndarray:
    """A value for each output channel of the convolution as (O, r, r): one for each phase."""
    if layer.kind == "subpixel":
        return phase_bias(values, layer.factor, layer.order)
    shape = (values.size, layer.factor, layer.factor)
    return np.broadcast_to(values[:, None, None], shape).copy()


def _shuffled(y: np.ndarray, layer: LayerSpec) -> np.ndarray:
    rh, rw = pair(layer.factor)
    source = phase_channels(y.shape[1], layer.factor, layer.order)
    phases = y[0, source]  # o, fh, fw, h, w
    o, _, _, height, width = phases.shape
    return phases.transpose(0, 3, 1, 4, 2).reshape(1, o, height * rh, width * rw)
