"""An ONNX graph of one output, written as a chain of calls.

Weights are only noted down while the graph is written and drawn when it becomes a model, so that
counting the work of a network costs no memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .spec import LEAKY_SLOPE, Activation, LayerSpec

Draw = Callable[[np.random.Generator], np.ndarray]

_OPSET = 17
_IR_VERSION = 9  # what came with opset 17: older runtimes refuse newer ones

_OPERATORS = {"relu": "Relu", "elu": "Elu", "tanh": "Tanh", "sigmoid": "Sigmoid"}
# Weights of this variance over the number of summed terms keep the second moment of what the
# activation returns (He et al., ICCV 2015, for the family of ReLUs).
_VARIANCE = {"relu": 2.0, "leaky_relu": 2 / (1 + LEAKY_SLOPE**2), "prelu": 2 / (1 + 0.25**2)}


@dataclass(frozen=True)
class Tensor:
    """A value of the graph; ``shape`` is NCHW, NCDHW of a volume, NCW of a sound."""

    name: str
    shape: tuple[int, ...]

    @property
    def channels(self) -> int:
        return self.shape[1]

    @property
    def height(self) -> int:
        return self.shape[-2]

    @property
    def width(self) -> int:
        return self.shape[-1]


class NetworkBuilder:
    """The nodes written so far. ``layers`` are the convolutions among them, in order.

    ``other_multiply_adds`` is the work of convolutions that no ``LayerSpec`` describes.
    """

    def __init__(self, input_shape: tuple[int, ...]) -> None:
        self.input = Tensor("x", input_shape)
        self._inputs = [self.input]
        self.layers: list[LayerSpec] = []
        self.other_multiply_adds = 0
        self._nodes: list[onnx.NodeProto] = []
        self._results: list[Tensor] = []
        self._draws: dict[str, Draw] = {}

    @property
    def multiply_adds(self) -> int:
        """Of all convolutions after the rewrite, as ``LayerSpec.multiply_adds`` counts them."""
        return sum(layer.multiply_adds for layer in self.layers) + self.other_multiply_adds

    def model(self, output: Tensor, name: str) -> onnx.ModelProto:
        """As an ONNX model: inputs ``x`` (``x1`` ...), output ``y``, the same weights each time.

        ``output`` is the result of the node that was added last.
        """
        rng = np.random.default_rng(0)
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in self._nodes]
        nodes[-1].output[0] = "y"
        weights = [numpy_helper.from_array(draw(rng), key) for key, draw in self._draws.items()]
        graph = helper.make_graph(
            nodes,
            name,
            [_value_info(each) for each in self._inputs],
            [_value_info(Tensor("y", output.shape))],
            weights,
            value_info=[_value_info(tensor) for tensor in self._results[:-1]],
        )
        opsets = [helper.make_opsetid("", _OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)

    def more_input(self, shape: tuple[int, ...]) -> Tensor:
        """An input beside ``x``: ``x1``, ``x2`` ... in the order in which they are asked for."""
        self._inputs.append(Tensor(f"x{len(self._inputs)}", shape))
        return self._inputs[-1]

    def add(self, operator: str, *inputs: str, shape: tuple[int, ...], **attributes: Any) -> Tensor:
        """A node with one result of the given shape."""
        name = f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        self._results.append(Tensor(name, shape))
        return self._results[-1]

    def given(self, values: np.ndarray) -> str:
        """A constant that is the same for all seeds."""
        return self._weight(lambda _: values)

    def normal(self, *shape: int, mean: float = 0.0, std: float = 0.1) -> str:
        """A float32 constant of random values."""
        return self._weight(lambda rng: rng.normal(mean, std, shape).astype(np.float32))

    def _weight(self, draw: Draw) -> str:
        name = f"w{len(self._draws)}"
        self._draws[name] = draw
        return name

    def layer(self, x: Tensor, spec: LayerSpec, gain: float = 1.0) -> Tensor:
        """The operators of a layer, as trained, and its activation.

        ``gain`` scales the weights; 1 keeps the size of the activations from layer to layer.
        """
        self.layers.append(spec)
        y, pads = x, spec.padding
        if spec.kind == "nearest":
            y = self.nearest(y, spec.factor)
        if spec.padding_mode == "reflect":
            y, pads = self.reflect(y, spec.padding), 0
        y = self.contraction(y, spec, pads, gain)
        if spec.kind == "subpixel":
            if spec.activation_first:
                y = self.activation(y, spec.activation)
            y = self.add(
                "DepthToSpace",
                y.name,
                shape=spec.output_shape,
                blocksize=spec.factor,
                mode=spec.order,
            )
        return y if spec.activation_first else self.activation(y, spec.activation)

    def contraction(self, x: Tensor, spec: LayerSpec, pads: int, gain: float) -> Tensor:
        """The Conv or ConvTranspose node of a layer, which is not noted down among ``layers``."""
        variance = _VARIANCE.get(spec.activation or "", 1.0)
        # Terms that each output sums up: a deconv has kernel²/factor² taps in a phase.
        taps = spec.kernel**2 / (spec.factor**2 if spec.kind == "deconv" else 1)
        std = gain * float(np.sqrt(variance * spec.groups / (spec.in_channels * taps)))
        inputs = [x.name, self.normal(*spec.weight_shape, std=std)]
        if spec.bias:
            inputs.append(self.normal(spec.conv_channels))
        attributes: dict[str, Any] = {
            "kernel_shape": [spec.kernel] * 2,
            "pads": [pads] * 4,
            "group": spec.groups,
        }
        if spec.kind == "deconv":
            attributes["strides"] = [spec.factor] * 2
            attributes["output_padding"] = [spec.output_padding] * 2
            return self.add("ConvTranspose", *inputs, shape=spec.output_shape, **attributes)
        attributes["strides"] = [spec.stride] * 2
        _, _, height, width = spec.output_shape
        if spec.kind == "subpixel":
            height, width = height // spec.factor, width // spec.factor
        shape = (1, spec.conv_channels, height, width)
        return self.add("Conv", *inputs, shape=shape, **attributes)

    def activation(self, x: Tensor, kind: Activation | None) -> Tensor:
        """Applied to every element; PReLU has one slope per channel."""
        if kind is None:
            return x
        if kind == "leaky_relu":
            return self.add("LeakyRelu", x.name, shape=x.shape, alpha=LEAKY_SLOPE)
        if kind == "prelu":
            slopes = self.normal(x.channels, 1, 1, mean=0.25)
            return self.add("PRelu", x.name, slopes, shape=x.shape)
        return self.add(_OPERATORS[kind], x.name, shape=x.shape)

    def nearest(self, x: Tensor, factor: int) -> Tensor:
        """Nearest resize of height and width by a whole factor."""
        scales = self.given(np.array([1, 1, factor, factor], np.float32))
        return self.add(
            "Resize",
            x.name,
            "",
            scales,
            shape=(*x.shape[:2], x.height * factor, x.width * factor),
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    def bilinear(self, x: Tensor, factor: int) -> Tensor:
        """Bilinear resize of height and width by a whole factor, the corners not aligned."""
        scales = self.given(np.array([1, 1, factor, factor], np.float32))
        shape = (*x.shape[:2], x.height * factor, x.width * factor)
        mode = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        return self.add("Resize", x.name, "", scales, shape=shape, **mode)

    def reflect(self, x: Tensor, width: int) -> Tensor:
        """Reflection padding of height and width."""
        pads = self.given(np.array([0, 0, width, width] * 2, np.int64))
        shape = (*x.shape[:2], x.height + 2 * width, x.width + 2 * width)
        return self.add("Pad", x.name, pads, shape=shape, mode="reflect")


def _value_info(tensor: Tensor) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, tensor.shape)
