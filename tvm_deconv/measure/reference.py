"""What a model computes in float64: the result that every contestant is held against.

ONNX's own reference evaluator runs the model with its weights converted to float64. Convolutions
and nearest resizes, nearly all of the work, get the implementations below, as matrix products: the
evaluator's loops in Python would take minutes.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.ops.op_conv import Conv as SlowConv
from onnx.reference.ops.op_conv_transpose import ConvTranspose as SlowConvTranspose
from onnx.reference.ops.op_resize import Resize as SlowResize


def float64_result(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """The one output of ``model``, float64, for the one input ``x``."""
    evaluator = ReferenceEvaluator(_in_float64(model), new_ops=[Conv, ConvTranspose, Resize])
    (result,) = evaluator.run(None, {evaluator.input_names[0]: x.astype(np.float64)})
    return np.asarray(result)


def largest_error(got: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, relative to the largest value of ``expected``; inf for a NaN.

    Raises ValueError for arrays of different shapes.
    """
    if got.shape != expected.shape:
        raise ValueError(f"the result has shape {got.shape} instead of {expected.shape}")
    error = float(np.abs(got - expected).max() / np.abs(expected).max())
    return error if np.isfinite(error) else float("inf")


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


def _every(tap: int, dilation: int, count: int, stride: int) -> slice:
    """The ``count`` pixels, ``stride`` apart, that a tap meets along one axis."""
    first = tap * dilation
    return slice(first, first + (count - 1) * stride + 1, stride)


class Conv(SlowConv):
    """Two-dimensional convolution: a matrix product for each tap."""

    def _run(self, X: Any, W: Any, B: Any = None, *args: Any, **attributes: Any) -> Any:
        x, w, b = X, W, B
        if x.ndim != 4 or attributes.get("auto_pad", "NOTSET") != "NOTSET":
            return super()._run(x, w, b, **attributes)
        top, left, bottom, right = attributes.get("pads") or [0] * 4
        strides = attributes.get("strides") or [1, 1]
        dilations = attributes.get("dilations") or [1, 1]
        groups = attributes.get("group") or 1
        x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
        sizes = [
            (size - (kernel - 1) * dilation - 1) // stride + 1
            for size, kernel, dilation, stride in zip(
                x.shape[2:], w.shape[2:], dilations, strides, strict=True
            )
        ]
        batch, outputs, pixels = x.shape[0], w.shape[0], sizes[0] * sizes[1]
        y = np.zeros((batch, groups, outputs // groups, pixels))
        for kh, kw in product(*map(range, w.shape[2:])):
            rows, columns = map(_every, (kh, kw), dilations, sizes, strides)
            seen = x[:, :, rows, columns].reshape(batch, groups, -1, pixels)
            y += w[:, :, kh, kw].reshape(groups, outputs // groups, -1) @ seen
        y = y.reshape(batch, outputs, *sizes)
        return (y if b is None else y + b.reshape(-1, 1, 1),)


class ConvTranspose(SlowConvTranspose):
    """Two-dimensional transposed convolution: each tap's matrix product is added where it lands."""

    def _run(self, X: Any, W: Any, B: Any = None, *args: Any, **attributes: Any) -> Any:
        x, w, b = X, W, B
        if (
            x.ndim != 4
            or attributes.get("auto_pad", "NOTSET") != "NOTSET"
            or attributes.get("output_shape")
        ):
            return super()._run(x, w, b, **attributes)
        pads = attributes.get("pads") or [0] * 4
        strides = attributes.get("strides") or [1, 1]
        dilations = attributes.get("dilations") or [1, 1]
        extra = attributes.get("output_padding") or [0, 0]
        groups = attributes.get("group") or 1
        batch, channels, *sizes = x.shape
        full = [
            (size - 1) * stride + (kernel - 1) * dilation + 1
            for size, stride, kernel, dilation in zip(
                sizes, strides, w.shape[2:], dilations, strict=True
            )
        ]
        outputs = w.shape[1] * groups
        y = np.zeros((batch, outputs, full[0] + extra[0], full[1] + extra[1]))
        seen = x.reshape(batch, groups, channels // groups, -1)
        for kh, kw in product(*map(range, w.shape[2:])):
            tap = w[:, :, kh, kw].reshape(groups, channels // groups, -1).transpose(0, 2, 1)
            rows, columns = map(_every, (kh, kw), dilations, sizes, strides)
            y[:, :, rows, columns] += (tap @ seen).reshape(batch, outputs, *sizes)
        y = y[:, :, pads[0] : y.shape[2] - pads[2], pads[1] : y.shape[3] - pads[3]]
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
