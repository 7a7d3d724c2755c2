"""A nearest resize with a crop or copies at its ends, folded, against both layers in float64."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from outside_reference import assert_folded

from tvm_deconv.algebra import geometry, weights
from tvm_deconv.algebra.outside import ends_of_copies


def repeated(x, factors):
    for axis, factor in enumerate(factors, start=2):
        x = x.repeat(factor, axis)
    return x


@st.composite
def layers(draw):
    count = draw(st.integers(1, 3))
    most = 5 if count < 3 else 3
    kernel = draw(st.tuples(*[st.integers(1, most)] * count))
    dilation = draw(st.tuples(*[st.integers(1, 2)] * count))
    groups = draw(st.sampled_from([1, 1, 2]))
    ends, sizes = [], []
    for k, d in zip(kernel, dilation, strict=True):
        r, reach = draw(st.integers(1, most - 1)), d * (k - 1)
        copies = [draw(st.integers(1 - r, max(reach, 1 - r))) for _ in range(2)]
        zeros = [draw(st.integers(0, reach - max(c, 0))) for c in copies]
        ends.append(ends_of_copies(r, tuple(zeros), tuple(copies)))
        # No pixel of the map is cropped from both sides, and the result has one.
        least = max(2 if min(copies) < 0 else 1, -(-(reach + 1 - sum(zeros) - sum(copies)) // r))
        sizes.append(least + draw(st.integers(0, most - 2)))
    return {
        "kernel": kernel,
        "dilation": dilation,
        "ends": tuple(ends),
        "size": sizes,
        "groups": groups,
        "channels": (groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))),
        "seed": draw(st.integers(0, 2**16)),
    }


@settings(max_examples=300)
@given(layers())
def test_the_folded_layer_less_what_lies_outside_is_the_layer(c):
    axes = [
        geometry.axis_of_resize(geometry.ConvAxis(k, *own.total, d), own.factor, own.edge)
        for k, d, own in zip(c["kernel"], c["dilation"], c["ends"], strict=True)
    ]
    assert_folded(c, c["ends"], repeated, axes, weights.convolved_with_ones)


def test_zeros_beside_whole_samples_need_nothing():
    assert ends_of_copies(2, (1, 1), (0, 2)).surplus == (0, 0)
    assert ends_of_copies(2, (1, 1), (-1, 1)).surplus == (1, 1)
    assert ends_of_copies(2, (0, 0), (-1, 1)).surplus == (0, 0)
