"""From a TFLite file to the ONNX model of the same meaning, and on to Relax.

    read -> translate -> what ``frontends.onnx`` does

TVM has a Relax importer of TFLite files, which is not used. What it makes of TRANSPOSE_CONV, of
NHWC, no pass of TVM's can lower, and of NHWC our rules and templates have little; it reads only the
sizes that a file was converted with; AlignCorners takes other samples for nearest at a tie and
divides by zero for one sample; SYMMETRIC, SQUEEZE and EXPAND_DIMS fail. What an operator of ONNX
computes is held against ONNX Runtime here already, and the benchmark's other runtimes read the
translation, too.
"""

from __future__ import annotations

import os

import onnx
import tvm

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.onnx import from_onnx
from tvm_deconv.frontends.shapes import Shapes, read_shapes

from .convert import CONVERTERS, CUSTOM, Call
from .read import File, Operator, is_tflite, read_file
from .translation import NCHW, Translation

__all__ = ["from_tflite", "is_tflite", "onnx_model"]


def from_tflite(path: str | os.PathLike, shapes: Shapes | None = None) -> tvm.IRModule:
    """The network of a file as a Relax module: ``main`` with its inputs in order, weights inside.

    Inputs and outputs are as in the file: images are NHWC, integers those that are stored.
    ``shapes`` fixes free sizes of the inputs that it names.

    Raises ModelError for a file that is missing or damaged, for what is not computed, for
    ``shapes`` that do not fit, and where the package ``tflite`` is not installed.
    """
    file = read_file(path)
    translation = _translated(file, shapes)
    return from_onnx(_model(translation), file.name)


def onnx_model(path: str | os.PathLike) -> onnx.ModelProto:
    """The network of a file as an ONNX model whose images are NCHW, inputs and outputs too.

    Raises ModelError as ``from_tflite`` does.
    """
    file = read_file(path)
    return _model(_translated(file, None, images_are_nchw=True))


def _model(translation: Translation) -> onnx.ModelProto:
    file, names = translation.file, []
    for index in file.outputs:
        try:
            is_image = translation.images_are_nchw and len(translation.shape(index)) == 4
            names.append(translation.form(index, NCHW if is_image else None))
        except ModelError as error:
            raise ModelError(f"{file.name}: output {index} {error}") from error
    return translation.model(names)


def _translated(file: File, shapes: Shapes | None, images_are_nchw: bool = False) -> Translation:
    _check_operators(file)
    names = {file.tensors[index].name: file.tensors[index].shape for index in file.inputs}
    fixed = read_shapes(shapes, {name: len(shape) for name, shape in names.items()}, file.name)
    for name, wanted in fixed.items():
        for axis, (size, asked) in enumerate(zip(names[name], wanted, strict=True)):
            if size not in (None, asked):
                raise ModelError(
                    f"axis {axis} of input {name!r} of {file.name} is fixed at {size}, asked for "
                    f"{asked}"
                )
    translation = Translation(file, fixed, images_are_nchw)
    for operator in file.operators:
        _translate(translation, operator)
    return translation


def _translate(translation: Translation, operator: Operator) -> None:
    where = translation.where(operator)
    translation.facts.name = where
    table = CUSTOM if operator.is_custom else CONVERTERS
    try:
        table[operator.name](Call(translation, operator))
    except ModelError as error:
        reason = str(error)
        raise ModelError(reason if reason.startswith(where) else f"{where}: {reason}") from error


def _check_operators(file: File) -> None:
    """Raise ModelError that names all operators that are missing, and the first of their nodes."""
    missing = [o for o in file.operators if o.name not in (CUSTOM if o.is_custom else CONVERTERS)]
    if missing:
        names = sorted({f"{o.name} (custom)" if o.is_custom else o.name for o in missing})
        plural = "s" if len(names) > 1 else ""
        raise ModelError(
            f"{file.name} uses operator{plural} {', '.join(names)}, which cannot be imported (node "
            f"{missing[0].index}): convert the model without"
        )
