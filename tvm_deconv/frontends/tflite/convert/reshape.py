"""Operators that give a tensor other axes, and those that compute on shapes."""

from __future__ import annotations

import numpy as np

from tvm_deconv.frontends.onnx.nodes import refuse

from .call import Call, normal_axes

_INT32, _INT64 = 6, 7  # TensorProto


def reshape(call: Call) -> None:
    """To the shape that is input 1, or NewShape where there is none; -1 is what is left."""
    value = call.graph.value(call.input(1)) if call.has(1) else None
    if value is None and not call.has(1):
        value = np.array(call.option("NewShape"))
    if value is None:
        shape = call.emit("Cast", call.form(1), to=_INT64)
        call.result(call.emit("Reshape", call.form(0), shape))
        return
    wanted = [int(size) for size in value.ravel()]
    if any(size == 0 or size < -1 for size in wanted) or wanted.count(-1) > 1:
        refuse(f"its shape is {wanted}: give positive numbers, one may be -1")
    if wanted == call.shape(0):
        same(call)
        return
    call.result(call.emit("Reshape", call.form(0), call.constant(np.array(wanted, np.int64))))


def same(call: Call) -> None:
    """What stays as it is."""
    index, forms = call.input(0), {}
    for order in call.graph.orders(index) or [tuple(range(call.rank(0)))]:
        forms[order] = call.graph.form(index, order)
    call.graph.define(call.output(), forms)


def transpose(call: Call) -> None:
    """The forms of its input, each in another order of the result's axes: nothing is moved."""
    moved = call.integers(1, "permutation")
    index, rank = call.input(0), call.rank(0)
    if sorted(normal_axes(moved, rank, "axis")) != list(range(rank)):
        refuse(f"its permutation is {moved} of {rank} axes")
    moved = normal_axes(moved, rank, "axis")
    orders = call.graph.orders(index) or [tuple(range(rank))]
    forms = {
        tuple(moved.index(axis) for axis in order): call.graph.form(index, order)
        for order in orders
    }
    call.graph.define(call.output(), forms)


def squeeze(call: Call) -> None:
    shape = call.shape(0)
    axes = normal_axes(list(call.option("SqueezeDims", ())), len(shape), "SqueezeDims")
    axes = axes or [axis for axis, size in enumerate(shape) if size == 1]
    x = call.form(0)
    y = call.emit("Squeeze", x, call.constant(np.array(axes))) if axes else call.emit("Identity", x)
    call.result(y)


def expand_dims(call: Call) -> None:
    axes = normal_axes(call.integers(1, "axis"), call.rank(0) + 1, "axis")
    call.result(call.emit("Unsqueeze", call.form(0), call.constant(np.array(axes))))


def shape(call: Call) -> None:
    """Of the form that is there, so that none is made for it."""
    orders = call.graph.orders(call.input(0))
    sizes = call.emit("Shape", call.form(0, orders[0] if orders else None))
    if orders and list(orders[0]) != sorted(orders[0]):
        sizes = call.emit("Gather", sizes, call.constant(np.argsort(orders[0])), axis=0)
    wide = call.graph.file.tensors[call.output()].dtype == "int64"
    call.result(sizes if wide else call.emit("Cast", sizes, to=_INT32))


def broadcast_to(call: Call) -> None:
    wanted = call.emit("Cast", call.form(1), to=_INT64)
    call.result(call.emit("Expand", call.form(0), wanted))


def fill(call: Call) -> None:
    wanted = call.emit("Cast", call.form(0), to=_INT64)
    call.result(call.emit("Expand", call.form(1), wanted))


def zeros_like(call: Call) -> None:
    sizes = call.emit("Shape", call.form(0))
    call.result(call.emit("Expand", call.number(0), sizes))


def space_to_batch_nd(call: Call) -> None:
    """Blocks of H and W become batches, the phase outside; zeros are padded first."""
    block, pads = _blocks(call)
    _, h, w, c = call.image()
    pad = [0, *(p[0] for p in pads), 0, 0, *(p[1] for p in pads), 0]
    x = call.emit("Pad", call.form(0), call.constant(np.array(pad)), call.zero())
    height, width = (size + sum(p) for size, p in zip((h or 0, w or 0), pads, strict=True))
    if height % block[0] or width % block[1]:
        refuse(f"its blocks {block} do not divide its padded sizes {[height, width]}")
    inner = (-1, height // block[0], block[0], width // block[1], block[1], c or 0)
    x = call.emit("Reshape", x, call.constant(np.array(inner)))
    x = call.emit("Transpose", x, perm=[2, 4, 0, 1, 3, 5])
    outer = (-1, height // block[0], width // block[1], c or 0)
    call.result(call.emit("Reshape", x, call.constant(np.array(outer))))


def batch_to_space_nd(call: Call) -> None:
    """The reverse of SPACE_TO_BATCH_ND, and crops."""
    block, crops = _blocks(call)
    _, h, w, c = call.image()
    split = call.constant(np.array([*block, -1, h or 0, w or 0, c or 0]))
    x = call.emit("Reshape", call.form(0), split)
    x = call.emit("Transpose", x, perm=[2, 3, 0, 4, 1, 5])
    sizes = [(h or 0) * block[0], (w or 0) * block[1]]
    x = call.emit("Reshape", x, call.constant(np.array([-1, *sizes, c or 0])))
    begin = [crop[0] for crop in crops]
    end = [size - crop[1] for size, crop in zip(sizes, crops, strict=True)]
    operands = [call.constant(np.array(each)) for each in (begin, end, [1, 2])]
    call.result(call.emit("Slice", x, *operands))


def _blocks(call: Call) -> tuple[list[int], list[list[int]]]:
    block = call.integers(1, "blocks")
    margins = call.array(2, "paddings").tolist()
    if None in call.image()[1:3]:
        refuse("its blocks are computed for fixed sizes: give the shapes of the inputs")
    if len(block) != 2 or min(block) < 1 or np.shape(margins) != (2, 2) or np.min(margins) < 0:
        refuse(f"its blocks are {block} with {margins}: give two of each, for height and width")
    return block, margins
