"""Pad of every opset and mode.

Negative widths crop, and do so first: what is reflected or wrapped is what is left, as ONNX Runtime
has it where the standard says nothing. Constants may be cropped, too, where no sample is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import relax, te, tirx

from tvm_deconv.frontends.onnx.nodes import refuse

from .call import Call, dtype_of, normal_axis, shape_of

_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "wrap"}


def pad(call: Call) -> relax.Expr:
    x = call.tensor(0)
    rank = len(shape_of(x))
    known = _MODES if call.opset >= 19 else [mode for mode in _MODES if mode != "wrap"]
    mode = call.choice("mode", "constant", known)
    begin, end = _widths(call, rank)
    crops = [max(-w, 0) for w in begin], [max(-w, 0) for w in end]
    begin, end = [max(w, 0) for w in begin], [max(w, 0) for w in end]
    if mode == "constant" and any((*begin, *end)) and _may_exceed(shape_of(x), *crops):
        return cropped(call, call.emit(_padded(call, x, begin, end, mode)), *crops)
    return _padded(call, cropped(call, x, *crops), begin, end, mode)


def _may_exceed(shape: Sequence[Any], begin: Sequence[int], end: Sequence[int]) -> bool:
    """Whether more is cropped than an axis has."""
    whole = zip(shape, begin, end, strict=True)
    return any(b + e > 0 and not (isinstance(n, int) and b + e < n) for n, b, e in whole)


def _padded(
    call: Call, x: relax.Expr, begin: Sequence[int], end: Sequence[int], mode: str
) -> relax.Expr:
    if not any((*begin, *end)):
        return x
    if mode == "wrap":
        return _wrapped(call, x, begin, end)
    if mode == "reflect":
        for size, first, last in zip(shape_of(x), begin, end, strict=True):
            if isinstance(size, int) and max(first, last) >= size:
                refuse(f"pads {max(first, last)} reflected samples to an axis of {size}")
    widths = [width for pair in zip(begin, end, strict=True) for width in pair]
    value = _value(call) if mode == "constant" else 0.0
    if dtype_of(x) == "bool":
        whole = call.emit(relax.op.astype(x, "int8"))
        filled = call.emit(relax.op.nn.pad(whole, widths, _MODES[mode], value))
        return relax.op.astype(filled, "bool")
    return relax.op.nn.pad(x, widths, _MODES[mode], value)


def _widths(call: Call, rank: int) -> tuple[list[int], list[int]]:
    """Begin and end for every axis; until opset 10 they are an attribute."""
    pads = call.get("pads", None) if call.opset < 11 else call.constant(1, "pads")
    if pads is None:
        refuse("has no pads: give begin and end of each axis")
    axes = call.constant(3, "axes") if call.opset >= 18 else None
    places = list(range(rank)) if axes is None else [int(axis) for axis in axes.ravel()]
    places = [normal_axis(axis, rank, "axes:") for axis in places]
    widths = [int(width) for width in np.ravel(pads)]
    if len(widths) != 2 * len(places) or len(set(places)) != len(places):
        refuse(f"pads has {len(widths)} numbers for {len(places)} axes: give 2 for each")
    begin, end = [0] * rank, [0] * rank
    for i, axis in enumerate(places):
        begin[axis], end[axis] = widths[i], widths[i + len(places)]
    return begin, end


def _value(call: Call) -> float:
    given = call.get("value", 0.0) if call.opset < 11 else call.constant(2, "value")
    if given is None:
        return 0.0
    if np.size(given) != 1:
        refuse(f"its constant value has {np.size(given)} elements, not 1")
    value = np.asarray(given).reshape(()).item()
    if float(value) != value and value == value:
        refuse(f"its constant value {value} is no float64 number")
    return float(value)


def cropped(call: Call, x: relax.Expr, begin: Sequence[int], end: Sequence[int]) -> relax.Expr:
    """``x`` without its first ``begin`` and last ``end`` samples along each axis."""
    shape = shape_of(x)
    axes = [i for i in range(len(shape)) if begin[i] or end[i]]
    if not axes:
        return x
    for i in axes:
        if isinstance(shape[i], int) and begin[i] + end[i] >= shape[i]:
            refuse(f"crops {begin[i] + end[i]} samples off axis {i}, which has {shape[i]}")
    ends = [relax.prim_value(shape[i] - end[i]) for i in axes]
    starts = [relax.prim_value(begin[i]) for i in axes]
    return call.emit(relax.op.strided_slice(x, axes, starts, ends, assume_inbound=True))


def _wrapped(call: Call, x: relax.Expr, begin: Sequence[int], end: Sequence[int]) -> relax.Expr:
    def compute(x: te.Tensor) -> te.Tensor:
        shape = [n + b + e for n, b, e in zip(x.shape, begin, end, strict=True)]

        def value(*at: Any) -> Any:
            places = zip(at, begin, end, x.shape, strict=True)
            return x(*(tirx.floormod(i - b, n) if b or e else i for i, b, e, n in places))

        return te.compute(shape, value, name="pad_wrap")

    return call.builder.emit_te(compute, x)
