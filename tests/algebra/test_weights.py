"""The weight transforms against convolutions written from their definitions, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import conv2d, conv2d_transpose, nearest, pixel_shuffle

from tvm_deconv.algebra import geometry, weights
from tvm_deconv.errors import GeometryError

EXACT = 1e-12
small = st.integers(1, 3)


@st.composite
def convolutions(draw):
    """Everything that describes one convolution in an upsampling pattern, but its values."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 3)))
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    sides = [(draw(st.integers(0, r)), draw(st.integers(0, r))) for r in reach]
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    size = [
        max(1, r + 1 - sum(s)) + draw(st.integers(0, 3)) for r, s in zip(reach, sides, strict=True)
    ]
    return {
        "kernel": kernel,
        "dilation": dilation,
        "sides": sides,
        "groups": groups,
        "size": size,
        "factor": draw(st.tuples(small, small)),
        "in_channels": groups * draw(st.integers(1, 2)),
        "out_channels": groups * draw(st.integers(1, 2)),
        "batch": draw(st.integers(1, 2)),
        "seed": draw(st.integers(0, 2**16)),
    }


def _tensors(c, out_channels):
    rng = np.random.default_rng(c["seed"])
    x = rng.standard_normal((c["batch"], c["in_channels"], *c["size"]))
    w = rng.standard_normal((out_channels, c["in_channels"] // c["groups"], *c["kernel"]))
    return x, w


def _padding(c):
    (top, bottom), (left, right) = c["sides"]
    return top, left, bottom, right


def _transposed(c, axis_of, x, w):
    axes = [
        axis_of(geometry.ConvAxis(k, *s, d), r)
        for k, s, d, r in zip(c["kernel"], c["sides"], c["dilation"], c["factor"], strict=True)
    ]
    op = geometry.ConvTranspose2d(
        x.shape[1], w.shape[1] * c["groups"], axes[0], axes[1], c["groups"]
    )
    assert w.shape == op.weight_shape
    y = conv2d_transpose(x, w, op.strides, op.padding, groups=op.groups)
    assert y.shape == op.output_shape(x.shape[0], *x.shape[2:])
    return y


@settings(max_examples=150)
@given(convolutions(), st.sampled_from(["CRD", "DCR"]))
def test_shuffled_weights_give_convolution_then_shuffle(c, order):
    if order == "DCR":
        c = {**c, "groups": 1}
    rh, rw = c["factor"]
    x, w = _tensors(c, c["out_channels"] * rh * rw)
    expected = pixel_shuffle(
        conv2d(x, w, _padding(c), c["dilation"], c["groups"]), c["factor"], order
    )
    new = weights.weight_shuffle(w, c["factor"], order, c["groups"], c["dilation"])
    np.testing.assert_allclose(
        _transposed(c, geometry.axis_of_subpixel, x, new), expected, rtol=0, atol=EXACT * 100
    )


@settings(max_examples=150)
@given(convolutions())
def test_convolved_weights_give_nearest_resize_then_convolution(c):
    x, w = _tensors(c, c["out_channels"])
    expected = conv2d(nearest(x, c["factor"]), w, _padding(c), c["dilation"], c["groups"])
    new = weights.weight_convolution(w, c["factor"], c["groups"], c["dilation"])
    np.testing.assert_allclose(
        _transposed(c, geometry.axis_of_resize, x, new), expected, rtol=0, atol=EXACT * 100
    )


@settings(max_examples=60)
@given(convolutions(), st.sampled_from(["CRD", "DCR"]), st.sampled_from(["float16", "float32"]))
def test_unshuffling_gives_the_weights_back_bit_by_bit(c, order, dtype):
    groups = 1 if order == "DCR" else c["groups"]
    rh, rw = c["factor"]
    _, w = _tensors({**c, "groups": groups}, c["out_channels"] * rh * rw)
    w = w.astype(dtype)
    new = weights.weight_shuffle(w, c["factor"], order, groups, c["dilation"])
    assert new.dtype == w.dtype
    back = weights.weight_unshuffle(new, c["factor"], order, groups, c["dilation"])
    np.testing.assert_array_equal(back, w)


@given(st.integers(1, 4), st.tuples(small, small), st.sampled_from(["CRD", "DCR"]))
def test_the_phase_bias_is_the_bias_of_the_shuffled_convolution(o, factor, order):
    b = np.arange(o * factor[0] * factor[1], dtype="float32")
    image = pixel_shuffle(b.reshape(1, -1, 1, 1), factor, order)
    values = weights.phase_bias(b, factor, order)
    np.testing.assert_array_equal(values, image[0])


def test_sums_of_half_precision_weights_are_rounded_once():
    w = np.full((1, 1, 1, 3), 0.1, np.float16)
    exact = np.float64(w[0, 0, 0, 0]) * 3
    assert weights.weight_convolution(w, (1, 3))[0, 0, 0, 2] == np.float16(exact)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (
            lambda w: weights.weight_shuffle(w, 4),
            "out_channels 12 is not divisible by r_h*r_w = 16",
        ),
        (lambda w: weights.weight_shuffle(w, 2, "RCD"), "'CRD' or 'DCR', got 'RCD'"),
        (lambda w: weights.weight_shuffle(w, 2, "DCR", 3), "order takes the phases"),
        (
            lambda w: weights.weight_shuffle(w, 2, "CRD", 2),
            "groups=2 does not divide the 3 channels",
        ),
        (lambda w: weights.weight_shuffle(w, (2, 0)), "positive integers, got (2, 0)"),
        (lambda w: weights.weight_shuffle(w, 2.5), "positive integers, got 2.5"),
        (lambda w: weights.weight_shuffle(w[0], 2), "4 axes, got shape (2, 3, 3)"),
        (lambda w: weights.weight_convolution(w, 2, groups=5), "12 is not divisible by groups=5"),
        (lambda w: weights.weight_unshuffle(w, 2), "kernel 3x3 is not divisible by the factor 2x2"),
        (lambda w: weights.weight_unshuffle(w, 3, groups=5), "in_channels 12 is not divisible"),
        (lambda w: weights.phase_bias(w, 2), "bias must be a vector, got shape (12, 2, 3, 3)"),
    ],
)
def test_impossible_requests_name_the_operand_and_the_number(call, reason):
    with pytest.raises(GeometryError) as caught:
        call(np.zeros((12, 2, 3, 3), "float32"))
    assert reason in str(caught.value)
