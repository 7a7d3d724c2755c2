"""PAD, PADV2 and MIRROR_PAD: widths as pairs of (begin, end), one for each axis."""

from __future__ import annotations

import numpy as np

from tvm_deconv.frontends.onnx.nodes import refuse

from .call import Call
from .slices import FAR, Bound, bounds_of, vector_of

_INT64 = 7  # TensorProto.INT64


def pad(call: Call) -> None:
    """Zeros, or what PADV2 gives as input 2."""
    _pad(call, "constant", [call.form(2) if call.has(2) else call.zero()])


def mirror_pad(call: Call) -> None:
    """REFLECT leaves the edge out; SYMMETRIC, of which ONNX has none, repeats it.

    SYMMETRIC's borders are in a reflection that is one sample narrower: of 4 samples with 2 before
    them ``b abcd`` is the reflection by 1, and its first two are the border of ``ba abcd``. Where
    the border is wider than what it shows, the reflection is refused, at free sizes when it is run.
    """
    if int(call.option("Mode")) == 0:
        _pad(call, "reflect", [])
        return
    order, x = _order(call)
    for axis, (begin, end) in enumerate(_pairs(call, order)):
        if (begin, end) == (0, 0):
            continue
        size = call.shape(0)[order[axis]]
        widest = max((width for width in (begin, end) if isinstance(width, int)), default=0)
        if size is not None and widest > size:
            refuse(f"paddings {(begin, end)} are wider than the {size} samples of axis {axis}")
        pads: list[Bound] = [0] * (2 * len(order))
        pads[axis], pads[axis + len(order)] = _less_one(call, begin), _less_one(call, end)
        reflected = call.emit("Pad", x, vector_of(call, pads), mode="reflect")
        parts = [x]
        if begin != 0:
            parts.insert(0, _slice(call, reflected, axis, 0, begin))
        if end != 0:
            parts.append(
                _slice(call, reflected, axis, _before_last(call, reflected, axis, end), FAR)
            )
        x = call.emit("Concat", *parts, axis=axis)
    call.result(x, order)


def _less_one(call: Call, width: Bound) -> Bound:
    """By how many samples is reflected for so many with the edge among them."""
    if isinstance(width, int):
        return max(width - 1, 0)
    one, none = (call.constant(np.array([n], np.int64)) for n in (1, 0))
    return call.emit("Max", call.emit("Sub", width, one), none)


def _before_last(call: Call, x: str, axis: int, count: Bound) -> Bound:
    """Where the last ``count`` samples of an axis begin."""
    if isinstance(count, int):
        return -count
    places = (call.constant(np.array([place])) for place in (axis, axis + 1))
    return call.emit("Sub", call.emit("Slice", call.emit("Shape", x), *places), count)


def _slice(call: Call, x: str, axis: int, start: Bound, end: Bound) -> str:
    bounds = (vector_of(call, [bound]) for bound in (start, end))
    return call.emit("Slice", x, *bounds, call.constant(np.array([axis])))


def _pairs(call: Call, order: tuple[int, ...]) -> list[tuple[Bound, Bound]]:
    """The widths of each axis, as far as they are known."""
    if call.value(1) is not None:
        return list(_widths(call, order))
    flat = bounds_of(call, 1)
    if len(flat) != 2 * len(order):
        refuse(f"its paddings are {len(flat)} numbers: give {len(order)} pairs")
    return [(flat[2 * axis], flat[2 * axis + 1]) for axis in order]


def _order(call: Call) -> tuple[tuple[int, ...], str]:
    order = call.same_order(0)
    return order, call.form(0, order)


def _widths(call: Call, order: tuple[int, ...]) -> list[tuple[int, int]]:
    widths = call.array(1, "paddings")
    if widths.shape != (len(order), 2) or (widths < 0).any():
        refuse(f"its paddings are {widths.tolist()}: give {len(order)} pairs, none negative")
    return [(int(widths[axis, 0]), int(widths[axis, 1])) for axis in order]


def _pad(call: Call, mode: str, value: list[str]) -> None:
    order, x = _order(call)
    if call.value(1) is None:
        # Of free sizes; where they are of more, the graph's own reader refuses them.
        widths = call.emit("Cast", call.form(1), to=_INT64)
        ordered = call.emit("Gather", widths, call.constant(np.array(order)), axis=0)
        by_side = call.emit("Transpose", ordered, perm=[1, 0])
        pads = call.emit("Reshape", by_side, call.constant(np.array([-1])))
    else:
        known = _widths(call, order)
        pads = call.constant(np.array([*(w[0] for w in known), *(w[1] for w in known)]))
    call.result(call.emit("Pad", x, pads, *value, mode=mode), order)
