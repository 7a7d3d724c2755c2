"""What contestants compute of a workload, and when their result counts.

A network of floats counts within ``TOLERANCE`` of a float64 run, at its largest error. Of a network
of 8 bits each tie that is rounded the other way is an error of a unit, which later layers pass on:
there it is the root of the mean square that counts, against the graph as ONNX Runtime computes it
node by node. A file that is quantized is measured as it is, whatever type is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx

from tvm_deconv.errors import BenchError, first_line
from tvm_deconv.measure.onnx_reference import float64_result
from tvm_deconv.measure.reference import TOLERANCE, largest_error
from tvm_deconv.quantization.required import is_quantized
from tvm_deconv.workloads.selection import Measurable

MODEL, FLOAT = "model", "float32"
"""The workload as it is measured, and the network of floats that one of 8 bits was made of."""

EIGHT_BITS = "int8"
"""The dtype of a result file of networks of 8 bits."""

# Of the largest value: one unit of a byte is 4e-3, and 36 layers make a hundredth of it.
_SPREAD = 3e-2


@dataclass(frozen=True)
class Subject:
    """A model, the result that is right, and how far from it a result still counts.

    ``error`` is what is held against ``tolerance``, called ``words``.
    """

    model: onnx.ModelProto = field(repr=False)
    expected: np.ndarray = field(repr=False)
    tolerance: float
    error: Callable[[np.ndarray, np.ndarray], float]
    words: str


def drawn_for(workload: Measurable) -> np.ndarray:
    """The input that a workload is measured on: of floats in [0, 1), of bytes any."""
    rng, shape = np.random.default_rng(0), workload.input_shape
    model = workload.model()
    (kind,) = (value.type for value in model.graph.input if value.name in _inputs(model))
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.tensor_type.elem_type)
    if dtype.kind == "f":
        return rng.random(shape, dtype=np.float32)
    bounds = np.iinfo(dtype)
    return rng.integers(bounds.min, bounds.max, shape, dtype, endpoint=True)


def subjects_of(workload: Measurable, x: np.ndarray, dtype: str) -> dict[str, Subject]:
    """What there is to compute of a workload on ``x``, by name: of one of bytes no FLOAT.

    Raises QuantizationError for a workload that ONNX Runtime cannot quantize (dtype "int8").
    """
    model = workload.model()
    if is_quantized(model):
        return {MODEL: _of_bytes(model, x)}
    try:
        expected = float64_result(model, x)
    except Exception as error:  # the reference of the ONNX package raises whatever it meets
        raise BenchError(
            f"{workload.name} has no reference in float64: {first_line(error)}; leave it away"
        ) from error
    plain = Subject(model, expected, TOLERANCE["float32"], largest_error, "largest error")
    if dtype != EIGHT_BITS:
        return {MODEL: plain}
    # ONNX Runtime is an extra, which float32 does without.
    from tvm_deconv.quantization.onnx_quantizer import quantized_on_noise

    twin = quantized_on_noise(model, workload.name, x.shape)
    return {MODEL: _of_bytes(twin, x), FLOAT: plain}


def _of_bytes(model: onnx.ModelProto, x: np.ndarray) -> Subject:
    from tvm_deconv.quantization.onnx_network import session_of

    (name,) = _inputs(model)
    (expected,) = session_of(model).run(None, {name: x})
    return Subject(model, expected, _SPREAD, spread, "error's root mean square")


def spread(got: np.ndarray, expected: np.ndarray) -> float:
    """The root of the mean square of the differences, relative to the largest expected value.

    Raises ValueError for arrays of different shapes; inf for a NaN.
    """
    if got.shape != expected.shape:
        raise ValueError(f"the result has shape {got.shape} instead of {expected.shape}")
    expected = expected.astype("float64")
    difference = got.astype("float64") - expected
    error = float(np.sqrt(np.mean(difference**2)) / np.abs(expected).max())
    return error if np.isfinite(error) else float("inf")


def _inputs(model: onnx.ModelProto) -> list[str]:
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value.name for value in model.graph.input if value.name not in weights]
