"""Dilated kernels: one that is folded is written out, unless that is absurd; no other is."""

from __future__ import annotations

import re
import resource

import numpy as np
import onnxruntime
import pytest
import tvm
from onnx_net import Net
from quick_network import compiled

import tvm_deconv

OPTIONS = {"log": None, "target": "host"}
FLOOR = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


def wide(dilation, spatial=2):
    return {"dilations": [dilation] * spatial, "pads": [dilation] * (2 * spatial)}


def behind_nearest(net, dilation):
    return net.conv(net.nearest("x", 3), 6, 8, **wide(dilation))


def behind_linear(net, dilation):
    return net.conv(net.linear("x", 2), 6, 8, **wide(dilation))


def before_a_shuffle(net, dilation):
    return net("DepthToSpace", net.conv("x", 6, 8, **wide(dilation)), blocksize=2, mode="CRD")


@pytest.mark.parametrize("layer", [behind_nearest, behind_linear, before_a_shuffle])
def test_a_dilation_that_makes_millions_of_taps_is_not_folded(layer):
    net = Net((1, 6, 5, 7))
    model = net.model(layer(net, 1000))
    (found,) = tvm_deconv.explain(model, **OPTIONS).layers
    assert found.status == "refused"
    assert re.search(
        r"of dilation \[1000, 1000\], would have (200[0-9]|400[0-9])x\d+ taps", found.reason
    )
    assert "weights in place of 432" in found.reason
    check(net, model)


def test_volumes_are_refused_likewise():
    net = Net((1, 6, 3, 5, 4))
    up = net("Resize", "x", "", net.given(np.float32([1, 1, 2, 2, 2])), mode="nearest", **FLOOR)
    weight = net.constant(8, 6, 3, 3, 3)
    model = net.model(net("Conv", up, weight, **wide(100, 3)))
    (found,) = tvm_deconv.explain(model, **OPTIONS).layers
    assert found.status == "refused"
    assert "would have 201x201x202 taps" in found.reason


def test_a_dilated_kernel_behind_a_resize_is_folded():
    net = Net((1, 6, 5, 7))
    model = net.model(behind_nearest(net, 6))
    (found,) = tvm_deconv.explain(model, **OPTIONS).layers
    assert "would have" not in found.reason
    check(net, model)


@pytest.mark.parametrize("dilation", [2, 36, 200])
def test_a_plain_kernel_stays_what_it_is_whatever_its_dilation(dilation):
    """As in DeepLab: written out, 3x3 taps 36 apart of 2048 and 256 channels take 11 GB.

    Every tap meets a map of this size.
    """
    net = Net((1, 64, dilation + 2, dilation + 3))
    model = net.model(net.conv("x", 64, 64, **wide(dilation)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    weights = tvm_deconv.explain(model, **OPTIONS).weights
    assert weights.model == 64 * 64 * 9
    check(net, model)
    # In KiB; written out, those 200 apart are 2.6 million KiB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000


def check(net, model):
    """Ours against ONNX Runtime's result."""
    x = np.random.default_rng(1).standard_normal(net.shape, np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (want,) = session.run(None, {"x": x})
    found = compiled(model)(tvm.runtime.tensor(x)).numpy()
    np.testing.assert_allclose(found, want, rtol=0, atol=1e-5 * np.abs(want).max())
