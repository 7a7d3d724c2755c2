"""Pad of every opset and mode.

Negative widths crop, and do so first: what is reflected or wrapped is what is left, as ONNX Runtime
has it where the standard says nothing. Constants may be cropped, too, where no sample is left.
Widths may be formulas in free sizes: a U-Net pads to the size of its skip connection, a transformer
to a multiple of its window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import relax, sym, tirx

from tvm_deconv.frontends.onnx.formulas import int64, simplified, sizes_analyzer
from tvm_deconv.frontends.onnx.nodes import refuse
from tvm_deconv.pads import pad_by_sizes

from .call import Call, dtype_of, normal_axis, shape_of, static

_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def pad(call: Call) -> relax.Expr:
    x = call.tensor(0)
    rank = len(shape_of(x))
    known = _MODES if call.opset >= 19 else [mode for mode in _MODES if mode != "wrap"]
    mode = call.choice("mode", "constant", known)
    begin, end = _widths(call, rank)
    if not all(isinstance(width, int) for width in (*begin, *end)):
        return _by_sizes(call, x, begin, end, _MODES[mode])
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
        sizes = sizes_analyzer(*shape_of(x))
        whole = zip(shape_of(x), begin, end, strict=True)
        out = [static(simplified(sizes, int64(n + b + e))) for n, b, e in whole]
        return call.builder.emit_te(pad_by_sizes, x, list(begin), out, _MODES[mode])
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


def _by_sizes(
    call: Call, x: relax.Expr, begin: Sequence[Any], end: Sequence[Any], mode: str
) -> relax.Expr:
    """With widths that are formulas; what they may not be is an error when the model is run."""
    value = _value(call) if mode == "constant" else 0.0
    analyzer, shape = sizes_analyzer(*shape_of(x), *begin, *end), shape_of(x)
    whole = zip(shape, begin, end, strict=True)
    out = [static(simplified(analyzer, int64(n + b + e))) for n, b, e in whole]
    if mode != "constant":
        crops = [[_positive(analyzer, -width) for width in side] for side in (begin, end)]
        x = cropped(call, x, *crops)
        begin, end = ([_positive(analyzer, width) for width in side] for side in (begin, end))
        x = _wide_enough(call, x, begin, end, mode)
    return call.builder.emit_te(pad_by_sizes, x, list(begin), out, mode, value)


def _is_zero(width: Any) -> bool:
    """Whether it is 0 at all sizes; a comparison of formulas is a formula."""
    return isinstance(width, int) and width == 0


def _positive(analyzer: sym.Analyzer, width: Any) -> Any:
    """The width, or 0 where it is negative."""
    if isinstance(width, int):
        return max(width, 0)
    if analyzer.can_prove(width >= 0):
        return width
    return static(analyzer.simplify(tirx.max(width, int64(0))))


def _wide_enough(
    call: Call, x: relax.Expr, begin: Sequence[Any], end: Sequence[Any], mode: str
) -> relax.Expr:
    """``x``, of which it is asked when the model is run whether it has what the borders show."""
    shape, wanted = shape_of(x), []
    analyzer = sizes_analyzer(*shape, *begin, *end)
    for size, first, last in zip(shape, begin, end, strict=True):
        width = tirx.max(int64(first), int64(last))
        # A reflection leaves out the sample at the edge.
        least = width + 1 if mode == "reflect" else tirx.min(width, int64(1))
        enough = (_is_zero(first) and _is_zero(last)) or analyzer.can_prove(int64(size) >= least)
        wanted.append(size if enough else tirx.max(int64(size), least))
    if all(a is b for a, b in zip(shape, wanted, strict=True)):
        return x
    return call.builder.match_cast(x, relax.TensorType(wanted, dtype_of(x)))


def _widths(call: Call, rank: int) -> tuple[list[Any], list[Any]]:
    """Begin and end for every axis, ints or formulas; until opset 10 they are an attribute."""
    pads = call.get("pads", None) if call.opset < 11 else call.sizes(1, "pads")
    if pads is None:
        refuse("has no pads: give begin and end of each axis")
    axes = call.constant(3, "axes") if call.opset >= 18 else None
    places = list(range(rank)) if axes is None else [int(axis) for axis in axes.ravel()]
    places = [normal_axis(axis, rank, "axes:") for axis in places]
    widths = list(pads)
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
    axes = [i for i in range(len(shape)) if not (_is_zero(begin[i]) and _is_zero(end[i]))]
    if not axes:
        return x
    for i in axes:
        whole = begin[i] + end[i]
        if isinstance(shape[i], int) and isinstance(whole, int) and whole >= shape[i]:
            refuse(f"crops {whole} samples off axis {i}, which has {shape[i]}")
    ends = [relax.prim_value(shape[i] - end[i]) for i in axes]
    starts = [relax.prim_value(begin[i]) for i in axes]
    return call.emit(relax.op.strided_slice(x, axes, starts, ends, assume_inbound=True))
