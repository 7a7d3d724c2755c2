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


def rank(call: Call) -> None:
    call.result(call.constant(np.array(call.rank(0), np.int32)))


def broadcast_args(call: Call) -> None:
    """The shape that two shapes broadcast to."""
    lengths = [call.shape(index)[0] for index in range(2)]
    if None in lengths:
        refuse("the rank of its result follows from data")
    most = max(length or 0 for length in lengths)
    sizes = []
    for index, length in enumerate(lengths):
        ones = call.constant(np.ones(most - (length or 0)), call.dtype(index))
        sizes.append(call.emit("Concat", ones, call.form(index), axis=0))
    is_one = call.emit("Equal", sizes[0], call.number(1))
    call.result(call.emit("Where", is_one, sizes[1], sizes[0]))


def range_(call: Call) -> None:
    """From input 0 to before input 1 by steps of input 2."""
    call.result(call.emit("Range", *(call.form(index) for index in range(3))))


def broadcast_to(call: Call) -> None:
    wanted = call.emit("Cast", call.form(1), to=_INT64)
    call.result(call.emit("Expand", call.form(0), wanted))


def fill(call: Call) -> None:
    wanted = call.emit("Cast", call.form(0), to=_INT64)
    call.result(call.emit("Expand", call.form(1), wanted))


def zeros_like(call: Call) -> None:
    sizes = call.emit("Shape", call.form(0))
    call.result(call.emit("Expand", call.number(0), sizes))
