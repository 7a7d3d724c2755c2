"""Convolutions in float64, by their definition: what every kernel and contestant is held against.

The one reference of the package, of benchmark, GPU benchmark and tuner. NumPy only, so that it is
also there where neither TVM's compiler nor ONNX is. Each tap is a matrix product.
"""

from __future__ import annotations

from itertools import product

import numpy as np

Pair = tuple[int, int]

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


def conv2d(
    x: np.ndarray,
    weight: np.ndarray,
    strides: Pair = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> np.ndarray:
    """Correlation of NCHW ``x`` and OIHW ``weight``, float64.

    ``padding`` is (top, left, bottom, right): zeros around the input.
    """
    top, left, bottom, right = padding
    x = np.pad(x.astype("float64"), ((0, 0), (0, 0), (top, bottom), (left, right)))
    batch, outputs, kernel = x.shape[0], weight.shape[0], weight.shape[2:]
    sizes = [
        (size - (taps - 1) * step - 1) // stride + 1
        for size, taps, step, stride in zip(x.shape[2:], kernel, dilation, strides, strict=True)
    ]
    y = np.zeros((batch, groups, outputs // groups, sizes[0] * sizes[1]))
    for kh, kw in product(*map(range, kernel)):
        rows, columns = map(_met, (kh, kw), dilation, sizes, strides)
        tap = weight[:, :, kh, kw].astype("float64").reshape(groups, outputs // groups, -1)
        y += tap @ x[:, :, rows, columns].reshape(batch, groups, -1, sizes[0] * sizes[1])
    return y.reshape(batch, outputs, *sizes)


def conv2d_transpose(
    x: np.ndarray,
    weight: np.ndarray,
    strides: Pair = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    output_padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> np.ndarray:
    """Transposed convolution of NCHW ``x`` and IOHW ``weight``, float64.

    Input sample i goes through tap k to sample s*i + d*k of the full output, whose ``padding``
    (top, left, bottom, right) is then cut off. Taps that are all zero are left out.
    """
    top, left, bottom, right = padding
    (batch, channels, *sizes), per_group, kernel = x.shape, weight.shape[1], weight.shape[2:]
    full = [
        (size - 1) * stride + (taps - 1) * step + 1 + extra
        for size, stride, taps, step, extra in zip(
            sizes, strides, kernel, dilation, output_padding, strict=True
        )
    ]
    y = np.zeros((batch, groups * per_group, *full))
    x = x.astype("float64").reshape(batch, groups, channels // groups, -1)
    for kh, kw in product(*map(range, kernel)):
        tap = weight[:, :, kh, kw].astype("float64").reshape(groups, -1, per_group)
        if tap.any():
            rows, columns = map(_met, (kh, kw), dilation, sizes, strides)
            terms = tap.transpose(0, 2, 1) @ x
            y[:, :, rows, columns] += terms.reshape(batch, -1, *sizes)
    return y[:, :, top : full[0] - bottom, left : full[1] - right]


def _met(tap: int, dilation: int, count: int, stride: int) -> slice:
    """The ``count`` pixels, ``stride`` apart, that a tap meets along one axis."""
    first = tap * dilation
    return slice(first, first + (count - 1) * stride + 1, stride)
