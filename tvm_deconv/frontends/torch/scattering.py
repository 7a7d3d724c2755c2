"""Writing to places that a tensor names: one loop after the other, so that what is added adds up.

TVM's ``index_put`` runs through the places in parallel, where two additions to one place race, and
neither it nor ``scatter_elements`` looks whether a place is inside. Here every scatter becomes one
over the flattened tensor, in order; an index beyond the end writes to the last place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tvm import relax, te, tirx

from tvm_deconv.errors import ModelError

from .arithmetic import where
from .indexing import element, wrapped
from .translation import Converter, Translation
from .values import is_tensor, shape_of

op = relax.op

_COMBINE: dict[str, Callable[[Any, Any], Any]] = {
    "update": lambda old, new: new,
    "sum": lambda old, new: old + new,
    "prod": lambda old, new: old * new,
    "amax": tirx.max,
    "amin": tirx.min,
}


def scatter(reduction: str) -> Converter:
    """x[i][index[i][j]] = source[i][j] along an axis; ``source`` may be a number."""

    def convert(
        t: Translation, x: relax.Expr, dim: int, index: relax.Expr, source: Any
    ) -> relax.Expr:
        return _along_axis(t, x, dim, index, source, reduction)

    return convert


def scatter_reduce(
    t: Translation,
    x: relax.Expr,
    dim: int,
    index: relax.Expr,
    source: relax.Expr,
    reduce: str,
    include_self: bool,
) -> relax.Expr:
    if reduce not in _COMBINE or not include_self:
        raise ModelError(f"reduce={reduce!r} with include_self={include_self} is not supported")
    return _along_axis(t, x, dim, index, source, reduce)


def _along_axis(
    t: Translation, x: relax.Expr, dim: int, index: relax.Expr, source: Any, reduction: str
) -> relax.Expr:
    axis, strides = dim % max(len(shape_of(x)), 1), _strides(shape_of(x))
    if not is_tensor(source):
        source = t.emit(op.broadcast_to(t.scalar(source, t.dtype), index.ty.shape))

    def places(index: te.Tensor, sizes: Sequence[Any], strides: Sequence[Any]) -> te.Tensor:
        def value(*i: Any) -> Any:
            at = [wrapped(index[i], sizes[axis]) if d == axis else j for d, j in enumerate(i)]
            return sum((j * s for j, s in zip(at, strides, strict=True)), _ZERO)

        return te.compute(index.shape, value, name="places")

    def values(source: te.Tensor, index: te.Tensor) -> te.Tensor:
        return te.compute(index.shape, lambda *i: source[i], name="values")

    at = t.te(places, index, shape_of(x), strides)
    return _scattered(t, x, at, t.te(values, t.cast(source, t.dtype), index), reduction)


def index_put(
    t: Translation,
    x: relax.Expr,
    indices: Sequence[relax.Expr | None],
    values: relax.Expr,
    accumulate: bool,
) -> relax.Expr:
    """``x`` with x[indices] replaced by ``values``, or increased by them."""
    given = [i for i in indices if i is not None]
    if any(str(i.ty.dtype) in ("bool", "uint8") for i in given):
        return _masked_put(t, x, indices, values, accumulate)
    sizes = shape_of(x)
    full = [*indices, *[None] * (len(sizes) - len(indices))]
    axes = [axis for axis, i in enumerate(full) if i is not None]
    rest = [axis for axis, i in enumerate(full) if i is None]
    adjacent = axes == list(range(axes[0], axes[0] + len(axes)))
    place, rank = axes[0] if adjacent else 0, max(len(shape_of(i)) for i in given)
    common = _broadcast([shape_of(i) for i in given])
    kept = [sizes[axis] for axis in rest]
    shape = [*kept[:place], *common, *kept[place:]]

    def places(
        shape: Sequence[Any], sizes: Sequence[Any], strides: Sequence[Any], *given: te.Tensor
    ) -> te.Tensor:
        def value(*i: Any) -> Any:
            outer, inner = i[place : place + rank], [*i[:place], *i[place + rank :]]
            at: list[Any] = [None] * len(sizes)
            for axis, tensor in zip(axes, given, strict=True):
                at[axis] = wrapped(element(tensor, outer), sizes[axis])
            for axis, j in zip(rest, inner, strict=True):
                at[axis] = j
            return sum((j * s for j, s in zip(at, strides, strict=True)), _ZERO)

        return te.compute(tuple(shape), value, name="places")

    at = t.te(places, shape, sizes, _strides(sizes), *given)
    spread = t.emit(op.broadcast_to(t.cast(values, t.dtype), at.ty.shape))
    return _scattered(t, x, at, spread, "sum" if accumulate else "update")


_ZERO = tirx.IntImm("int64", 0)


def _masked_put(
    t: Translation,
    x: relax.Expr,
    indices: Sequence[relax.Expr | None],
    values: relax.Expr,
    accumulate: bool,
) -> relax.Expr:
    """x[mask] = value: one value for all, since how many there are depends on data."""
    (mask,) = indices if len(indices) == 1 else (None,)
    if mask is None or accumulate or math.prod(shape_of(values)) != 1:
        raise ModelError("how many elements a mask selects depends on data")
    shape = shape_of(mask)
    mask = t.reshape(mask, [*shape, *[1] * (len(shape_of(x)) - len(shape))])
    return where(t, mask, t.reshape(values, []), x)


def _scattered(
    t: Translation, x: relax.Expr, at: relax.Expr, values: relax.Expr, reduction: str
) -> relax.Expr:
    combine = _COMBINE[reduction]

    def scatter(x: te.Tensor, at: te.Tensor, values: te.Tensor) -> te.Tensor:
        def loops(ins: Sequence[Any], outs: Sequence[Any]) -> tirx.Stmt:
            (old, places, new), (out,) = ins, outs
            i, k = tirx.Var("i", "int64"), tirx.Var("k", "int64")
            copy = tirx.BufferStore(out, old[i], [i])
            place = places[k]
            put = tirx.BufferStore(out, combine(out[place], new[k]), [place])
            serial = tirx.ForKind.SERIAL
            return tirx.SeqStmt(
                [
                    tirx.For(i, _ZERO, old.shape[0], serial, copy),
                    tirx.For(k, _ZERO, places.shape[0], serial, put),
                ]
            )

        return te.extern([x.shape], [x, at, values], loops, dtype=str(x.dtype), name="scatter")

    flat = [t.reshape(y, [math.prod(shape_of(y))]) for y in (t.cast(x, t.dtype), at, values)]
    return t.reshape(t.te(scatter, *flat), shape_of(x))


def _broadcast(shapes: Sequence[Sequence[Any]]) -> list[Any]:
    """The shape that index tensors are broadcast to."""
    rank = max(map(len, shapes))
    result: list[Any] = [1] * rank
    for shape in shapes:
        for axis, size in enumerate(shape, rank - len(shape)):
            if not (isinstance(size, int) and size == 1):
                result[axis] = size
    return result


def _strides(sizes: Sequence[Any]) -> list[Any]:
    return [math.prod(sizes[axis + 1 :]) for axis in range(len(sizes))]
