"""SLICE and STRIDED_SLICE: between bounds that are constants or computed from free sizes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from tvm_deconv.frontends.onnx.nodes import refuse

from .call import Call

# Behind the last sample, in either direction.
FAR = 1 << 31
_INT64 = 7  # TensorProto.INT64

# A number, or the name of a vector of one.
Bound = int | str


def slice_(call: Call) -> None:
    """``size`` samples from ``begin`` on; a size of -1 is all that follow."""
    order = call.same_order(0)
    begin, size = bounds_of(call, 1), bounds_of(call, 2)
    if len(begin) != len(order) or len(size) != len(order):
        refuse(f"begin and size have {len(begin)} and {len(size)} numbers for {len(order)} axes")
    ends = []
    for axis, (first, count) in enumerate(zip(begin, size, strict=True)):
        if _leaves(first, count, call.shape(0)[axis]):
            refuse(f"begin {first} and size {count} leave the samples of axis {axis}")
        ends.append(FAR if count == -1 else _sum(call, first, count))
    cut(call, order, list(range(len(order))), begin, ends, [1] * len(order))


def _leaves(first: Bound, count: Bound, total: int | None) -> bool:
    if not isinstance(first, int) or not isinstance(count, int):
        return False
    return first < 0 or count < -1 or (total is not None and first + max(count, 0) > total)


def strided_slice(call: Call) -> None:
    """NumPy's slices: bits of the masks stand for ``...``, None, an index, and bounds left out."""
    begin, end, strides = bounds_of(call, 1), bounds_of(call, 2), call.integers(3, "strides")
    begins, ends, ellipses, new, shrinks = (
        int(call.option(f"{name}Mask", 0))
        for name in ("Begin", "End", "Ellipsis", "NewAxis", "ShrinkAxis")
    )
    rank, entries = call.rank(0), len(strides)
    taken = sum(not (ellipses | new) >> n & 1 for n in range(entries))
    if not len(begin) == len(end) == entries or 0 in strides or taken > rank:
        refuse(f"begin, end and strides {strides} do not fit {rank} axes")
    if ellipses & (ellipses - 1):
        refuse(f"EllipsisMask is {ellipses}: only one of its bits may be set")
    axes: list[int] = []
    dropped: list[int] = []
    added: list[int] = []
    axis = 0
    for n in range(entries):
        bit = 1 << n
        if ellipses & bit:
            axis += rank - taken
            continue
        if new & bit:
            # Behind the axes that are left until here, and those that are new.
            added.append(axis - len(dropped) + len(added))
            continue
        first, last = begin[n], end[n]
        if shrinks & bit:
            # One sample, whatever end and stride say.
            begin[n], strides[n] = first, 1
            end[n] = FAR if first == -1 else _sum(call, first, 1)
            dropped.append(axis)
        else:
            if begins & bit:
                begin[n] = 0 if strides[n] > 0 else FAR
            if ends & bit:
                end[n] = FAR if strides[n] > 0 else -FAR
            elif call.option("Offset", False):
                end[n] = _sum(call, begin[n], last)
        axes.append(axis)
        axis += 1
    kept = [n for n in range(entries) if not (ellipses | new) >> n & 1]
    starts, stops = ([bounds[n] for n in kept] for bounds in (begin, end))
    steps = [strides[n] for n in kept]
    order = call.same_order(0)
    left = [axis for axis in order if axis not in dropped]
    if (dropped or added) and (left != sorted(left) or added):
        order = tuple(range(rank))
    cut(call, order, axes, starts, stops, steps, dropped, added)


def cut(
    call: Call,
    order: tuple[int, ...],
    axes: list[int],
    begin: Sequence[Bound],
    end: Sequence[Bound],
    strides: Sequence[Bound],
    dropped: Sequence[int] = (),
    added: Sequence[int] = (),
) -> None:
    """Input 0 in ``order``, cut along ``axes``, without ``dropped``, then with ``added``."""
    moved = call.constant(np.array([order.index(axis) for axis in axes], np.int64))
    operands = [vector_of(call, bounds) for bounds in (begin, end)]
    y = call.form(0, order)
    if axes:
        y = call.emit("Slice", y, *operands, moved, vector_of(call, strides))
    if dropped:
        y = call.emit("Squeeze", y, call.constant(np.array([order.index(a) for a in dropped])))
    if added:
        y = call.emit("Unsqueeze", y, call.constant(np.array(added)))
    call.result(y, None if dropped or added else order)


def bounds_of(call: Call, index: int) -> list[Bound]:
    """The elements of input ``index``, row by row, as far as they are known."""
    known = call.value(index)
    if known is not None:
        return [int(value) for value in known.ravel()]
    shape = call.shape(index)
    vector = call.emit("Cast", call.form(index), to=_INT64)
    if len(shape) > 1:
        vector = call.emit("Reshape", vector, call.constant(np.array([-1])))
    bounds: list[Bound] = []
    for n in range(prod(size or 0 for size in shape)):
        places = (call.constant(np.array([place])) for place in (n, n + 1))
        one = call.emit("Slice", vector, *places)
        value = call.graph.facts.values.get(one)
        bounds.append(one if value is None else int(value.item()))
    return bounds


def _sum(call: Call, a: Bound, b: Bound) -> Bound:
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    return call.emit("Add", *(vector_of(call, [bound]) for bound in (a, b)))


def vector_of(call: Call, bounds: Sequence[Bound]) -> str:
    if all(isinstance(bound, int) for bound in bounds):
        return call.constant(np.array(bounds, np.int64))
    parts = [b if isinstance(b, str) else call.constant(np.array([b], np.int64)) for b in bounds]
    return parts[0] if len(parts) == 1 else call.emit("Concat", *parts, axis=0)
