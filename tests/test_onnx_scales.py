"""Fractional scales: refused where TVM would compute something else, equal to ONNX where not."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import tvm
from onnx_net import Net
from tvm import relax

import tvm_deconv
from tvm_deconv.errors import ModelError


def resized(size, scale, dims=None, **attributes):
    net = Net(shape=(1, 3, size, size), dims=dims)
    scales = net.given(np.array([1, 1, scale, scale], "float32"))
    return net, net.model(net("Resize", "x", "", scales, **attributes))


@pytest.mark.parametrize("mode", ["linear", "cubic", "nearest"])
@pytest.mark.parametrize("coordinates", ["half_pixel", "pytorch_half_pixel", "asymmetric"])
@pytest.mark.parametrize(("size", "scale"), [(8, 1.5), (9, 1.5), (10, 2.5), (7, 0.6)])
def test_a_fractional_scale_is_equal_or_refused(mode, coordinates, size, scale):
    net, model = resized(size, scale, mode=mode, coordinate_transformation_mode=coordinates)
    x = net.rng.random(net.shape).astype("float32")
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    if float(size * scale).is_integer():
        executable = tvm_deconv.compile(model)
    else:
        try:
            executable = tvm_deconv.compile(model)
        except ModelError as error:
            assert f"by {scale:g} of {size} pixels" in str(error)
            return
    got = relax.VirtualMachine(executable, tvm.cpu())["main"](tvm.runtime.tensor(x)).numpy()
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6)


def test_a_shape_that_is_fixed_later_is_judged_too():
    _, model = resized(9, 1.5, dims=("n", 3, "h", "w"), mode="linear")
    with pytest.raises(ModelError, match="export it with sizes"):
        tvm_deconv.compile(model, shapes={"x": (1, 3, 9, 9)})
