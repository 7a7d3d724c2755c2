"""ONNX upsampling layers as this TVM's importer gives them; ONNX Runtime is the judge."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import relay_reference
import tvm
from hypothesis import given, settings
from onnx_layers import MODELS
from onnx_net import Net
from relay_helpers import assert_close, compiled, operators
from tvm import relay
from upsampling_cases import resize_cases, subpixel_cases

from tvm_deconv.relay import rewrite_upsampling

# What an importer may refuse, and its words: TVM 0.16 does not know the default of an attribute.
NOT_IMPORTED = {"Upsample 9, without mode": 'Value None in attribute "mode"'}


def read(model) -> tvm.IRModule:
    return relay.frontend.from_onnx(model, freeze_params=True)[0]


def shape_of(model) -> list[int]:
    return [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]


def runtime(model, x):
    """The result of ONNX Runtime."""
    (result,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    return result


def check(model, run=relay_reference.evaluate, layers=1) -> tvm.IRModule:
    """The rewritten module, whose result is that of ONNX Runtime."""
    x = np.random.default_rng(3).standard_normal(shape_of(model)).astype("float32")
    new, report = rewrite_upsampling(read(model))
    assert [layer.status for layer in report.layers] == ["rewritten"] * layers, report
    assert_close(run(new, x), runtime(model, x))
    return new


@pytest.mark.parametrize("name", MODELS)
def test_every_form_of_a_layer_is_rewritten(name):
    try:
        check(MODELS[name]())
    except tvm.error.OpAttributeInvalid as error:
        assert NOT_IMPORTED[name] in str(error)


def convolution(net, x, c, out_channels, pads):
    weight = net.constant(out_channels, c["channels"][0] // c["groups"], *c["kernel"])
    attributes = {"pads": list(pads), "dilations": list(c["dilation"]), "group": c["groups"]}
    return net("Conv", x, weight, net.constant(out_channels), **attributes)


def subpixel_model(c):
    """A case of ``upsampling_cases`` with DepthToSpace, whose factor is one for both axes."""
    net = Net((c["batch"], c["channels"][0], *c["size"]))
    factor = max(c["factor"])
    channels = c["channels"][1] * factor**2
    y = convolution(net, "x", c, channels, c["padding"])
    for kind in c["kinds"]:
        if kind == "batch norm":
            y = net.batch_norm(y, channels)
        elif kind == "prelu":
            y = net("PRelu", y, net.constant(channels, 1, 1))
        elif kind == "silu in two":
            y = net("Mul", y, net("Sigmoid", y))
        elif kind == "scale":
            y = net("Mul", net.constant(1, channels, 1, 1), y)
        elif kind == "relu":
            y = net("Relu", y)
    return net.model(net("DepthToSpace", y, blocksize=factor, mode=c["order"]))


def resize_model(c):
    net = Net((c["batch"], c["channels"][0], *c["size"]))
    y = net.nearest("x", *c["factor"])
    if c["between"] == "relu":
        y = net("Relu", y)
    if c["mode"] != "none":
        top, left, bottom, right = c["pad"]
        mode = {"replicate": "edge"}.get(c["mode"], c["mode"])
        y = net("Pad", y, net.integers(0, 0, top, left, 0, 0, bottom, right), mode=mode)
    return net.model(convolution(net, y, c, c["channels"][1], c["padding"]))


@settings(max_examples=12)
@given(subpixel_cases())
def test_random_subpixel_convolutions_equal_onnx_runtime(c):
    check(subpixel_model(c))


# TVM's importer compiles what computes the size of a Resize, which takes most of the time.
@settings(max_examples=5)
@given(resize_cases())
def test_random_resize_convolutions_equal_onnx_runtime(c):
    check(resize_model(c))


def test_a_compiled_network_of_all_kinds_equals_onnx_runtime():
    net = Net((1, 3, 7, 6))
    y = net("PRelu", net.conv("x", 3, 8), net.constant(8, 1, 1))
    y = net("DepthToSpace", net.batch_norm(y, 8), blocksize=2, mode="CRD")
    y = net("Relu", net.conv(net.nearest(y, 2), 2, 6))
    y = net.conv(net.reflect(net.nearest(y, 3), 1), 6, 12, pads=[0] * 4)
    model = net.model(net("Tanh", net("DepthToSpace", y, blocksize=2)))
    new, report = rewrite_upsampling(read(model))
    assert (len(report.rewritten), len(report.refused)) == (3, 1), report
    assert "part of a sub-pixel convolution already" in report.refused[0].reason
    assert operators(new).count("nn.conv2d_transpose") == 3
    x = np.random.default_rng(3).standard_normal((1, 3, 7, 6)).astype("float32")
    assert_close(compiled(new, x), runtime(model, x))


def test_a_linear_resize_equals_onnx_runtime():
    net = Net((1, 3, 7, 6))
    y = net("Resize", "x", "", net.given(np.float32([1, 1, 2, 3])), mode="linear")
    new = check(net.model(net("Relu", net.conv(y, 3, 4))))
    assert "image.resize2d" not in operators(new)


def test_a_1x1_convolution_behind_a_linear_resize_is_computed_before_it():
    net = Net((1, 6, 7, 5))
    y = net("Resize", "x", "", net.given(np.float32([1, 1, 2, 3])), mode="linear")
    y = net("Conv", y, net.constant(2, 6, 1, 1), net.constant(2))
    new = check(net.model(y), run=compiled)
    assert operators(new).index("nn.conv2d") < operators(new).index("image.resize2d")


def test_layers_have_the_names_of_the_models_nodes():
    model = MODELS["DepthToSpace CRD, opset 13"]()
    model.graph.node[1].name = "/up/DepthToSpace"
    (layer,) = rewrite_upsampling(read(model))[1].layers
    assert layer.layer == "/up/DepthToSpace"
