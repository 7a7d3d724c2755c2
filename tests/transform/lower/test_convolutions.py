"""``LowerConvolutions``: what is fused, what is left, and that the numbers stay."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import tvm
from onnx import TensorProto
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime
from quick_network import built
from tvm import relax

from tvm_deconv import importer
from tvm_deconv.backends import machine_of
from tvm_deconv.errors import TargetError
from tvm_deconv.schedules.chooser import Chooser
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform import LowerConvolutions, RewriteUpsampling
from tvm_deconv.transform.graph import Graph
from tvm_deconv.transform.lower import convolutions
from tvm_deconv.transform.lower.layers import layers_of

HOST = resolve_target("host")


def lower(model: onnx.ModelProto, rewrite=True, target=HOST) -> tvm.IRModule:
    mod = importer.load(model)
    if rewrite:
        mod = RewriteUpsampling()(mod)
    return LowerConvolutions(target)(mod)


def calls(mod: tvm.IRModule) -> list[str]:
    """Operators of main, in order; a constant expression does not count."""
    names = []

    def visit(expr):
        if isinstance(expr, relax.Call) and isinstance(expr.op, tvm.ir.Op):
            names.append(str(expr.op.name).removeprefix("relax."))

    relax.analysis.post_order_visit(mod["main"], visit)
    return names


def check(net: Net, *outputs: str, lowered=None, tolerance=1e-5, shape=None):
    model = net.model(*outputs)
    mod = lower(model)
    if lowered is not None:
        assert calls(mod) == ["call_tir"] * lowered
    x = net.rng.standard_normal(shape or net.shape).astype(net.dtype)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    expected = session.run(None, {"x": x})
    got = built(mod)(tvm.runtime.tensor(x))
    got = [got] if len(outputs) == 1 else list(got)
    for have, want in zip(got, expected, strict=True):
        np.testing.assert_allclose(
            have.numpy(), want, rtol=0, atol=tolerance * max(1, np.abs(want).max())
        )
    return mod


def test_bias_and_activation_are_stored_with_the_convolution():
    net = Net()
    check(net, net("Relu", net.conv("x", 6, 10)), lowered=1)


def test_an_activation_that_reads_its_input_twice_is_stored_with_the_convolution():
    net = Net()
    c = net.conv("x", 6, 10)
    check(net, net("Mul", c, net("Sigmoid", c)), lowered=1)


def test_a_residual_is_added_in_the_store():
    net = Net()
    first = net("Relu", net.conv("x", 6, 8))
    check(net, net("Add", net.conv(first, 8, 8), first), lowered=2)


def test_the_later_of_two_branches_takes_the_addition():
    net = Net()
    left, right = net.conv("x", 6, 8), net.conv("x", 6, 8, k=1)
    check(net, net("Relu", net("Add", left, right)), lowered=2)


def test_an_intermediate_that_is_an_output_too_stays_a_result():
    net = Net()
    c = net.conv("x", 6, 8)
    # Bias and convolution are one function; the relu cannot be inside it.
    mod = check(net, net("Relu", c), c)
    assert calls(mod).count("call_tir") == 1 and "nn.relu" in calls(mod)


def test_an_intermediate_that_two_layers_read_is_stored_once():
    net = Net()
    c = net("Relu", net.conv("x", 6, 8))
    check(net, net("Add", net.conv(c, 8, 8), net("Sigmoid", net.conv(c, 8, 8))), lowered=3)


def test_the_prelu_of_a_single_channel_is_stored_with_the_convolution():
    net = Net()
    check(net, net("PRelu", net.conv("x", 6, 1), net.constant(1, 1, 1)), lowered=1)


@pytest.mark.parametrize("mode", ["CRD", "DCR"])
@pytest.mark.parametrize("factor", [2, 3])
def test_the_bias_and_slope_of_each_phase_are_stored_with_the_deconvolution(mode, factor):
    net = Net()
    c = net("PRelu", net.conv("x", 6, 4 * factor**2), net.constant(4 * factor**2, 1, 1))
    check(net, net("DepthToSpace", c, blocksize=factor, mode=mode), lowered=1)


def test_a_resize_convolution_is_one_function():
    net = Net()
    up = net.nearest("x", 2, 3)
    check(net, net("Tanh", net.conv(up, 6, 7)), lowered=1)


@pytest.mark.parametrize(
    "attributes",
    [
        {"group": 2},
        {"group": 6},
        {"dilations": [2, 2], "pads": [2] * 4},
        {"pads": [0, 2, 1, 0]},
        {"k": 1},
        {"k": 4, "pads": [1, 2, 2, 1]},
    ],
    ids=str,
)
def test_every_stride_1_convolution_is_lowered(attributes):
    net = Net()
    check(net, net.conv("x", 6, 12, **attributes), lowered=1)


@pytest.mark.parametrize(
    "attributes",
    [
        {"k": 4, "stride": 2, "pads": [1] * 4},
        {"k": 3, "stride": 2, "pads": [1] * 4, "output_padding": [1, 1]},
        {"k": 5, "stride": 3, "pads": [0, 1, 2, 1]},
        {"k": 2, "stride": 2},
        {"k": 3, "stride": 4, "output_padding": [1, 0]},
    ],
    ids=str,
)
def test_every_transposed_convolution_is_lowered(attributes):
    net = Net()
    check(net, net("LeakyRelu", net.deconv("x", 6, 5, **attributes)), lowered=1)


def test_symbolic_sizes_are_lowered_once_for_all():
    net = Net(dims=("n", 6, "h", "w"))
    c = net("PRelu", net.conv("x", 6, 18), net.constant(18, 1, 1))
    y = net("DepthToSpace", c, blocksize=3, mode="CRD")
    check(net, net("Relu", net.conv(y, 2, 4)), lowered=2, shape=(1, 6, 9, 50))


def test_half_precision_is_stored_as_such_and_summed_in_single_precision():
    net = Net(dtype="float16")
    check(net, net("Relu", net.conv("x", 6, 10)), lowered=1, tolerance=2e-3)


@pytest.mark.parametrize(
    ("kind", "large"),
    [(TensorProto.DOUBLE, np.float64(1e12)), (TensorProto.INT64, np.int64(1) << 40)],
)
def test_constants_of_an_epilogue_keep_their_type(kind, large):
    net = Net((1, 2, 5, 9))
    cast = net("Cast", net("Mul", net.conv("x", 2, 3), net.given(np.float32(100))), to=kind)
    # A larger one than float32 or int32 holds: taken off again, what came before it is left.
    far = net("Add", cast, net.given(large))
    near = net("Cast", net("Sub", far, net.given(large)), to=TensorProto.FLOAT)
    model = net.model(near)
    assert calls(lower(model)) == ["call_tir"], "all of it is the epilogue"
    assert_same_as_onnx_runtime(model, net.shape, atol=1e-3)


@pytest.mark.parametrize(
    ("channels", "kernel"),
    [((3, 32), 3), ((1, 16), 65)],
    ids=["sums of 27 products", "4225 taps"],
)
def test_other_convolutions_with_strides_are_left_to_tvm(channels, kernel):
    net = Net((1, channels[0], 9, 14))
    mod = lower(net.model(net.conv("x", *channels, kernel, strides=[2, 2])))
    assert "nn.conv2d" in calls(mod) and "call_tir" not in calls(mod)


def test_a_depthwise_convolution_with_strides_is_stored_with_what_follows():
    net = Net((2, 6, 9, 30))
    check(net, net("Relu", net.conv("x", 6, 12, strides=[2, 2], group=6)), lowered=1)


STRIDED = {
    "3x3": {"strides": [2, 2]},
    "height only, asymmetric borders": {"strides": [2, 1], "pads": [2, 0, 1, 1]},
    "1x1 by 3": {"kernel": 1, "strides": [3, 3], "pads": [0] * 4},
    "5x5 by 2x3, dilated": {
        "kernel": 5,
        "strides": [2, 3],
        "dilations": [2, 1],
        "pads": [4, 1, 3, 2],
    },
    "groups": {"strides": [2, 2], "group": 2},
}


@pytest.mark.parametrize("name", STRIDED)
def test_convolutions_with_strides_are_stored_with_what_follows(name):
    attributes, free = dict(STRIDED[name]), list(STRIDED).index(name) % 2
    kernel = attributes.pop("kernel", 3)
    shape = (2, 48, 9, 14)
    net = Net(shape, dims=["n", 48, "h", "w"] if free else None)
    model = net.model(net("Relu", net.conv("x", 48, 40, kernel, **attributes)))
    assert calls(lower(model)) == ["call_tir"]
    assert_same_as_onnx_runtime(model, shape, atol=1e-5)


@pytest.mark.parametrize("more", [{}, {"output_padding": [1, 1]}], ids=["", "output padding"])
def test_a_transposed_convolution_of_one_pixel_multiplies_no_zeros(more):
    net = Net((2, 5, 1, 1))
    y = net("Relu", net.deconv("x", 5, 9, 4, 2, **more))
    model = net.model(y)
    mod = importer.load(model)
    (layer,) = layers_of(Graph(mod["main"], mod), Chooser(machine_of(HOST)))
    assert layer.conv.op.strides == (4, 4), "a phase, of one tap, for each output"
    assert_same_as_onnx_runtime(model, net.shape, atol=1e-5)


def test_weights_that_are_not_constant_are_left_alone():
    x = relax.Var("x", relax.TensorType((1, 3, 8, 8), "float32"))
    w = relax.Var("w", relax.TensorType((4, 3, 3, 3), "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x, w]):
        with builder.dataflow():
            out = builder.emit_output(relax.op.nn.conv2d(x, w))
        builder.emit_func_output(out)
    mod = builder.finalize()
    tvm.ir.assert_structural_equal(LowerConvolutions(HOST)(mod), mod)


def test_equal_layers_share_one_function():
    net = Net()
    x = net.conv("x", 6, 6)
    for _ in range(3):
        x = net.conv(x, 6, 6)
    mod = check(net, x, lowered=4)
    assert sum(isinstance(f, tvm.tirx.PrimFunc) for _, f in mod.functions_items()) == 1


def test_a_gpu_without_schedules_is_refused():
    with pytest.raises(TargetError, match="no schedules for vulkan"):
        LowerConvolutions(tvm.target.Target({"kind": "vulkan"}))


def test_the_sums_of_equal_layers_are_written_out_once(monkeypatch):
    written = []
    fused = convolutions._Parts.fused
    monkeypatch.setattr(
        convolutions._Parts, "fused", lambda parts: written.append(parts) or fused(parts)
    )
    net = Net()
    x = net("Relu", net.conv("x", 6, 6))
    for _ in range(3):
        x = net("Relu", net.conv(x, 6, 6))
    x = net("LeakyRelu", net.conv(x, 6, 6), alpha=0.1)
    mod = lower(net.model(net("LeakyRelu", net.conv(x, 6, 6), alpha=0.2)))
    assert len(written) == 3
    assert sum(isinstance(f, tvm.tirx.PrimFunc) for _, f in mod.functions_items()) == 3
