"""Tensors that are made of numbers and sizes only."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax, te, tirx

from .sizes import integer
from .translation import Translation
from .values import constant

op = relax.op


def filled(t: Translation, value: Any) -> relax.Expr:
    """The recorded shape and type, every element the same."""
    scalar = t.scalar(value, t.dtype)
    return op.broadcast_to(scalar, [integer(size) for size in t.shape]) if t.shape else scalar


def full(t: Translation, _size: Any, value: Any, *_dtype: Any) -> relax.Expr:
    return filled(t, value)


def scalar_tensor(t: Translation, value: Any, *_dtype: Any) -> relax.Expr:
    return filled(t, value)


def fill(t: Translation, _x: relax.Expr, value: Any) -> relax.Expr:
    return filled(t, value)


def zeros(t: Translation, *_arguments: Any) -> relax.Expr:
    """zeros, zeros_like, and empty: whoever reads an empty tensor may find anything there."""
    return filled(t, 0)


def ones(t: Translation, *_arguments: Any) -> relax.Expr:
    return filled(t, 1)


def arange(t: Translation, start: Any, end: Any, step: Any, *_dtype: Any) -> relax.Expr:
    """start + i*step, computed in float64 and integers as PyTorch does on a CPU."""
    (length,) = t.shape
    if all(isinstance(value, (int, float)) for value in (start, end, step, length)):
        exact = "int64" if all(isinstance(v, int) for v in (start, step)) else "float64"
        values = np.arange(length, dtype=exact) * step + start
        return constant(values.astype(t.dtype))
    dtype = t.dtype

    def arange(start: Any, step: Any, length: Any) -> te.Tensor:
        return te.compute((length,), lambda i: tirx.Cast(dtype, start + i * step), name="arange")

    return t.te(arange, start, step, length)


def triangle(upper: bool) -> Any:
    """tril, triu of the two last axes."""

    def convert(t: Translation, x: relax.Expr, diagonal: int) -> relax.Expr:
        return (op.triu if upper else op.tril)(x, diagonal)

    return convert


def eye(t: Translation, *_arguments: Any) -> relax.Expr:
    rows, columns = t.shape
    return constant(np.eye(rows, columns).astype(t.dtype))
