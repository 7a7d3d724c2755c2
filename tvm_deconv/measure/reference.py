"""Convolutions in float64, by their definition: what every kernel and contestant is held against.

The one reference of the package, of benchmark, GPU benchmark and tuner. NumPy only, so that it is
also there where neither TVM's compiler nor ONNX is. Each tap is a matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod

import numpy as np

TOLERANCE = {"float32": 1e-4, "float16": 5e-3}
"""The largest error that counts as right, of the largest value, by the dtype of the tensors.

float32 in any order of summation is within 1e-5, Winograd's sums within 1e-4, and reduced precision
never is; outputs in float16 have 11 bits themselves.
"""


def largest_error(got: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, relative to the largest value of ``expected``; inf for a NaN.

    As it is where nothing else than 0 is expected. Raises ValueError for arrays of different
    shapes.
    """
    error = float(np.abs(relative_errors(got, expected)).max(initial=0.0))
    return error if np.isfinite(error) else float("inf")


def relative_errors(got: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """The differences that ``largest_error`` is one of."""
    if got.shape != expected.shape:
        raise ValueError(f"the result has shape {got.shape} instead of {expected.shape}")
    expected = expected.astype("float64")
    return (got.astype("float64") - expected) / (np.abs(expected).max(initial=0.0) or 1.0)


def convolution(
    x: np.ndarray,
    weight: np.ndarray,
    strides: Sequence[int] = (),
    padding: Sequence[int] = (),
    dilation: Sequence[int] = (),
    groups: int = 1,
) -> np.ndarray:
    """Correlation of ``x`` (N, C, sizes) and ``weight`` (O, C / groups, kernel), float64.

    Of any number of spatial axes. ``padding`` are zeros around the input, the begins of all axes
    and then the ends; strides and dilation are 1 if left out.
    """
    axes = x.ndim - 2
    ends = _around(padding, axes)
    strides, dilation = strides or (1,) * axes, dilation or (1,) * axes
    x = np.pad(x.astype("float64"), [(0, 0), (0, 0), *ends])
    batch, outputs, kernel = x.shape[0], weight.shape[0], weight.shape[2:]
    sizes = [
        (size - (taps - 1) * step - 1) // stride + 1
        for size, taps, step, stride in zip(x.shape[2:], kernel, dilation, strides, strict=True)
    ]
    y = np.zeros((batch, groups, outputs // groups, prod(sizes)))
    taps = weight.reshape(outputs, weight.shape[1], -1).astype("float64")
    for number, tap in enumerate(product(*map(range, kernel))):
        met = (slice(None), slice(None), *map(_met, tap, dilation, sizes, strides))
        factors = taps[..., number].reshape(groups, outputs // groups, -1)
        y += factors @ x[met].reshape(batch, groups, -1, prod(sizes))
    return y.reshape(batch, outputs, *sizes)


def transposed_convolution(
    x: np.ndarray,
    weight: np.ndarray,
    strides: Sequence[int] = (),
    padding: Sequence[int] = (),
    output_padding: Sequence[int] = (),
    dilation: Sequence[int] = (),
    groups: int = 1,
) -> np.ndarray:
    """Transposed convolution of ``x`` and ``weight`` (C, O / groups, kernel), float64.

    Input sample i goes through tap k to sample s*i + d*k of the full output, whose ``padding``,
    the begins of all axes and then the ends, is then cut off. Taps that are all zero are left out.
    """
    (batch, channels, *sizes), per_group, kernel = x.shape, weight.shape[1], weight.shape[2:]
    ones = (1,) * len(sizes)
    strides, dilation = strides or ones, dilation or ones
    full = [
        (size - 1) * stride + (taps - 1) * step + 1 + extra
        for size, stride, taps, step, extra in zip(
            sizes, strides, kernel, dilation, output_padding or (0,) * len(sizes), strict=True
        )
    ]
    y = np.zeros((batch, groups * per_group, *full))
    x = x.astype("float64").reshape(batch, groups, channels // groups, -1)
    taps = weight.reshape(channels, per_group, -1).astype("float64")
    for number, tap in enumerate(product(*map(range, kernel))):
        factors = taps[..., number].reshape(groups, -1, per_group)
        if factors.any():
            met = (slice(None), slice(None), *map(_met, tap, dilation, sizes, strides))
            y[met] += (factors.transpose(0, 2, 1) @ x).reshape(batch, -1, *sizes)
    ends = zip(_around(padding, len(sizes)), full, strict=True)
    cut = (slice(None), slice(None), *(slice(begin, n - end) for (begin, end), n in ends))
    return y[cut]


def _around(padding: Sequence[int], axes: int) -> list[tuple[int, int]]:
    """(begin, end) of each axis."""
    padding = padding or (0,) * (2 * axes)
    return list(zip(padding[:axes], padding[axes:], strict=True))


def _met(tap: int, dilation: int, count: int, stride: int) -> slice:
    """The ``count`` samples, ``stride`` apart, that a tap meets along one axis."""
    first = tap * dilation
    return slice(first, first + (count - 1) * stride + 1, stride)
