"""LiteRT and integers: weights that it should read as floats, and scales that are a little off."""

from __future__ import annotations

from collections.abc import Callable
from math import frexp
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tvm_deconv.frontends.tflite.read import File

from .mediapipe import add_buffer
from .rounding import nearby_scale


def with_float_weights(file: File, copy: Callable[[], Any]) -> Any:
    """A copy of the model with the integer weights of its float layers as floats, None without any.

    LiteRT brings the activations of such a layer ("dynamic range") to 8 bits whenever it runs, so
    that its result is off by a part in a hundred. We do not, and are held against what is exact.
    """
    found: set[int] = set()
    for operator in file.operators:
        results = [file.tensors[index] for index in operator.outputs if index >= 0]
        is_float = all(tensor.dtype == "float32" for tensor in results)
        if is_float and operator.name != "DEQUANTIZE":
            found |= {
                index
                for index in operator.inputs
                if index >= 0
                and file.tensors[index].data is not None
                and file.tensors[index].quantization is not None
            }
    if not found:
        return None
    model = copy()
    (graph,) = model.subgraphs[:1]
    for index in found:
        data, quantization = file.tensors[index].data, file.tensors[index].quantization
        assert data is not None and quantization is not None
        tensor = graph.tensors[index]
        tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None
        tensor.buffer = add_buffer(model, quantization.real(data))
    return model


def move_scales(model: Any, seed: int) -> None:
    """Move the scales of what is computed, in place; equal ones alike, as kernels ask for it.

    Powers of 2 stay: functions whose results have known bounds ask for one.
    """
    for tensor in model.subgraphs[0].tensors:
        quantization, held = tensor.quantization, model.buffers[tensor.buffer].data
        is_constant = held is not None and len(held)
        if is_constant or quantization is None or quantization.scale is None:
            continue
        quantization.scale = np.array(
            [_moved(float(scale), seed) for scale in quantization.scale], np.float32
        )


def _moved(scale: float, seed: int) -> float:
    mantissa, _ = frexp(scale)
    return scale if mantissa == 0.5 else nearby_scale(scale, seed)
