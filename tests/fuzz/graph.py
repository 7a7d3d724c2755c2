"""An ONNX graph that grows node by node, each tried on ONNX Runtime before the next.

So a family need not know shapes: it draws attributes, and a node that ONNX Runtime refuses is taken
back, or now and then kept as the end of a graph that has to be refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .choices import Choices
from .runtimes import Refused, run_anywhere
from .values import filled, weights

OPSETS = (13, 17, 11, 18, 9, 10, 12, 14, 15, 16, 19, 20, 21)
# More than this costs time and shows nothing that less would not.
_MOST_ELEMENTS = 400_000
_MOST_WEIGHTS = 1 << 21
# Values beyond are dropped with the node that made them: rounding would decide what they become.
_LARGEST = {"float16": 1e3, "float32": 1e9, "float64": 1e30}
# How often a node that is refused stays, as the last one.
_KEEP_REFUSED = 0.06


class NodeRefused(Exception):
    """ONNX Runtime refuses the node, or its result is of no use here; it is not in the graph."""


class Finished(Exception):
    """ONNX Runtime refuses the node, which is the last one of the graph."""


@dataclass(frozen=True)
class Value:
    """A tensor of the graph with its value for the inputs that the graph is grown on."""

    name: str
    array: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def rank(self) -> int:
        return self.array.ndim


def need_axes(x: Value, least: int, most: int = 9) -> None:
    """NodeRefused for a tensor of fewer axes, or more."""
    if not least <= x.rank <= most:
        raise NodeRefused(f"{x.rank} axes")


@dataclass
class Graph:
    """The graph so far. ``dims`` gives sizes or names of each input's axes."""

    draw: Choices
    opset: int = 13
    dtype: str = "float32"
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    initializers: list[str] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    dims: dict[str, list[int | str]] = field(default_factory=dict)
    values: list[Value] = field(default_factory=list)
    refused: bool = False
    count: int = 0

    @property
    def is_free(self) -> bool:
        """Whether a size other than that of the channels is free."""
        return any(isinstance(dim, str) for dims in self.dims.values() for dim in dims)

    # -- operands --------------------------------------------------------------------------------

    def input(
        self,
        shape: Sequence[int],
        dims: Sequence[int | str] | None = None,
        dtype: str | None = None,
    ) -> Value:
        """A further input of the graph, of its type or another."""
        seed = 100 + len(self.inputs)
        value = Value(f"x{len(self.inputs)}", filled(shape, dtype or self.dtype, seed))
        self.inputs.append(value)
        self.values.append(value)
        self.dims[value.name] = list(dims or shape)
        return value

    def weight(self, *shape: int, terms: int = 1) -> str:
        """A constant of random numbers for a sum of ``terms`` products.

        Raises NodeRefused where it would be too large.
        """
        if prod(shape) > _MOST_WEIGHTS:
            raise NodeRefused("too large")
        return self.given(weights(shape, self.dtype, self._next(), terms))

    def positive(self, *shape: int) -> str:
        """A constant of positive random numbers."""
        return self.given(np.abs(filled(shape, self.dtype, self._next())))

    def given(self, array: np.ndarray, spelled: bool = False) -> str:
        """A constant; ``spelled``: perhaps behind an operator, as exporters leave it."""
        array = np.asarray(array)
        name = f"k{self._next()}"
        self.constants[name] = array
        ways = [self._initializer, self._constant_node, self._identity, self._cast]
        if array.ndim == 1 and array.size > 1:
            ways += [self._concat, self._slice]
        way = self.draw.pick(ways, [12, 2] + [0.5] * (len(ways) - 2)) if spelled else ways[0]
        way(name, array)
        return name

    def ints(self, *values: int) -> str:
        return self.given(np.array(values, "int64"), spelled=True)

    def floats(self, *values: float) -> str:
        return self.given(np.array(values, "float32"), spelled=True)

    def scalar(self, value: float) -> str:
        """A constant of the graph's type and without axes."""
        return self.given(np.array(value, self.dtype), spelled=True)

    def _initializer(self, name: str, array: np.ndarray) -> None:
        self.constants[name] = array
        self.initializers.append(name)

    def _constant_node(self, name: str, array: np.ndarray) -> None:
        value = numpy_helper.from_array(array)
        self.nodes.append(helper.make_node("Constant", [], [name], value=value))

    def _identity(self, name: str, array: np.ndarray) -> None:
        self._initializer(f"{name}_is", array)
        self.nodes.append(helper.make_node("Identity", [f"{name}_is"], [name]))

    def _cast(self, name: str, array: np.ndarray) -> None:
        wide = {"float32": "float64", "int64": "int32"}.get(str(array.dtype), str(array.dtype))
        self._initializer(f"{name}_wide", array.astype(wide))
        to = helper.np_dtype_to_tensor_dtype(array.dtype)
        self.nodes.append(helper.make_node("Cast", [f"{name}_wide"], [name], to=to))

    def _concat(self, name: str, array: np.ndarray) -> None:
        self._initializer(f"{name}_a", array[:1])
        self._initializer(f"{name}_b", array[1:])
        self.nodes.append(helper.make_node("Concat", [f"{name}_a", f"{name}_b"], [name], axis=0))

    def _slice(self, name: str, array: np.ndarray) -> None:
        if self.opset < 10:
            return self._initializer(name, array)
        parts = [f"{name}_all", f"{name}_begin", f"{name}_end"]
        self._initializer(parts[0], np.concatenate([array, array[:1]]))
        self._initializer(parts[1], np.array([0], "int64"))
        self._initializer(parts[2], np.array([array.size], "int64"))
        self.nodes.append(helper.make_node("Slice", parts, [name]))
        return None

    def _next(self) -> int:
        self.count += 1
        return self.count

    # -- nodes -----------------------------------------------------------------------------------

    def node(self, operator: str, *inputs: Value | str, **attributes: Any) -> Value:
        """The result of a further node. NodeRefused or Finished where there is none."""
        return self.outputs(operator, 1, *inputs, **attributes)[0]

    def outputs(
        self, operator: str, count: int, *inputs: Value | str, **attributes: Any
    ) -> list[Value]:
        """The results of a further node with several."""
        names = [operand if isinstance(operand, str) else operand.name for operand in inputs]
        results = [f"t{self._next()}" for _ in range(count)]
        given = {key: value for key, value in attributes.items() if value is not None}
        made = helper.make_node(operator, names, results, **given)
        arrays = {v.name: v.array for v in inputs if isinstance(v, Value)}
        try:
            found = run_anywhere(self._alone(made, arrays), arrays)
        except Refused as refused:
            if self.draw.chance(_KEEP_REFUSED):
                self.nodes.append(made)
                self.values.append(Value(results[0], np.zeros(0, self.dtype)))
                self.refused = True
                raise Finished(str(refused)) from refused
            raise NodeRefused(str(refused)) from refused
        self._look_at(found)
        self.nodes.append(made)
        values = [Value(name, array) for name, array in zip(results, found, strict=True)]
        self.values += values
        return values

    def _alone(self, node: onnx.NodeProto, arrays: dict[str, np.ndarray]) -> onnx.ModelProto:
        """The node as a model, with constants as initializers."""
        inputs = [_info(name, array, array.shape) for name, array in arrays.items()]
        used = {name for name in node.input if name in self.constants}
        outputs = [helper.make_empty_tensor_value_info(name) for name in node.output]
        return _model([node], inputs, outputs, {k: self.constants[k] for k in used}, self.opset)

    def _look_at(self, found: Sequence[np.ndarray]) -> None:
        for array in found:
            if array.size > _MOST_ELEMENTS:
                raise NodeRefused("too large")
            if array.size == 0:
                raise NodeRefused("empty")
            if array.dtype.kind != "f":
                continue
            values = array.astype("float64")
            finite = np.isfinite(values)
            limit = _LARGEST[str(array.dtype)]
            if not finite.all() or (np.abs(values[finite]) > limit).any():
                raise NodeRefused("not finite, or about to be")

    def attempt(self, grow: Callable[..., Value | None], *arguments: Any) -> Value | None:
        """What ``grow`` returns; None, and the graph as it was, where a node of it is refused."""
        kept = len(self.nodes), len(self.initializers), len(self.values), len(self.inputs)
        with suppress(NodeRefused):
            return grow(self, *arguments)
        nodes, initializers, values, inputs = kept
        del self.nodes[nodes:], self.initializers[initializers:]
        del self.values[values:], self.inputs[inputs:]
        return None

    # -- the whole -------------------------------------------------------------------------------

    def model(
        self,
        results: Sequence[Value],
        shaped: bool = False,
        listed: bool = False,
        names: Mapping[str, str | None] | None = None,
    ) -> onnx.ModelProto:
        """The graph as a file holds it.

        ``shaped``: with the shapes of its outputs. ``listed``: the weights are among the inputs, as
        files of IR version 3 have them. ``names`` are others for free dimensions.
        """
        known = names or {}
        inputs = [
            _info(value.name, value.array, [known.get(d, d) for d in self.dims[value.name]])
            for value in self.inputs
        ]
        if listed:
            inputs += [
                _info(name, self.constants[name], self.constants[name].shape)
                for name in self.initializers
            ]
        outputs = [
            _info(value.name, value.array, value.shape if shaped else None) for value in results
        ]
        kept = {name: self.constants[name] for name in self.initializers}
        return _model(self.nodes, inputs, outputs, kept, self.opset)


def _info(
    name: str, array: np.ndarray, dims: Sequence[int | str | None] | None
) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), dims)


def _model(nodes, inputs, outputs, constants, opset: int) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "fuzz",
        inputs,
        outputs,
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8 if opset < 19 else 10
    )
