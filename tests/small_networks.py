"""Networks of a few layers with everything that a compiler for a device meets."""

from __future__ import annotations

import numpy as np
import onnx
from onnx_net import Net


def sub_pixel(**options) -> onnx.ModelProto:
    """Tanh, a shuffle by 3 and a phase bias: rewritten, with an epilogue."""
    net = Net(**{"shape": (1, 1, 7, 9), **options})
    x = net("Tanh", net.conv("x", 1, 12, 5))
    return net.model(net("DepthToSpace", net.conv(x, 12, 9), blocksize=3, mode="CRD"))


def resized(**options) -> onnx.ModelProto:
    """Nearest resizes and a skip connection."""
    net = Net(**{"shape": (2, 3, 5, 11), **options})
    x = net("Relu", net.conv("x", 3, 10))
    x = net("LeakyRelu", net.conv(net.nearest(x, 2), 10, 10), alpha=0.1)
    y = net("Add", x, net.nearest(net.conv("x", 3, 10), 2))
    return net.model(net.conv(net.nearest(y, 1, 3), 10, 3))


def deconvolved(**options) -> onnx.ModelProto:
    """Transposed convolutions with groups and padding of the output."""
    net = Net(**{"shape": (1, 6, 5, 9), **options})
    x = net("Relu", net.deconv("x", 6, 8, 4, 2, pads=[1] * 4))
    return net.model(net.deconv(x, 8, 3, 5, 3, pads=[2, 1, 1, 2], output_padding=[1, 2]))


def leftovers(**options) -> onnx.ModelProto:
    """What no template of ours covers: a stride, pools, a shuffle, a bicubic resize, matrices."""
    net = Net(**{"shape": (1, 4, 12, 20), **options})
    x = net("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2])
    x = net("DepthToSpace", net("Relu", x), blocksize=2, mode="DCR")
    x = net("Concat", x, net.reflect(net("Relu", x), 0), axis=1)
    x = net.conv(net.reflect(x, 1), 2, 6, strides=[2, 2])
    x = net("InstanceNormalization", x, net.ones(6), net.zeros(6))
    weights = net("Softmax", net("GlobalAveragePool", x), axis=1)
    x = net("Mul", x, weights)
    x = net("MatMul", x, net("Transpose", x, perm=[0, 1, 3, 2]))
    scales = net.given(np.array([1, 1, 2, 2], "float32"))
    return net.model(net("Resize", x, "", scales, mode="cubic"))
