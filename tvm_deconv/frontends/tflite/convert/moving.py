"""Operators that only move elements along axes that stay: joins, parts, shuffles."""

from __future__ import annotations

import numpy as np

from tvm_deconv.frontends.onnx.nodes import refuse
from tvm_deconv.frontends.tflite.translation import NCHW

from .call import Call, normal_axes
from .slices import FAR, cut

_INT64 = 7  # TensorProto.INT64


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
    """Places along one axis; the first BatchDims axes of both are walked together."""
    (axis,) = normal_axes([int(call.option("Axis", 0))], call.rank(0), "Axis")
    batches = int(call.option("BatchDims", 0))
    batches += call.rank(1) if batches < 0 else 0
    if batches:
        if axis != batches:
            refuse(f"BatchDims is {batches}, Axis {axis}: only the axis behind those is computed")
        places = call.emit("Unsqueeze", call.form(1), call.constant(np.array([-1])))
        places = call.emit("Cast", places, to=_INT64)
        call.result(call.emit("GatherND", call.form(0), places, batch_dims=batches))
        return
    order = call.same_order(0) if call.rank(1) == 1 else tuple(range(call.rank(0)))
    y = call.emit("Gather", call.form(0, order), call.form(1), axis=order.index(axis))
    call.result(y, order if call.rank(1) == 1 else None)


def gather_nd(call: Call) -> None:
    indices = call.emit("Cast", call.form(1), to=_INT64)
    call.result(call.emit("GatherND", call.form(0), indices))


def reverse_v2(call: Call) -> None:
    order = call.same_order(0)
    axes = normal_axes(call.integers(1, "axes"), len(order), "axis")
    count = len(axes)
    cut(call, order, axes, [-1] * count, [-FAR] * count, [-1] * count)


def tile(call: Call) -> None:
    order = call.same_order(0)
    repeats = call.integers(1, "repeats")
    if len(repeats) != len(order):
        refuse(f"its repeats are {repeats}, not one for each of {len(order)} axes")
    counts = call.constant(np.array([repeats[axis] for axis in order]))
    call.result(call.emit("Tile", call.form(0, order), counts), order)


def reverse_sequence(call: Call) -> None:
    """Each element along BatchDim backwards along SeqDim, as far as its own length."""
    rank = call.rank(0)
    named = [int(call.option("SeqDim", 0)), int(call.option("BatchDim", 0))]
    time, batch = normal_axes(named, rank, "axis")
    if time == batch:
        refuse(f"SeqDim and BatchDim are both {time}")
    order = (time, batch, *(axis for axis in range(rank) if axis not in (time, batch)))
    lengths = call.emit("Cast", call.form(1), to=_INT64)
    y = call.emit("ReverseSequence", call.form(0, order), lengths, time_axis=0, batch_axis=1)
    call.result(y, order)


def scatter_nd(call: Call) -> None:
    """Updates added up in zeros of the shape that is input 2."""
    places, shape = (call.emit("Cast", call.form(index), to=_INT64) for index in (0, 2))
    zeros = call.emit("Expand", call.zero(1), shape)
    call.result(call.emit("ScatterND", zeros, places, call.form(1), reduction="add"))
