"""Layers over volumes as layers over stacks of slices, on NumPy arrays."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tvm_deconv.algebra.geometry import Axis
from tvm_deconv.algebra.volumes import ConvTranspose3d


def conv2d_transpose(x, weight, conv):
    y = torch.nn.functional.conv_transpose2d(
        torch.from_numpy(x),
        torch.from_numpy(weight),
        stride=conv.strides,
        dilation=conv.dilation,
        groups=conv.groups,
    ).numpy()
    return cropped(y, (conv.h, conv.w))


def cropped(y, axes):
    for i, axis in enumerate(axes):
        extra = [(0, 0)] * y.ndim
        extra[i + 2] = (0, axis.output_padding)
        y = np.pad(y, extra)
        y = y.take(range(axis.pad_begin, y.shape[i + 2] - axis.pad_end), i + 2)
    return y


@st.composite
def axes(draw):
    kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    dilation = draw(st.integers(1, 2))
    reach = dilation * (kernel - 1)
    begin, end = draw(st.integers(0, reach)), draw(st.integers(0, reach))
    return Axis(kernel, stride, begin, end, draw(st.integers(0, stride - 1)), dilation)


@settings(max_examples=60, deadline=None)
@given(axes(), axes(), axes(), st.integers(1, 2), st.data())
def test_the_stacks_of_all_phases_are_the_layer(d, h, w, groups, data):
    depth, height, width = (data.draw(st.integers(3, 5)) for _ in range(3))
    if min(a.output_size(n) for a, n in ((d, depth), (h, height), (w, width))) < 1:
        return
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 2 * groups, depth, height, width))
    weight = rng.standard_normal((2 * groups, 3, d.kernel, h.kernel, w.kernel))
    volume = ConvTranspose3d(2 * groups, 3 * groups, d, h, w, groups)
    full = torch.nn.functional.conv_transpose3d(
        torch.from_numpy(x),
        torch.from_numpy(weight),
        stride=(d.stride, h.stride, w.stride),
        dilation=(d.dilation, h.dilation, w.dilation),
        groups=groups,
    ).numpy()
    expected = cropped(full, (d, h, w))
    assert volume.output_shape(2, depth, height, width) == expected.shape

    y = np.full(expected.shape, np.nan)
    for stack in volume.stacks():
        if stack.slices(depth) < 1:
            continue
        picture = np.zeros((2, stack.conv.in_channels, stack.height(depth, height), width))
        for channel in range(picture.shape[1]):
            for row in range(picture.shape[2]):
                c, k, i = stack.source(channel, row, height)
                if 0 <= k < depth and i < height:
                    picture[:, channel, row] = x[:, c, k, i]
        result = conv2d_transpose(picture, stack.weights(weight), stack.conv)
        for row in range(result.shape[2]):
            k, i = stack.target(row, height)
            if i < y.shape[3]:
                y[:, :, k, i] = result[:, :, row]
    np.testing.assert_allclose(y, expected, atol=1e-12)
