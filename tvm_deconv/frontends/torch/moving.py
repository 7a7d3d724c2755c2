"""Operators that move elements and compute none: shapes, views, joins and repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax, te, tirx

from tvm_deconv.errors import ModelError

from .arithmetic import fitted
from .sizes import integer
from .slicing import sliced
from .translation import Translation
from .values import shape_of

op = relax.op


def reshape(t: Translation, x: relax.Expr, *_shape: Any) -> relax.Expr:
    """Into the recorded shape: squeeze, unsqueeze, flatten and the like."""
    return t.reshape(x, t.shape)


def view(t: Translation, x: relax.Expr, given: Sequence[Any]) -> relax.Expr:
    """Into the shape given, which may say 2 where PyTorch records h // (h // 2)."""
    for size, recorded in zip(given, t.value.shape, strict=True):
        if isinstance(size, int) and size > 0:
            t.sizes.learn(recorded, size)
    return t.reshape(x, t.shape)


def pixel_shuffle(t: Translation, x: relax.Expr, r: int) -> relax.Expr:
    """[.., C r², H, W] to [.., C, r H, r W], as the rewrite reads it."""
    *lead, _, h, w = shape_of(x)
    channels, n = t.shape[-3], len(lead)
    split = t.reshape(x, [*lead, channels, r, r, h, w])
    axes = [*range(n + 1), n + 3, n + 1, n + 4, n + 2]
    return t.reshape(t.emit(op.permute_dims(split, axes)), t.shape)


def pixel_unshuffle(t: Translation, x: relax.Expr, r: int) -> relax.Expr:
    """[.., C, r H, r W] to [.., C r², H, W]."""
    for size in t.node.args[0].meta["val"].shape[-2:]:
        # PyTorch records C * (H // (H // r)) * (W // (W // r)) channels.
        t.sizes.learn(size // (size // r), r)
    *lead, channels, _, _ = shape_of(x)
    h, w = t.shape[-2:]
    n = len(lead)
    split = t.reshape(x, [*lead, channels, h, r, w, r])
    axes = [*range(n + 1), n + 2, n + 4, n + 1, n + 3]
    moved = t.emit(op.permute_dims(split, axes))
    return t.reshape(moved, [*lead, channels * r * r, h, w])


def permute(t: Translation, x: relax.Expr, dims: Sequence[int]) -> relax.Expr:
    rank = len(shape_of(x))
    axes = [d % rank for d in dims]
    return x if axes == list(range(rank)) else op.permute_dims(x, axes)


def transpose(t: Translation, x: relax.Expr, a: int, b: int) -> relax.Expr:
    rank = len(shape_of(x))
    axes = list(range(rank))
    if rank:
        axes[a % rank], axes[b % rank] = b % rank, a % rank
    return permute(t, x, axes)


def expand(t: Translation, x: relax.Expr, *_sizes: Any) -> relax.Expr:
    """Broadcast to the recorded shape."""
    shape = t.shape
    if len(shape) == len(shape_of(x)) and all(map(t.sizes.equal, shape, shape_of(x))):
        return x
    return op.broadcast_to(x, [integer(size) for size in shape])


def copied(t: Translation, _target: relax.Expr, source: relax.Expr, *_attributes: Any) -> Any:
    """copy: the source, cast and broadcast to what it replaces."""
    return expand(t, t.cast(source, t.dtype))


def repeat(t: Translation, x: relax.Expr, counts: Sequence[Any]) -> relax.Expr:
    if all(isinstance(count, int) for count in counts):
        return x if set(counts) == {1} and len(counts) == len(shape_of(x)) else op.tile(x, counts)

    def tile(x: te.Tensor, out: Sequence[Any]) -> te.Tensor:
        rank = len(x.shape)
        return te.compute(
            tuple(out),
            lambda *i: x[
                tuple(tirx.floormod(j, d) for j, d in zip(i[-rank:], x.shape, strict=True))
            ],
            name="tile",
        )

    return t.te(tile, x, t.shape)


def flip(t: Translation, x: relax.Expr, dims: Sequence[int]) -> relax.Expr:
    for dim in dims:
        x = t.emit(op.flip(x, dim % len(shape_of(x))))
    return x


def roll(t: Translation, x: relax.Expr, shifts: Sequence[Any], dims: Sequence[int]) -> relax.Expr:
    if not dims:
        flat = t.reshape(x, [_product(shape_of(x))])
        return t.reshape(_rolled(t, flat, shifts[0], 0), t.shape)
    for shift, dim in zip(shifts, dims, strict=True):
        x = _rolled(t, x, shift, dim % len(shape_of(x)))
    return x


def _rolled(t: Translation, x: relax.Expr, shift: Any, axis: int) -> relax.Expr:
    """Two slices in the other order; a negative shift rolls to the left."""
    size = shape_of(x)[axis]
    if isinstance(size, int) and isinstance(shift, int):
        if shift % size == 0:
            return x
        cut = size - shift % size
        parts = [sliced(t, x, axis, cut, size - cut, 1), sliced(t, x, axis, 0, cut, 1)]
        return t.emit(op.concat(parts, axis))

    def roll(x: te.Tensor, shift: Any) -> te.Tensor:
        def value(*i: Any) -> Any:
            source = tirx.floormod(i[axis] - shift, x.shape[axis])
            return x(*i[:axis], source, *i[axis + 1 :])

        return te.compute(x.shape, value, name="roll")

    return t.te(roll, x, shift)


def concatenate(t: Translation, tensors: Sequence[relax.Expr], dim: int) -> relax.Expr:
    rank = len(t.shape)
    # PyTorch also takes empty tensors of one axis, whatever the others are.
    parts = [x for x in tensors if len(shape_of(x)) == rank and 0 not in _fixed(x)]
    parts = [t.cast(x, t.dtype) for x in parts]
    if len(parts) == 1:
        return parts[0]
    return op.concat(fitted(t, parts, rank - 1 - dim % rank), dim % rank)


def _fixed(x: relax.Expr) -> list[int]:
    return [size for size in shape_of(x) if isinstance(size, int)]


def stack(t: Translation, tensors: Sequence[relax.Expr], dim: int) -> relax.Expr:
    axis = dim % len(t.shape)
    one = [1 if d == axis else size for d, size in enumerate(t.shape)]
    return op.concat([t.reshape(t.cast(x, t.dtype), one) for x in tensors], axis)


def diagonal(t: Translation, x: relax.Expr, offset: int, dim1: int, dim2: int) -> relax.Expr:
    """x[..., i, i + offset, ...], the diagonal last."""
    rank = len(shape_of(x))
    first, second = dim1 % rank, dim2 % rank
    row, column = max(-offset, 0), max(offset, 0)

    def diagonal(x: te.Tensor, out: Sequence[Any]) -> te.Tensor:
        def value(*i: Any) -> Any:
            rest, source = list(i[:-1]), []
            for axis in range(rank):
                if axis in (first, second):
                    source.append(i[-1] + (row if axis == first else column))
                else:
                    source.append(rest.pop(0))
            return x[tuple(source)]

        return te.compute(tuple(out), value, name="diagonal")

    return t.te(diagonal, x, t.shape)


def unfold_dimension(t: Translation, x: relax.Expr, dim: int, _size: int, step: int) -> relax.Expr:
    """Tensor.unfold: windows along an axis, their elements in a new last axis."""
    axis = dim % max(len(shape_of(x)), 1)

    def unfold(x: te.Tensor, out: Sequence[Any]) -> te.Tensor:
        return te.compute(
            tuple(out),
            lambda *i: x(*i[:axis], i[axis] * step + i[-1], *i[axis + 1 : -1]),
            name="unfold",
        )

    return t.te(unfold, x, t.shape)


def as_strided(
    t: Translation, x: relax.Expr, _size: Any, stride: Sequence[Any], offset: Any
) -> relax.Expr:
    """Elements of the flattened tensor; PyTorch's own layout must be the contiguous one."""
    record = t.node.args[0].meta["val"]
    if not record.is_contiguous():
        raise ModelError("as_strided of a tensor that is not contiguous")
    flat = t.reshape(x, [_product(shape_of(x))])

    def as_strided(flat: te.Tensor, out: Sequence[Any], stride: Sequence[Any], offset: Any) -> Any:
        def value(*i: Any) -> Any:
            return flat[sum((j * s for j, s in zip(i, stride, strict=True)), offset)]

        return te.compute(tuple(out), value, name="as_strided")

    return t.te(as_strided, flat, t.shape, list(stride), offset or 0)


def _product(sizes: Sequence[Any]) -> Any:
    result: Any = 1
    for size in sizes:
        result = result * size
    return result
