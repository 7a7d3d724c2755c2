"""MediaPipe's custom operator in operators that LiteRT has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.tflite.convert.transposed import (
    transpose_conv_bias_crop,
    transpose_conv_bias_options,
)
from tvm_deconv.frontends.tflite.read import File, Operator

CUSTOM = "Convolution2DTransposeBias"


def with_builtin_operators(file: File, copy: Callable[[], Any]) -> Any:
    """A copy of the model with TRANSPOSE_CONV for Convolution2DTransposeBias, None without one.

    Under SAME MediaPipe crops ``max(k - (n - 1) mod s - 1, 0)`` samples of an axis, LiteRT what a
    convolution of the output would pad. That convolution gives n samples again, so both are the
    same. At free sizes the operator stays as it is, and LiteRT refuses it.
    """
    found = {each.index: each for each in file.operators if each.name == CUSTOM}
    operands = {index: _operands(file, each) for index, each in found.items()}
    if not any(operands.values()):
        return None
    model = copy()
    (graph,) = model.subgraphs[:1]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.TRANSPOSE_CONV
    code.version = 3  # the first with a bias
    model.operatorCodes.append(code)
    for index, known in operands.items():
        if known is None:
            continue
        shape, options = known
        operator = schema.OperatorT()
        operator.opcodeIndex = len(model.operatorCodes) - 1
        image, weights, bias = found[index].inputs
        operator.inputs = [_constant(model, shape), weights, image, bias]
        operator.outputs = list(found[index].outputs)
        operator.builtinOptionsType = schema.BuiltinOptions.TransposeConvOptions
        operator.builtinOptions = options
        graph.operators[index] = operator
    return model


def _operands(file: File, operator: Operator) -> tuple[np.ndarray, Any] | None:
    """The output's shape and the options of TRANSPOSE_CONV."""
    try:
        is_same, strides = transpose_conv_bias_options(operator.custom)
    except ModelError:
        return None
    if len(operator.inputs) != 3:
        return None
    image, weights = (file.tensors[index].shape for index in operator.inputs[:2])
    if len(image) != 4 or len(weights) != 4:
        return None
    sizes = []
    for size, kernel, stride in zip(image[1:3], weights[1:3], strides, strict=True):
        if size is None or kernel is None:
            return None
        crop = transpose_conv_bias_crop(size, kernel, stride) if is_same else 0
        sizes.append((size - 1) * stride + kernel - crop)
    options = schema.TransposeConvOptionsT()
    options.padding = schema.Padding.SAME if is_same else schema.Padding.VALID
    options.strideH, options.strideW = strides
    return np.array([image[0], *sizes, weights[0]], np.int32), options


def add_buffer(model: Any, values: np.ndarray) -> int:
    """A buffer of the model with these values; its number."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def _constant(model: Any, values: np.ndarray) -> int:
    """A constant of the model; its number."""
    tensor = schema.TensorT()
    tensor.shape = np.array(values.shape, np.int32)
    tensor.type = schema.TensorType.INT32
    tensor.buffer = add_buffer(model, values)
    tensor.name = f"output_shape_{tensor.buffer}"
    (graph,) = model.subgraphs[:1]
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1
