"""What the two programs for Relay share: reading an ONNX file, and this machine's target."""

from __future__ import annotations

from pathlib import Path

import onnx
import tvm
from google.protobuf.message import DecodeError
from tvm import relay

from tvm_deconv.errors import ModelError, first_line
from tvm_deconv.schedules import llvm


def read(path: Path, shapes: dict[str, tuple[int, ...]]) -> tvm.IRModule:
    """The Relay module of an ONNX file, weights inside, for inputs of these shapes.

    Raises ModelError for what cannot be read, and for an input without a whole shape.
    """
    try:
        model = onnx.load(path)
    except (OSError, ValueError, DecodeError) as error:
        raise ModelError(f"cannot read {path}: {first_line(error)}") from error
    weights = {weight.name for weight in model.graph.initializer}
    inputs = {value.name: value for value in model.graph.input if value.name not in weights}
    for name in shapes:
        if name not in inputs:
            raise ModelError(f"{path} has no input {name!r}; it has {', '.join(inputs)}")
    whole = {name: shapes.get(name) or _shape(value) for name, value in inputs.items()}
    for name, shape in whole.items():
        if shape is None:
            raise ModelError(f"input {name!r} is of free size: give --shape {name}=1,3,224,224")
    try:
        mod, _ = relay.frontend.from_onnx(model, whole, freeze_params=True)
    except (tvm.TVMError, tvm.error.OpError, NotImplementedError, ValueError) as error:
        raise ModelError(f"TVM cannot import {path}: {first_line(error)}") from error
    return mod


def host() -> str:
    """The target of this machine; the default of a vendor's TVM may be another processor's."""
    return f"llvm -mtriple={llvm.process_triple()} -mcpu={llvm.processor()}"


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    """The shape of an input; None if a part of it is free."""
    dims = value.type.tensor_type.shape.dim
    shape = tuple(dim.dim_value for dim in dims)
    return shape if dims and all(size > 0 for size in shape) else None
