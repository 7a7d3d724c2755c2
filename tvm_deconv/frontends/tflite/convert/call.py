"""What a converter is given: one operator of TFLite, and how it adds nodes of ONNX for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import helper

from tvm_deconv.frontends.onnx.nodes import refuse
from tvm_deconv.frontends.tflite.quantization import Quantization
from tvm_deconv.frontends.tflite.read import Operator
from tvm_deconv.frontends.tflite.translation import NCHW, Order, Translation

from .integers import works_on_integers

_FLOAT = 1  # TensorProto.FLOAT
# ActivationFunctionType of the schema: limits of Clip, or an operator.
_ACTIVATIONS = {1: "Relu", 2: (-1.0, 1.0), 3: (0.0, 6.0)}
# LiteRT's kernels leave these out without a word, which no network can mean.
_UNCLEAR = {4: "TANH", 5: "SIGN_BIT"}


@dataclass
class Call:
    """One operator. Converters refuse with a reason; whoever calls them names the operator.

    Of a quantised tensor it gives and takes the real values, unless ``on_integers``: then the
    integers that are stored.
    """

    graph: Translation
    operator: Operator
    label: str = field(init=False)
    on_integers: bool = field(init=False)

    def __post_init__(self) -> None:
        self.label = f"{self.operator.name} {self.operator.index}"
        self.on_integers = works_on_integers(self.graph, self.operator)
        self._before = len(self.graph.nodes)

    # What the operator says.

    def option(self, name: str, default: Any = None) -> Any:
        """A field of the operator's options by the schema's name.

        Raises ModelError where there are none and there is no ``default``.
        """
        if self.operator.options is not None and name in self.operator.options:
            return self.operator.options[name]
        if default is None:
            refuse(f"has no {name} among its options: the file is damaged")
        return default

    def positive(self, *names: str) -> tuple[int, ...]:
        """Options that are positive numbers."""
        values = tuple(int(self.option(name)) for name in names)
        for name, value in zip(names, values, strict=True):
            if value < 1:
                refuse(f"{name} is {value}: give a positive number")
        return values

    def has(self, index: int) -> bool:
        return index < len(self.operator.inputs) and self.operator.inputs[index] >= 0

    def input(self, index: int) -> int:
        """The number of the tensor at input ``index``."""
        if not self.has(index):
            refuse(f"input {index} is left out")
        return self.operator.inputs[index]

    def output(self, index: int = 0) -> int:
        if index >= len(self.operator.outputs) or self.operator.outputs[index] < 0:
            refuse(f"output {index} is left out: the file is damaged")
        return self.operator.outputs[index]

    # What is known of its tensors.

    def shape(self, index: int) -> list[int | None]:
        return self.graph.shape(self.input(index))

    def rank(self, index: int) -> int:
        return len(self.shape(index))

    def dtype(self, index: int) -> str:
        """The type of the elements that ``form`` gives."""
        if self.quantization(index) is not None and not self.on_integers:
            return "float32"
        return self.graph.file.tensors[self.input(index)].dtype

    def quantization(self, index: int) -> Quantization | None:
        return self.graph.quantization(self.input(index))

    def value(self, index: int) -> np.ndarray | None:
        """Elements of input ``index``, None where they depend on data."""
        found, quantization = self.graph.value(self.input(index)), self.quantization(index)
        if found is None or quantization is None or self.on_integers:
            return found
        return quantization.real(found)

    def array(self, index: int, what: str) -> np.ndarray:
        """Elements of input ``index``; raises ModelError where they depend on data."""
        found = self.value(index)
        if found is None:
            refuse(f"its {what} are computed when the network runs: they must be constants")
        return found

    def integers(self, index: int, what: str) -> list[int]:
        return [int(value) for value in self.array(index, what).ravel()]

    def image(self, index: int = 0, axes: int = 2) -> tuple[int | None, ...]:
        """N, H, W, C of an image, N, D, H, W, C of a volume, of which the channels are known."""
        shape = self.shape(index)
        if len(shape) != axes + 2:
            what = "an image" if axes == 2 else "a volume"
            refuse(f"its input has {len(shape)} axes, not the {axes + 2} of {what}")
        if shape[-1] is None:
            refuse("the number of its channels is free: fix it")
        return tuple(shape)

    # Values in the graph.

    def form(self, index: int, order: Order | None = None) -> str:
        """Input ``index`` with its axes in ``order``, the file's where None."""
        form = self.graph.form if self.on_integers else self.graph.real
        return form(self.input(index), order, f"{self.label}: input {index}")

    def same_order(self, *indices: int) -> Order:
        """The order in which inputs of one rank are best taken: NCHW where one is there."""
        orders = [self.graph.orders(self.input(index)) for index in indices]
        if any(NCHW in found for found in orders):
            return NCHW
        return next((found[0] for found in orders if found), tuple(range(self.rank(indices[0]))))

    def broadcast(self, index: int, order: Order) -> str:
        """Input ``index`` for an operator that broadcasts over ``order``, of at least its rank."""
        rank = self.rank(index)
        if rank == len(order):
            return self.form(index, order)
        value = self.value(index)
        if value is not None:
            wide = (
                value
                if value.size == 1
                else value.reshape((1,) * (len(order) - rank) + value.shape)
            )
            wide = wide.reshape(()) if value.size == 1 else wide.transpose(order)
            return self.constant(wide)
        x = self.form(index)
        if rank == 0:
            return x
        axes = self.constant(np.arange(len(order) - rank))
        wide_name = self.emit("Unsqueeze", x, axes)
        return self.emit("Transpose", wide_name, perm=list(order))

    def constant(self, values: Any, dtype: Any = None) -> str:
        array = np.asarray(values, dtype, order="C")
        return self.graph.constant(array, f"{self.label}:constant")

    def number(self, value: float, index: int = 0) -> str:
        """A scalar of the type of input ``index``."""
        return self.constant(value, self.dtype(index))

    def zero(self, index: int = 0) -> str:
        """The element that means 0, of the type of input ``index``."""
        quantization = self.quantization(index) if self.on_integers else None
        return self.number(quantization.zero_points[0] if quantization else 0, index)

    def in_single(self, x: str) -> str:
        """Integers as float32, to be brought back by ``rounded``; anything else as it is."""
        return self.emit("Cast", x, to=_FLOAT) if self._is_stored else x

    def rounded(self, value: str) -> str:
        """Of what ``in_single`` gave: to the nearest integer, a half away from 0, as LiteRT's."""
        if not self._is_stored:
            return value
        half = self.emit("Add", self.emit("Abs", value), self.constant(0.5, np.float32))
        whole = self.emit("Mul", self.emit("Floor", half), self.emit("Sign", value))
        kind = self.graph.file.tensors[self.output()].dtype
        return self.emit("Cast", whole, to=helper.np_dtype_to_tensor_dtype(np.dtype(kind)))

    @property
    def _is_stored(self) -> bool:
        return self.on_integers and self.quantization(0) is not None

    def emit(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Append a node; the name of what it computes."""
        inner = f"{self.graph.names[self.output()]}:{kind}"
        return self.graph.node(kind, self.label, list(inputs), inner, **attributes)

    def emit_several(self, kind: str, *inputs: str, count: int, **attributes: Any) -> list[str]:
        names = [f"{self.label}:{i}" for i in range(count)]
        return self.graph.outputs(kind, self.label, list(inputs), names, **attributes)

    def result(
        self,
        value: str,
        order: Order | None = None,
        index: int = 0,
        activation: int | None = None,
    ) -> None:
        """``value`` is output ``index``, with its axes in ``order``, after a fused activation.

        It is rounded to the scale of the output where that has one.
        """
        if activation is None:
            activation = int(self.option("FusedActivationFunction", 0))
        has_scale = self.graph.quantization(self.output(index)) is not None
        stays = has_scale and self.on_integers and not activation
        if has_scale and self.on_integers and activation:
            value = self.graph.dequantized(value, self.output(index))
        value = self._activated(value, activation)
        if has_scale and not stays:
            value = self.graph.quantized(value, self.output(index), self.label)
        shape = self.graph.facts.shape(value)
        if shape is None:
            refuse("the rank of its result follows from data")
        order = tuple(range(len(shape))) if order is None else order
        self.graph.define(self.output(index), {order: self._named(value, self.output(index))})

    def _activated(self, value: str, activation: int) -> str:
        if activation == 0:
            return value
        found = _ACTIVATIONS.get(activation)
        if found is None:
            name = _UNCLEAR.get(activation, str(activation))
            refuse(f"FusedActivationFunction is {name}, which LiteRT does not compute either")
        if isinstance(found, str):
            return self.emit(found, value)
        low, high = (self.constant(limit, np.float32) for limit in found)
        return self.emit("Clip", value, low, high)

    def _named(self, value: str, tensor: int) -> str:
        """What the last node computes gets the name of the tensor."""
        made = self.graph.nodes[self._before :]
        if not made or value not in made[-1].output or value in self.graph.facts.values:
            return value
        return self.graph.rename(made[-1], value, tensor)


def normal_axes(axes: Sequence[int], rank: int, what: str) -> list[int]:
    """Axes counted from 0; raises ModelError for one outside of the rank."""
    for axis in axes:
        if not -rank <= axis < rank:
            refuse(f"{what} {axis} is outside of its input's {rank} axes")
    return [axis % rank for axis in axes]
