"""Sizes that an operator's result has for sure, where the shape it is given is known in part.

The standard's shape inference takes a shape operand whole or not at all: for ``Resize`` to
``Concat(Shape(x)[:2], 2 * Shape(x)[2:])`` with a free height it says nothing of the channels, which
are those of ``x``. What is said here may be less than what is true, never more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx

from .nodes import attributes

Sizes = list[int | None]
"""Sizes of a tensor, None where free."""

Known = Callable[[int], Sizes | None]
"""The elements of input ``i``, None where they follow from free sizes; None for no vector."""


def sizes_of_result(node: onnx.NodeProto, shape: Sizes | None, known: Known) -> Sizes | None:
    """Sizes of the node's first output, as far as they follow from its operands.

    ``shape`` is that of its first input. None where nothing is said of this operator.
    """
    rule = _RULES.get(node.op_type)
    return rule(node, shape, known) if rule else None


def _reshape(node: onnx.NodeProto, shape: Sizes | None, known: Known) -> Sizes | None:
    wanted = known(1)
    if wanted is None:
        return None
    keeps_zero = attributes(node).get("allowzero", 0)

    def size(axis: int, want: int | None) -> int | None:
        if want == 0 and not keeps_zero:  # the size of the input's axis
            return shape[axis] if shape is not None and axis < len(shape) else None
        return None if want == -1 else want

    return [size(axis, want) for axis, want in enumerate(wanted)]


def _expand(node: onnx.NodeProto, shape: Sizes | None, known: Known) -> Sizes | None:
    wanted = known(1)
    if wanted is None or shape is None:
        return None
    rank = max(len(shape), len(wanted))
    pairs = zip(_wide(shape, rank), _wide(wanted, rank), strict=True)
    return [_broadcast(size, want) for size, want in pairs]


def _wide(sizes: Sizes, rank: int) -> Sizes:
    return [1] * (rank - len(sizes)) + sizes


def _broadcast(one: int | None, other: int | None) -> int | None:
    if one == 1:
        return other
    if other == 1 or one is not None:
        return one
    return other


def _constant_of_shape(node: onnx.NodeProto, shape: Sizes | None, known: Known) -> Sizes | None:
    return known(0)


def _resize(node: onnx.NodeProto, shape: Sizes | None, known: Known) -> Sizes | None:
    options = attributes(node)
    stretches = options.get("keep_aspect_ratio_policy", "stretch") == "stretch"
    return known(3) if stretches and "axes" not in options else None


def _tile(node: onnx.NodeProto, shape: Sizes | None, known: Known) -> Sizes | None:
    counts = known(1)
    if counts is None or shape is None or len(counts) != len(shape):
        return None
    return [_with(size, count, int.__mul__) for size, count in zip(shape, counts, strict=True)]


def _pad(node: onnx.NodeProto, shape: Sizes | None, known: Known) -> Sizes | None:
    pads = known(1)
    axes = _axes(node, 3, shape, known)
    if pads is None or shape is None or axes is None or len(pads) != 2 * len(axes):
        return None
    found = list(shape)
    for i, axis in enumerate(axes):
        for width in (pads[i], pads[i + len(axes)]):
            found[axis] = _with(found[axis], width, int.__add__)
    return found


def leaves_nothing(start: Any, end: Any, step: int) -> bool:
    """Whether nothing lies between constant bounds of an axis, however long that is."""
    if not (isinstance(start, int) and isinstance(end, int)):
        return False
    return (start < 0) == (end < 0) and (end - start) * step <= 0


def _slice(node: onnx.NodeProto, shape: Sizes | None, known: Known) -> Sizes | None:
    options = attributes(node)  # until opset 9
    starts, ends = options.get("starts", known(1)), options.get("ends", known(2))
    axes = _axes(node, 3, shape, known)
    if starts is None or ends is None or axes is None or shape is None:
        return None
    steps = known(4) if _has(node, 4) else [1] * len(starts)
    if steps is None or not len(starts) == len(ends) == len(steps) <= len(axes):
        return None
    found = list(shape)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=False):
        size, found[axis] = found[axis], None
        if size is not None and start is not None and end is not None and step:
            found[axis] = len(range(*slice(start, end, step).indices(size)))
        elif step and leaves_nothing(start, end, step):
            found[axis] = 0
    return found


def _has(node: onnx.NodeProto, index: int) -> bool:
    return index < len(node.input) and node.input[index] != ""


def _axes(node: onnx.NodeProto, index: int, shape: Sizes | None, known: Known) -> list[int] | None:
    """Axes that an operand names, all where it is left out; None where they are not known."""
    if shape is None:
        return None
    named, rank = attributes(node).get("axes"), len(shape)
    if named is None and not _has(node, index):
        return list(range(rank))
    named = known(index) if named is None else named
    axes = [axis % rank for axis in named or () if axis is not None and rank]
    return axes if named is not None and len(axes) == len(named) else None


def _with(size: int | None, other: int | None, what: Callable[[int, int], int]) -> int | None:
    return None if size is None or other is None else what(size, other)


_RULES: dict[str, Callable[[onnx.NodeProto, Sizes | None, Known], Sizes | None]] = {
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Pad": _pad,
    "Reshape": _reshape,
    "Resize": _resize,
    "Slice": _slice,
    "Tile": _tile,
}
