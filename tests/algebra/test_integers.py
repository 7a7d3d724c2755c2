"""Integers and scales are found behind float32 weights, whatever has become of them."""

from __future__ import annotations

import numpy as np
import pytest

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.algebra.integers import integer_rows, integer_weights

RNG = np.random.default_rng(3)


def drawn(rows, count, largest=127):
    integers = RNG.integers(-largest, largest + 1, (rows, count))
    return integers, RNG.uniform(1e-4, 1e-1, rows).astype("float32")


@pytest.mark.parametrize("largest", [1, 7, 50, 127, 508])
def test_weights_are_given_back_bit_by_bit(largest):
    integers, scales = drawn(20, 90, largest)
    rows = integers.astype("float32") * scales[:, None]
    found, units = integer_rows(rows)
    np.testing.assert_array_equal(found.astype("float32") * units[:, None], rows)
    assert np.abs(found).max() <= max(largest, 128)


def test_a_scale_that_a_batch_norm_changed_is_found():
    integers, scales = drawn(8, 40)
    factor = RNG.uniform(0.5, 2, 8).astype("float32")
    rows = integers.astype("float32") * scales[:, None] * factor[:, None]
    found, units = integer_rows(rows)
    np.testing.assert_allclose(found * units[:, None], rows, rtol=5e-7)


def test_sums_of_weights_are_integers_of_the_same_scale():
    first, scales = drawn(6, 60)
    second, _ = drawn(6, 60)
    rows = [(q.astype("float32") * scales[:, None]).astype("float64") for q in (first, second)]
    found, units = integer_rows(sum(rows).astype("float32"))
    factor = np.rint(scales / units)[:, None]
    np.testing.assert_array_equal(found, factor * (first + second))


def test_rows_of_zeros_and_of_one_weight_have_a_scale():
    rows = np.float32([[0, 0], [0, -0.3]])
    found, units = integer_rows(rows)
    np.testing.assert_array_equal(found.astype("float32") * units[:, None], rows)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_of_no_scale_are_not_forced_into_one(bad):
    assert integer_rows(RNG.standard_normal((3, 30)).astype("float32")) is None
    assert integer_rows(np.float32([[1, bad]])) is None


def phases_of(op):
    """Where in IOHW weights each group's phase is, and its output channels."""
    for g, fh, fw in np.ndindex(op.groups, *op.strides):
        inputs = range(g * op.group_inputs, (g + 1) * op.group_inputs)
        outputs = slice(g * op.group_outputs, (g + 1) * op.group_outputs)
        kernel = [[tap.k for tap in axis.taps(f)] for axis, f in ((op.h, fh), (op.w, fw))]
        at = np.ix_(inputs, range(op.group_outputs), *kernel)
        yield at, (outputs, fh, fw)


def test_each_phase_of_a_channel_has_its_own_scale():
    op = ConvTranspose2d(4, 6, Axis(4, 2, 1, 1), Axis(5, 3, 1, 1), groups=2)
    integers = RNG.integers(-127, 128, op.weight_shape)
    scales = RNG.uniform(1e-4, 1e-1, (op.out_channels, *op.strides)).astype("float32")
    weight, back = np.zeros((2, *op.weight_shape), "float32")
    for at, phase in phases_of(op):
        weight[at] = integers[at] * scales[phase][None, :, None, None]
    found, units = integer_weights(op, weight)
    for at, phase in phases_of(op):
        back[at] = found[at].astype("float32") * units[phase][None, :, None, None]
    np.testing.assert_array_equal(back, weight)
