"""Modules of TVM's own ONNX importer, which lowers some operators at once, are understood, too."""

from __future__ import annotations

import warnings

import numpy as np
import onnxruntime
import pytest
from onnx_net import Net
from relax_helpers import compiled
from tvm.relax.frontend.onnx import from_onnx

from tvm_deconv.transform import rewrite_upsampling


def check(net, output, rewritten=1):
    model = net.model(output)
    x = net.rng.standard_normal(net.shape).astype("float32")
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    with warnings.catch_warnings():
        # That the output has no shape.
        warnings.simplefilter("ignore")
        mod = from_onnx(model)
    new, report = rewrite_upsampling(mod)
    assert (len(report.rewritten), len(report.refused)) == (rewritten, 0), str(report)
    np.testing.assert_allclose(compiled(new, x), expected, rtol=0, atol=3e-6)


@pytest.mark.parametrize("dims", [None, ("n", 4, "h", "w")], ids=["fixed", "free"])
@pytest.mark.parametrize(
    ("mode", "widths", "kernel"),
    [
        ("constant", (0, 10, 10, 0), 11),
        ("constant", (1, 1, 1, 1), 3),
        ("constant", (7, 2, 3, 8), 11),
        ("reflect", (1, 1, 1, 1), 3),
        ("edge", (0, 2, 3, 1), 3),
        ("edge", (10, 0, 0, 10), 3),
    ],
)
def test_a_padding_of_any_split_between_resize_and_convolution_is_recognised(
    mode, widths, kernel, dims
):
    net = Net((1, 4, 12, 13), dims=dims)
    top, left, bottom, right = widths
    pads = net.integers(0, 0, top, left, 0, 0, bottom, right)
    padded = net("Pad", net.nearest("x", 2), pads, mode=mode)
    check(net, net.conv(padded, 4, 3, k=kernel, pads=[0] * 4))


def test_clip_and_tile_are_recognised():
    net = Net((1, 4, 5, 6))
    bounds = [net.given(np.float32(bound)) for bound in (0, 6)]
    clipped = net("Clip", net.conv("x", 4, 12), *bounds)
    check(net, net("DepthToSpace", clipped, blocksize=2, mode="CRD"))
