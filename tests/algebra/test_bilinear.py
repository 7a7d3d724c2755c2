"""A linear resize and a convolution, folded, against both from their definitions, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outside_reference import assert_folded
from reference import linear

from tvm_deconv.algebra import bilinear, geometry
from tvm_deconv.errors import GeometryError


@st.composite
def layers(draw):
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    padded, factors = [], draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    for k, d, r in zip(kernel, dilation, factors, strict=True):
        sides = [draw(st.integers(0, d * (k - 1))) for _ in range(2)]
        copies = [draw(st.integers(0, side)) if draw(st.booleans()) else 0 for side in sides]
        zeros = [side - copy for side, copy in zip(sides, copies, strict=True)]
        padded.append(bilinear.ends_of_interpolation(r, tuple(zeros), tuple(copies)))
    smallest = [
        max(1, -(-(d * (k - 1) + 1 - sum(p.total)) // p.factor))
        for k, d, p in zip(kernel, dilation, padded, strict=True)
    ]
    groups = draw(st.sampled_from([1, 1, 2]))
    return {
        "kernel": kernel,
        "dilation": dilation,
        "axes": padded,
        "groups": groups,
        "channels": (groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))),
        "size": [s + draw(st.integers(0, 3)) for s in smallest],
        "seed": draw(st.integers(0, 2**16)),
    }


@settings(max_examples=300)
@given(layers())
def test_the_folded_layer_less_what_lies_outside_is_the_layer(c):
    axes = [
        bilinear.axis_of_interpolation(geometry.ConvAxis(k, 0, 0, d), own)
        for k, d, own in zip(c["kernel"], c["dilation"], c["axes"], strict=True)
    ]
    assert_folded(c, tuple(c["axes"]), linear, axes, bilinear.weight_interpolation)


@pytest.mark.parametrize(
    ("factor", "kernel"),
    [
        (1, [1]),
        (2, [0.25, 0.75, 0.75, 0.25]),
        (3, [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3]),
        (4, [0.125, 0.375, 0.625, 0.875, 0.875, 0.625, 0.375, 0.125]),
    ],
)
def test_the_triangle_of_a_factor(factor, kernel):
    np.testing.assert_allclose(bilinear.interpolation_kernel(factor), kernel, rtol=1e-15)


def test_a_resize_by_two_and_a_kernel_of_three_have_three_taps_in_each_phase():
    axis = bilinear.axis_of_interpolation(
        geometry.ConvAxis(3, 1, 1), bilinear.ends_of_interpolation(2, (1, 1), (0, 0))
    )
    assert [len(axis.taps(f)) for f in range(2)] == [3, 3]


def test_padding_beyond_the_reach_of_the_kernel_is_an_error():
    with pytest.raises(GeometryError, match="end padding 3 is larger than the reach 2"):
        ends = bilinear.ends_of_interpolation(2, (1, 3), (0, 0))
        bilinear.axis_of_interpolation(geometry.ConvAxis(3), ends)


def test_channels_that_the_groups_do_not_divide_are_an_error():
    with pytest.raises(GeometryError, match="out_channels 3 is not divisible by groups=2"):
        bilinear.weight_interpolation(np.ones((3, 1, 3, 3)), 2, groups=2)
