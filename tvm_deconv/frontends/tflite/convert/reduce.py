"""Reductions along axes, which are input 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from tvm_deconv.frontends.onnx.nodes import refuse

from .call import Call, normal_axes

Converter: TypeAlias = Callable[[Call], None]

_INT32, _BOOL = 6, 9  # TensorProto


def reduction(kind: str) -> Converter:
    """``kind`` of ONNX; the axes stay in their order where they are dropped."""

    def convert(call: Call) -> None:
        rank = call.rank(0)
        axes = normal_axes(call.integers(1, "axes"), rank, "axis")
        keeps = bool(call.option("KeepDims", False))
        order = call.same_order(0)
        left = [axis for axis in order if axis not in axes]
        if not keeps and left != sorted(left):
            order = tuple(range(rank))
        moved = sorted({order.index(axis) for axis in axes})
        x = call.form(0, order)
        if not moved:
            call.result(call.emit("Identity", x), order)
            return
        # ReduceSum alone has its axes as an input in opset 17.
        where = {} if kind == "ReduceSum" else {"axes": moved}
        extra = [call.constant(np.array(moved))] if kind == "ReduceSum" else []
        y = call.emit(kind, x, *extra, keepdims=int(keeps), **where)
        call.result(y, order if keeps else None)

    return convert


def truth(kind: str) -> Converter:
    """Of truth values, which ONNX has no reduction of, as 0 and 1."""

    def convert(call: Call) -> None:
        axes = normal_axes(call.integers(1, "axes"), call.rank(0), "axis")
        x = call.emit("Cast", call.form(0), to=_INT32)
        keeps = int(call.option("KeepDims", False))
        if axes:
            x = call.emit(kind, x, axes=sorted(set(axes)), keepdims=keeps)
        call.result(call.emit("Cast", x, to=_BOOL))

    return convert


def top_k(call: Call) -> None:
    """The greatest along the last axis, and their places."""
    count = call.integers(1, "number")
    values, places = call.emit_several(
        "TopK", call.form(0), call.constant(np.array(count, np.int64)), count=2
    )
    call.result(values)
    call.result(call.emit("Cast", places, to=_INT32), index=1)


def arg(kind: str) -> Converter:
    """The first place of an extreme value; the type is that of the output."""

    def convert(call: Call) -> None:
        axes = call.integers(1, "axes")
        if len(axes) != 1:
            refuse(f"its axes are {axes}: give one")
        (axis,) = normal_axes(axes, call.rank(0), "axis")
        y = call.emit(kind, call.form(0), axis=axis, keepdims=0)
        dtype = call.graph.file.tensors[call.output()].dtype
        call.result(y if dtype == "int64" else call.emit("Cast", y, to=_INT32))

    return convert


def cumsum(call: Call) -> None:
    order = call.same_order(0)
    axes = normal_axes(call.integers(1, "axis"), call.rank(0), "axis")
    if len(axes) != 1:
        refuse(f"its axes are {axes}: give one")
    axis = call.constant(order.index(axes[0]), np.int64)
    how = {"exclusive": int(call.option("Exclusive")), "reverse": int(call.option("Reverse"))}
    call.result(call.emit("CumSum", call.form(0, order), axis, **how), order)
