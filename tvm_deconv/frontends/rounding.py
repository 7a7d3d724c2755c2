"""Real numbers to integers of a scale that do not use all of their type, for any front end.

    stored = clip(round(x / scale) + zero point, low, high)

Relax's quantize saturates where the type ends. Narrower limits are taken off the real numbers
before, where a bound is one of an activation, and a convolution's store has it: rounding keeps the
order, and ``(high - zero point) * scale`` is rounded to ``high``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from tvm import relax

from tvm_deconv.errors import ModelError

# What Relax makes of float32, saturated, all of it exact there.
STORED = ("int8", "uint8", "int16")


def rounded(
    emit: Callable[[relax.Expr], relax.Expr],
    x: relax.Expr,
    scale: np.ndarray,
    zero_point: np.ndarray,
    limits: tuple[float, float],
    dtype: str,
    axis: int = 0,
) -> relax.Expr:
    """float32 ``x`` as integers of ``dtype`` between ``limits``.

    ``scale`` and ``zero_point`` have no axes, or one: along ``axis`` of ``x``, counted from 0.

    Raises ModelError for what ``parameters`` does, and limits that are not in order or not of the
    type.
    """
    factor, zero = parameters(scale, zero_point, dtype)
    held = np.iinfo(dtype)
    low, high = limits
    if not held.min <= low <= high <= held.max:
        raise ModelError(f"its integers go from {low:g} to {high:g}, which {dtype} does not hold")
    shape = (-1,) + (1,) * (x.ty.ndim - axis - 1) if zero.ndim or factor.ndim else ()
    for end, bound, operator in (
        (low, held.min, relax.op.maximum),
        (high, held.max, relax.op.minimum),
    ):
        if end != bound:
            real = (end - zero.astype("float32")) * factor
            x = emit(operator(x, relax.const(real.reshape(shape), "float32")))
    return relax.op.quantize(x, relax.const(factor), relax.const(zero), axis, dtype)


def meant(x: relax.Expr, scale: np.ndarray, zero_point: np.ndarray, axis: int = 0) -> relax.Expr:
    """``scale * (x - zero_point)`` as float32; operands as those of ``rounded``."""
    factor, zero = parameters(scale, zero_point, str(x.ty.dtype))
    return relax.op.dequantize(x, relax.const(factor), relax.const(zero), axis, "float32")


def parameters(
    scale: np.ndarray, zero_point: np.ndarray, dtype: str
) -> tuple[np.ndarray, np.ndarray]:
    """Both with one axis or none, of the types that Relax takes beside integers of ``dtype``.

    Raises ModelError for a scale that is not positive, a zero point that ``dtype`` does not hold,
    and a type that is not in ``STORED``.
    """
    if dtype not in STORED:
        raise ModelError(f"its integers are {dtype}: only {', '.join(STORED)} are computed")
    factor, zero = (np.asarray(v) for v in (scale, zero_point))
    count = max(factor.size, zero.size)
    shape = () if count == 1 else (count,)
    factor, zero = (np.broadcast_to(v.reshape(-1), (count,)).reshape(shape) for v in (factor, zero))
    factor = factor.astype("float32")
    if not (np.isfinite(factor) & (factor > 0)).all():
        raise ModelError(f"its scale is {factor.min()}: scales are positive numbers")
    held = np.iinfo(dtype)
    outside = (zero != np.rint(zero)) | (zero < held.min) | (zero > held.max)
    if outside.any():
        raise ModelError(f"its zero point is {zero[outside].flat[0]}, which {dtype} does not hold")
    return factor, zero.astype(dtype)
