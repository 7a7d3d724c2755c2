"""What contestants compute of a workload, and when their results count.

A network of floats counts within ``TOLERANCE`` of a float64 run, at the largest error of all its
outputs. Of a network of 8 bits each tie that is rounded the other way is an error of a unit, which
later layers pass on: there it is the root of the mean square that counts, against the graph as ONNX
Runtime computes it node by node. A file that is quantized is measured as it is, whatever type is
asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto

from tvm_deconv.checking.draws import draw
from tvm_deconv.errors import BenchError, first_line
from tvm_deconv.measure.onnx_reference import float64_results
from tvm_deconv.measure.reference import TOLERANCE, largest_error, relative_errors
from tvm_deconv.quantization.required import is_quantized
from tvm_deconv.workloads.selection import Measurable, inputs_of

MODEL, FLOAT = "model", "float32"
"""The workload as it is measured, and the network of floats that one of 8 bits was made of."""

EIGHT_BITS = "int8"
"""The dtype of a result file of networks of 8 bits."""

# Of the largest value: one unit of a byte is 4e-3, and 36 layers make a hundredth of it.
_SPREAD = 3e-2

Feed = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Subject:
    """A model, the results that are right, and how far from them results still count.

    ``distance`` of each output is held against ``tolerance``, called ``words``.
    """

    model: onnx.ModelProto = field(repr=False)
    expected: Sequence[np.ndarray] = field(repr=False)
    tolerance: float
    distance: Callable[[np.ndarray, np.ndarray], float]
    words: str

    def error(self, results: Sequence[np.ndarray]) -> float:
        """The largest distance of all outputs. Raises ValueError for results of other shapes."""
        return max(map(self.distance, results, self.expected))


def drawn_for(workload: Measurable) -> dict[str, np.ndarray]:
    """The inputs that a workload is measured on: floats in [0, 1), bytes any, else 0 and 1."""
    rng = np.random.default_rng(0)
    inputs = inputs_of(workload.model(), workload.name)
    return {each.name: draw(rng, each.shape, each.dtype) for each in inputs}


def subjects_of(workload: Measurable, feed: Feed, dtype: str) -> dict[str, Subject]:
    """What there is to compute of a workload on ``feed``, by name: of one of bytes no FLOAT.

    Raises QuantizationError for a workload that ONNX Runtime cannot quantize (dtype "int8").
    """
    model = workload.model()
    if is_quantized(model):
        return {MODEL: _of_bytes(model, feed)}
    try:
        expected = float64_results(model, feed)
    except Exception as error:  # the reference of the ONNX package raises whatever it meets
        raise BenchError(
            f"{workload.name} has no reference in float64: {first_line(error)}; leave it away"
        ) from error
    tolerance = TOLERANCE["float16" if _is_half(model) else "float32"]
    plain = Subject(model, expected, tolerance, largest_error, "largest error")
    if dtype != EIGHT_BITS:
        return {MODEL: plain}
    # ONNX Runtime is an extra, which float32 does without.
    from tvm_deconv.quantization.onnx_quantizer import quantized_on_noise

    twin = quantized_on_noise(model, workload.name)
    return {MODEL: _of_bytes(twin, feed), FLOAT: plain}


def _is_half(model: onnx.ModelProto) -> bool:
    """Whether an input, output or weight is of float16."""
    graph = model.graph
    kinds = {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)}
    kinds |= {tensor.data_type for tensor in graph.initializer}
    return TensorProto.FLOAT16 in kinds


def _of_bytes(model: onnx.ModelProto, feed: Feed) -> Subject:
    from tvm_deconv.checking.onnx_session import session_of

    expected = session_of(model).run(None, dict(feed))
    return Subject(model, expected, _SPREAD, spread, "error's root mean square")


def spread(got: np.ndarray, expected: np.ndarray) -> float:
    """The root of the mean square of the differences, relative to the largest expected value.

    Raises ValueError for arrays of different shapes; inf for a NaN.
    """
    errors = relative_errors(got, expected)
    error = float(np.sqrt(np.square(errors).sum() / max(errors.size, 1)))
    return error if np.isfinite(error) else float("inf")
