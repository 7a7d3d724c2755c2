"""Resize and Upsample are computed as the standard and ONNX Runtime compute them."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import tvm
from onnx_net import Net
from tvm import relax

import tvm_deconv


def resized(size, scale, dims=None, **attributes):
    net = Net(shape=(1, 3, size, size), dims=dims)
    scales = net.given(np.array([1, 1, scale, scale], "float32"))
    return net, net.model(net("Resize", "x", "", scales, **attributes))


@pytest.mark.parametrize("mode", ["linear", "cubic", "nearest"])
@pytest.mark.parametrize("coordinates", ["half_pixel", "pytorch_half_pixel", "asymmetric"])
@pytest.mark.parametrize(("size", "scale"), [(8, 1.5), (9, 1.5), (10, 2.5), (7, 0.6)])
def test_a_fractional_scale_is_taken_as_it_is(mode, coordinates, size, scale):
    net, model = resized(size, scale, mode=mode, coordinate_transformation_mode=coordinates)
    x = net.rng.random(net.shape).astype("float32")
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    executable = tvm_deconv.compile(model)
    got = relax.VirtualMachine(executable, tvm.cpu())["main"](tvm.runtime.tensor(x)).numpy()
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6)
