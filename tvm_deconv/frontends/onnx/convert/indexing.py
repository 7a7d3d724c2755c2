"""Operators that pick, cut and repeat elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tvm
from tvm import relax, sym, tirx

from ..nodes import refuse
from .call import Call, dtype_of, normal_axis, shape_of


def gather(call: Call) -> relax.Expr:
    """Indices that are constants are checked; others are kept inside by clipping."""
    data, indices = call.input(0), call.input(1)
    if isinstance(data, relax.ShapeExpr):
        picked = _of_shape(call, list(data.values), indices)
        if picked is not None:
            return picked
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
            return relax.op.take(x, relax.const(values, kind), axis, mode="fast")
    places = call.tensor(1)
    kind = dtype_of(places)
    if kind not in ("int32", "int64"):
        refuse(f"its indices are {kind}, not int32 or int64")
    extent = _size_tensor(call, size, kind)
    negative = relax.op.less(places, relax.const(0, kind))
    wrapped = call.emit(relax.op.where(negative, relax.op.add(places, extent), places))
    return relax.op.take(x, wrapped, axis, mode="clip")


def _of_shape(call: Call, sizes: Sequence[Any], indices: Any) -> Any:
    """Sizes picked from a shape, still a shape or one size; None for indices of other ranks."""
    if not isinstance(indices, tvm.ir.GenericConst):
        return None
    values = _inside(indices.value.numpy(), len(sizes))
    if values.ndim == 0:
        return relax.prim_value(sizes[int(values)])
    return relax.ShapeExpr([sizes[int(i)] for i in values]) if values.ndim == 1 else None


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


def slice_(call: Call) -> Any:
    """Starts, ends, axes and steps are attributes until opset 9, then inputs."""
    starts, ends = _bounds(call, 1, "starts"), _bounds(call, 2, "ends")
    if starts is None or ends is None or len(starts) != len(ends):
        refuse("starts and ends must be lists of one length")
    axes = call.get("axes", None) if call.opset < 10 else call.constant(3, "axes")
    steps = None if call.opset < 10 else call.constant(4, "steps")
    data = call.input(0)
    rank = 1 if isinstance(data, relax.ShapeExpr) else len(shape_of(call.tensor(0)))
    places = list(range(len(starts))) if axes is None else [int(axis) for axis in axes]
    strides = [1] * len(starts) if steps is None else [int(step) for step in steps]
    if len(places) != len(starts) or len(strides) != len(starts):
        refuse(f"has {len(starts)} starts, {len(places)} axes and {len(strides)} steps")
    places = [normal_axis(axis, rank, "axes:") for axis in places]
    if len(set(places)) != len(places):
        refuse(f"axes {places} name one twice")
    if 0 in strides:
        refuse("steps hold a 0")
    if isinstance(data, relax.ShapeExpr) and _all_ints([*starts, *ends]):
        return relax.ShapeExpr(list(data.values)[starts[0] : ends[0] : strides[0]])
    x = call.tensor(0)
    for size, start, end, step in zip(
        (shape_of(x)[axis] for axis in places), starts, ends, strides, strict=True
    ):
        if isinstance(size, int) or not _all_ints([start, end]):
            continue
        same_side = (start < 0) == (end < 0)
        if same_side and (end - start) * step <= 0:
            refuse(f"from {start} to {end} by {step} there is nothing, whatever the size is")
    fixed = _all_ints([*starts, *ends])
    return relax.op.strided_slice(
        x, places, _values(starts), _values(ends), _values(strides), assume_inbound=not fixed
    )


def _bounds(call: Call, index: int, name: str) -> list[Any] | None:
    if call.opset < 10:
        given = call.get(name, None)
        return None if given is None else [int(value) for value in given]
    value = call.input(index)
    if isinstance(value, relax.ShapeExpr):
        return [int(v) if isinstance(v, tirx.IntImm) else v for v in value.values]
    if value is not None and tvm.ir.is_prim_expr(value):
        return [int(value) if isinstance(value, tirx.IntImm) else value]
    found = call.constant(index, name)
    return None if found is None else [int(v) for v in found.ravel()]


def _all_ints(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int) for value in values)


def _values(values: Sequence[Any]) -> list[Any]:
    return [relax.prim_value(value) for value in values]


def expand(call: Call) -> relax.Expr:
    """Both shapes broadcast to one: a size of 1 on either side takes the other's."""
    x = call.tensor(0)
    value = call.input(1)
    if isinstance(value, relax.ShapeExpr):
        wanted = [int(v) if isinstance(v, tirx.IntImm) else v for v in value.values]
    else:
        found = call.constant(1, "shape")
        wanted = [] if found is None else [int(size) for size in found]
    shape = shape_of(x)
    rank = max(len(shape), len(wanted))
    ours = [1] * (rank - len(shape)) + shape
    theirs = [1] * (rank - len(wanted)) + wanted
    target = [_joined(a, b) for a, b in zip(ours, theirs, strict=True)]
    return relax.op.broadcast_to(x, relax.ShapeExpr(target))


def _joined(size: Any, wanted: Any) -> Any:
    if isinstance(wanted, int) and wanted in (1, -1):
        return size
    if isinstance(size, int) and size == 1:
        return wanted
    if isinstance(size, int) and isinstance(wanted, int) and size != wanted:
        refuse(f"an axis of {size} cannot be expanded to {wanted}")
    if not (isinstance(size, int) and isinstance(wanted, int)):
        if sym.Analyzer().can_prove_equal(size, wanted):
            return size
        refuse(
            f"an axis of the free size {size} cannot be expanded to {wanted}: give the shapes of "
            "the inputs"
        )
    return size


def squeeze(call: Call) -> Any:
    """All axes of size 1 where none is named."""
    axes = call.get("axes", None) if call.opset < 13 else call.constant(1, "axes")
    data = call.input(0)
    if isinstance(data, relax.ShapeExpr):
        sizes = list(data.values)
        if len(sizes) == 1:
            return relax.prim_value(sizes[0])
        refuse(f"its input has {len(sizes)} elements: axis 0 cannot be squeezed")
    x = call.tensor(0)
    shape = shape_of(x)
    if axes is None:
        free = [axis for axis, size in enumerate(shape) if not isinstance(size, int)]
        if free:
            refuse(f"has no axes, and the size of axis {free[0]} is free: name the axes")
        places = [axis for axis, size in enumerate(shape) if size == 1]
    else:
        places = [normal_axis(int(axis), len(shape), "axes:") for axis in axes]
    for axis in places:
        if isinstance(shape[axis], int) and shape[axis] != 1:
            refuse(f"axis {axis} has the size {shape[axis]}: only 1 can be squeezed")
        if not isinstance(shape[axis], int):
            refuse(f"the size of axis {axis} is free: give the shapes of the inputs")
    return relax.op.squeeze(x, places) if places else x


def size(call: Call) -> relax.Expr:
    """The number of elements, a scalar."""
    total: Any = tirx.const(1, "int64")
    for extent in shape_of(call.tensor(0)):
        total = total * extent
    return call.as_tensor(relax.prim_value(sym.Analyzer().simplify(total)))


def eye_like(call: Call) -> relax.Expr:
    x = call.tensor(0)
    if len(shape_of(x)) != 2:
        refuse(f"its input has {len(shape_of(x))} axes, not 2")
    element = call.get("dtype", None)
    ones = relax.op.eye_like(x, call.get("k", 0), dtype_of(x))
    if element is None:
        return ones
    return relax.op.astype(call.emit(ones), call.dtype(element))


def dropout(call: Call) -> relax.Expr:
    """The input itself, and a mask that keeps all."""
    training = call.constant(2, "training_mode") if call.opset >= 12 else None
    if training is not None and bool(training):
        refuse("training_mode is true: export the model for inference")
    x = call.tensor(0)
    if len(call.node.output) < 2:
        return x
    return relax.Tuple([x, call.emit(relax.op.ones_like(x, "bool"))])
