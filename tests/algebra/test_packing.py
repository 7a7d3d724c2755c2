"""Packed weights, one element after the other, against what the words of an order say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tvm_deconv.algebra.cook_toom import transforms
from tvm_deconv.algebra.geometry import (
    Axis,
    ConvAxis,
    ConvTranspose2d,
    axis_of_resize,
    axis_of_subpixel,
)
from tvm_deconv.algebra.known_weights import obeying
from tvm_deconv.algebra.packing import Direct, Winograd, as_json, of_json
from tvm_deconv.algebra.winograd import filters

# Each with other taps: even, uneven, of an uncropped phase, dilated, written out with zeros, none.
AXES = [
    Axis(3, 1, 1, 1),
    Axis(5, 3, 1, 2, output_padding=1),
    Axis(1, 4),
    Axis(4, 2, 3, 1, dilation=3),
    axis_of_subpixel(ConvAxis(2, 1, 1, dilation=2), 2),
    axis_of_resize(ConvAxis(3, 1, 1), 2),
    Axis(2, 1, zero_taps=frozenset({0, 1})),
]

NEAREST = AXES[5]

# Those of the variants: CPU's revd2, tdc, stdd and revd, then GPU's revd2, tdc and revd.
ORDERS = [
    "g o/n fh ic th tw fw o%n",
    "g fh fw o/n ic th tw o%n",
    "g ic/n o fh th fw tw ic%n",
    "g kh kw o/n ic o%n",
    "g o/n ic th tw fh fw o%n",
    "g o/n fh fw ic th tw o%n",
    "g o/n ic kh kw o%n",
]

DTYPES = st.sampled_from(["float32", "float16"])


@st.composite
def layers(draw, axes=AXES):
    axis, groups = st.sampled_from(axes), draw(st.integers(1, 2))
    inputs, outputs = (groups * draw(st.integers(1, 4)) for _ in range(2))
    return ConvTranspose2d(inputs, outputs, draw(axis), draw(axis), groups)


def weights_of(conv, dtype="float32"):
    values = np.arange(1, np.prod(conv.weight_shape) + 1)
    return values.reshape(conv.weight_shape).astype(dtype)


def kernel_index(axis, phase, tap):
    """None for a tap that a phase lacks."""
    taps = axis.taps(phase)
    return taps[tap].k if tap < len(taps) else None


def channels(at, n):
    """Input and output channel."""
    return (at[c] if c in at else at[f"{c}/n"] * n + at[f"{c}%n"] for c in ("ic", "o"))


def element(weights, conv, at, n):
    """The weight at a place of a packed array; 0 where there is none."""
    ic, o = channels(at, n)
    kh = at["kh"] if "kh" in at else kernel_index(conv.h, at["fh"], at["th"])
    kw = at["kw"] if "kw" in at else kernel_index(conv.w, at["fw"], at["tw"])
    if kh is None or kw is None or o >= conv.group_outputs:
        return 0
    return weights[at["g"] * conv.group_inputs + ic, o, kh, kw]


@settings(max_examples=200)
@given(layers(), st.sampled_from(ORDERS), st.integers(1, 5), DTYPES)
def test_every_weight_is_where_the_order_says(conv, order, n, dtype):
    if "ic/n" in order:
        n = max(m for m in range(1, n + 1) if conv.group_inputs % m == 0)
    packing, weights = Direct(conv, order, n), weights_of(conv, dtype)
    packed = packing.pack(weights)
    assert (packed.shape, packed.dtype) == (packing.shape, np.float32)
    assert packed.flags["C_CONTIGUOUS"]
    for index, value in np.ndenumerate(packed):
        at = dict(zip(order.split(), index, strict=True))
        assert value == element(weights, conv, at, n)
        ic, o = channels(at, n)
        assert packing.place(**{**at, "ic": ic, "o": o}) == index


@settings(max_examples=40)
@given(
    layers([axis for axis in AXES if 1 < axis.max_taps < 4]),
    st.tuples(st.integers(2, 4), st.integers(2, 4)),
    st.integers(1, 5),
    st.integers(1, 7),
)
def test_every_point_of_winograds_form_is_a_transformed_phase(conv, outputs, block, n):
    packing = Winograd(conv, "g b u v row/n ic row%n", n, outputs, block)
    weights = weights_of(conv) / np.prod(conv.weight_shape)
    packed = packing.pack(weights)
    assert (packed.shape, packed.dtype) == (packing.shape, np.float32)
    (rh, rw), axes = conv.strides, (conv.h, conv.w)
    left, right = (
        transforms(m, axis.max_taps).kernel for m, axis in zip(outputs, axes, strict=True)
    )
    for g, b, step, ic, lane in np.ndindex(*(packed.shape[i] for i in (0, 1, 4, 5, 6))):
        row = step * n + lane
        o, (fh, fw) = b * block + row // (rh * rw), divmod(row % (rh * rw), rw)
        taps = np.zeros((conv.h.max_taps, conv.w.max_taps))
        if row < block * rh * rw:
            for th, tw in np.ndindex(*taps.shape):
                at = {"g": g, "ic": ic, "o": o, "fh": fh, "fw": fw, "th": th, "tw": tw}
                taps[th, tw] = element(weights, conv, at, n)
        found = packed[g, b, :, :, step, ic, lane]
        np.testing.assert_allclose(found, left @ taps @ right.T, rtol=0, atol=1e-6)


@pytest.mark.parametrize("axes", [(NEAREST, NEAREST), (NEAREST, AXES[0]), (AXES[3], NEAREST)])
@pytest.mark.parametrize("outputs", [(2, 4), (4, 3)])
def test_phases_of_equal_sums_have_one_weight_at_the_point_1(axes, outputs):
    conv, block, n = ConvTranspose2d(3, 5, *axes), 2, 3
    weights = obeying(conv, weights_of(conv) / np.prod(conv.weight_shape))
    order = "b u v row/n ic row%n"
    alone = Winograd(conv, order, n, outputs, block).pack(weights)
    packing = Winograd(conv, order, n, outputs, block, shared=True)
    packed = packing.pack(weights)
    assert (packed.shape, packed.dtype) == (packing.shape, np.float32)
    assert packed.shape[1:3] == tuple(
        1 + (m + axis.max_taps - 2) * axis.stride if axis is NEAREST else m + axis.max_taps - 1
        for m, axis in zip(outputs, axes, strict=True)
    )
    h, w = filters(conv, outputs, shared=True)
    (rh, rw), (own_h, own_w) = conv.strides, (conv.h is not NEAREST, conv.w is not NEAREST)
    for b, o, u, v in np.ndindex(len(alone), block, h.points, w.points):
        if b * block + o >= conv.out_channels:
            continue
        for fh, fw in np.ndindex(rh, rw):
            row = (o * rh + fh) * rw + fw
            expected = alone[b, u, v, row // n, :, row % n]
            row = (o * (rh if own_h else 1) + fh * own_h) * (rw if own_w else 1) + fw * own_w
            place = h.product(u, 0 if own_h else fh), w.product(v, 0 if own_w else fw)
            assert (h.point(place[0]), w.point(place[1])) == (u, v)
            found = packed[(b, *place, row // n, slice(None), row % n)]
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("axis", [AXES[3], NEAREST], ids=str)
def test_phases_in_height_that_are_apart_have_the_rows_of_each(axis):
    conv, block, n = ConvTranspose2d(3, 5, axis, AXES[3]), 2, 3
    weights, (rh, rw) = weights_of(conv), conv.strides
    alone = Winograd(conv, "b u v row/n ic row%n", n, (2, 3), block).pack(weights)
    packing = Winograd(conv, "f b u v row/n ic row%n", n, (2, 3), block, apart=True)
    packed = packing.pack(weights)
    assert packed.shape == packing.shape and packed.shape[0] == rh > 1
    for b, o, fh, fw in np.ndindex(len(alone), block, rh, rw):
        row, own = (o * rh + fh) * rw + fw, o * rw + fw
        found, expected = (
            packed[fh, b, :, :, own // n, :, own % n],
            alone[b, :, :, row // n, :, row % n],
        )
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("axis", [AXES[3], NEAREST], ids=str)
def test_phases_in_width_with_tiles_of_their_own_have_products_in_turn(axis, apart):
    conv, block, n = ConvTranspose2d(3, 5, AXES[3], axis), 2, 3
    weights, (rh, rw) = weights_of(conv), conv.strides
    order = "f b u v row/n ic row%n"
    alone = Winograd(conv, order, n, (2, 3), block, apart=apart).pack(weights)
    packing = Winograd(conv, order, n, (2, 3), block, apart=apart, shifted=True)
    packed = packing.pack(weights)
    points = alone.shape[3]
    assert packed.shape == packing.shape and packed.shape[3] == rw * points > points
    rows = 1 if apart else rh
    for f, b, o, fh, fw in np.ndindex(*alone.shape[:2], block, rows, rw):
        own = o * rows + fh
        row = own * rw + fw
        np.testing.assert_array_equal(
            packed[f, b, :, fw * points : (fw + 1) * points, own // n, :, own % n],
            alone[f, b, :, :, row // n, :, row % n],
        )


def test_an_axis_of_one_element_may_be_left_out():
    conv = ConvTranspose2d(4, 3, AXES[5], AXES[5])
    weights = weights_of(conv)
    whole = Winograd(conv, "g b u v row/n ic row%n", 5, (2, 3), block=3)
    without = Winograd(conv, "g row/n u v ic row%n", 5, (2, 3), block=3)
    np.testing.assert_array_equal(
        without.pack(weights), whole.pack(weights)[:, 0].transpose(0, 3, 1, 2, 4, 5)
    )


@pytest.mark.parametrize(
    "packing",
    [
        Direct(ConvTranspose2d(4, 6, AXES[4], AXES[3], 2), ORDERS[0], 4),
        Winograd(ConvTranspose2d(4, 6, AXES[0], NEAREST), "g b u v row/n ic row%n", 4, (2, 3), 6),
        Winograd(
            ConvTranspose2d(4, 6, NEAREST, NEAREST), "b u v row/n ic row%n", 4, (2, 3), 6, True
        ),
        Winograd(
            ConvTranspose2d(4, 6, AXES[3], AXES[3]), "f b u v row/n ic", 1, (2, 3), 6, apart=True
        ),
    ],
)
def test_a_packing_comes_back_from_json(packing):
    assert of_json(json.loads(json.dumps(as_json(packing)))) == packing
