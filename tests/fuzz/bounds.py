"""What the integers of a quantized network may be: bounds for every element of every result.

Who adds in float32 and who adds in int32 round differently by a part in a million, and where a
value lies that near to the middle of two integers, either is right. From there on the two differ by
a unit of the first, which a convolution spreads. So each tensor has a least and a greatest value
for each element, which are equal but for such ties, and nodes are computed for both: what only
grows with its inputs by ONNX Runtime at either end, convolutions around the middle. What is
computed without a sum leaves no choice: a tie that is exact is rounded to the even one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .reference import Expected, crops
from .runtimes import Refused, run_onnxruntime

# A sum in float32 is off by so much of the sum of its terms' magnitudes, a quotient of itself.
_SUM, _QUOTIENT = 2e-6, 5e-7
# Of a function between -1 and 1, by polynomials of their own.
_FORMULA = 1e-6

Ends = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Bounded(Expected):
    """``arrays`` are ONNX Runtime's, all of them within ``ends``: the least and the greatest."""

    ends: list[Ends]

    @property
    def undecided(self) -> float:
        """The part of the elements for which more than one value is right."""
        wide = [(least != most).ravel() for least, most in self.ends]
        return float(np.concatenate(wide).mean())


def bounded(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> Bounded:
    """The results for these inputs.

    Raises Refused, and AssertionError where ONNX Runtime's are beyond the bounds.
    """
    arrays = run_onnxruntime(model, inputs)
    values = {name: (array, array) for name, array in inputs.items()}
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        values[tensor.name] = array, array
    for node in model.graph.node:
        values[node.output[0]] = _node(model, node, values)
    found = Bounded(
        arrays, [0.0] * len(arrays), [values[output.name] for output in model.graph.output]
    )
    if wrong := outside(arrays, found):
        raise AssertionError(f"ONNX Runtime's results are beyond the bounds: {wrong}")
    return found


def outside(found: Sequence[np.ndarray], wanted: Bounded) -> str | None:
    """In words what is beyond the bounds, or of another shape or type."""
    for index, (got, (least, most)) in enumerate(zip(found, wanted.ends, strict=True)):
        if (got.shape, got.dtype) != (least.shape, least.dtype):
            words = f"shape {got.shape} of {got.dtype}, expected {least.shape} of {least.dtype}"
            return f"result {index}: {words}"
        wrong = ~((least <= got) & (got <= most))
        if wrong.any():
            place = tuple(map(int, np.argwhere(wrong)[0]))
            between = f"{least[place]:.7g} to {most[place]:.7g}"
            return (
                f"result {index}: {wrong.mean():.2%} of the elements beyond the bounds, "
                f"first at {place}: got {got[place]:.7g}, expected {between}"
            )
    return None


def _node(model: onnx.ModelProto, node: onnx.NodeProto, values: Mapping[str, Ends]) -> Ends:
    operands = [values[name] if name else None for name in node.input]
    if node.op_type == "QuantizeLinear":
        return _rounded(operands[0], *_scale_of(node, operands, 1, operands[0][0].ndim))
    if node.op_type in ("Conv", "ConvTranspose"):
        return _convolved(model, node, operands)
    if node.op_type in ("Resize", "Upsample"):
        return _resized(model, node, operands)
    if node.op_type == "QLinearConv":
        return _convolved_bytes(model, node, operands)
    if node.op_type == "MatMul":
        return _multiplied(model, node, operands)
    if node.op_type == "QLinearMatMul":
        return _multiplied_bytes(model, node, operands)
    least = _alone(model, node, [o and o[0] for o in operands])
    if all(o is None or o[0] is o[1] for o in operands):
        most = least
    else:
        most = _alone(model, node, [o and o[1] for o in operands])
    if node.op_type == "Add" and least.dtype == np.float32:
        reach = sum(np.maximum(*map(np.abs, o)) for o in operands)
        return _around(least, -_QUOTIENT * reach), _around(most, _QUOTIENT * reach)
    if node.op_type in ("AveragePool", "GlobalAveragePool", "ReduceMean"):
        return _summed(model, node, operands, (least, most))
    if node.op_type in ("Sigmoid", "Tanh"):
        return _around(least, np.float64(-_FORMULA)), _around(most, np.float64(_FORMULA))
    return least, most


def _summed(
    model: onnx.ModelProto, node: onnx.NodeProto, operands: Sequence[Ends | None], ends: Ends
) -> Ends:
    """Of a weighted mean of operand 0."""
    magnitude = np.maximum(*map(np.abs, operands[0]))
    reach = _SUM * _alone(model, node, [magnitude, *(o and o[0] for o in operands[1:])])
    return _around(ends[0], -reach), _around(ends[1], reach)


def _resized(model: onnx.ModelProto, node: onnx.NodeProto, operands: Sequence[Ends | None]) -> Ends:
    """Raises Refused where ONNX Runtime breaks the standard: where a size stays, it copies."""
    least, most = (_alone(model, node, [o and o[i] for o in operands]) for i in (0, 1))
    before, after = operands[0][0].shape, least.shape
    if before == after or (crops(node) and any(map(int.__eq__, before[2:], after[2:]))):
        reason = "ONNX Runtime copies along an axis that keeps its size, whatever it is to do"
        raise Refused(reason, lacks=True)
    if any(a.name == "mode" and a.s == b"linear" for a in node.attribute):
        return _summed(model, node, operands, (least, most))
    return least, most


def _convolved(
    model: onnx.ModelProto, node: onnx.NodeProto, operands: Sequence[Ends | None]
) -> Ends:
    x, weight, *bias = operands
    middle = (x[0] + x[1]) / np.float32(2)
    half = (x[1] - x[0]) / np.float32(2)
    terms = [weight[0], *(b[0] for b in bias if b)]
    center = _alone(model, node, [middle, *terms])
    moved = half + np.float32(_SUM) * np.abs(middle)
    if bias:
        terms[1] = np.float32(_SUM) * terms[1]
    reach = _alone(model, node, [moved, *map(np.abs, terms)])
    return _around(center, -reach), _around(center, reach)


def _multiplied(
    model: onnx.ModelProto, node: onnx.NodeProto, operands: Sequence[Ends | None]
) -> Ends:
    """Of two matrices, of which both may be undecided."""
    middles = [(least + most) / np.float32(2) for least, most in operands]
    halves = [(most - least) / np.float32(2) for least, most in operands]
    center = _alone(model, node, middles)
    a, b = map(np.abs, middles)
    moved = halves[0] + np.float32(_SUM) * a
    reach = _alone(model, node, [moved, b + halves[1]]) + _alone(model, node, [a, halves[1]])
    return _around(center, -reach), _around(center, reach)


def _multiplied_bytes(
    model: onnx.ModelProto, node: onnx.NodeProto, operands: Sequence[Ends | None]
) -> Ends:
    """QLinearMatMul as DequantizeLinear, MatMul and QuantizeLinear."""
    inner = []
    for index in (0, 3):
        scale, zero = (operands[index + i][0] for i in (1, 2))
        ends = [(end.astype("float32") - zero.astype("float32")) * scale for end in operands[index]]
        inner.append((ends[0], ends[1]))
    matmul = helper.make_node("MatMul", ["a", "b"], ["y"])
    rank = operands[0][0].ndim
    return _rounded(_multiplied(model, matmul, inner), *_scale_of(node, operands, 6, rank))


def _convolved_bytes(
    model: onnx.ModelProto, node: onnx.NodeProto, operands: Sequence[Ends | None]
) -> Ends:
    """QLinearConv as DequantizeLinear, Conv and QuantizeLinear."""
    x, weight, bias = operands[0], operands[3], operands[8] if len(operands) > 8 else None
    rank = x[0].ndim
    scale, zero = (operands[i][0] for i in (1, 2))
    ends = [(end.astype("float32") - zero.astype("float32")) * scale for end in x]
    factors, zeros = (_column(operands[i][0], 0, rank) for i in (4, 5))
    kernel = (weight[0].astype("float32") - zeros.astype("float32")) * factors
    inner = [(ends[0], ends[1]), (kernel, kernel)]
    if bias is not None:
        added = bias[0].astype("float32") * scale * operands[4][0]
        inner.append((added, added))
    conv = helper.make_node("Conv", ["x", "w", "b"][: len(inner)], ["y"])
    conv.attribute.extend(node.attribute)
    return _rounded(_convolved(model, conv, inner), *_scale_of(node, operands, 6, rank))


def _rounded(x: Ends, scale: np.ndarray, zero: np.ndarray) -> Ends:
    """Where both ends are the same, as ONNX Runtime rounds; otherwise with room for a quotient."""
    limits = np.iinfo(zero.dtype)
    same = x[0] == x[1]
    found = []
    for end, sign in zip(x, (-1, 1), strict=True):
        quotient = end.astype("float32") / scale
        wide = quotient.astype("float64")
        steps = np.rint(np.where(same, wide, wide + sign * _QUOTIENT * (1 + np.abs(wide))))
        found.append(np.clip(steps + zero.astype("float64"), limits.min, limits.max))
    return found[0].astype(zero.dtype), found[1].astype(zero.dtype)


def _scale_of(
    node: onnx.NodeProto, operands: Sequence[Ends | None], index: int, rank: int
) -> tuple[np.ndarray, np.ndarray]:
    """The scale at ``index`` and the zero point behind it, along the axis of the node."""
    axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
    scale = operands[index][0]
    given = operands[index + 1] if len(operands) > index + 1 else None
    zero = np.zeros_like(scale, "uint8") if given is None else given[0]
    return _column(scale, axis, rank), _column(zero, axis, rank)


def _column(array: np.ndarray, axis: int, rank: int) -> np.ndarray:
    return array.reshape([-1 if i == axis else 1 for i in range(rank)]) if array.ndim else array


def _around(values: np.ndarray, reach: np.ndarray) -> np.ndarray:
    return (values.astype("float64") + reach).astype("float32")


def _alone(
    model: onnx.ModelProto, node: onnx.NodeProto, arrays: Sequence[np.ndarray | None]
) -> np.ndarray:
    """The result of one node, by ONNX Runtime."""
    feed = {n: array for n, array in zip(node.input, arrays, strict=True) if array is not None}
    infos = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for name, array in feed.items()
    ]
    outputs = [helper.make_empty_tensor_value_info(node.output[0])]
    graph = helper.make_graph([node], "node", infos, outputs)
    alone = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    try:
        return run_onnxruntime(alone, feed)[0]
    except Refused as refused:
        raise Refused(f"{node.op_type}: {refused}", refused.lacks) from refused
