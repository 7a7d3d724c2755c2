"""Winograd's form of phases in integers, against sums over taps."""

from __future__ import annotations

import numpy as np
import pytest
from exact_winograd_layers import KERNEL_4, LAYERS, NEAREST, PLAIN_3, folded, layer

from tvm_deconv.algebra import exact_winograd
from tvm_deconv.algebra.exact_winograd import (
    F22,
    F43,
    SCHEMES,
    fits,
    name_of,
    products_of,
    schemes_of,
    shares_sums,
    shift_and_inverse,
    transformed,
)
from tvm_deconv.algebra.geometry import Axis, ConvAxis, ConvTranspose2d, axis_of_resize
from tvm_deconv.measure.reference import transposed_convolution


def computed(op, x, weights, shared):
    """y (O, H, W) by the products, tile by tile, modulo 2^32."""
    _, height, width = x.shape
    rows, columns = op.h.output_size(height), op.w.output_size(width)
    y = np.zeros((op.out_channels, rows, columns), np.int64)
    made = transformed(op, weights, shared)
    h, w = products_of(op, shared)
    down, across = schemes_of(op)
    shift, inverse = shift_and_inverse(op)
    # What has one sample, or product, and no other, says what is made of each.
    data = [np.array(s.at_points(list(np.eye(s.points, dtype=int)))) for s in (down, across)]
    sums = [np.array(s.sums(list(np.eye(s.points, dtype=int)))) for s in (down, across)]
    points = [np.repeat(np.arange(one.scheme.points), np.diff(one.firsts)) for one in (h, w)]
    top, left = op.h.halo[0], op.w.halo[0]
    padded = np.pad(x, [(0, 0), (12, 12), (12, 12)])
    tiles = op.h.blocks(height) // down.outputs + 1, op.w.blocks(width) // across.outputs + 1
    for ty, tx in np.ndindex(*tiles):
        at = 12 + down.outputs * ty + top, 12 + across.outputs * tx + left
        d = padded[:, at[0] : at[0] + down.points, at[1] : at[1] + across.points]
        d = np.pad(d, [(0, 0), (0, down.points - d.shape[1]), (0, across.points - d.shape[2])])
        d = np.einsum("ua,iab,vb->uvi", data[0], d, data[1])
        assert np.abs(d).max(initial=0) < 2**15
        m = np.einsum("uvi,uvio->uvo", d[np.ix_(*points)], made)
        for fh, fw in np.ndindex(op.h.stride, op.w.stride):
            own = m[np.ix_(h.of_phase(fh), w.of_phase(fw))]
            total = np.einsum("iu,uvo,jv->ijo", sums[0], own, sums[1]) * inverse
            total = total.astype("uint32").view("int32") >> shift
            for i, j in np.ndindex(down.outputs, across.outputs):
                row = (down.outputs * ty + i - op.h.shifts[fh]) * op.h.stride + fh
                column = (across.outputs * tx + j - op.w.shifts[fw]) * op.w.stride + fw
                if 0 <= row < rows and 0 <= column < columns:
                    y[:, row, column] = total[i, j]
    return y


def by_taps(op, x, weights):
    strides, paddings = op.strides, op.padding
    return transposed_convolution(x[None], weights, strides, paddings, (0, 0), (1, 1), 1)[0]


@pytest.mark.parametrize("factor", [2, 4])
def test_a_folded_resize_shares_products(factor):
    rng = np.random.default_rng(factor)
    axis = axis_of_resize(ConvAxis(factor + 1, factor // 2, factor // 2), factor)
    op = ConvTranspose2d(3, 2, axis, axis)
    weights = folded(rng.integers(-128, 128, (3, 2, factor + 1, factor + 1)), factor)
    x = rng.integers(-255, 256, (3, 5, 4))
    assert exact_winograd.refusal(op) is None and shares_sums(op, weights)
    for shared in (True, False):
        np.testing.assert_array_equal(computed(op, x, weights, shared), by_taps(op, x, weights))
    assert [one.count for one in products_of(op, True)] == [2 * factor + 1] * 2


@pytest.mark.parametrize("name", LAYERS)
def test_other_layers_share_none_and_are_exact(name):
    rng, op = np.random.default_rng(1), layer(name, 2, 3)
    weights, x = rng.integers(-128, 128, op.weight_shape), rng.integers(-255, 256, (2, 5, 6))
    assert exact_winograd.refusal(op) is None and not shares_sums(op, weights)
    assert fits(op, weights, False)
    np.testing.assert_array_equal(computed(op, x, weights, False), by_taps(op, x, weights))


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=["F(2, 2)", "F(4, 3)"])
def test_products_add_up_to_a_multiple_of_every_output(scheme):
    """The identity itself, of all products of one sample and one tap."""
    points = scheme.points
    data = np.array(scheme.at_points(list(np.eye(points, dtype=int))))
    sums = np.array(scheme.sums(list(np.eye(points, dtype=int))))
    made = np.einsum("ip,pk,pa->ika", sums, np.array(scheme.weights), data)
    for i, k, a in np.ndindex(*made.shape):
        assert made[i, k, a] == (scheme.unit if a == i + k else 0)


def test_the_largest_bytes_and_weights_fit_into_16_bits_at_each_point():
    """Samples of unsigned bytes, or of differences, and weights of -128."""
    op = ConvTranspose2d(1, 1, PLAIN_3, PLAIN_3)
    signs = np.array(np.meshgrid(*[[-128, 127]] * 9)).reshape(9, -1).T.reshape(-1, 1, 3, 3)
    many = ConvTranspose2d(1, len(signs), PLAIN_3, PLAIN_3)
    weights = transformed(many, signs[None, :, 0], False)
    assert 2**14 < np.abs(weights).max() < 2**15
    data = np.array(F43.at_points(list(np.eye(6, dtype=int))))
    both = np.einsum("ua,vb->uvab", data, data)
    largest = np.maximum(both, 0).sum((2, 3)).max(), np.minimum(both, 0).sum((2, 3)).min()
    assert largest[0] * 255 < 2**15 and -largest[1] * 255 <= 2**15
    assert name_of(op) == "F(4x4, 3x3)" and shift_and_inverse(op) == (6, pow(9, -1, 2**32))


@pytest.mark.parametrize(
    ("op", "reason"),
    [
        (ConvTranspose2d(4, 4, KERNEL_4, KERNEL_4, groups=2), "2 groups"),
        (ConvTranspose2d(4, 4, Axis(1, 1), KERNEL_4), "2 or 3 taps each in height"),
        (ConvTranspose2d(4, 4, KERNEL_4, Axis(8, 2, 2, 2)), "2 or 3 taps each in width"),
        (ConvTranspose2d(4, 4, KERNEL_4, Axis(5, 2, 2, 2)), "2 or 3 taps each in width"),
        (ConvTranspose2d(4, 4, Axis(4, 2, 3, 3, dilation=3), KERNEL_4), "side by side in height"),
        (ConvTranspose2d(4, 4, PLAIN_3, Axis(3, 1, 2, 2, dilation=2)), "side by side in width"),
        (ConvTranspose2d(4, 4, Axis(10, 5), Axis(10, 5)), "stride 5 in height"),
    ],
)
def test_what_has_no_such_form_is_named(op, reason):
    assert reason in exact_winograd.refusal(op)


@pytest.mark.parametrize(
    ("axis", "most"), [(NEAREST, 2**31 - 1), (PLAIN_3, 2**25 - 1)], ids=["F(2, 2)", "F(4, 3)"]
)
def test_sums_that_are_too_large_are_found_from_the_weights(axis, most):
    """At the worst, 9 taps of 127, each times 255; what is added up on the way may be more."""
    kernel = np.full((1, 1, 3, 3), 127)
    unit = folded(kernel, 2) if axis is NEAREST else kernel
    channels = most // (255 * 9 * 127)
    for count, does_fit in ((channels, True), (channels + 1, False)):
        op = ConvTranspose2d(count, 1, axis, axis)
        assert fits(op, np.repeat(unit, count, 0), axis is NEAREST) is does_fit
    assert not fits(ConvTranspose2d(1, 1, NEAREST, NEAREST), folded(kernel, 2) * 29, True)
    assert schemes_of(ConvTranspose2d(1, 1, KERNEL_4, PLAIN_3)) == (F22, F43)
