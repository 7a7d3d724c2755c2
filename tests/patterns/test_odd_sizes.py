"""Networks that enlarge to odd sizes, from the file on: rewritten, and equal to ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime
from quantized_networks import assert_equal_but_for_ties, by_onnx_runtime, quantized
from tvm import relax

import tvm_deconv
from tvm_deconv.importer import load
from tvm_deconv.transform import AddHeight, rewrite_upsampling


def unet(height, width):
    """One level: the skip is of an odd height or width, and pooled to half of it, rounded up."""
    net = Net((1, 16, height, width))
    skip = net("Relu", net.conv("x", 16, 32))
    low = net("MaxPool", skip, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    low = net("Relu", net.conv(low, 32, 64))
    joined = net("Concat", net.to_sizes(low, 1, 64, height, width), skip, axis=1)
    return net.model(net("Tanh", net.conv(joined, 96, 16))), net.shape


def pyramid(height, width):
    """The large map is pointwise before the convolution, and no multiple along one axis only."""
    net = Net((1, 8, -(-height // 2), -(-width // 3)))
    large = net("Sigmoid", net.to_sizes("x", 1, 8, height, width))
    return net.model(net.conv(large, 8, 8, k=5)), net.shape


def line(length):
    """Audio: one dimension."""
    net = Net((1, 8, -(-length // 2)))
    large = net.to_sizes("x", 1, 8, length)
    weight = net.constant(4, 8, 5)
    return net.model(net("Conv", large, weight, pads=[2, 2])), net.shape


@pytest.mark.parametrize(
    "model", [line(21), unet(13, 22), unet(9, 31), pyramid(9, 12), pyramid(8, 5), pyramid(7, 5)]
)
def test_a_resize_to_an_odd_size_is_rewritten_and_equals_onnx_runtime(model):
    model, shape = model
    _, report = rewrite_upsampling(AddHeight()(load(model)))
    assert [layer.status for layer in report.layers] == ["rewritten"], report
    main = relax.VirtualMachine(tvm_deconv.compile(model), tvm.cpu())["main"]
    assert_same_as_onnx_runtime(model, shape, main=main, atol=2e-5)


def test_bytes_to_an_odd_size_stay_resized_and_equal_onnx_runtime(tmp_path):
    net = Net((1, 8, 7, 6))
    model = quantized(net, net.conv(net.to_sizes("x", 1, 8, 13, 12), 8, 8), tmp_path)
    _, report = rewrite_upsampling(load(model))
    (layer,) = report.layers
    assert "axis H is cropped to no multiple of the factor 2 and padded" in layer.reason
    x = np.random.default_rng(3).random((1, 8, 7, 6)).astype("float32")
    main = relax.VirtualMachine(tvm_deconv.compile(model), tvm.cpu())["main"]
    got = main(tvm.runtime.tensor(x)).numpy()
    assert_equal_but_for_ties(got, by_onnx_runtime(model, x))


def test_a_resize_to_an_odd_size_that_no_convolution_reads_says_so():
    net = Net((1, 8, 5, 5))
    _, report = rewrite_upsampling(load(net.model(net("Neg", net.to_sizes("x", 1, 8, 9, 10)))))
    (layer,) = report.layers
    assert "t1 is read by the function's output, not by a convolution" in layer.reason


def test_a_resize_that_repeats_samples_unevenly_says_so():
    net = Net((1, 8, 34, 34))
    _, report = rewrite_upsampling(
        load(net.model(net.conv(net.to_sizes("x", 1, 8, 100, 100), 8, 8)))
    )
    (layer,) = report.layers
    assert "no nearest resize by whole factors" in layer.reason
