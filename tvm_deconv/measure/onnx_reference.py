"""What an ONNX model computes in float64: the result that every contestant is held against.

ONNX's own reference evaluator runs the model with its weights converted to float64. Convolutions,
nearest resizes and samples of grids, nearly all of the work, are computed by NumPy: the evaluator's
loops in Python would take minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.ops.op_conv import Conv as SlowConv
from onnx.reference.ops.op_conv_transpose import ConvTranspose as SlowConvTranspose
from onnx.reference.ops.op_grid_sample import GridSample as SlowGridSample
from onnx.reference.ops.op_resize import Resize as SlowResize

from . import reference

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)


def float64_results(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs of ``model`` for inputs by name; what is floats is float64."""
    evaluator = ReferenceEvaluator(
        _in_float64(model), new_ops=[Conv, ConvTranspose, Resize, GridSample]
    )
    found = evaluator.run(
        None,
        {
            name: value.astype(np.float64) if value.dtype.kind == "f" else value
            for name, value in inputs.items()
        },
    )
    return [np.asarray(result) for result in found]


def _in_float64(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose weights, constants and casts are float64 wherever they were of fewer bits."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _widen_graph(copy.graph)
    return copy


def _widen_graph(graph: onnx.GraphProto) -> None:
    for tensor in graph.initializer:
        _widen(tensor)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                _widen(attribute.t)
            elif attribute.type == onnx.AttributeProto.GRAPH:
                _widen_graph(attribute.g)
            elif (node.op_type, attribute.name) == ("Cast", "to") and attribute.i in _FLOATS:
                attribute.i = TensorProto.DOUBLE
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type in _FLOATS:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE


def _widen(tensor: TensorProto) -> None:
    if tensor.data_type in _FLOATS:
        values = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


class Conv(SlowConv):
    """Convolution of any number of axes."""

    def _run(self, X: Any, W: Any, B: Any = None, *args: Any, **attributes: Any) -> Any:
        x, w, b = X, W, B
        if attributes.get("auto_pad", "NOTSET") != "NOTSET":
            return super()._run(x, w, b, **attributes)
        y = reference.convolution(
            x,
            w,
            strides=attributes.get("strides") or (),
            padding=attributes.get("pads") or (),
            dilation=attributes.get("dilations") or (),
            groups=attributes.get("group") or 1,
        )
        return (_with_bias(y, b),)


class ConvTranspose(SlowConvTranspose):
    """Transposed convolution of any number of axes."""

    def _run(self, X: Any, W: Any, B: Any = None, *args: Any, **attributes: Any) -> Any:
        x, w, b = X, W, B
        if attributes.get("auto_pad", "NOTSET") != "NOTSET" or attributes.get("output_shape"):
            return super()._run(x, w, b, **attributes)
        y = reference.transposed_convolution(
            x,
            w,
            strides=attributes.get("strides") or (),
            padding=attributes.get("pads") or (),
            output_padding=attributes.get("output_padding") or (),
            dilation=attributes.get("dilations") or (),
            groups=attributes.get("group") or 1,
        )
        return (_with_bias(y, b),)


def _with_bias(y: np.ndarray, b: Any) -> np.ndarray:
    return y if b is None else y + b.reshape(-1, *(1,) * (y.ndim - 2))


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


class GridSample(SlowGridSample):
    """Linear samples of pictures, with zeros or copies of the edge around them."""

    def _run(self, X: Any, grid: Any, *args: Any, **how: Any) -> Any:
        x, padding = X, how.get("padding_mode") or "zeros"
        linear = (how.get("mode") or "linear") in ("linear", "bilinear")
        if x.ndim != 4 or not linear or padding not in ("zeros", "border"):
            return super()._run(x, grid, **how)
        places = []
        for size, at in zip(x.shape[2:], (grid[..., 1], grid[..., 0]), strict=True):
            found = (at + 1) / 2 * (size - 1)
            if not how.get("align_corners"):
                found = ((at + 1) * size - 1) / 2
            # Beyond these all is the same.
            places.append(np.clip(found, *((-1, size) if padding == "zeros" else (0, size - 1))))
        around = ((0, 0), (0, 0), (1, 2), (1, 2))
        padded = np.pad(x, around, "constant" if padding == "zeros" else "edge")
        image = np.arange(x.shape[0]).reshape(-1, 1, 1)
        (top, left), (down, right) = zip(*(_whole_and_rest(place) for place in places), strict=True)
        result = np.zeros((*grid.shape[:3], x.shape[1]))
        for (dy, y), (dx, weight) in product(
            ((0, 1 - down), (1, down)), ((0, 1 - right), (1, right))
        ):
            result += (y * weight)[..., None] * padded[image, :, top + 1 + dy, left + 1 + dx]
        return (result.transpose(0, 3, 1, 2),)


def _whole_and_rest(place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    whole = np.floor(place)
    return whole.astype(np.int64), place - whole
