"""What ONNX Runtime's optimizer joins to one operator of its own, in its parts.

Files that it has written (``optimized_model_filepath``) hold these in the domain com.microsoft:

    FusedConv               Conv, Add of a map, an activation
    FusedGemm               Gemm, an activation
    FusedMatMul             Transpose of the last or of the first axes, MatMul, Mul by a number
    QuickGelu               x * Sigmoid(alpha * x)
    SkipLayerNormalization  Add, Add of a bias, LayerNormalization

Those of bytes are in ``microsoft_bytes``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from tvm_deconv.errors import ModelError

from . import microsoft_bytes
from .facts import Facts
from .nodes import MICROSOFT_DOMAIN, attributes, describe, refuse
from .steps import Steps

# Activations by the names of their parameters, in the order of those of FusedConv.
_ACTIVATIONS = {
    "Clip": ("min", "max"),
    "Elu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "LeakyRelu": ("alpha",),
    "Relu": (),
    "Sigmoid": (),
    "Tanh": (),
}
# The first with limits of Clip as inputs.
_LIMITS = 11


def is_joined(node: onnx.NodeProto) -> bool:
    """Whether a node is one of these."""
    return node.domain == MICROSOFT_DOMAIN and node.op_type in _PARTS


def written_out(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto]:
    """The nodes of the standard that compute the same.

    Raises ModelError for what has no such nodes.
    """
    steps = Steps(node, facts)
    try:
        _PARTS[node.op_type](steps, list(node.input), attributes(node))
    except ModelError as error:
        raise ModelError(f"{facts.name}: {describe(node, facts.opset)}: {error}") from error
    return steps.nodes


def _fused_conv(steps: Steps, inputs: list[str], options: dict[str, Any]) -> None:
    kind = options.pop("activation", "")
    numbers = options.pop("activation_params", [])
    x, weight, *rest = inputs
    bias, added = (*rest, "", "")[:2]
    y = steps("Conv", x, weight, *([bias] if bias else []), **options)
    if added:
        y = steps("Add", y, added)
    _activation(steps, y, kind, numbers)


def _fused_gemm(steps: Steps, inputs: list[str], options: dict[str, Any]) -> None:
    kind = options.pop("activation", "")
    given = [options.pop(f"activation_{name}", None) for name in ("alpha", "beta", "gamma")]
    y = steps("Gemm", *inputs, **options)
    _activation(steps, y, kind, [number for number in given if number is not None])


def _activation(steps: Steps, x: str, kind: str, numbers: Sequence[float]) -> None:
    """As the last step; numbers that are left out have the standard's defaults."""
    if not kind:
        steps("Identity", x, to=steps.node.output[0])
        return
    if kind not in _ACTIVATIONS:
        refuse(f"activation is {kind!r}: computed are {', '.join(_ACTIVATIONS)}")
    options = dict(zip(_ACTIVATIONS[kind], map(float, numbers), strict=False))
    limits = []
    if kind == "Clip" and steps.facts.opset >= _LIMITS:
        dtype = _dtype(steps, steps.node.input[0])
        limits = [steps.constant(key, np.array(value, dtype)) for key, value in options.items()]
        options = {}
    steps(kind, x, *limits, to=steps.node.output[0], **options)


def _fused_matmul(steps: Steps, inputs: list[str], options: dict[str, Any]) -> None:
    a, b = (
        _transposed(steps, x, bool(options.get(f"trans{s}")), bool(options.get(f"transBatch{s}")))
        for x, s in zip(inputs, "AB", strict=True)
    )
    _scaled(steps, steps("MatMul", a, b), options.get("alpha", 1.0), a)


def _transposed(steps: Steps, x: str, last: bool, first: bool) -> str:
    """With the last two axes in turns; before, the first one behind all others but the last."""
    if not last and not first:
        return x
    shape = steps.facts.shape(x)
    if shape is None:
        refuse(f"transposes {x!r}, whose number of axes is not known: run shape inference")
    order = list(range(len(shape)))
    if len(order) < 2:
        return x
    if first:
        order = [*order[1:-1], order[0], order[-1]]
    if last:
        order[-2:] = order[:-3:-1]
    return steps("Transpose", x, perm=order)


def _scaled(steps: Steps, x: str, factor: float, like: str) -> None:
    if factor == 1:
        steps("Identity", x, to=steps.node.output[0])
        return
    dtype = _dtype(steps, steps.node.input[0])
    steps("Mul", x, steps.constant("alpha", np.array(factor, dtype)), to=steps.node.output[0])


def _quick_gelu(steps: Steps, inputs: list[str], options: dict[str, Any]) -> None:
    (x,) = inputs
    factor = options.get("alpha", 1.702)
    y = x
    if factor != 1:
        y = steps("Mul", x, steps.constant("alpha", np.array(factor, _dtype(steps, x))))
    steps("Mul", x, steps("Sigmoid", y), to=steps.node.output[0])


def _skip_layer_normalization(steps: Steps, inputs: list[str], options: dict[str, Any]) -> None:
    x, skip, scale, shift, bias = (*inputs, "", "")[:5]
    outputs = (*steps.node.output, "", "", "")[:4]
    y = steps("Add", x, skip, to="" if bias else outputs[3])
    if bias:
        y = steps("Add", y, bias, to=outputs[3])
    results = list(outputs[:3])
    while len(results) > 1 and not results[-1]:
        results.pop()
    options = {"epsilon": options.get("epsilon", 1e-12), "axis": -1}
    steps("LayerNormalization", y, scale, *([shift] if shift else []), to=results, **options)


def _dtype(steps: Steps, key: str) -> np.dtype:
    """Of a tensor; where that is not known, of the floats that ONNX Runtime joins."""
    kind = steps.facts.types.get(key)
    element = kind.tensor_type.elem_type if kind is not None else onnx.TensorProto.FLOAT
    return helper.tensor_dtype_to_np_dtype(element)


_PARTS: dict[str, Callable[[Steps, list[str], dict[str, Any]], None]] = {
    **microsoft_bytes.PARTS,
    "FusedConv": _fused_conv,
    "FusedGemm": _fused_gemm,
    "FusedMatMul": _fused_matmul,
    "QuickGelu": _quick_gelu,
    "SkipLayerNormalization": _skip_layer_normalization,
    "TransposeMatMul": _fused_matmul,  # its name until ONNX Runtime 1.6
}
# Their names.
JOINED = frozenset(_PARTS) - {"TransposeMatMul"}
