"""What an ONNX model computes in float64: the result that every contestant is held against.

ONNX's own reference evaluator runs the model with its weights converted to float64. Convolutions
and nearest resizes, nearly all of the work, are those of ``reference``: the evaluator's loops in
Python would take minutes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.ops.op_conv import Conv as SlowConv
from onnx.reference.ops.op_conv_transpose import ConvTranspose as SlowConvTranspose
from onnx.reference.ops.op_resize import Resize as SlowResize

from . import reference


def float64_result(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """The one output of ``model``, float64, for the one input ``x``."""
    evaluator = ReferenceEvaluator(_in_float64(model), new_ops=[Conv, ConvTranspose, Resize])
    (result,) = evaluator.run(None, {evaluator.input_names[0]: x.astype(np.float64)})
    return np.asarray(result)


def _in_float64(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose weights, constants and casts are float64 wherever they were float32."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        _widen(tensor)
    for node in copy.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                _widen(attribute.t)
            elif (node.op_type, attribute.name, attribute.i) == ("Cast", "to", TensorProto.FLOAT):
                attribute.i = TensorProto.DOUBLE
    for value in (*copy.graph.input, *copy.graph.output):
        value.type.tensor_type.elem_type = TensorProto.DOUBLE
    return copy


def _widen(tensor: TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT:
        values = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


class Conv(SlowConv):
    """Two-dimensional convolution."""

    def _run(self, X: Any, W: Any, B: Any = None, *args: Any, **attributes: Any) -> Any:
        x, w, b = X, W, B
        if x.ndim != 4 or attributes.get("auto_pad", "NOTSET") != "NOTSET":
            return super()._run(x, w, b, **attributes)
        y = reference.conv2d(
            x,
            w,
            strides=attributes.get("strides") or (1, 1),
            padding=attributes.get("pads") or (0, 0, 0, 0),
            dilation=attributes.get("dilations") or (1, 1),
            groups=attributes.get("group") or 1,
        )
        return (y if b is None else y + b.reshape(-1, 1, 1),)


class ConvTranspose(SlowConvTranspose):
    """Two-dimensional transposed convolution."""

    def _run(self, X: Any, W: Any, B: Any = None, *args: Any, **attributes: Any) -> Any:
        x, w, b = X, W, B
        if (
            x.ndim != 4
            or attributes.get("auto_pad", "NOTSET") != "NOTSET"
            or attributes.get("output_shape")
        ):
            return super()._run(x, w, b, **attributes)
        y = reference.conv2d_transpose(
            x,
            w,
            strides=attributes.get("strides") or (1, 1),
            padding=attributes.get("pads") or (0, 0, 0, 0),
            output_padding=attributes.get("output_padding") or (0, 0),
            dilation=attributes.get("dilations") or (1, 1),
            groups=attributes.get("group") or 1,
        )
        return (y if b is None else y + b.reshape(-1, 1, 1),)


class Resize(SlowResize):
    """Nearest resize by whole factors: every pixel repeated."""

    def _run(
        self, X: Any, roi: Any = None, scales: Any = None, sizes: Any = None, *args: Any, **how: Any
    ) -> Any:
        x = X
        repeats = how.get("mode") == "nearest" and (
            how.get("coordinate_transformation_mode"),
            how.get("nearest_mode"),
        ) == ("asymmetric", "floor")
        if not repeats or scales is None or x.ndim != 4 or how.get("axes"):
            return super()._run(x, roi, scales, sizes, **how)
        factors = [int(scale) for scale in scales]
        if factors != list(scales) or factors[:2] != [1, 1]:
            return super()._run(x, roi, scales, sizes, **how)
        return (x.repeat(factors[2], axis=2).repeat(factors[3], axis=3),)
