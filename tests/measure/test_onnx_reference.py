"""The float64 result that contestants are held against, checked against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_net import Net

from tvm_deconv.measure.onnx_reference import float64_results


def check(net: Net, *outputs: str) -> None:
    model = net.model(*outputs)
    x = np.random.default_rng(1).random(net.shape, dtype=np.float32)
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    (result,) = float64_results(model, {"x": x})
    assert result.dtype == np.float64
    # ONNX Runtime is the less accurate of the two.
    np.testing.assert_allclose(result, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


sizes = st.integers(1, 3)


@settings(max_examples=30)
@given(
    kernel=st.tuples(sizes, sizes),
    stride=st.tuples(sizes, sizes),
    dilation=st.tuples(sizes, sizes),
    pads=st.tuples(*[st.integers(0, 2)] * 4),
    group=st.sampled_from([1, 2]),
    bias=st.booleans(),
)
def test_a_convolution_of_any_attributes(kernel, stride, dilation, pads, group, bias):
    net = Net((2, 4, 9, 8))
    weights = [net.constant(6, 4 // group, *kernel), *([net.constant(6)] if bias else [])]
    attributes = {"strides": stride, "dilations": dilation, "pads": pads, "group": group}
    check(net, net("Conv", "x", *weights, **attributes))


@settings(max_examples=30)
@given(
    kernel=st.tuples(sizes, sizes),
    stride=st.tuples(sizes, sizes),
    dilation=st.tuples(sizes, sizes),
    pads=st.tuples(*[st.integers(0, 1)] * 4),
    extra=st.integers(0, 2),
    group=st.sampled_from([1, 2]),
    bias=st.booleans(),
)
def test_a_transposed_convolution_of_any_attributes(
    kernel, stride, dilation, pads, extra, group, bias
):
    net = Net((2, 4, 5, 6))
    weights = [net.constant(4, 3, *kernel), *([net.constant(3 * group)] if bias else [])]
    attributes = {
        "strides": stride,
        "dilations": dilation,
        "pads": pads,
        "group": group,
        # ONNX Runtime refuses more.
        "output_padding": [min(extra, step - 1) for step in stride],
    }
    check(net, net("ConvTranspose", "x", *weights, **attributes))


@pytest.mark.parametrize("size", [(9,), (5, 6, 7)])
def test_convolutions_over_sounds_and_volumes(size):
    axes = len(size)
    net = Net((2, 4, *size))
    pads = {"pads": [1] * axes + [0] * axes, "strides": [2] * axes}
    up = net(
        "ConvTranspose", "x", net.constant(4, 3, *[3] * axes), net.constant(6), group=2, **pads
    )
    check(net, net("Conv", up, net.constant(8, 6, *[3] * axes), net.constant(8), **pads))


def test_automatic_padding_is_left_to_the_slow_evaluator():
    net = Net((1, 2, 7, 7))
    check(net, net("Conv", "x", net.constant(3, 2, 3, 3), auto_pad="SAME_UPPER", strides=[2, 2]))


def test_a_nearest_resize_by_whole_factors_and_a_shuffle():
    net = Net((1, 8, 5, 6))
    up = net.nearest("x", 2, 3)
    check(net, net("DepthToSpace", up, blocksize=2, mode="CRD"))


def test_a_linear_resize_is_left_to_the_slow_evaluator():
    net = Net((1, 2, 3, 4))
    scales = net.given(np.array([1, 1, 2, 2], "float32"))
    check(net, net("Resize", "x", "", scales, mode="linear"))


def test_normalisation_casts_and_constants_are_float64_too():
    net = Net((1, 4, 5, 6))
    y = net("Cast", net.batch_norm("x", 4), to=1)
    check(net, net("InstanceNormalization", y, net.ones(4), net.zeros(4), epsilon=1e-5))


@pytest.mark.parametrize("padding", ["zeros", "border"])
@pytest.mark.parametrize("align", [0, 1])
def test_linear_samples_of_a_grid(padding, align):
    net = Net((2, 3, 5, 7))
    # Well beyond the picture, too.
    grid = net.constant(2, 4, 6, 2)
    how = {"mode": "bilinear", "padding_mode": padding, "align_corners": align}
    check(net, net("GridSample", "x", grid, **how))
