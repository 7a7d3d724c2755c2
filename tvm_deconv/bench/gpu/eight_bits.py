"""A layer of the GPU benchmark in 8 bits: random bytes, and what it stores of them.

    y = clip(round(act(scale * (conv(x - zero point, w) + bias))) + zero point)

x and y are uint8, w int8, the bias int32, with a scale for each output channel of the convolution.
act is ReLU or a slope below 0; what else a layer has is a table of its own behind these bytes, and
is left out. NumPy only, as ``layer``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from tvm_deconv.workloads.spec import LEAKY_SLOPE, LayerSpec

from .layer import Tensors, elements_of, per_phase, terms_of

EIGHT_BITS = "int8"
ZERO_POINT = 128
SEED = 0
"""Of what is packed: who compiles and who measures draw the same numbers."""
# Standard deviations of what is stored before it is clipped, in units of y.
_SPREAD = 40.0
_BYTES = "uint8"


@dataclass(frozen=True)
class EightBits:
    """Random arrays for a layer: NCHW bytes, int8 weights as trained; of a convolution's output
    channels the bias, an integer, and the scale, float32."""

    layer: LayerSpec
    x: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    scales: np.ndarray
    epilogue_inputs: tuple[np.ndarray, ...] = ()

    @classmethod
    def draw(cls, layer: LayerSpec, seed: int) -> EightBits:
        """Arrays of a generator that starts with ``seed``."""
        rng = np.random.default_rng(seed)
        x = rng.integers(0, 256, layer.input_shape, _BYTES)
        weights = rng.integers(-127, 128, layer.weight_shape, "int8")
        spread = np.std(x) * np.std(weights) * np.sqrt(terms_of(layer))
        bias = np.rint(rng.normal(0, spread / 8, layer.conv_channels)).astype("int64")
        scales = rng.uniform(0.5, 1, layer.conv_channels) * (_SPREAD / spread)
        return cls(layer, x, weights, bias * layer.bias, scales.astype("float32"))

    @property
    def bytes(self) -> int:
        """The fewest bytes that a call moves: input, weights and output, each once."""
        return elements_of(self.layer)

    @property
    def slope(self) -> float | None:
        """The slope below 0, where the activation is one."""
        return LEAKY_SLOPE if self.layer.activation in ("leaky_relu", "prelu") else None

    @property
    def low(self) -> float:
        """What y is at least, less its zero point."""
        return 0.0 if self.layer.activation == "relu" else -np.inf

    @cached_property
    def _plain(self) -> Tensors:
        """The sums alone, of float64 that is exact."""
        layer = replace(self.layer, bias=False, activation=None, activation_first=False)
        x = self.x.astype("float32") - ZERO_POINT
        return Tensors(layer, x, self.weights.astype("float32"), None, None)

    @property
    def deconv_weights(self) -> np.ndarray:
        """IOHW weights of the transposed convolution, integers."""
        return np.rint(self._plain.deconv_weights).astype("int64")

    def expected(self) -> np.ndarray:
        """The layer as trained: sums in float64, the store in float32 as ONNX Runtime has it."""
        sums = self._plain.expected()
        _, _, rows, columns = sums.shape

        def everywhere(values: np.ndarray) -> np.ndarray:
            phases = per_phase(self.layer, values)
            _, rh, rw = phases.shape
            return np.tile(phases, (1, -(-rows // rh), -(-columns // rw)))[:, :rows, :columns]

        total = sums + everywhere(self.bias)
        value = total.astype("float32") * everywhere(self.scales)
        if self.slope is not None:
            value = np.where(value < 0, value * np.float32(self.slope), value)
        return (np.rint(np.maximum(value, self.low)) + ZERO_POINT).clip(0, 255)


def draw(layer: LayerSpec, dtype: str, seed: int) -> Tensors | EightBits:
    """Random arrays for a layer in ``dtype``: float32, float16, or int8."""
    if dtype == EIGHT_BITS:
        return EightBits.draw(layer, seed)
    return Tensors.draw(layer, dtype, seed)
