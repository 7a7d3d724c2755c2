"""Nodes of constants, evaluated by the standard's own reference implementation.

Exporters compute pads, sizes and scales by chains of operators on constants, which TVM's importer
takes for tensors. ``onnx.reference`` is kept by those who keep the standard, and is a part of the
package that reads the files anyway.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from .nodes import STANDARD, bodies, words

# A result may have this many bytes whatever its inputs have, and always half as much again as they.
_BYTES = 4 << 20

# What is left to TVM's own folding: the reference is too slow for them, or gives another result
# each time.
_SLOW = words(
    "Conv ConvInteger ConvTranspose DeformConv GRU GridSample LSTM MaxRoiPool MaxUnpool "
    "NonMaxSuppression QLinearConv RNN Resize RoiAlign Upsample AveragePool MaxPool LpPool "
    "DFT STFT LRN AffineGrid Col2Im Attention"
)
_RANDOM = words(
    "Bernoulli Dropout Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike"
)

_VIEWS: dict[str, Callable[..., np.ndarray]] = {
    "Squeeze": np.squeeze,
    "Unsqueeze": np.expand_dims,
}

# What the reference's NumPy code may hit, on operators that it has not or inputs that do not fit.
_FAILURES = (
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)


def is_foldable(node: onnx.NodeProto) -> bool:
    """Whether the operator may be evaluated where all of its inputs are constants."""
    return (
        node.domain in STANDARD
        and node.op_type not in _SLOW | _RANDOM
        and not any(True for _ in bodies(node))
    )


def fits(outputs: Sequence[onnx.TypeProto | None], inputs: Sequence[np.ndarray]) -> bool:
    """Whether tensors of these types are small enough to be constants in place of ``inputs``."""
    allowed = max(_BYTES, sum(array.nbytes for array in inputs) * 3 // 2)
    total = 0
    for kind in outputs:
        if kind is None or not kind.tensor_type.HasField("shape"):
            return False
        dims = kind.tensor_type.shape.dim
        if any(not dim.HasField("dim_value") for dim in dims):
            return False
        item = helper.tensor_dtype_to_np_dtype(kind.tensor_type.elem_type).itemsize
        count = 1
        for dim in dims:
            count *= max(dim.dim_value, 0)
        total += count * item
    return total <= allowed


def evaluate(
    node: onnx.NodeProto, values: Mapping[str, np.ndarray], opset: int
) -> list[np.ndarray] | None:
    """The node's outputs in order; None where the reference cannot compute them.

    ``values`` holds all inputs.
    """
    feeds = {name: values[name] for name in node.input if name}
    named = [name for name in node.output if name]
    graph = helper.make_graph(
        [node],
        "constants",
        [helper.make_value_info(name, onnx.TypeProto()) for name in feeds],
        [helper.make_value_info(name, onnx.TypeProto()) for name in named],
    )
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = ReferenceEvaluator(graph, {"": opset}).run(None, feeds)
    except _FAILURES:
        return None
    arrays = dict(zip(named, found, strict=True))
    results = [np.asarray(arrays[name]) if name else np.zeros(0) for name in node.output]
    if node.op_type == "ReduceMean" and not feeds[node.input[0]].size:
        # Of nothing, which the standard leaves open, as ONNX Runtime has it.
        results = [np.zeros_like(array) for array in results]
    if node.op_type in _VIEWS and node.attribute:
        # Before opset 13. Axes may come in any order (onnxslim writes [2, 0]); the reference takes
        # one after the other.
        (axes,) = node.attribute
        results = [_VIEWS[node.op_type](feeds[node.input[0]], tuple(axes.ints))]
    return None if any(array.dtype == object for array in results) else results
