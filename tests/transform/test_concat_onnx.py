"""Networks with a Concat behind a resize, or a sum before a shuffle, equal ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime
from relax_helpers import operators

import tvm_deconv
from tvm_deconv.compiler import before_lowering
from tvm_deconv.importer import load
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform import LowerConvolutions, RewriteUpsampling

# Of the largest value; half precision rounds each of the two terms.
TOLERANCE = {"float32": 2e-5, "float16": 5e-3}


def u_net(dtype="float32", dims=None):
    """Two levels with an odd size between: 13x21 is padded to 14x22 on the way up."""
    net = Net((1, 3, 26, 42), dtype, dims)
    skips, x = [], "x"
    for c_in, c_out in ((3, 8), (8, 12)):
        skips.append(net("Relu", net.conv(x, c_in, c_out)))
        x = net("MaxPool", skips[-1], kernel_shape=[2, 2], strides=[2, 2])
    x = net("Relu", net.batch_norm(net.conv(x, 12, 16, bias=False), 16))
    up = net.nearest(x, 2)
    if dims is None:
        up = net("Pad", up, net.integers(0, 0, 0, 0, 0, 0, 1, 1))
    x = net("Relu", net.conv(net("Concat", up, skips[1], axis=1), 28, 12))
    both = net("Concat", skips[0], net.batch_norm(net.nearest(x, 2), 12), "x", axis=1)
    return net, net("Relu", net.conv(both, 23, 8)), 2


def nested_and_reflected():
    """Factors 2 and 3, two maps resized alike, a Concat of a Concat, reflection, depthwise."""
    net = Net((1, 4, 12, 18))
    half = net.conv("x", 4, 6, 2, pads=[0] * 4, strides=[2, 2])
    third = net("Sigmoid", net.conv("x", 4, 5, 3, pads=[0] * 4, strides=[3, 3]))
    inner = net("Relu", net("Concat", net.nearest(half, 2), "x", axis=1))
    also = net.nearest(net("Tanh", half), 2)
    both = net("Concat", net.nearest(third, 3), inner, also, axis=1)
    y = net.conv(net.reflect(net.batch_norm(both, 21), 1), 21, 8, pads=[0] * 4)
    z = net.conv(both, 21, 21, group=21)
    return net, net("Concat", y, z, axis=1), 2


def bilinear_u_net():
    """Two levels, enlarged linearly, one of them by 3 and 2; a batch norm before a Concat."""
    net = Net((1, 3, 84, 60))
    first = net("Relu", net.conv("x", 3, 8))
    x = net("MaxPool", first, kernel_shape=[2, 2], strides=[2, 2])
    second = net("Relu", net.conv(x, 8, 12))
    x = net("MaxPool", second, kernel_shape=[3, 2], strides=[3, 2])
    x = net("Relu", net.conv(x, 12, 16))
    both = net("Concat", second, net.batch_norm(net.linear(x, 3, 2), 16), axis=1)
    x = net("Relu", net.conv(both, 28, 12, 5, pads=[2] * 4))
    both = net("Concat", net.linear(x, 2), first, "x", axis=1)
    return net, net("Relu", net.conv(both, 23, 8)), 2


def anchored(order="DCR", way="Concat"):
    """base7: the repeated input is added before the shuffle."""
    net = Net((1, 3, 11, 7))
    x = net("Relu", net.conv("x", 3, 12))
    x = net.conv(x, 12, 27)
    if way == "Concat":
        anchor = net("Concat", *["x"] * 9, axis=1)
    elif way == "Tile":
        anchor = net("Tile", "x", net.integers(1, 9, 1, 1))
    else:
        narrow = net("Unsqueeze", "x", net.integers(2))
        wide = net("Expand", narrow, net.integers(1, 3, 9, 11, 7))
        anchor = net("Reshape", wide, net.integers(1, 27, 11, 7))
    x = net("DepthToSpace", net("Add", anchor, x), blocksize=3, mode=order)
    return net, net("Clip", x, net.given(np.float32(-1)), net.given(np.float32(1))), 1


NETWORKS = {
    "U-Net": (u_net, ()),
    "U-Net in half precision": (u_net, ("float16",)),
    "U-Net, bilinear": (bilinear_u_net, ()),
    "nested": (nested_and_reflected, ()),
    "anchor, Concat": (anchored, ("DCR", "Concat")),
    "anchor, Tile": (anchored, ("DCR", "Tile")),
    "anchor, Expand": (anchored, ("CRD", "Expand")),
}


def _assert_equal(net, output, layers, shapes):
    model = net.model(output)
    report = tvm_deconv.explain(model)
    assert (len(report.rewritten), len(report.refused)) == (layers, 0), str(report)
    assert_same_as_onnx_runtime(model, *shapes, of_largest=TOLERANCE[net.dtype])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_equals_onnx_runtime(name):
    build, arguments = NETWORKS[name]
    net, output, layers = build(*arguments)
    _assert_equal(net, output, layers, [net.shape])


def test_a_network_of_free_size_equals_onnx_runtime():
    net = Net((1, 4, 9, 7), dims=("n", 4, "h", "w"))
    low = net("Relu", net.conv("x", 4, 8))
    skip = net.deconv("x", 4, 6, 2, 2)
    y = net("Relu", net.conv(net("Concat", net.nearest(low, 2), skip, axis=1), 14, 5))
    z = net("Relu", net.conv(net("Concat", skip, net.linear(low, 2), axis=1), 14, 5))
    _assert_equal(net, net("Mul", y, z), 2, [(1, 4, 9, 7), (2, 4, 5, 12), (1, 4, 1, 2)])


@pytest.mark.parametrize("build", [u_net, bilinear_u_net, anchored])
def test_the_second_term_is_added_in_the_store_of_a_kernel(build):
    target = resolve_target("host")
    with target:
        passes = [RewriteUpsampling(), *before_lowering(), LowerConvolutions(target, log=None)]
        net, output, _ = build()
        mod = tvm.transform.Sequential(passes)(load(net.model(output), None))
    assert "add" not in operators(mod)
