"""The package's reference against those of tests/reference.py, which know nothing of it."""

from __future__ import annotations

import kernel
import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from tvm_deconv.measure.reference import convolution, largest_error, transposed_convolution


@given(kernel.layers())
@settings(max_examples=60)
def test_a_transposed_convolution_is_the_scatter(drawn):
    conv, shape = drawn
    if not kernel.has_output(conv, shape):
        return
    n, h, w = shape
    x = kernel.random((n, conv.in_channels, h, w), "float32", 0)
    weight = kernel.weights_of(conv, "float32")
    numbers = conv.strides, conv.padding, conv.output_padding, conv.dilation, conv.groups
    found = transposed_convolution(x, weight, *numbers)
    expected = kernel.expected_output(conv, x, weight)
    assert found.dtype == "float64"
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(*[st.integers(0, 3)] * 4),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    groups=st.integers(1, 3),
)
def test_a_convolution_with_strides_is_every_such_sample_of_one_without(
    kernel, strides, padding, dilation, groups
):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 2 * groups, 9, 8))
    weight = rng.standard_normal((3 * groups, 2, *kernel))
    found = convolution(x, weight, strides, padding, dilation, groups)
    dense = reference.conv2d(x, weight, padding, dilation, groups)
    expected = dense[:, :, :: strides[0], :: strides[1]]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_the_error_is_relative_to_the_largest_value():
    assert largest_error(np.array([1.0, -4.0]), np.array([1.0, -5.0])) == pytest.approx(0.2)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_result_that_is_not_finite_has_no_finite_error(bad):
    assert largest_error(np.array([1.0, bad]), np.array([1.0, 2.0])) == np.inf


def test_a_result_of_another_shape_is_an_error_not_a_number():
    with pytest.raises(ValueError, match=r"has shape \(1, 2\) instead of \(2,\)"):
        largest_error(np.zeros((1, 2)), np.ones(2))


def test_where_nothing_but_0_is_expected_the_error_is_as_it_is():
    assert largest_error(np.zeros(3), np.zeros(3)) == 0
    assert largest_error(np.array([0.0, 0.5]), np.zeros(2)) == 0.5
    assert largest_error(np.zeros(0), np.zeros(0)) == 0


def test_integers_and_truths_are_compared_as_numbers():
    assert largest_error(np.array([1, 4], "uint8"), np.array([2, 4], "uint8")) == 0.25
    assert largest_error(np.array([True, False]), np.array([False, True])) == 1
