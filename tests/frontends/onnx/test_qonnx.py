"""``Quant`` nodes of qonnx against their definition in float64, and networks of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import tvm
from onnx import TensorProto, helper, numpy_helper
from onnx_net import Net
from quick_network import compiled

import tvm_deconv
from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load

DOMAIN = "qonnx.custom_op.general"


class Qonnx(Net):
    """Of several results; ``quant`` appends a Quant node."""

    def quant(self, x, scale, zero=0, bits=8, domain=DOMAIN, name="Quant", **attributes):
        numbers = [self.given(np.asarray(value, "float32")) for value in (scale, zero, bits)]
        return self(name, x, *numbers, domain=domain, **attributes)

    def results(self, *outputs, opset=13):
        model = self.model(outputs[-1])
        del model.graph.output[:]
        kinds = [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs]
        model.graph.output.extend(kinds)
        del model.opset_import[:]
        domains = {node.domain for node in model.graph.node} - {""}
        imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
        model.opset_import.extend(imports)
        return model


def defined(x, scale, zero=0, bits=8, signed=1, narrow=0, rounding_mode="ROUND", **_):
    """qonnx's definition."""
    if signed:
        low, high = -(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1
    else:
        low, high = 0, 2**bits - 1 - narrow
    y = np.asarray(x, "float64") / np.float32(scale) + zero
    how = {"FLOOR": np.floor, "CEIL": np.ceil, "DOWN": np.trunc}.get(rounding_mode, np.round)
    rounded = how(np.clip(y, low, high))
    if signed and bits == 1:
        rounded = np.where(y >= 0, 1, -1)
    return (rounded - zero) * np.float32(scale)


SHAPE = (2, 3, 5, 40)
BY_CHANNEL = np.float32([0.01, 0.03, 0.02]).reshape(3, 1, 1)
COMPUTED = [
    {"scale": 0.02},
    {"scale": 0.02, "signed": 0, "zero": 100},
    {"scale": 0.02, "narrow": 1},
    {"scale": 0.005, "signed": 0, "narrow": 1},
    {"scale": 0.3, "bits": 4},
    {"scale": 0.3, "bits": 4, "narrow": 1, "zero": 2},
    {"scale": 0.1, "bits": 4, "signed": 0},
    {"scale": 0.7, "bits": 1, "signed": 0},
    {"scale": 0.7, "bits": 2, "narrow": 1},
    {"scale": 0.03, "bits": 7, "rounding_mode": "FLOOR"},
    {"scale": 0.03, "bits": 8, "rounding_mode": "CEIL"},
    {"scale": [[[[0.02]]]], "domain": "onnx.brevitas"},
    {"scale": 0.02, "name": "IntQuant", "rounding_mode": "half_even"},
    {"scale": BY_CHANNEL, "bits": 6},
    {"scale": BY_CHANNEL[None], "zero": np.float32([3, 0, -5]).reshape(3, 1, 1), "bits": 8},
]
CONSTANT = [
    {"scale": BY_CHANNEL[:, 0], "bits": 16},
    {"scale": 0.4, "bits": 1},
    {"scale": 0.05, "bits": 5, "rounding_mode": "DOWN"},
    {"scale": np.float32([0.1, 0.2, 0.3, 0.4]), "bits": 3, "narrow": 1},
]


def test_values_are_those_of_the_definition():
    net = Qonnx(SHAPE)
    weight = net.rng.standard_normal((3, 4)).astype("float32")
    outputs = [net.quant("x", **how) for how in COMPUTED]
    outputs += [net.quant(net.given(weight), **how) for how in CONSTANT]
    outputs = [net("Identity", name) for name in outputs]
    x = net.rng.standard_normal(SHAPE).astype("float32")
    results = compiled(net.results(*outputs))(tvm.runtime.tensor(x))
    wanted = [(x, how) for how in COMPUTED] + [(weight, how) for how in CONSTANT]
    for got, (values, how) in zip(results, wanted, strict=True):
        np.testing.assert_allclose(got.numpy(), defined(values, **how), rtol=0, atol=2e-5)


def test_halves_are_rounded_to_even():
    net = Qonnx((1, 6))
    x = np.float32([[-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]])
    got = compiled(net.results(net.quant("x", 1.0)))(tvm.runtime.tensor(x)).numpy()
    np.testing.assert_array_equal(got, [[-2, -2, 0, 0, 2, 2]])


def layer(net, x, c_in, c_out, k, bits, scale, activation=None):
    """A convolution of ``bits``-bit weights, a scale for each channel, and a rounded result."""
    weight = net.constant(c_out, c_in, k, k, scale=1 / (k * np.sqrt(c_in)))
    by_channel = np.linspace(0.8, 1.2, c_out).reshape(-1, 1, 1, 1) / (k * np.sqrt(c_in))
    weight = net.quant(weight, by_channel * 2.5 / 2 ** (bits - 1), bits=bits, narrow=1)
    bias = net.quant(net.constant(c_out, scale=0.1), 1e-5, bits=16)
    y = net("Conv", x, weight, bias, pads=[k // 2] * 4)
    signed = int(activation is None)
    return net.quant(net(activation, y) if activation else y, scale, bits=bits, signed=signed)


def upscaler(bits, shape=(1, 3, 7, 11)):
    """A shuffle and a resize, with activations of ``bits`` bits."""
    net = Qonnx(shape)
    unit = 1 / 2**bits
    x = net.quant("x", unit, bits=bits, signed=0)
    x = layer(net, x, 3, 8, 5, bits, 2 * unit, "Relu")
    x = layer(net, x, 8, 12, 3, bits, 3 * unit)
    x = net("DepthToSpace", x, blocksize=2, mode="CRD")
    x = layer(net, x, 3, 8, 3, bits, 2 * unit, "Relu")
    return net, layer(net, net.nearest(x, 2), 8, 3, 3, bits, 3 * unit)


def by_definition(net, output, x):
    """All nodes in float64, in order."""
    values = {w.name: numpy_helper.to_array(w).astype("float64") for w in net.weights} | {
        "x": x.astype("float64")
    }
    for node in net.nodes:
        operands = [values.get(name) for name in node.input]
        options = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        tensors = [torch.from_numpy(np.array(o)) for o in operands if o is not None]
        if node.op_type == "Quant":
            scale, zero, bits = operands[1:]
            result = defined(operands[0], scale, float(zero), int(bits), **options)
        elif node.op_type == "Conv":
            margin = options["pads"][0]
            result = torch.nn.functional.conv2d(*tensors, padding=margin).numpy()
        elif node.op_type == "Relu":
            result = np.maximum(operands[0], 0)
        elif node.op_type == "DepthToSpace":
            result = torch.nn.functional.pixel_shuffle(tensors[0], options["blocksize"]).numpy()
        else:
            result = operands[0].repeat(2, 2).repeat(2, 3)
        values[node.output[0]] = np.asarray(result, "float64")
    return values[output]


@pytest.mark.parametrize("bits", [8, 4])
def test_a_network_is_one_of_integers_with_the_definitions_result(bits):
    net, output = upscaler(bits)
    model = net.results(output)
    report = tvm_deconv.explain(model)
    assert {kernel.variant for kernel in report.kernels} == {"integer"}, str(report)
    assert (len(report.rewritten), len(report.refused)) == (2, 0)
    x = net.rng.random(net.shape, "float32")
    expected = by_definition(net, output, x)
    assert len(np.unique(expected)) > 6
    units = np.abs(compiled(model)(tvm.runtime.tensor(x)).numpy() - expected) / (3 / 2**bits)
    assert units.max() < 1.01
    assert (units > 0.5).mean() <= 2e-3


def of_input(**how):
    net = Qonnx((1, 3, 4, 4))
    return net.results(net.quant("x", **how))


def with_computed_scale():
    net = Qonnx((1, 3, 4, 4))
    scale = net("ReduceMax", "x", keepdims=0)
    zero, bits = net.given(np.float32(0)), net.given(np.float32(8))
    return net.results(net("Quant", "x", scale, zero, bits, domain=DOMAIN))


def other(name, *further):
    net = Qonnx((1, 3, 4, 4))
    operands = [net.given(np.float32(1)) for _ in range(further[0])]
    return net.results(net(name, "x", *operands, domain=DOMAIN))


def of_old_opset():
    net = Qonnx((1, 3, 4, 4))
    return net.results(net.quant("x", 0.1), opset=9)


REFUSED = {
    "rounds what is computed to 16 bits": lambda: of_input(scale=0.1, bits=16),
    "rounds what is computed to one bit with a sign": lambda: of_input(scale=0.1, bits=1),
    "its bitwidth is 3.5: give a whole number": lambda: of_input(scale=0.1, bits=3.5),
    "its scale is 0: scales are positive": lambda: of_input(scale=0.0),
    "its zero point is 0.5, which int8 does not": lambda: of_input(scale=0.1, zero=0.5),
    "rounding_mode is HALF_UP: what is": lambda: of_input(scale=0.1, rounding_mode="HALF_UP"),
    "rounding_mode is RANDOM, which is none": lambda: of_input(scale=0.1, rounding_mode="RANDOM"),
    r"its scales have the shape \[3, 4, 1\]": lambda: of_input(scale=np.ones((3, 4, 1))),
    "its scale is computed when the network runs": with_computed_scale,
    "needs QuantizeLinear, which the standard has since opset 10": of_old_opset,
    "qonnx.custom_op.general::BipolarQuant": lambda: other("BipolarQuant", 1),
    "qonnx.custom_op.general::Trunc": lambda: other("Trunc", 4),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refuses_with_a_reason(reason):
    with pytest.raises(ModelError, match=reason) as caught:
        load(REFUSED[reason]())
    assert "\n" not in str(caught.value)
