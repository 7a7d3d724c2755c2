"""What is found out about weights, and weights that are made so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_deconv.algebra.geometry import Axis, ConvAxis, ConvTranspose2d, axis_of_resize
from tvm_deconv.algebra.known_weights import obeying, with_equal_sums, without_zero_taps
from tvm_deconv.algebra.weights import weight_convolution


def equal_sums(axis, weight):
    plain = Axis(axis.kernel, axis.stride)
    known = with_equal_sums(ConvTranspose2d(*weight.shape[:2], plain, plain), weight)
    return known.h.equal_sums, known.w.equal_sums


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(
    taps=st.integers(2, 7),
    factor=st.integers(2, 4),
    dilation=st.integers(1, 2),
    seed=st.integers(0, 99),
)
def test_phases_of_a_folded_resize_have_equal_sums(dtype, taps, factor, dilation, seed):
    weight = np.random.default_rng(seed).standard_normal((3, 2, taps, taps)).astype(dtype)
    folded = weight_convolution(weight, factor, dilation=dilation)
    axis = axis_of_resize(ConvAxis(taps, dilation=dilation), factor)
    assert axis.equal_sums and equal_sums(axis, folded) == (True, True)


def test_one_weight_that_differs_in_its_last_digits_is_enough_to_tell_phases_apart():
    weight = np.random.default_rng(1).standard_normal((8, 8, 3, 3)).astype("float32")
    folded = weight_convolution(weight, 2)
    axis = axis_of_resize(ConvAxis(3), 2)
    folded[5, 6, 0, 2] *= 1 + 1e-4
    assert equal_sums(axis, folded) == (False, False)


def test_what_a_first_filter_of_next_to_nothing_sums_to_is_rounding():
    weight = np.random.default_rng(1).standard_normal((3, 2, 3, 3)).astype("float32")
    folded = weight_convolution(weight, 2)
    folded[0, 0] = 1e-8 * np.arange(16).reshape(4, 4)
    assert equal_sums(axis_of_resize(ConvAxis(3), 2), folded) == (True, True)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_have_no_equal_sums(value):
    folded = weight_convolution(np.ones((1, 1, 3, 3), "float32"), 2)
    folded[0, 0, 1, 1] = value
    assert equal_sums(axis_of_resize(ConvAxis(3), 2), folded) == (False, False)


def test_sums_are_compared_along_each_axis():
    rng = np.random.default_rng(2)
    conv = ConvTranspose2d(2, 2, Axis(4, 2, equal_sums=True), Axis(4, 2))
    weight = obeying(conv, rng.standard_normal(conv.weight_shape))
    assert equal_sums(conv.h, weight) == (True, False)
    assert equal_sums(Axis(4, 2), weight.transpose(0, 1, 3, 2)) == (False, True)


def test_a_layer_of_one_phase_has_no_sums_to_compare():
    assert equal_sums(Axis(3), np.ones((1, 1, 3, 3))) == (False, False)


@given(st.integers(2, 3), st.integers(3, 9), st.booleans(), st.booleans())
def test_weights_are_made_what_a_layer_knows_of_them(stride, kernel, in_height, in_width):
    axes = [Axis(kernel, stride, equal_sums=known) for known in (in_height, in_width)]
    conv = ConvTranspose2d(2, 3, *axes)
    weight = np.random.default_rng(kernel).standard_normal(conv.weight_shape)
    made = with_equal_sums(conv, obeying(conv, weight))
    assert (made.h.equal_sums, made.w.equal_sums) == (in_height, in_width)


def test_rows_and_columns_of_zeros_are_left_out():
    conv = ConvTranspose2d(2, 3, Axis(4, 1, zero_taps=frozenset({1, 3})), Axis(5))
    weight = obeying(conv, np.ones(conv.weight_shape))
    plain = ConvTranspose2d(2, 3, Axis(4), Axis(5))
    assert without_zero_taps(plain, weight) == conv


def left_out(weight):
    """Those of rows and of columns that are left out."""
    channels, outputs, rows, columns = weight.shape
    conv = ConvTranspose2d(channels, outputs, Axis(rows, 1), Axis(columns, 1))
    found = without_zero_taps(conv, weight)
    return set(found.h.zero_taps), set(found.w.zero_taps)


@pytest.mark.parametrize("full", [(0, 0), (1, 1), None], ids=["the first", "another", "none"])
def test_a_tap_is_left_out_where_all_filters_are_zero(full):
    weight = np.ones((2, 3, 3, 5))
    weight[:, :, 1] = 0
    weight[:, :, :, [0, 4]] = 0
    if full is not None:
        weight[full] = np.nan
    assert left_out(weight) == (({1}, {0, 4}) if full is None else (set(), set()))


def test_filters_that_share_no_zero_need_all_taps():
    weight = np.ones((1, 2, 3, 3))
    weight[0, 0, 0] = weight[0, 1, 2] = 0
    assert left_out(weight) == (set(), set())


def test_a_kernel_of_zeros_keeps_its_taps():
    assert left_out(np.zeros((2, 1, 3, 3))) == (set(), set())
