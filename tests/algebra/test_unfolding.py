"""A nearest resize taken out of a folded kernel, against sums over taps."""

from __future__ import annotations

import numpy as np
import pytest
from exact_winograd_layers import KERNEL_4, NEAREST, folded
from hypothesis import given
from hypothesis import strategies as st

from tvm_deconv.algebra import unfolding
from tvm_deconv.algebra.geometry import Axis, ConvAxis, ConvTranspose2d, axis_of_resize
from tvm_deconv.algebra.unfolding import fits, offset, offsets, taps, unfolded
from tvm_deconv.measure.reference import conv2d_transpose


def computed(op, x, kernel):
    """y (O, H, W) by the sums of each tap."""
    _, height, width = x.shape
    rows, columns = op.h.output_size(height), op.w.output_size(width)
    y = np.zeros((op.out_channels, rows, columns), np.int64)
    sums = np.einsum("iab,iohw->ohwab", x, kernel)
    for row, column in np.ndindex(rows, columns):
        (i, fh), (j, fw) = divmod(row, op.h.stride), divmod(column, op.w.stride)
        for kh, kw in np.ndindex(taps(op.h), taps(op.w)):
            a, b = i + offset(op.h, fh, kh), j + offset(op.w, fw, kw)
            if 0 <= a < height and 0 <= b < width:
                y[:, row, column] += sums[:, kh, kw, a, b]
    return y


@given(st.data())
def test_sums_of_unfolded_taps_are_those_of_the_folded_kernel(data):
    number = st.integers(1, 4)
    factors, kernels = ([data.draw(number) for _ in "hw"] for _ in range(2))
    axes = []
    for factor, kernel in zip(factors, kernels, strict=True):
        pads = [data.draw(st.integers(0, kernel - 1)) for _ in range(2)]
        axes.append(axis_of_resize(ConvAxis(kernel, *pads), factor))
    op = ConvTranspose2d(2, 3, *axes)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    kernel, x = rng.integers(-128, 128, (2, 3, *kernels)), rng.integers(0, 256, (2, 5, 4))
    weights = np.zeros(op.weight_shape, np.int64)
    for at in np.ndindex(*factors):
        rows, columns = (slice(f, f + k) for f, k in zip(at, kernels, strict=True))
        weights[:, :, rows, columns] += kernel
    np.testing.assert_array_equal(unfolded(op, weights), kernel)
    if min(op.h.output_size(5), op.w.output_size(4)) > 0:
        expected = conv2d_transpose(
            x[None], weights, op.strides, op.padding, op.output_padding, (1, 1), 1
        )
        np.testing.assert_array_equal(computed(op, x, kernel), expected[0])


def test_offsets_are_those_between_the_outermost_taps():
    for axis in (NEAREST, KERNEL_4, Axis(7, 3, 2, 1), Axis(3, 1, 1, 1)):
        every = [offset(axis, f, k) for f in range(axis.stride) for k in range(taps(axis))]
        assert offsets(axis) == (min(every), max(every))


def test_a_kernel_that_no_resize_was_folded_into_has_none():
    op = ConvTranspose2d(1, 1, NEAREST, NEAREST)
    weights = folded(np.arange(9).reshape(1, 1, 3, 3), 2)
    assert unfolded(op, weights) is not None
    weights[0, 0, 2, 1] += 1
    assert unfolded(op, weights) is None


def test_weights_and_sums_have_to_fit():
    kernel = np.full((7000, 1, 3, 3), 127)
    assert fits(kernel, 8) and not fits(kernel + 1, 8) and fits(-kernel - 1, 8)
    assert fits(kernel[:10] * 100, 16)
    # 3000 channels more: 10000 * 9 * 127 * 255 is more than 2^31.
    assert not fits(np.full((10000, 1, 3, 3), 127), 8)


@pytest.mark.parametrize(
    ("op", "reason"),
    [
        (ConvTranspose2d(4, 4, NEAREST, NEAREST, groups=2), "2 groups"),
        (ConvTranspose2d(4, 4, Axis(3, 1, 1, 1), Axis(3, 1), step=(2, 2)), "a step of"),
        (ConvTranspose2d(4, 4, Axis(3, 1, 1, 1), Axis(3, 1)), "no factor"),
        (ConvTranspose2d(4, 4, Axis(11, 9), NEAREST), "stride 9 in height"),
        (ConvTranspose2d(4, 4, NEAREST, Axis(3, 2, dilation=2)), "dilated kernel in width"),
        (
            ConvTranspose2d(4, 4, NEAREST, axis_of_resize(ConvAxis(3, 3, 3, 3), 2)),
            "dilated kernel in width",
        ),
        (ConvTranspose2d(4, 4, Axis(2, 3), NEAREST), "shorter than stride 3 in height"),
        (ConvTranspose2d(4, 4, NEAREST, Axis(4, 2, 4, 0)), "4 samples cropped in width"),
    ],
)
def test_what_has_no_such_form_is_named(op, reason):
    assert reason in unfolding.refusal(op)
