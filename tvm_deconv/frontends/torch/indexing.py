"""Gathering and scattering by tensors of indices.

Every index is brought into the tensor: a negative one counts from the end where PyTorch allows it,
and one beyond the end, for which PyTorch raises an error, reads or writes the last element rather
than somebody else's memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import relax, te, tirx

from tvm_deconv.errors import ModelError

from .translation import Translation
from .values import constant, shape_of, value_of

op = relax.op


def index(t: Translation, x: relax.Expr, indices: Sequence[relax.Expr | None]) -> relax.Expr:
    """x[i, :, j]: index tensors broadcast to one shape, which stands where they are adjacent.

    Where they are not adjacent, it stands first.
    """
    given = [(axis, i) for axis, i in enumerate(indices) if i is not None]
    if any(str(i.ty.dtype) in ("bool", "uint8") for _, i in given):
        raise ModelError("the size of a selection by a mask depends on data")
    outer = _outer(t, x, given)
    if outer is not None:
        return outer
    rank = max(len(shape_of(i)) for _, i in given)
    axes = [axis for axis, _ in given]
    adjacent = axes == list(range(axes[0], axes[0] + len(axes)))
    place = axes[0] if adjacent else 0

    def index_by_tensors(x: te.Tensor, out: Sequence[Any], *tensors: te.Tensor) -> te.Tensor:
        def value(*i: Any) -> Any:
            common, rest = i[place : place + rank], [*i[:place], *i[place + rank :]]
            source = []
            for axis in range(len(x.shape)):
                if axis in axes:
                    read = element(tensors[axes.index(axis)], common)
                    source.append(wrapped(read, x.shape[axis]))
                else:
                    source.append(rest.pop(0))
            return x[tuple(source)]

        return te.compute(tuple(out), value, name="index")

    return t.te(index_by_tensors, x, t.shape, *(i for _, i in given))


def element(tensor: te.Tensor, at: Sequence[Any]) -> Any:
    """The element of a tensor that is broadcast: axes of size 1 stay at 0."""
    rank = len(tensor.shape)
    inner = at[len(at) - rank :]
    one = [isinstance(d, tirx.IntImm) and int(d.value) == 1 for d in tensor.shape]
    return tensor[tuple(0 if o else i for o, i in zip(one, inner, strict=True))]


def wrapped(read: Any, size: Any) -> Any:
    position = tirx.Cast("int64", read)
    position = tirx.if_then_else(position < 0, position + size, position)
    return tirx.max(tirx.min(position, size - 1), 0)


def _outer(
    t: Translation, x: relax.Expr, given: Sequence[tuple[int, relax.Expr]]
) -> relax.Expr | None:
    """One ``take`` after the other, where the constant indices span a grid: x[:, :, i[:, None], j].

    This is the form in which ``RewriteUpsampling`` sees a nearest upsampling.
    """
    axes = [axis for axis, _ in given]
    if axes != list(range(axes[0], axes[0] + len(axes))):
        return None
    values = [value_of(i) for _, i in given]
    if any(v is None for v in values):
        return None
    rank = max(v.ndim for v in values if v is not None)
    if rank != len(given):
        return None
    for position, (axis, array) in enumerate(zip(axes, values, strict=True)):
        assert array is not None
        spread = array.reshape((1,) * (rank - array.ndim) + array.shape)
        if spread.size != spread.shape[position]:
            return None
        size = shape_of(x)[axis]
        picks = spread.reshape(-1).astype("int64")
        if not isinstance(size, int):
            return None
        picks = np.clip(np.where(picks < 0, picks + size, picks), 0, size - 1)
        x = t.emit(op.take(x, constant(picks), axis, mode="clip"))
    return x


def index_select(t: Translation, x: relax.Expr, dim: int, indices: relax.Expr) -> relax.Expr:
    return op.take(x, indices, dim % max(len(shape_of(x)), 1), mode="clip")


def embedding(
    t: Translation, weight: relax.Expr, indices: relax.Expr, *_training: Any
) -> relax.Expr:
    return op.take(weight, indices, 0, mode="clip")


def gather(
    t: Translation, x: relax.Expr, dim: int, indices: relax.Expr, _sparse: bool
) -> relax.Expr:
    axis = dim % max(len(shape_of(x)), 1)

    def gather(x: te.Tensor, indices: te.Tensor) -> te.Tensor:
        def value(*i: Any) -> Any:
            at = wrapped(indices[i], x.shape[axis])
            return x(*i[:axis], at, *i[axis + 1 :])

        return te.compute(indices.shape, value, name="gather")

    return t.te(gather, x, indices)
