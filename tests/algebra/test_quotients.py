"""Quotients by a known number, without a division: the same bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_deconv.algebra.quotients import bounds, reciprocal

SCALES = st.floats(2.0**-60, 2.0**60, width=32)


def by_product(x, c, r):
    """What a processor computes, with the products of float64 for its single rounding."""
    by, factor = float(np.float32(c)), float(np.float32(r))
    q = (x.astype("float64") * factor).astype("float32").astype("float64")
    left = (x.astype("float64") - q * by).astype("float32").astype("float64")
    return (q + left * factor).astype("float32")


@given(SCALES, st.integers(0, 255), st.integers(0, 2**32 - 1))
def test_bytes_are_those_of_a_division(c, zero, seed):
    low, high = -zero, 255 - zero
    r = reciprocal(c, low, high)
    assert r is not None
    least, most = bounds(c, low, high)
    rng = np.random.default_rng(seed)
    middles = ((rng.integers(low, high, 500) + 0.5) * c).astype("float32")
    near = (middles.view("int32") + rng.integers(-20, 20, 500, "int32")).view("float32")
    x = np.concatenate([near, rng.uniform(least, most, 500).astype("float32")]).clip(least, most)
    expected = np.rint(x / np.float32(c)).clip(low, high)
    np.testing.assert_array_equal(np.rint(by_product(x, c, r)), expected)


def test_the_product_with_a_reciprocal_alone_would_not_do():
    c = np.float32(0.0123)
    x = ((np.arange(256) + 0.5) * c).astype("float32")
    assert (np.rint(x * (1 / c)) != np.rint(x / c)).any()


@pytest.mark.parametrize("c", [0.0, -1.0, float("inf"), float("nan"), 1e-38, 1e38])
def test_a_scale_that_makes_denormal_numbers_has_none(c):
    assert reciprocal(c, 0, 255) is None
