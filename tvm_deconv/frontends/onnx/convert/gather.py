"""Gather, GatherND, ReverseSequence: elements and slices at places that are given or computed.

Constants are checked here. A place that is computed is kept inside by clipping, since what TVM's
operators read outside of a tensor is whatever lies there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tvm
from tvm import relax, te, tirx

from tvm_deconv.frontends.onnx.formulas import int64, shown
from tvm_deconv.frontends.onnx.nodes import refuse

from .call import Call, dtype_of, normal_axis, shape_of


def gather(call: Call) -> relax.Expr:
    """Indices that are constants are checked; others are kept inside by clipping."""
    indices = call.input(1)
    x = call.tensor(0)
    shape = shape_of(x)
    axis = normal_axis(call.get("axis", 0), len(shape))
    size = shape[axis]
    if isinstance(indices, tvm.ir.GenericConst):
        values = indices.value.numpy()
        if isinstance(size, int):
            values = _inside(values, size)
        if (values >= 0).all():
            kind = str(values.dtype)
            # All are inside; TVM warns of mode "fast".
            return relax.op.take(x, relax.const(values, kind), axis, mode="clip")
    places = call.tensor(1)
    kind = dtype_of(places)
    if kind not in ("int32", "int64"):
        refuse(f"its indices are {kind}, not int32 or int64")
    extent = _size_tensor(call, size, kind)
    negative = relax.op.less(places, relax.const(0, kind))
    wrapped = call.emit(relax.op.where(negative, relax.op.add(places, extent), places))
    return relax.op.take(x, wrapped, axis, mode="clip")


def _inside(values: np.ndarray, size: int) -> np.ndarray:
    outside = values[(values < -size) | (values >= size)]
    if outside.size:
        refuse(f"its index {outside.flat[0]} is outside of an axis of {size}")
    return np.where(values < 0, values + size, values).astype(values.dtype)


def _size_tensor(call: Call, size: Any, dtype: str) -> relax.Expr:
    if isinstance(size, int):
        return relax.const(size, dtype)
    vector = call.emit(relax.op.shape_to_tensor(relax.ShapeExpr([size])))
    return call.emit(relax.op.astype(call.emit(relax.op.reshape(vector, ())), dtype))


def gather_nd(call: Call) -> relax.Expr:
    """The last axis of the indices holds a place each, behind ``batch_dims`` axes of both."""
    x, places = call.tensor(0), call.tensor(1)
    shape, found, batches = shape_of(x), shape_of(places), int(call.get("batch_dims", 0))
    if dtype_of(places) != "int64":
        refuse(f"its indices are {dtype_of(places)}, not int64")
    if not 0 <= batches < min(len(shape), len(found)):
        refuse(f"batch_dims is {batches}: it must be less than the axes of data and of indices")
    depth, rows = found[-1], shape[batches:]
    if not isinstance(depth, int):
        refuse(f"how many coordinates a place has is free, {depth}: give the shapes of the inputs")
    if not 1 <= depth <= len(rows):
        refuse(f"places have {depth} coordinates: give 1 to {len(rows)} for {shown(shape)}")
    call.require(
        [int64(a) - b for a, b in zip(shape[:batches], found, strict=False)],
        f"the first {batches} axes of {shown(shape)} and of {shown(found)} differ",
    )
    if isinstance(places, tvm.ir.GenericConst):
        values = places.value.numpy()
        for column, size in zip(range(depth), rows, strict=False):
            if isinstance(size, int):
                _inside(values[..., column], size)
    return call.builder.emit_te(
        _gathered, x, places, depth, batches, primfunc_name_hint="gather_nd"
    )


def _gathered(x: te.Tensor, places: te.Tensor, depth: int, batches: int) -> te.Tensor:
    rank = len(places.shape) - 1

    def value(*i: Any) -> Any:
        at: list[Any] = list(i[:batches])
        for k, size in zip(range(depth), x.shape[batches:], strict=False):
            place = places(*i[:rank], int64(k))
            wrapped = tirx.Select(place < 0, place + size, place)
            at.append(tirx.max(tirx.min(wrapped, size - 1), int64(0)))
        return x(*at, *i[rank:])

    shape: Sequence[Any] = [*places.shape[:-1], *x.shape[batches + depth :]]
    return te.compute(shape, value, name="gather_nd")


def reverse_sequence(call: Call) -> relax.Expr:
    """Each element of the batch backwards in time, as far as its own length; the rest stays."""
    x, lengths = call.tensor(0), call.tensor(1)
    shape, found = shape_of(x), shape_of(lengths)
    batch, time = int(call.get("batch_axis", 1)), int(call.get("time_axis", 0))
    if {batch, time} != {0, 1} or len(shape) < 2:
        refuse(f"batch_axis is {batch} and time_axis {time} of {shown(shape)}: give 0 and 1")
    if dtype_of(lengths) != "int64" or len(found) != 1:
        refuse(f"its lengths are {dtype_of(lengths)} of the shape {shown(found)}, not int64 of one")
    what = f"has {shown(found)} lengths for the {shape[batch]} elements of its batch"
    call.require([int64(found[0]) - shape[batch]], what)
    if isinstance(lengths, tvm.ir.GenericConst) and isinstance(shape[time], int):
        values = lengths.value.numpy()
        outside = values[(values < 0) | (values > shape[time])]
        if outside.size:
            refuse(f"its length {outside[0]} is outside of an axis of {shape[time]}")
    return call.builder.emit_te(
        _reversed, x, lengths, batch, time, primfunc_name_hint="reverse_sequence"
    )


def _reversed(x: te.Tensor, lengths: te.Tensor, batch: int, time: int) -> te.Tensor:
    def value(*i: Any) -> Any:
        at = list(i)
        length = tirx.min(lengths(i[batch]), int64(x.shape[time]))
        at[time] = tirx.Select(i[time] < length, length - 1 - i[time], i[time])
        return x(*at)

    return te.compute(x.shape, value, name="reverse_sequence")
