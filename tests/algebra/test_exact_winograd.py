"""F(2x2, 2x2) of phases in integers, against sums over taps."""

from __future__ import annotations

import numpy as np
import pytest
from exact_winograd_layers import KERNEL_4, NEAREST, folded

from tvm_deconv.algebra import exact_winograd
from tvm_deconv.algebra.exact_winograd import fits, products_of, shares_sums, transformed
from tvm_deconv.algebra.geometry import Axis, ConvAxis, ConvTranspose2d, axis_of_resize
from tvm_deconv.measure.reference import transposed_convolution


def computed(op, x, weights, shared):
    """y (O, H, W) by the products, tile by tile."""
    _, height, width = x.shape
    rows, columns = op.h.output_size(height), op.w.output_size(width)
    y = np.zeros((op.out_channels, rows, columns), np.int64)
    made = transformed(op, weights, shared)
    h, w = products_of(op, shared)
    data = np.array([[1, -1, 0], [0, 1, 0], [0, -1, 1]])
    points = [np.repeat(np.arange(3), np.diff([*one.firsts, one.count])) for one in (h, w)]
    top, left = op.h.halo[0], op.w.halo[0]
    padded = np.pad(x, [(0, 0), (8, 8), (8, 8)])
    for ty, tx in np.ndindex(op.h.blocks(height) // 2 + 1, op.w.blocks(width) // 2 + 1):
        at = 8 + 2 * ty + top, 8 + 2 * tx + left
        d = padded[:, at[0] : at[0] + 3, at[1] : at[1] + 3]
        d = np.pad(d, [(0, 0), (0, 3 - d.shape[1]), (0, 3 - d.shape[2])])
        d = np.einsum("ua,iab,vb->uvi", data, d, data)
        m = np.einsum("uvi,uvio->uvo", d[np.ix_(*points)], made)
        for fh, i, fw, j in np.ndindex(op.h.stride, 2, op.w.stride, 2):
            row = (2 * ty + i - op.h.shifts[fh]) * op.h.stride + fh
            column = (2 * tx + j - op.w.shifts[fw]) * op.w.stride + fw
            if 0 <= row < rows and 0 <= column < columns:
                terms = np.ix_(h.terms(fh, i), w.terms(fw, j))
                y[:, row, column] = m[terms].sum((0, 1))
    return y


@pytest.mark.parametrize("factor", [2, 4])
def test_a_folded_resize_shares_products(factor):
    rng = np.random.default_rng(factor)
    axis = axis_of_resize(ConvAxis(factor + 1, factor // 2, factor // 2), factor)
    op = ConvTranspose2d(3, 2, axis, axis)
    weights = folded(rng.integers(-128, 128, (3, 2, factor + 1, factor + 1)), factor)
    x = rng.integers(-255, 256, (3, 5, 4))
    assert exact_winograd.refusal(op) is None and shares_sums(op, weights)
    expected = transposed_convolution(x[None], weights, op.strides, op.padding, (0, 0), (1, 1), 1)[
        0
    ]
    for shared in (True, False):
        np.testing.assert_array_equal(computed(op, x, weights, shared), expected)
    assert [one.count for one in products_of(op, True)] == [2 * factor + 1] * 2


@pytest.mark.parametrize("pads", [(0, 0), (1, 1), (2, 1), (3, 0)])
def test_a_transposed_convolution_shares_none(pads):
    rng = np.random.default_rng(1)
    op = ConvTranspose2d(2, 3, Axis(4, 2, *pads), KERNEL_4)
    weights, x = rng.integers(-9, 10, (2, 3, 4, 4)), rng.integers(0, 256, (2, 3, 6))
    assert exact_winograd.refusal(op) is None and not shares_sums(op, weights)
    expected = transposed_convolution(x[None], weights, op.strides, op.padding, (0, 0), (1, 1), 1)[
        0
    ]
    np.testing.assert_array_equal(computed(op, x, weights, False), expected)


@pytest.mark.parametrize(
    ("op", "reason"),
    [
        (ConvTranspose2d(4, 4, KERNEL_4, KERNEL_4, groups=2), "2 groups"),
        (ConvTranspose2d(4, 4, Axis(3, 1, 1, 1), KERNEL_4), "stride 1 in height"),
        (ConvTranspose2d(4, 4, KERNEL_4, Axis(6, 2, 2, 2)), "2 taps each in width"),
        (ConvTranspose2d(4, 4, KERNEL_4, Axis(5, 2, 2, 2)), "2 taps each in width"),
        (ConvTranspose2d(4, 4, Axis(4, 2, 3, 3, dilation=3), KERNEL_4), "side by side in height"),
        (ConvTranspose2d(4, 4, Axis(10, 5), Axis(10, 5)), "stride 5 in height"),
    ],
)
def test_what_has_no_such_form_is_named(op, reason):
    assert reason in exact_winograd.refusal(op)


def test_sums_that_int32_does_not_hold_are_found_from_the_weights():
    """At the worst, 4 products: differences of differences by one weight, and bytes by sums."""
    op = ConvTranspose2d(1, 1, NEAREST, NEAREST)
    unit = folded(np.full((1, 1, 3, 3), 1), 2)
    # Of the phase and output with the largest sums: 510*4 + 255*6 + 255*6 + 255*9.
    largest = 510 * 4 + 2 * 255 * 6 + 255 * 9
    most = (2**31 - 1) // (largest * 127)
    for channels, does_fit in ((most, True), (most + 1, False)):
        op = ConvTranspose2d(channels, 1, NEAREST, NEAREST)
        assert fits(op, np.repeat(127 * unit, channels, 0), True) is does_fit
    assert not fits(ConvTranspose2d(1, 1, NEAREST, NEAREST), unit * 3641, True)
