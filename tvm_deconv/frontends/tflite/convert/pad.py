"""PAD, PADV2 and MIRROR_PAD: widths as pairs of (begin, end), one for each axis."""

from __future__ import annotations

import numpy as np

from tvm_deconv.frontends.onnx.nodes import refuse

from .call import Call

_FAR = 1 << 31  # behind the last sample
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
    for axis, (begin, end) in enumerate(_widths(call, order)):
        if not begin and not end:
            continue
        size = call.shape(0)[order[axis]]
        if size is not None and max(begin, end) > size:
            refuse(f"paddings {(begin, end)} are wider than the {size} samples of axis {axis}")
        pads = np.zeros((2, len(order)), np.int64)
        pads[:, axis] = max(begin - 1, 0), max(end - 1, 0)
        reflected = call.emit("Pad", x, call.constant(pads.ravel()), mode="reflect")
        parts = [x]
        if begin:
            parts.insert(0, _slice(call, reflected, axis, 0, begin))
        if end:
            parts.append(_slice(call, reflected, axis, -end, _FAR))
        x = call.emit("Concat", *parts, axis=axis)
    call.result(x, order)


def _slice(call: Call, x: str, axis: int, start: int, end: int) -> str:
    return call.emit("Slice", x, *(call.constant(np.array([n])) for n in (start, end, axis)))


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
