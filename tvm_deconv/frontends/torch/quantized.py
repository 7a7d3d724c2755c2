"""Programs that PT2E has quantized: ``quantized_decomposed`` between the operators of floats.

The weights' own are evaluated by PyTorch. What is left stands at activations, and becomes Relax's
quantize and dequantize. PyTorch multiplies by the reciprocal of the scale where we divide, so that
a value within a rounding error of a tie may go the other way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# Registers the operators: a file that holds them cannot be read without.
import torch.ao.quantization.fx._decomposed  # noqa: F401
from tvm import relax

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.rounding import meant, rounded

from .translation import Translation
from .values import dtype_name, is_tensor, shape_of, value_of


def quantize_per_tensor(
    t: Translation, x: Any, scale: Any, zero: Any, low: Any, high: Any, dtype: Any
) -> relax.Expr:
    """Numbers, or (the overloads ``tensor`` and ``tensor2``) tensors of one of them."""
    return _rounded(t, x, _single(scale, "scale"), _single(zero, "zero point"), (low, high), dtype)


def quantize_per_channel(
    t: Translation, x: Any, scales: Any, zeros: Any, axis: int, low: Any, high: Any, dtype: Any
) -> relax.Expr:
    axis, scales, zeros = axis % len(shape_of(x)), _known(scales, "scales"), _known(zeros, "zeros")
    return _rounded(t, x, scales, zeros, (low, high), dtype, axis)


def _rounded(
    t: Translation,
    x: relax.Expr,
    scale: np.ndarray,
    zero: np.ndarray,
    limits: tuple[Any, Any],
    dtype: Any,
    axis: int = 0,
) -> relax.Expr:
    low, high = (float(_single(limit, "limit").item()) for limit in limits)
    single = t.cast(x, "float32")
    return rounded(t.emit, single, scale, zero, (low, high), dtype_name(dtype), axis)


def dequantize_per_tensor(
    t: Translation,
    x: Any,
    scale: Any,
    zero: Any,
    low: Any,
    high: Any,
    dtype: Any,
    out_dtype: Any = None,
) -> relax.Expr:
    """The limits and the type say what ``x`` is."""
    value = meant(x, _single(scale, "scale"), _single(zero, "zero point"))
    return t.cast(t.emit(value), t.dtype)


def dequantize_per_channel(
    t: Translation,
    x: Any,
    scales: Any,
    zeros: Any,
    axis: int,
    low: Any,
    high: Any,
    dtype: Any,
    out_dtype: Any = None,
) -> relax.Expr:
    """Without zero points they are 0."""
    found = np.zeros((), "int64") if zeros is None else _known(zeros, "zero points")
    value = meant(x, _known(scales, "scales"), found, axis % len(shape_of(x)))
    return t.cast(t.emit(value), t.dtype)


def _single(value: Any, what: str) -> np.ndarray:
    found = _known(value, what)
    if found.size != 1:
        raise ModelError(f"its {what} has {found.size} elements, not one")
    return found.reshape(())


def _known(value: Any, what: str) -> np.ndarray:
    found = value_of(value) if is_tensor(value) else np.asarray(value)
    if found is None:
        raise ModelError(
            f"its {what} is computed when the program runs: quantize with scales that are "
            "calibrated before"
        )
    return found
