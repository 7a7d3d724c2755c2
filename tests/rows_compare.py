"""How tables of operators hold a result against its reference."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def compare(got: np.ndarray, expected: np.ndarray, tolerance: Mapping[str, float]) -> None:
    """The same shape and type, and the same numbers up to rounding.

    ``tolerance`` has, by dtype, the largest difference relative to the largest value or 1.
    """
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(got, expected)
        return
    finite = np.abs(expected[np.isfinite(expected)].astype("float64"))
    scale = max(1.0, float(finite.max(initial=0)))
    limit = tolerance[str(expected.dtype)] * scale
    np.testing.assert_allclose(got, expected, rtol=0, atol=limit)
