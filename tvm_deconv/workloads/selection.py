"""What to measure: named workloads, groups of them, and files of ONNX and TFLite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx
from onnx import helper

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.onnx import read_proto
from tvm_deconv.frontends.tflite import onnx_model

from . import find

_SUFFIXES = (".onnx", ".tflite")
_DTYPES: dict[int, np.dtype] = {
    helper.np_dtype_to_tensor_dtype(np.dtype(name)): np.dtype(name)
    for name in (
        *("float32", "float16", "float64", "bool", "int8", "int16", "int32", "int64"),
        *("uint8", "uint16", "uint32", "uint64"),
    )
}


class Measurable(Protocol):
    """What the benchmark asks of a workload: see ``tvm_deconv.workloads.Workload``."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def origin(self) -> str: ...
    @property
    def multiply_adds(self) -> int | None: ...
    def model(self) -> onnx.ModelProto: ...


@dataclass(frozen=True)
class Input:
    """An input of a model: a tensor of fixed shape, of a type that NumPy has."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype


def inputs_of(model: onnx.ModelProto, what: str) -> list[Input]:
    """The inputs of a model that is called ``what``, in its order.

    Raises ModelError for a model without inputs and for an input that is not such a tensor.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    found = [_input(value, what) for value in model.graph.input if value.name not in weights]
    if not found:
        raise ModelError(f"{what} has no inputs: there is nothing to measure")
    return found


def _input(value: onnx.ValueInfoProto, what: str) -> Input:
    kind = value.type.tensor_type  # empty where it is no tensor
    sizes = tuple(dim.dim_value for dim in kind.shape.dim)
    if not kind.HasField("shape") or 0 in sizes:
        raise ModelError(
            f"input {value.name!r} of {what} must be a tensor of a fixed shape: export the model so"
        )
    if kind.elem_type not in _DTYPES:
        raise ModelError(
            f"input {value.name!r} of {what} is of ONNX's element type {kind.elem_type}: the "
            f"benchmark takes {', '.join(map(str, _DTYPES.values()))}"
        )
    return Input(value.name, sizes, _DTYPES[kind.elem_type])


@dataclass(frozen=True)
class ModelFile:
    """A file whose inputs are tensors of fixed shapes.

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
        inputs_of(file.model(), str(file.path))
    return [*(find(names) if names else []), *files]
