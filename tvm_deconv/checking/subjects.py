"""Which runtime a model is held against: the one place that knows them all.

Another kind of model is a class of ``subject.Subject`` in a module of its own, which imports its
runtime, and its lines here.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

import onnx

from tvm_deconv.errors import CheckError
from tvm_deconv.frontends.tflite.read import is_tflite
from tvm_deconv.importer import is_exported, is_program

from .subject import Subject


def subject_of(model: Any) -> Subject:
    """The subject of whatever ``tvm_deconv.compile`` takes but a Relax module.

    Raises CheckError for a model that no other runtime can run, and where the runtime is not
    installed; ModelError for a file that cannot be read.
    """
    if isinstance(model, (str, os.PathLike)) and is_program(model):
        _required("torch", "PyTorch")
        from tvm_deconv.frontends.torch import read_program

        model = read_program(model)
    elif isinstance(model, (str, os.PathLike)) and is_tflite(model):
        _required("ai_edge_litert", "LiteRT", "ai-edge-litert")
        from .tflite_subject import TfliteSubject

        return TfliteSubject(model)
    if isinstance(model, (str, os.PathLike, onnx.ModelProto)):
        _required("onnxruntime", "ONNX Runtime")
        from .onnx_subject import OnnxSubject

        return OnnxSubject.of(model)
    if is_exported(model):
        from .torch_subject import TorchSubject

        return TorchSubject(model)
    raise CheckError(
        "check takes an ONNX or TFLite file, a .pt2 file, an onnx.ModelProto or a "
        f"torch.export.ExportedProgram: there is nothing to hold a {type(model).__name__} against"
    )


def _required(module: str, name: str, package: str = "") -> None:
    """Raise CheckError, which says what to install, where ``module`` is not there."""
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise CheckError(
            f"check holds this model against {name}, which is not installed: "
            f"pip install {package or module}"
        ) from error
