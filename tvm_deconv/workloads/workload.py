"""A named layer or network: where it comes from, and its model at any size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import onnx

from tvm_deconv.errors import WorkloadError

from .graph import NetworkBuilder, Tensor
from .spec import LayerSpec

Build = Callable[[NetworkBuilder, Tensor], Tensor]


@dataclass(frozen=True)
class Workload:
    """A model of float32 inputs of fixed shapes and one output, with random weights.

    ``name`` is lower case, ``network/layer`` for layers. ``origin`` says which paper it comes from
    (authors, name, year) and which layer it is, and what was changed. ``input_shape`` is NCHW,
    NCDHW or NCW of batch 1, of the first input. ``build`` writes the model, as trained, for the
    size of the tensor that it is given; the shapes of further inputs follow from it.
    """

    name: str
    kind: Literal["layer", "network"]
    origin: str
    input_shape: tuple[int, ...]
    build: Build = field(repr=False)

    def model(self) -> onnx.ModelProto:
        """The layers as trained: inputs ``x`` (``x1`` ...), output ``y``, the same each time."""
        graph, output = self._written
        return graph.model(output, self.name)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of a call after the rewrite, all convolutions together, nothing else."""
        return self._written[0].multiply_adds

    @property
    def layers(self) -> tuple[LayerSpec, ...]:
        """All convolutions over pictures, in the order of the network."""
        return tuple(self._written[0].layers)

    @property
    def spec(self) -> LayerSpec:
        """The one layer of a layer. Raises WorkloadError for a network, which has ``layers``."""
        if self.kind != "layer":
            raise WorkloadError(f"{self.name} is a network: ask for its layers, not for its spec")
        return self.layers[0]

    def resized(self, height: int, width: int) -> Workload:
        """The same for another height and width of the input."""
        return replace(self, input_shape=(*self.input_shape[:-2], height, width))

    @cached_property
    def _written(self) -> tuple[NetworkBuilder, Tensor]:
        graph = NetworkBuilder(self.input_shape)
        return graph, self.build(graph, graph.input)


def layer_workload(name: str, origin: str, spec: LayerSpec) -> Workload:
    """A workload of one layer."""

    def build(graph: NetworkBuilder, x: Tensor) -> Tensor:
        return graph.layer(x, replace(spec, height=x.height, width=x.width))

    return Workload(name, "layer", origin, spec.input_shape, build)
