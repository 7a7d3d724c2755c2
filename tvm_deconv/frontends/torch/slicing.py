"""Parts of a tensor along one axis: slices, splits, and writing into them."""

from __future__ import annotations

from typing import Any

from tvm import relax, te, tirx

from .sizes import integer
from .translation import Translation
from .values import shape_of

op = relax.op


def slice_(t: Translation, x: relax.Expr, dim: int, start: Any, _end: Any, step: int) -> relax.Expr:
    """The recorded size says how far; negative begins count from the end."""
    axis = dim % len(shape_of(x))
    size, length = shape_of(x)[axis], t.shape[axis]
    return sliced(t, x, axis, _begin(start, size), length, step)


def select(t: Translation, x: relax.Expr, dim: int, index: Any) -> relax.Expr:
    axis = dim % len(shape_of(x))
    one = sliced(t, x, axis, _begin(index, shape_of(x)[axis]), 1, 1)
    return t.reshape(one, t.shape)


def _begin(start: Any, size: Any) -> Any:
    """Where a slice begins, in 0 to size: PyTorch clamps, and counts negative ones from the end."""
    if start is None:
        return 0
    if isinstance(start, int) and isinstance(size, int):
        return min(max(start + size if start < 0 else start, 0), size)
    if isinstance(start, int):
        return tirx.max(size + start, 0) if start < 0 else start
    # A size that is computed: torch.export has only ever seen ones that are not negative.
    return tirx.min(start, integer(size))


def sliced(
    t: Translation, x: relax.Expr, axis: int, begin: Any, length: Any, step: int
) -> relax.Expr:
    """``length`` elements from ``begin`` on, every ``step``-th; all must lie inside."""
    size = shape_of(x)[axis]
    if isinstance(begin, int) and begin == 0 and step == 1 and t.sizes.equal(length, size):
        return x
    if isinstance(begin, int) and isinstance(length, int) and isinstance(size, int):
        end = begin + (length - 1) * step + 1
        return t.emit(op.strided_slice(x, [axis], [begin], [end], [step]))

    def take_slice(x: te.Tensor, begin: Any, length: Any) -> te.Tensor:
        shape = [length if d == axis else size for d, size in enumerate(x.shape)]
        return te.compute(
            shape,
            lambda *i: x(*i[:axis], begin + i[axis] * step, *i[axis + 1 :]),
            name="slice",
        )

    return t.te(take_slice, x, begin, length)


def slice_scatter(
    t: Translation, x: relax.Expr, source: relax.Expr, dim: int, start: Any, _end: Any, step: int
) -> relax.Expr:
    """``x`` with ``source`` in the place of x[start::step] along an axis."""
    axis = dim % len(shape_of(x))
    begin, length = _begin(start, shape_of(x)[axis]), shape_of(source)[axis]

    def scatter_slice(x: te.Tensor, source: te.Tensor, begin: Any, length: Any) -> te.Tensor:
        def value(*i: Any) -> Any:
            offset = i[axis] - begin
            at = tirx.floordiv(offset, step)
            inside = tirx.all(offset >= 0, tirx.floormod(offset, step) == 0, at < length)
            return tirx.if_then_else(inside, source(*i[:axis], at, *i[axis + 1 :]), x[i])

        return te.compute(x.shape, value, name="slice_scatter")

    return t.te(scatter_slice, x, t.cast(source, t.dtype), begin, length)


def select_scatter(
    t: Translation, x: relax.Expr, source: relax.Expr, dim: int, index: Any
) -> relax.Expr:
    axis = dim % len(shape_of(x))
    one = [1 if d == axis else size for d, size in enumerate(shape_of(x))]
    return slice_scatter(t, x, t.reshape(source, one), axis, index, None, 1)


def split(t: Translation, x: relax.Expr, _sizes: Any, dim: int) -> list[relax.Expr]:
    """Into the recorded parts."""
    axis, begin, parts = dim % len(shape_of(x)), 0, []
    for record in t.value:
        length = t.sizes.shape(record)[axis]
        parts.append(sliced(t, x, axis, begin, length, 1))
        begin = begin + length
    return parts


def chunk(t: Translation, x: relax.Expr, _chunks: int, dim: int) -> list[relax.Expr]:
    return split(t, x, None, dim)


def unbind(t: Translation, x: relax.Expr, dim: int) -> list[relax.Expr]:
    axis = dim % len(shape_of(x))
    return [
        t.reshape(sliced(t, x, axis, i, 1, 1), t.sizes.shape(record))
        for i, record in enumerate(t.value)
    ]
