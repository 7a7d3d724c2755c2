"""From an ONNX file to its proto, weights in files beside it included."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import checker, external_data_helper

from tvm_deconv.errors import ModelError, first_line
from tvm_deconv.frontends.model_file import read_model

# Every ModelProto that a serializer writes begins with its field 1, the IR version.
_FIRST_BYTE = b"\x08"


def read_proto(path: str | os.PathLike) -> onnx.ModelProto:
    """The model in an ONNX file, with the weights that lie in files beside it.

    Raises ModelError for a file that is missing, unreadable, not ONNX, damaged, or that refers to
    weights which are not there.
    """
    file = Path(path)
    data = read_model(file)
    if not data.startswith(_FIRST_BYTE):
        raise ModelError(f"{file} is not an ONNX model: give a file that an ONNX exporter wrote")
    try:
        proto = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ModelError(f"{file} is a damaged ONNX model: export or download it again") from error
    try:
        external_data_helper.load_external_data_for_model(proto, str(file.parent))
    except (OSError, ValueError, checker.ValidationError) as error:
        reason = first_line(error)
        raise ModelError(f"{file}: its external weights cannot be read: {reason}") from error
    return proto
