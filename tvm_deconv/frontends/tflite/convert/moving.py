"""Operators that only move elements along axes that stay: slices, joins, shuffles."""

from __future__ import annotations

import numpy as np

from tvm_deconv.frontends.onnx.nodes import refuse
from tvm_deconv.frontends.tflite.translation import NCHW

from .call import Call, normal_axes

# Behind the last sample, in either direction.
_FAR = 1 << 31


def concatenation(call: Call) -> None:
    indices = range(len(call.operator.inputs))
    order = call.same_order(*indices)
    (axis,) = normal_axes([int(call.option("Axis"))], len(order), "Axis")
    parts = [call.form(index, order) for index in indices]
    call.result(call.emit("Concat", *parts, axis=order.index(axis)), order)


def pack(call: Call) -> None:
    """Stacks its inputs along a new axis."""
    indices = range(len(call.operator.inputs))
    rank = call.rank(0)
    (axis,) = normal_axes([int(call.option("Axis", 0))], rank + 1, "Axis")
    new = call.constant(np.array([axis]))
    parts = [call.emit("Unsqueeze", call.form(index), new) for index in indices]
    call.result(call.emit("Concat", *parts, axis=axis))


def unpack(call: Call) -> None:
    (axis,) = normal_axes([int(call.option("Axis", 0))], call.rank(0), "Axis")
    x, squeezed = call.form(0), call.constant(np.array([axis]))
    parts = call.emit_several(
        "Split",
        x,
        call.constant(np.ones(len(call.operator.outputs), np.int64)),
        count=len(call.operator.outputs),
        axis=axis,
    )
    for index, part in enumerate(parts):
        call.result(call.emit("Squeeze", part, squeezed), index=index)


def split(call: Call) -> None:
    """Into equal parts along the axis that is input 0."""
    count = len(call.operator.outputs)
    axis = call.integers(0, "axis")
    size = call.shape(1)[normal_axes(axis, call.rank(1), "axis")[0]]
    if size is None or size % count:
        refuse(f"{count} parts do not divide its {size or 'free'} samples along axis {axis[0]}")
    _split(call, 1, axis[0], [size // count] * count)


def split_v(call: Call) -> None:
    """Into parts of the sizes that are input 1; one of -1 is what is left."""
    sizes, axis = call.integers(1, "sizes"), call.integers(2, "axis")[0]
    if -1 in sizes:
        total = call.shape(0)[normal_axes([axis], call.rank(0), "axis")[0]]
        if total is None or sizes.count(-1) > 1:
            refuse(f"its sizes are {sizes} of a free size: give the shapes of the inputs")
        sizes[sizes.index(-1)] = total - sum(size for size in sizes if size != -1)
    _split(call, 0, axis, sizes)


def _split(call: Call, index: int, axis: int, sizes: list[int]) -> None:
    order = call.same_order(index)
    (axis,) = normal_axes([axis], len(order), "axis")
    lengths = call.constant(np.array(sizes, np.int64))
    parts = call.emit_several(
        "Split", call.form(index, order), lengths, count=len(sizes), axis=order.index(axis)
    )
    for output, part in enumerate(parts):
        call.result(part, order, index=output)


def slice_(call: Call) -> None:
    """``size`` samples from ``begin`` on; a size of -1 is all that follow."""
    order = call.same_order(0)
    begin, size = call.integers(1, "begin"), call.integers(2, "size")
    if len(begin) != len(order) or len(size) != len(order) or min(*begin, *size) < -1:
        refuse(f"begin {begin} and size {size} do not fit an input of {len(order)} axes")
    for axis, total in enumerate(call.shape(0)):
        if total is not None and begin[axis] + max(size[axis], 0) > total:
            refuse(f"begin {begin[axis]} and size {size[axis]} leave the {total} of axis {axis}")
    ends = [_FAR if n == -1 else b + n for b, n in zip(begin, size, strict=True)]
    _slice(call, order, list(range(len(order))), begin, ends, [1] * len(order))


def strided_slice(call: Call) -> None:
    """NumPy's slices; of the masks those of begin, end and dropped axes."""
    for name in ("EllipsisMask", "NewAxisMask"):
        if call.option(name, 0):
            refuse(f"{name} is {call.option(name)}: it is not computed")
    begin, end = call.integers(1, "begin"), call.integers(2, "end")
    strides = call.integers(3, "strides")
    begins, ends, shrinks = (
        int(call.option(name, 0)) for name in ("BeginMask", "EndMask", "ShrinkAxisMask")
    )
    rank = call.rank(0)
    if not len(begin) == len(end) == len(strides) <= rank or 0 in strides:
        refuse(f"begin {begin}, end {end} and strides {strides} do not fit {rank} axes")
    dropped = []
    for axis, stride in enumerate(strides):
        bit = 1 << axis
        if shrinks & bit:
            # One sample, whatever end and stride say.
            end[axis] = begin[axis] + 1 if begin[axis] != -1 else _FAR
            strides[axis] = 1
            dropped.append(axis)
            continue
        if begins & bit:
            begin[axis] = 0 if stride > 0 else _FAR
        if ends & bit or call.option("Offset", False):
            end[axis] = (_FAR if stride > 0 else -_FAR) if ends & bit else begin[axis] + end[axis]
    order = call.same_order(0)
    left = [axis for axis in order if axis not in dropped]
    if left != sorted(left):
        order = order if not dropped else tuple(range(rank))
    _slice(call, order, list(range(len(begin))), begin, end, strides, dropped)


def _slice(
    call: Call,
    order: tuple[int, ...],
    axes: list[int],
    begin: list[int],
    end: list[int],
    strides: list[int],
    dropped: list[int] | None = None,
) -> None:
    moved = [order.index(axis) for axis in axes]
    operands = [call.constant(np.array(each, np.int64)) for each in (begin, end, moved, strides)]
    y = call.emit("Slice", call.form(0, order), *operands)
    if dropped:
        y = call.emit("Squeeze", y, call.constant(np.array([order.index(a) for a in dropped])))
    call.result(y, None if dropped else order)


def depth_to_space(call: Call) -> None:
    """The phase is outside the channel, as in ONNX's DCR."""
    (block,) = call.positive("BlockSize")
    channels = call.image()[3] or 0
    if channels % block**2:
        refuse(f"BlockSize {block} needs a multiple of {block**2} channels, there are {channels}")
    x = call.form(0, NCHW)
    call.result(call.emit("DepthToSpace", x, blocksize=block, mode="DCR"), NCHW)


def space_to_depth(call: Call) -> None:
    (block,) = call.positive("BlockSize")
    for size in call.image()[1:3]:
        if size is not None and size % block:
            refuse(f"BlockSize {block} does not divide the size {size} of its input")
    call.result(call.emit("SpaceToDepth", call.form(0, NCHW), blocksize=block), NCHW)


def gather(call: Call) -> None:
    if call.option("BatchDims", 0):
        refuse(f"BatchDims is {call.option('BatchDims')}: only 0 is computed")
    (axis,) = normal_axes([int(call.option("Axis", 0))], call.rank(0), "Axis")
    order = call.same_order(0) if call.rank(1) == 1 else tuple(range(call.rank(0)))
    y = call.emit("Gather", call.form(0, order), call.form(1), axis=order.index(axis))
    call.result(y, order if call.rank(1) == 1 else None)


def gather_nd(call: Call) -> None:
    indices = call.emit("Cast", call.form(1), to=7)
    call.result(call.emit("GatherND", call.form(0), indices))


def reverse_v2(call: Call) -> None:
    order = call.same_order(0)
    axes = normal_axes(call.integers(1, "axes"), len(order), "axis")
    count = len(axes)
    _slice(call, order, axes, [-1] * count, [-_FAR] * count, [-1] * count)


def tile(call: Call) -> None:
    order = call.same_order(0)
    repeats = call.integers(1, "repeats")
    if len(repeats) != len(order):
        refuse(f"its repeats are {repeats}, not one for each of {len(order)} axes")
    counts = call.constant(np.array([repeats[axis] for axis in order]))
    call.result(call.emit("Tile", call.form(0, order), counts), order)
