"""A nearest resize with a crop or copies at its ends, folded, against both layers in float64."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from outside_reference import pad, taken_back
from reference import conv2d, conv2d_transpose

from tvm_deconv.algebra import geometry, weights
from tvm_deconv.algebra.outside import ends_of_copies


def repeated(x, factors):
    return x.repeat(factors[0], 2).repeat(factors[1], 3)


@st.composite
def layers(draw):
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    groups = draw(st.sampled_from([1, 1, 2]))
    ends, sizes = [], []
    for k, d in zip(kernel, dilation, strict=True):
        r, reach = draw(st.integers(1, 4)), d * (k - 1)
        copies = [draw(st.integers(1 - r, max(reach, 1 - r))) for _ in range(2)]
        zeros = [draw(st.integers(0, reach - max(c, 0))) for c in copies]
        ends.append(ends_of_copies(r, tuple(zeros), tuple(copies)))
        # No pixel of the map is cropped from both sides, and the result has one.
        least = max(2 if min(copies) < 0 else 1, -(-(reach + 1 - sum(zeros) - sum(copies)) // r))
        sizes.append(least + draw(st.integers(0, 3)))
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
    rng = np.random.default_rng(c["seed"])
    (ci, co), groups, dilation, (h, w) = c["channels"], c["groups"], c["dilation"], c["ends"]
    x = rng.standard_normal((2, ci, *c["size"]))
    kernel = rng.standard_normal((co, ci // groups, *c["kernel"]))
    large = pad(repeated(x, (h.factor, w.factor)), (h.copies, w.copies), "edge")
    zeros = (h.zeros[0], w.zeros[0], h.zeros[1], w.zeros[1])
    expected = conv2d(large, kernel, zeros, dilation, groups)

    axes = [
        geometry.axis_of_resize(geometry.ConvAxis(k, *own.total, d), own.factor, own.edge)
        for k, d, own in zip(c["kernel"], dilation, (h, w), strict=True)
    ]
    op = geometry.ConvTranspose2d(ci, co, *axes, groups)
    folded = weights.weight_convolution(kernel, (h.factor, w.factor), groups, dilation)
    small = pad(x, (h.edge, w.edge), "edge")
    got = conv2d_transpose(small, folded, op.strides, op.padding, groups=groups)
    for axis in (2, 3):
        got += taken_back(x, kernel, (h, w), dilation, groups, axis, repeated)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * max(1, np.abs(expected).max()))


def test_zeros_beside_whole_samples_need_nothing():
    assert ends_of_copies(2, (1, 1), (0, 2)).surplus == (0, 0)
    assert ends_of_copies(2, (1, 1), (-1, 1)).surplus == (1, 1)
    assert ends_of_copies(2, (0, 0), (-1, 1)).surplus == (0, 0)
