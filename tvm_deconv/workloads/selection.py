"""What to measure: named workloads, groups of them, and files of ONNX and TFLite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import onnx

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.onnx import read_proto
from tvm_deconv.frontends.tflite import onnx_model

from . import find

_SUFFIXES = (".onnx", ".tflite")
_TAKEN = (onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8, onnx.TensorProto.INT8)


class Measurable(Protocol):
    """What the benchmark asks of a workload: see ``tvm_deconv.workloads.Workload``."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def origin(self) -> str: ...
    @property
    def input_shape(self) -> tuple[int, ...]: ...
    @property
    def multiply_adds(self) -> int | None: ...
    def model(self) -> onnx.ModelProto: ...


@dataclass(frozen=True)
class ModelFile:
    """A file with one input, float32, uint8 or int8 of fixed shape, and one output.

    A TFLite file is measured as the ONNX model that we translate it to, with images in NCHW, by
    all contestants.
    """

    path: Path
    kind: str = "network"
    multiply_adds: int | None = None

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def origin(self) -> str:
        return f"file {self.path.name}"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Raises ModelError for a model of another form than the class describes."""
        graph = self._proto.graph
        weights = {tensor.name for tensor in graph.initializer}
        inputs = [value for value in graph.input if value.name not in weights]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise ModelError(
                f"{self.path} has {len(inputs)} inputs and {len(graph.output)} outputs: "
                "the benchmark takes models with one of each"
            )
        kind = inputs[0].type.tensor_type
        sizes = tuple(dim.dim_value for dim in kind.shape.dim)
        if kind.elem_type not in _TAKEN or not sizes or 0 in sizes:
            raise ModelError(
                f"input {inputs[0].name!r} of {self.path} must be float32, uint8 or int8 of a "
                "fixed shape: export the model so"
            )
        return sizes

    def model(self) -> onnx.ModelProto:
        return self._proto

    @cached_property
    def _proto(self) -> onnx.ModelProto:
        return onnx_model(self.path) if self.path.suffix == ".tflite" else read_proto(self.path)


def select(patterns: Sequence[str]) -> list[Measurable]:
    """The workloads of ``tvm_deconv.workloads.find``, and a file for each pattern that ends in
    ``.onnx`` or ``.tflite``.

    Raises WorkloadError for a name that nothing has, ModelError for a file that is none or not of
    the form that ``ModelFile`` describes.
    """
    names = [pattern for pattern in patterns if not pattern.endswith(_SUFFIXES)]
    files = [ModelFile(Path(pattern)) for pattern in patterns if pattern.endswith(_SUFFIXES)]
    for file in files:
        _ = file.input_shape
    return [*(find(names) if names else []), *files]
