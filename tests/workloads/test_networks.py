"""A published network that is no workload, with random weights, equals ONNX Runtime."""

from __future__ import annotations

from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime

import tvm_deconv

TOLERANCE = 2e-5  # of the largest value; float32


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
    return net, net.conv(x, 64, 2, 1)


def test_a_u_net_decoder_equals_onnx_runtime():
    net, output = unet_decoder()
    model = net.model(output)
    report = tvm_deconv.explain(model)
    assert (len(report.rewritten), len(report.refused)) == (0, 0), str(report)
    assert_same_as_onnx_runtime(model, net.shape, of_largest=TOLERANCE)
