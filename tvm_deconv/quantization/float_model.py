"""What may be quantized: an ONNX model of floats."""

from __future__ import annotations

import os
from pathlib import Path

import onnx

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.onnx import read_proto
from tvm_deconv.frontends.onnx.nodes import label
from tvm_deconv.frontends.tflite import is_tflite
from tvm_deconv.importer import is_program

from .required import integer_node

# Protobuf writes no longer messages.
_LONGEST = 2**31 - 1


def read_float(model: str | os.PathLike | onnx.ModelProto) -> tuple[onnx.ModelProto, str]:
    """The model, and what messages call it.

    Raises ModelError for a model that is not ONNX, cannot be read, has integers already or is too
    large to be written as one file.
    """
    if isinstance(model, onnx.ModelProto):
        proto, name = model, model.graph.name or "ModelProto"
    elif isinstance(model, (str, os.PathLike)):
        name = os.fspath(model)
        _check_kind(Path(model))
        proto = read_proto(model)
    else:
        raise ModelError(
            f"quantize takes an ONNX file or an onnx.ModelProto, got {type(model).__name__}"
        )
    node = integer_node(proto)
    if node is not None:
        raise ModelError(
            f"{name} is quantized already, by {node.op_type} {label(node)!r}: give the model of "
            "floats"
        )
    if proto.ByteSize() > _LONGEST:
        raise ModelError(f"{name} is larger than 2 GB, which ONNX Runtime's quantizer cannot read")
    return proto, name


def _check_kind(file: Path) -> None:
    kinds = {"TFLite file": is_tflite(file), "PyTorch program": is_program(file)}
    for kind, fits in kinds.items():
        if fits:
            raise ModelError(
                f"{file} is a {kind}, but quantize takes ONNX files only: export it to ONNX"
            )
