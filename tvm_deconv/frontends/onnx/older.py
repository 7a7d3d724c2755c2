"""Operators as opsets before 7 have them, in the words of opset 7.

There the second operand of Add and its kin is spread only where ``broadcast`` says so, from
``axis`` on; from 7 on always, to the last axes. Slopes of PRelu are those of channels; Reshape,
Cast, Concat, Pad, Split, Tile and Upsample say in other ways what they do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import onnx

from tvm_deconv.errors import ModelError

from .facts import Facts
from .nodes import STANDARD, attributes, describe, refuse, words
from .steps import Steps

# A node's inputs and attributes, and what makes those of opset 7 of them.
_Parts: TypeAlias = tuple[list[str], dict[str, Any]]
Change: TypeAlias = Callable[[Steps, list[str], dict[str, Any]], _Parts]

# The first in which operands are spread as they are now; ONNX Runtime's oldest, too.
SPREADING = 7

_LONGER_SELU = 6

_BINARY = words("Add And Div Equal Greater Less Mul Or Pow Sub Xor")
# Attributes that say nothing: of buffers that may be written over, and of what is always so now.
_IDLE = words("broadcast consumed_inputs is_test")


def raised(node: onnx.NodeProto, facts: Facts, opset: int) -> list[onnx.NodeProto] | None:
    """What computes the same as a node of ``opset`` from 7 on; None for a node that does as it is.

    Raises ModelError for training, and for operands of which it is not known how they are spread.
    """
    if opset >= SPREADING or node.domain not in STANDARD:
        return None
    options = attributes(node)
    change = _CHANGES.get(node.op_type)
    if node.op_type in _BINARY:
        change = _spread
    elif node.op_type == "Selu" and opset < _LONGER_SELU:
        change = _selu
    if change is None and not _IDLE & options.keys():
        return None
    steps = Steps(node, facts)
    inputs = list(node.input)
    try:
        if change is not None:
            inputs, options = change(steps, inputs, options)
    except ModelError as error:
        raise ModelError(f"{facts.name}: {describe(node, opset)}: {error}") from error
    kept = {key: value for key, value in options.items() if key not in _IDLE}
    if not steps.nodes and kept == attributes(node) and inputs == list(node.input):
        return None
    made = onnx.helper.make_node(node.op_type, inputs, list(node.output), name=node.name, **kept)
    return [*steps.nodes, made]


def _spread(steps: Steps, inputs: list[str], options: dict[str, Any]) -> _Parts:
    a, b = inputs
    axis = options.pop("axis", None)
    if options.get("broadcast") and axis is not None:
        b = _before(steps, b, len(_shape(steps, a)) - axis if axis >= 0 else -axis)
    return [a, b], options


def _before(steps: Steps, x: str, axes: int) -> str:
    """``x`` with as many axes of one element behind its own as make it ``axes``."""
    rank = len(_shape(steps, x))
    if rank > axes:
        refuse(f"spreads an operand of {rank} axes over {axes}")
    places = list(range(rank, axes))
    return steps("Unsqueeze", x, axes=places) if places else x


def _shape(steps: Steps, x: str) -> list[int | None]:
    shape = steps.facts.shape(x)
    if shape is None:
        refuse(f"the number of axes of {x!r} is not known: run shape inference, or export it again")
    return shape


def _prelu(steps: Steps, inputs: list[str], options: dict[str, Any]) -> _Parts:
    x, slope = inputs
    if len(_shape(steps, slope)) == 1 and _shape(steps, slope) != [1]:
        slope = _before(steps, slope, len(_shape(steps, x)) - 1)
    return [x, slope], options


def _inference(_: Steps, inputs: list[str], options: dict[str, Any]) -> _Parts:
    if not options.get("is_test", 0):
        refuse("is_test is 0: export the model for inference")
    return inputs, options


def _cast(_: Steps, inputs: list[str], options: dict[str, Any]) -> _Parts:
    kind = options.get("to")
    if isinstance(kind, str):
        kinds = dict(onnx.TensorProto.DataType.items())
        if kind not in kinds:
            refuse(f"to is {kind!r}, which is no element type")
        options["to"] = kinds[kind]
    return inputs, options


def _concat(_: Steps, inputs: list[str], options: dict[str, Any]) -> _Parts:
    return inputs, {"axis": 1, **options}


def _pad(_: Steps, inputs: list[str], options: dict[str, Any]) -> _Parts:
    if "paddings" in options:
        options["pads"] = options.pop("paddings")
    return inputs, options


def _reshape(steps: Steps, inputs: list[str], options: dict[str, Any]) -> _Parts:
    if "shape" in options:
        shape = np.array(options.pop("shape"), np.int64)
        inputs = [inputs[0], steps.constant("shape", shape)]
    return inputs, options


def _selu(_: Steps, inputs: list[str], options: dict[str, Any]) -> _Parts:
    """With the shorter numbers of opset 1."""
    return inputs, {"alpha": 1.6732, "gamma": 1.0507, **options}


def _without(index: int) -> Change:
    """For an operator that has lost the input ``index`` of opset 1."""

    def change(_: Steps, inputs: list[str], options: dict[str, Any]) -> _Parts:
        if len(inputs) > index:
            refuse(f"has {len(inputs)} inputs, as only opset 1 has it: export it again")
        return inputs, options

    return change


def _upsample(steps: Steps, inputs: list[str], options: dict[str, Any]) -> _Parts:
    if "height_scale" in options:
        height, width = options.pop("height_scale"), options.pop("width_scale")
        options["scales"] = [1.0, 1.0, height, width]
    return inputs, options


_CHANGES: Mapping[str, Change] = {
    "BatchNormalization": _inference,
    "Cast": _cast,
    "Concat": _concat,
    "Dropout": _inference,
    "PRelu": _prelu,
    "Pad": _pad,
    "Reshape": _reshape,
    "Split": _without(1),
    "Tile": _without(2),
    "Upsample": _upsample,
}
