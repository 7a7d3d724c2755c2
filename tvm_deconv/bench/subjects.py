"""What contestants compute of a workload, and when their result counts.

A network of floats counts within ``TOLERANCE`` of a float64 run, at its largest error. Of a network
of 8 bits each tie that is rounded the other way is an error of a unit, which later layers pass on:
there it is the root of the mean square that counts, against the graph as ONNX Runtime computes it
node by node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx

from tvm_deconv.measure.onnx_reference import float64_result
from tvm_deconv.measure.reference import TOLERANCE, largest_error
from tvm_deconv.workloads.selection import Measurable

MODEL, FLOAT = "model", "float32"
"""The workload as it is measured, and the network of floats that one of 8 bits was made of."""

EIGHT_BITS = "int8"
"""The dtype of a result file of networks of 8 bits."""

# Of the largest value: one unit of a byte is 4e-3, and 36 layers make a hundredth of it.
_SPREAD = 3e-2
# Pictures that scales are taken from.
_CALIBRATED = 2


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


def subjects_of(workload: Measurable, x: np.ndarray, dtype: str) -> dict[str, Subject]:
    """What there is to compute of a workload on ``x``, by name.

    Raises QuantizationError for a workload that ONNX Runtime cannot quantize (dtype "int8").
    """
    model = workload.model()
    plain = Subject(
        model, float64_result(model, x), TOLERANCE["float32"], largest_error, "largest error"
    )
    if dtype != EIGHT_BITS:
        return {MODEL: plain}
    # ONNX Runtime is an extra, which float32 does without.
    from tvm_deconv.quantization.onnx_network import session_of
    from tvm_deconv.quantization.onnx_quantizer import quantized

    rng, (name,) = np.random.default_rng(1), _inputs(model)
    feeds = ({name: rng.random(x.shape, dtype=np.float32)} for _ in range(_CALIBRATED))
    twin = quantized(model, workload.name, feeds)
    (expected,) = session_of(twin).run(None, {name: x})
    return {
        MODEL: Subject(twin, expected, _SPREAD, spread, "error's root mean square"),
        FLOAT: plain,
    }


def spread(got: np.ndarray, expected: np.ndarray) -> float:
    """The root of the mean square of the differences, relative to the largest expected value.

    Raises ValueError for arrays of different shapes; inf for a NaN.
    """
    if got.shape != expected.shape:
        raise ValueError(f"the result has shape {got.shape} instead of {expected.shape}")
    difference = got.astype("float64") - expected
    error = float(np.sqrt(np.mean(difference**2)) / np.abs(expected).max())
    return error if np.isfinite(error) else float("inf")


def _inputs(model: onnx.ModelProto) -> list[str]:
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value.name for value in model.graph.input if value.name not in weights]
