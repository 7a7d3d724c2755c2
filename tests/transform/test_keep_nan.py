"""A NaN comes out where ONNX Runtime has it: behind every bound and variant, in every answer."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import tvm
from onnx_net import Net
from quick_network import compiled
from tvm import relax

import tvm_deconv

SHAPE = (1, 4, 9, 10)


def poisoned(net, *shape):
    """Weights of which one output channel is NaN."""
    values = net.rng.standard_normal(shape).astype("float32") * 0.2
    values[1] = np.nan
    return net.given(values)


def relu(net, x):
    return net("Relu", x)


def clip(net, x):
    bounds = [net.given(np.float32(bound)) for bound in (-0.2, 0.3)]
    return net("Clip", x, *bounds)


def largest(net, x):
    return net("Max", x, net.given(np.float32([0.1])))


def hard_sigmoid(net, x):
    return net("HardSigmoid", x)


BOUNDS = [relu, clip, largest, hard_sigmoid]


@pytest.mark.parametrize("rewrite", [True, False])
@pytest.mark.parametrize("layer", ["convolution", "sub-pixel", "resize"])
def test_nan_goes_through_every_bound(layer, rewrite):
    net = Net(SHAPE)
    outputs = []
    for bound in BOUNDS:
        x = net.nearest("x", 2) if layer == "resize" else "x"
        y = net("Conv", x, poisoned(net, 8, 4, 3, 3), pads=[1, 1, 1, 1])
        y = net("DepthToSpace", y, blocksize=2, mode="CRD") if layer == "sub-pixel" else y
        outputs.append(bound(net, y))
    model = net.model(*outputs)
    x = net.rng.standard_normal(SHAPE).astype("float32")
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    executable = tvm_deconv.compile(model, rewrite=rewrite, log=None)
    got = relax.VirtualMachine(executable, tvm.cpu())["main"](tvm.runtime.tensor(x))
    for bound, a, b in zip(BOUNDS, got, expected, strict=True):
        assert np.isnan(b).any(), "the test is one"
        np.testing.assert_allclose(a.numpy(), b, rtol=0, atol=2e-6, err_msg=bound.__name__)


def negated(name):
    return lambda net, x, y: net("Not", net(name, x, y))


ITSELF = ("Equal", "LessOrEqual", "GreaterOrEqual")
ANSWERS = [
    *(negated(name) for name in ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal")),
    *(lambda net, x, y, name=name: negated(name)(net, x, x) for name in ITSELF),
    lambda net, x, y: net("Xor", net("Greater", x, y), net("Less", x, y)),
    lambda net, x, y: net("Or", net("Not", net("Less", x, y)), net("Not", net("Greater", x, y))),
    lambda net, x, y: net("Where", net("Not", net("Greater", x, y)), x, y),
    lambda net, x, y: net("Mul", x, net.given(np.float32(0))),
    lambda net, x, y: net("Div", net.given(np.float32(0)), x),
]


def test_answers_and_products_know_nan():
    """TVM takes ``not (x > y)`` for ``x <= y``, and 0 * x for 0."""
    net = Net((4, 9))
    x = net.rng.integers(-2, 3, (4, 9)).astype("float32")
    x[1, :5], x[2, 3:6] = np.nan, np.inf
    y = net.given(np.ascontiguousarray(x[::-1]))
    outputs = [build(net, "x", y) for build in ANSWERS]
    numbers = [net("Cast", one, to=onnx.TensorProto.FLOAT) for one in outputs]
    model = net.model(*numbers)
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    got = compiled(model)(tvm.runtime.tensor(x))
    for number, (a, b) in enumerate(zip(got, expected, strict=True)):
        np.testing.assert_array_equal(a.numpy(), b, err_msg=str(number))
