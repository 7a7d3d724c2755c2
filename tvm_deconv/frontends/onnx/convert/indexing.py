"""Operators that pick, cut and repeat elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from tvm import relax, sym, tirx

from tvm_deconv.frontends.onnx.formulas import (
    are_one,
    differ_at_all_sizes,
    int64,
    shown,
    simplified,
    sizes_analyzer,
)
from tvm_deconv.frontends.onnx.nodes import refuse
from tvm_deconv.frontends.onnx.partial_shapes import leaves_nothing

from .broadcast import common_size
from .call import Call, dtype_of, normal_axis, shape_of, static

# Beyond every size; exporters write INT32_MAX or more for all that is left.
_FAR = 1 << 30


def slice_(call: Call) -> Any:
    """Starts, ends, axes and steps are attributes until opset 9, then inputs."""
    starts, ends = _bounds(call, 1, "starts"), _bounds(call, 2, "ends")
    if starts is None or ends is None or len(starts) != len(ends):
        refuse("starts and ends must be lists of one length")
    axes = call.get("axes", None) if call.opset < 10 else call.constant(3, "axes")
    steps = None if call.opset < 10 else call.constant(4, "steps")
    x = call.tensor(0)
    rank = len(shape_of(x))
    places = list(range(len(starts))) if axes is None else [int(axis) for axis in axes]
    strides = [1] * len(starts) if steps is None else [int(step) for step in steps]
    if len(places) != len(starts) or len(strides) != len(starts):
        refuse(f"has {len(starts)} starts, {len(places)} axes and {len(strides)} steps")
    places = [normal_axis(axis, rank, "axes:") for axis in places]
    if len(set(places)) != len(places):
        refuse(f"axes {places} name one twice")
    if 0 in strides:
        refuse("steps hold a 0")
    sizes = [shape_of(x)[axis] for axis in places]
    begins: list[Any] = []
    lasts: list[Any] = []
    for axis, size, start, end, step in zip(places, sizes, starts, ends, strides, strict=True):
        if not isinstance(size, int) and leaves_nothing(start, end, step):
            start, end = 0, 0
        elif step < 0:
            # x[a:b:-k] is flip(x)[-1-a:-1-b:k].
            x, start, end = call.emit(relax.op.flip(x, axis)), -1 - start, -1 - end
        begin, last = _inbound(size, start, end)
        begins.append(begin)
        lasts.append(last)
    counts = [abs(step) for step in strides]
    return relax.op.strided_slice(
        x, places, _values(begins), _values(lasts), _values(counts), assume_inbound=True
    )


def _inbound(size: Any, start: Any, end: Any) -> tuple[Any, Any]:
    """Bounds between 0 and ``size``, negative ones counted from the end."""
    if all(isinstance(value, int) for value in (size, start, end)):
        begin, last, _ = slice(start, end).indices(size)
        return begin, max(begin, last)
    analyzer = sizes_analyzer(size, start, end)

    def clamped(bound: Any) -> Any:
        # TVM would take such a number for the size that a result may have, and reserve it.
        if isinstance(bound, int) and abs(bound) >= _FAR:
            return int64(size if bound > 0 else 0)
        if isinstance(bound, tirx.Select):
            return _chosen_bound(analyzer, bound, clamped)
        bound = int64(bound)
        if analyzer.can_prove(bound < 0):
            bound = bound + size
        elif not analyzer.can_prove(bound >= 0):
            bound = tirx.Select(bound < 0, bound + size, bound)
        return tirx.max(tirx.min(bound, int64(size)), int64(0))

    begin, last = clamped(start), clamped(end)
    if not (isinstance(start, int) and isinstance(end, int)):
        last = tirx.max(begin, last)
    # Where nothing is left between constants, that is refused when it is run.
    return simplified(analyzer, begin), simplified(analyzer, last)


def _chosen_bound(analyzer: sym.Analyzer, bound: tirx.Select, clamped: Callable[[Any], Any]) -> Any:
    """Each case by itself; where one formula holds in both, that."""
    holds, cases = bound.condition, [static(bound.true_value), static(bound.false_value)]
    with analyzer.constraint_scope(holds):
        first = clamped(cases[0])
    with analyzer.constraint_scope(tirx.Not(holds)):
        second = clamped(cases[1])
    with analyzer.constraint_scope(holds):
        if analyzer.can_prove_equal(first, second):
            return second
    return tirx.Select(holds, first, second)


def _bounds(call: Call, index: int, name: str) -> list[Any] | None:
    if call.opset < 10:
        given = call.get(name, None)
        return None if given is None else [int(value) for value in given]
    return call.sizes(index, name)


def _values(values: Sequence[Any]) -> list[Any]:
    return [relax.prim_value(static(value)) for value in values]


def reshape(call: Call) -> relax.Expr:
    """0 stands for the size of the input, -1 for what is left."""
    x, wanted = call.tensor(0), call.sizes(1, "shape") or []
    sizes: list[Any] = list(wanted)
    if not call.get("allowzero", 0):
        before = shape_of(x) if 0 in _ints(sizes) else []
        for axis, size in enumerate(sizes):
            if isinstance(size, int) and size == 0:
                if axis >= len(before):
                    refuse(f"shape {wanted} takes size {axis} of an input with {len(before)} axes")
                sizes[axis] = before[axis]
    left = [axis for axis, size in enumerate(sizes) if isinstance(size, int) and size == -1]
    if len(left) > 1 or any(size < -1 for size in _ints(sizes)):
        refuse(f"shape is {wanted}: one size may be -1, the others are positive")
    for axis in left:
        total = prod(shape_of(x))
        others = prod(size for i, size in enumerate(sizes) if i != axis)
        if isinstance(total, int) and isinstance(others, int):
            if others == 0 or total % others:
                refuse(f"shape is {wanted}, of which {total} elements are no multiple")
            sizes[axis] = total // others
        else:
            quotient = tirx.floordiv(int64(total), int64(others))
            sizes[axis] = simplified(sizes_analyzer(total, others), quotient)
    before, after = shape_of(x), sizes
    if differ_at_all_sizes(prod(before), prod(after)):
        refuse(f"shape is {shown(after)}, which no input of {shown(before)} fits")
    if len(before) == len(after) and all(map(are_one, before, after)):
        return x
    return relax.op.reshape(x, relax.ShapeExpr(sizes))


def _ints(values: Sequence[Any]) -> list[int]:
    return [value for value in values if isinstance(value, int)]


def expand(call: Call) -> relax.Expr:
    """Both shapes broadcast to one: a size of 1 on either side takes the other's."""
    x = call.tensor(0)
    wanted = call.sizes(1, "shape") or []
    shape = shape_of(x)
    rank = max(len(shape), len(wanted))
    ours = [1] * (rank - len(shape)) + shape
    theirs = [1] * (rank - len(wanted)) + wanted
    met = [common_size(a, [b]) for a, b in zip(ours, theirs, strict=True)]
    if any(a is not b for a, b in zip(ours, met, strict=True)):
        x = call.builder.match_cast(x, relax.TensorType(met[rank - len(shape) :], dtype_of(x)))
    target = [_joined(a, b) for a, b in zip(met, theirs, strict=True)]
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


def tile(call: Call) -> relax.Expr:
    """By constants as TVM does it; by sizes, each axis is broadcast beside how often it comes."""
    x, repeats = call.tensor(0), call.sizes(1, "repeats") or []
    shape = shape_of(x)
    if len(repeats) != len(shape):
        refuse(f"repeats are {shown(repeats)}: {len(shape)} are needed, one for each axis")
    if any(count < 1 for count in _ints(repeats)):
        refuse(f"repeats are {shown(repeats)}: all must be at least 1")
    if len(_ints(repeats)) == len(repeats):
        return relax.op.tile(x, repeats)
    beside: list[Any] = []
    repeated: list[Any] = []
    for count, size in zip(repeats, shape, strict=True):
        beside += [1, size]
        repeated += [count, size]
    apart = call.emit(relax.op.reshape(x, relax.ShapeExpr(beside)))
    whole = call.emit(relax.op.broadcast_to(apart, relax.ShapeExpr(repeated)))
    sizes = [count * size for count, size in zip(repeats, shape, strict=True)]
    return relax.op.reshape(whole, relax.ShapeExpr(sizes))


def squeeze(call: Call) -> Any:
    """All axes of size 1 where none is named.

    Which axes the result has does not depend on free sizes: one that is named has to be 1 when the
    model is run, and where none is named, none of them may be.
    """
    axes = call.get("axes", None) if call.opset < 13 else call.constant(1, "axes")
    x = call.tensor(0)
    shape = shape_of(x)
    free = [axis for axis, size in enumerate(shape) if not isinstance(size, int)]
    if axes is None:
        places = [axis for axis, size in enumerate(shape) if isinstance(size, int) and size == 1]
        sizes = [shape[axis] for axis in free]
        more = [tirx.max(size, int64(2)) for size in sizes]
        call.require(sizes, f"its sizes {shown(shape)} are free, one is 1: name the axes", more)
        return relax.op.squeeze(x, places) if places else x
    places = [normal_axis(int(axis), len(shape), "axes:") for axis in axes]
    for axis in places:
        if isinstance(shape[axis], int) and shape[axis] != 1:
            refuse(f"axis {axis} has the size {shape[axis]}: only 1 can be squeezed")
    if set(places) & set(free):
        one = [1 if axis in places else size for axis, size in enumerate(shape)]
        x = call.builder.match_cast(x, relax.TensorType(one, dtype_of(x)))
    return relax.op.squeeze(x, places) if places else x


def arange(call: Call) -> relax.Expr:
    """Whole numbers from start to limit, less that, by steps of delta."""
    bounds = [call.sizes(i, name) for i, name in enumerate(("start", "limit", "delta"))]
    if any(values is None or len(values) != 1 for values in bounds):
        refuse("start, limit and delta must be one number each")
    start, limit, delta = (int64(values[0]) for values in bounds if values)
    if not isinstance(delta, tirx.IntImm) or delta.value == 0:
        refuse(f"delta is {delta}: it must be a constant other than 0")
    step, analyzer = int(delta.value), sizes_analyzer(start, limit)
    span = limit - start if step > 0 else start - limit
    count = tirx.floordiv(span + (abs(step) - 1), int64(abs(step)))
    count = analyzer.simplify(tirx.max(count, int64(0)))
    counted = call.emit(relax.op.arange(count, dtype="int64"))
    scaled = call.emit(relax.op.multiply(counted, relax.const(step, "int64")))
    return relax.op.add(scaled, call.as_tensor(relax.prim_value(start)))


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
