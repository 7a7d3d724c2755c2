"""Resizes between the layers of a quantized network read and write bytes."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from onnx_net import Net
from quantized_networks import by_onnx_runtime, quantized
from quick_network import compiled
from tvm import relax

from tvm_deconv.compiler import before_schedules
from tvm_deconv.importer import load
from tvm_deconv.options import Options
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform import LowerByteResizes

HOST = resolve_target("host")


def bytes_only(net, output, zero_point=101, scales=(0.02, 0.02)):
    """The network from x, as bytes of one scale, to ``output`` of them, as bytes of another."""
    zero = net.given(np.uint8(zero_point))
    given, made = (net.given(np.float32(scale)) for scale in scales)
    x = net("DequantizeLinear", net("QuantizeLinear", "x", given, zero), given, zero)
    y = net("QuantizeLinear", output(x), made, zero)
    return net.model(net("DequantizeLinear", y, made, zero))


def functions(model):
    """(name, dtype of the result) of what is called before fusion."""
    with HOST:
        mod = tvm.transform.Sequential(before_schedules(HOST, Options(log=None)))(load(model))
    bindings = [one for block in mod["main"].body.blocks for one in block.bindings]
    calls = [one for one in bindings if isinstance(one.value, relax.Call)]
    named = [(one.value.args[0], str(one.var.ty.dtype)) for one in calls if one.value.args]
    return [(what.name_hint, kind) for what, kind in named if isinstance(what, tvm.ir.GlobalVar)]


@pytest.mark.parametrize(
    ("factors", "scales"), [((2, 2), (0.02, 0.02)), ((4, 3), (0.02, 0.013))], ids=str
)
def test_values_differ_from_onnx_runtime_only_halfway_between_two_bytes(factors, scales):
    net = Net((2, 3, 5, 37), dims=(2, 3, "h", "w"))
    model = bytes_only(net, lambda x: net.linear(x, *factors), scales=scales)
    assert any(name == "resize" for name, _ in functions(model))
    x = np.random.default_rng(0).uniform(-2.1, 3.2, net.shape).astype("float32")
    got = compiled(model)(tvm.runtime.tensor(x)).numpy() / np.float32(scales[1])
    expected = by_onnx_runtime(model, x) / np.float32(scales[1])
    # The exact value by way of float64: multiples of a byte over 4 r_h r_w.
    exact = by_onnx_runtime_of_floats(net, factors, x, scales[0]) / scales[1]
    is_tie = np.abs(np.abs(exact - np.floor(exact)) - 0.5) < 1e-3
    apart = np.abs(got - expected)
    assert apart.max() < 1.01
    assert (apart[~is_tie] < 0.5).all()
    assert (np.abs(got - exact)[(exact > -100) & (exact < 150)] < 0.501).all()


def by_onnx_runtime_of_floats(net, factors, x, scale):
    """The resize without its last quantization."""
    again = Net(net.shape, dims=net.dims)
    model = again.model(again.linear("x", *factors))
    stored = (np.rint(x / np.float32(scale)) + 101).clip(0, 255) - 101
    return by_onnx_runtime(model, stored.astype("float32")).astype("float64") * scale


def test_nothing_is_float32_between_the_layers_of_a_bilinear_unet(tmp_path):
    net = Net((1, 3, 12, 20))
    a = net("Relu", net.conv("x", 3, 8))
    b = net("MaxPool", a, kernel_shape=[2, 2], strides=[2, 2])
    b = net("Relu", net.conv(b, 8, 16))
    joined = net("Concat", net.linear(b, 2), a, axis=1)
    model = quantized(net, net.conv(net("Relu", net.conv(joined, 24, 8)), 8, 2), tmp_path)
    called = functions(model)
    assert [kind for _, kind in called[:-1]] == ["uint8"] * (len(called) - 1)


@pytest.mark.parametrize(("factor", "name"), [(3, "repeat"), (9, "resize2d")])
def test_bytes_that_stay_resized_are_repeated(factor, name):
    net = Net((1, 3, 5, 37), dims=(1, 3, "h", "w"))
    model = bytes_only(net, lambda x: net.nearest(x, factor))
    assert [what for what, _ in functions(model) if what in ("repeat", "resize2d")] == [name]
    x = np.random.default_rng(0).uniform(-2.1, 3.2, net.shape).astype("float32")
    got = compiled(model)(tvm.runtime.tensor(x)).numpy()
    np.testing.assert_array_equal(got, by_onnx_runtime(model, x))


@pytest.mark.parametrize(
    "output",
    [
        lambda net, x: net("Relu", net.linear(x, 2)),
        lambda net, x: net("Resize", x, "", net.given(np.array([1, 1, 1.5, 2], "float32")),
                           mode="linear"),
        lambda net, x: net("Resize", x, "", net.given(np.array([1, 1, 2, 2], "float32")),
                           mode="linear", coordinate_transformation_mode="align_corners"),
        lambda net, x: net("Resize", x, "", net.given(np.array([1, 1, 2, 2], "float32")),
                           mode="cubic"),
    ],
    ids=["something between", "no whole factor", "align_corners", "cubic"],
)  # fmt: skip
def test_other_resizes_are_computed_in_float32(output):
    net = Net((1, 3, 6, 8))
    model = bytes_only(net, lambda x: output(net, x))
    assert all(name != "resize" for name, _ in functions(model))


def test_a_module_without_bytes_is_handed_back_itself():
    net = Net((1, 3, 6, 8))
    mod = load(net.model(net.linear("x", 2)))
    assert LowerByteResizes(HOST)(mod).same_as(mod)
