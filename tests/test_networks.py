"""Published networks with random weights: rewritten, compiled, equal to ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import tvm
from onnx_net import Net
from tvm import relax

import tvm_deconv

TOLERANCE = 2e-5  # of the largest value; float32, up to 60 layers deep


def espcn():
    """Shi et al., CVPR 2016: 5-3-3, 64-32 channels, tanh, x3."""
    net = Net((1, 1, 20, 31))
    x = net("Tanh", net.conv("x", 1, 64, 5))
    x = net("Tanh", net.conv(x, 64, 32))
    y = net("DepthToSpace", net.conv(x, 32, 9), blocksize=3, mode="CRD")
    return net, y, 1


def fsrcnn():
    """Dong et al., ECCV 2016: FSRCNN(56, 12, 4), PReLU, deconvolution 9x9 stride 3."""
    net = Net((1, 1, 19, 33))

    def prelu(x, channels):
        return net("PRelu", x, net.constant(channels, 1, 1, scale=0.2))

    x = prelu(net.conv("x", 1, 56, 5), 56)
    x = prelu(net.conv(x, 56, 12, 1), 12)
    for _ in range(4):
        x = prelu(net.conv(x, 12, 12), 12)
    x = prelu(net.conv(x, 12, 56, 1), 56)
    return net, net.deconv(x, 56, 1, 9, 3, pads=[4] * 4, output_padding=[2, 2]), 0


def edsr(factor):
    """Lim et al., CVPRW 2017, baseline: 16 blocks of 64 channels, x2 and x4."""
    net = Net((1, 3, 14, 22))
    head = x = net.conv("x", 3, 64)
    for _ in range(16):
        x = net("Add", x, net.conv(net("Relu", net.conv(x, 64, 64)), 64, 64))
    x = net("Add", head, net.conv(x, 64, 64))
    for _ in range(factor // 2):
        x = net("DepthToSpace", net.conv(x, 64, 256), blocksize=2, mode="CRD")
    return net, net.conv(x, 64, 3), factor // 2


def dcgan():
    """Radford et al., ICLR 2016: 100 -> 1024 -> 512 -> 256 -> 128 -> 3, batch norm, tanh."""
    net = Net((2, 100, 1, 1))
    x = net.deconv("x", 100, 1024, 4, 1)
    for c_in, c_out in ((1024, 512), (512, 256), (256, 128)):
        x = net("Relu", net.batch_norm(x, c_in))
        x = net.deconv(x, c_in, c_out, 4, 2, pads=[1] * 4)
    x = net("Relu", net.batch_norm(x, 128))
    return net, net("Tanh", net.deconv(x, 128, 3, 4, 2, pads=[1] * 4)), 0


def style_transfer():
    """Johnson et al., ECCV 2016, decoder: nearest x2, reflection padding, instance norm."""
    net = Net((1, 128, 16, 21))
    x = "x"
    for c_in, c_out in ((128, 64), (64, 32)):
        x = net.reflect(net.nearest(x, 2), 1)
        x = net.conv(x, c_in, c_out, pads=[0] * 4)
        x = net("InstanceNormalization", x, net.constant(c_out), net.constant(c_out))
        x = net("Relu", x)
    return net, net.conv(net.reflect(x, 4), 32, 3, 9, pads=[0] * 4), 2


def rrdbnet_tail():
    """Wang et al., ECCVW 2018 (ESRGAN): two nearest x2 with 64 channels, leaky ReLU 0.2."""
    net = Net((1, 64, 12, 17))
    x = "x"
    for _ in range(2):
        x = net("LeakyRelu", net.conv(net.nearest(x, 2), 64, 64), alpha=0.2)
    x = net("LeakyRelu", net.conv(x, 64, 64), alpha=0.2)
    return net, net.conv(x, 64, 3), 2


def vae_upsampling():
    """Rombach et al., CVPR 2022, decoder: residual block, group norm, SiLU, nearest x2, 512."""
    net = Net((1, 512, 9, 12))

    def normalized(x):
        groups = net("Reshape", x, net.integers(0, 32, -1))
        normal = net("InstanceNormalization", groups, net.ones(32), net.zeros(32), epsilon=1e-6)
        back = net("Reshape", normal, net.integers(*net.shape))
        scaled = net("Mul", back, net.constant(512, 1, 1))
        x = net("Add", scaled, net.constant(512, 1, 1))
        return net("Mul", x, net("Sigmoid", x))

    x = net.conv(normalized("x"), 512, 512)
    x = net("Add", "x", net.conv(normalized(x), 512, 512))
    return net, net.conv(net.nearest(x, 2), 512, 512), 1


def unet_decoder():
    """Ronneberger et al., MICCAI 2015: up-convolutions 2x2 stride 2 and skip connections."""
    net = Net((1, 256, 9, 13))
    x = "x"
    for c in (128, 64):
        # The encoder's map of this size, here from the input: 2x for 128 channels, 4x for 64.
        factor = 256 // c
        skip = net("Relu", net.deconv("x", 256, c, factor, factor))
        x = net.deconv(x, 2 * c, c, 2, 2)
        x = net("Concat", x, skip, axis=1)
        for c_in in (2 * c, c):
            x = net("Relu", net.conv(x, c_in, c))
    return net, net.conv(x, 64, 2, 1), 0


NETWORKS = {
    "espcn x3": espcn,
    "fsrcnn x3": fsrcnn,
    "edsr x2": lambda: edsr(2),
    "edsr x4": lambda: edsr(4),
    "dcgan": dcgan,
    "style transfer decoder": style_transfer,
    "rrdbnet tail": rrdbnet_tail,
    "vae upsampling": vae_upsampling,
    "unet decoder": unet_decoder,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_published_network_equals_onnx_runtime(name):
    net, output, rewritten = NETWORKS[name]()
    model = net.model(output)
    report = tvm_deconv.explain(model)
    assert (len(report.rewritten), len(report.refused)) == (rewritten, 0), str(report)
    x = net.rng.random(net.shape).astype("float32")
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    vm = relax.VirtualMachine(tvm_deconv.compile(model), tvm.cpu())
    got = vm["main"](tvm.runtime.tensor(x)).numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(got / scale, expected / scale, rtol=0, atol=TOLERANCE)
