"""Quantized networks computed in integers: what ONNX Runtime computes, but for ties of one unit."""

from __future__ import annotations

import re

import numpy as np
import opencl
import pytest
import tvm
from onnx import TensorProto, helper, numpy_helper
from onnx_net import Net
from quantized_networks import assert_equal_but_for_ties, by_onnx_runtime, quantized
from quick_network import compiled
from tvm import relax

import tvm_deconv
from tvm_deconv.compiler import before_schedules
from tvm_deconv.options import Options
from tvm_deconv.targets import resolve_target


def espcn(shape=(1, 1, 11, 19), **options):
    net = Net(shape, **options)
    x = net("Relu", net.conv("x", 1, 24, 5))
    x = net("Relu", net.conv(x, 24, 10))
    return net, net("DepthToSpace", net.conv(x, 10, 18), blocksize=3, mode="CRD")


def residual(shape=(2, 3, 9, 14)):
    net = Net(shape)
    x = net.conv("x", 3, 16)
    y = net.conv(net("Relu", net.conv(x, 16, 16)), 16, 16, group=2)
    y = net.conv(net("Add", x, y), 16, 12)
    return net, net.conv(net("DepthToSpace", y, blocksize=2, mode="DCR"), 3, 3)


def deconvolutions(shape=(1, 6, 8, 17)):
    net = Net(shape)
    x = net("LeakyRelu", net.deconv("x", 6, 10, 4, 2, pads=[1] * 4), alpha=0.2)
    x = net.deconv(x, 10, 5, 5, 3, pads=[0, 2, 1, 1], output_padding=[1, 0])
    slope = net.given(np.linspace(-0.2, 0.3, 5, dtype="float32").reshape(5, 1, 1))
    return net, net("PRelu", net.conv(x, 5, 5), slope)


def resizes(shape=(1, 8, 7, 11)):
    net = Net(shape)
    x = net("Relu", net.conv(net.nearest("x", 2), 8, 12))
    return net, net.conv(net.nearest(x, 3), 12, 4)


def sums(shape=(1, 3, 9, 21)):
    """Two convolutions added, one added to that behind a ReLU, and one that is read twice."""
    net = Net(shape)
    x = net("Add", net.conv("x", 3, 8), net.conv("x", 3, 8, 5))
    x = net("Relu", net("Add", x, net.conv(x, 8, 8)))
    y = net.conv(x, 8, 8)
    return net, net.conv(net("Mul", net("Add", x, y), y), 8, 3)


def between(shape=(1, 3, 8, 14)):
    """What stands between convolutions: pools, joins, resizes, shuffles, activations."""
    net = Net(shape)
    wide = net(
        "PRelu",
        net.conv("x", 3, 8),
        net.given(np.linspace(-1, 1, 8, dtype="float32")[:, None, None]),
    )
    x = net("MaxPool", wide, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    x = net("HardSwish", net.conv(x, 8, 8))
    x = net("Concat", net.nearest(x, 2), wide, axis=1)
    x = net("PRelu", net.conv(x, 16, 16), net.constant(16, 1, 1))
    x = net("LeakyRelu", net("DepthToSpace", x, blocksize=2, mode="CRD"), alpha=0.1)
    return net, net.conv(
        net("Clip", x, net.given(np.float32(-0.5)), net.given(np.float32(2))), 4, 3
    )


def strided(shape=(1, 3, 13, 22)):
    net = Net(shape)
    x = net("Relu", net.conv("x", 3, 8, 5, strides=[2, 2]))
    y = net.conv(x, 8, 12, 3, strides=[2, 1], pads=[2, 1, 0, 1], group=2)
    y = net("Add", y, net.conv(x, 8, 12, 1, strides=[2, 1], pads=[0] * 4))
    return net, net.deconv(y, 12, 4, 4, 2, pads=[1] * 4)


# Of products so fast that no layer is left to float32.
VNNI = {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "cascadelake"}
AVX2 = {**VNNI, "mcpu": "haswell"}

NETWORKS = {
    "strided": strided,
    "sums": sums,
    "between": between,
    "resizes": resizes,
    "espcn": espcn,
    "residual": residual,
    "deconvolutions": deconvolutions,
}


def computed(model, x, **options):
    return compiled(model, **options)(tvm.runtime.tensor(x)).numpy()


@pytest.fixture(scope="module")
def quantized_espcn(tmp_path_factory):
    return quantized(*espcn(), tmp_path_factory.mktemp("espcn"))


def image(shape):
    return np.random.default_rng(5).random(shape, "float32")


@pytest.mark.parametrize(
    ("name", "activations", "form"),
    [
        ("espcn", "QUInt8", "QDQ"),
        ("residual", "QInt8", "QDQ"),
        ("deconvolutions", "QUInt8", "QDQ"),
        ("deconvolutions", "QInt8", "QDQ"),
        ("residual", "QUInt8", "QOperator"),
        ("resizes", "QUInt8", "QDQ"),
        ("sums", "QUInt8", "QDQ"),
        ("sums", "QInt8", "QOperator"),
        ("between", "QInt8", "QDQ"),
        ("strided", "QUInt8", "QDQ"),
    ],
)
def test_quantized_networks_give_what_onnx_runtime_does(name, activations, form, tmp_path):
    net, output = NETWORKS[name]()
    model = quantized(net, output, tmp_path, form, activations, per_channel=form == "QDQ")
    x = image(net.shape)
    assert_equal_but_for_ties(computed(model, x), by_onnx_runtime(model, x))


@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - {"between"}))
def test_every_convolution_of_them_is_one_of_integers(name, tmp_path):
    report = tvm_deconv.explain(quantized(*NETWORKS[name](), tmp_path), target=VNNI)
    assert {kernel.variant for kernel in report.kernels} == {"integer"}
    assert all("; machine model: integer " in kernel.reason for kernel in report.kernels)
    assert not report.refused


def test_sizes_may_be_free(tmp_path):
    net, output = espcn(dims=(1, 1, "h", "w"))
    model = quantized(net, output, tmp_path)
    x = image((1, 1, 7, 33))
    assert_equal_but_for_ties(computed(model, x), by_onnx_runtime(model, x))


def test_a_layer_that_float32_computes_faster_is_left_to_it(tmp_path):
    net = Net((1, 64, 48, 48))
    x = net("Relu", net.conv("x", 64, 64, 5))
    model = quantized(net, net.deconv(x, 64, 32, 4, 2, pads=[1] * 4), tmp_path)

    def variants(**options):
        return [kernel.variant for kernel in tvm_deconv.explain(model, **options).kernels]

    assert variants(target=VNNI) == ["integer", "integer"]
    assert variants(target=AVX2) == ["winograd", "integer"]
    assert variants(target=AVX2, winograd=False) == ["integer", "integer"]
    x = image(net.shape)
    # Bytes become floats for it and bytes again, on any processor.
    got = computed(model, x, target={**AVX2, "mcpu": "x86-64", "opt-level": 0})
    assert_equal_but_for_ties(got, by_onnx_runtime(model, x))


@pytest.mark.parametrize(
    ("target", "by"),
    [
        (VNNI, r"uint8 by int8, .*Mcycles by unfolded taps, .* by F\(2x2, 2x2\), .* tap by tap"),
        (AVX2, r"uint8 by int16, .*Mcycles by F\(2x2, 2x2\), .* by unfolded taps, .* tap by tap"),
    ],
    ids=["vnni", "avx2"],
)
def test_a_folded_resize_takes_fewer_products(target, by, tmp_path):
    net = Net((1, 64, 48, 48))
    x = net("Relu", net.conv(net.nearest("x", 2), 64, 64))
    model = quantized(net, net.conv(x, 64, 4), tmp_path)
    reasons = [
        tvm_deconv.explain(model, target=target, winograd=winograd).kernels[0].reason
        for winograd in (True, False)
    ]
    assert re.search(by, reasons[0])
    assert "F(2x2" not in reasons[1] and "by unfolded taps" in reasons[1]
    x = image(net.shape)
    both = [computed(model, x, winograd=winograd) for winograd in (True, False)]
    np.testing.assert_array_equal(*both)
    assert_equal_but_for_ties(both[0], by_onnx_runtime(model, x))


def kinds_of_calls(model):
    """The dtypes of what is computed, in order."""
    mod = tvm_deconv.importer.load(model)
    with tvm_deconv.targets.resolve_target(VNNI) as target:
        mod = tvm.transform.Sequential(before_schedules(target, Options(log=None)))(mod)
    bindings = [b for block in mod["main"].body.blocks for b in block.bindings]
    return [str(b.var.ty.dtype) for b in bindings if isinstance(b.value, relax.Call)]


def test_bytes_stay_bytes_between_layers(quantized_espcn):
    assert kinds_of_calls(quantized_espcn) == ["uint8"] * 3 + ["float32"]


def test_bytes_are_not_quantized_twice_behind_a_shuffle(tmp_path):
    net = Net((1, 4, 6, 9))
    x = net("DepthToSpace", net.conv("x", 4, 16), blocksize=2, mode="CRD")
    model = quantized(net, net.conv(x, 4, 3), tmp_path)
    assert kinds_of_calls(model) == ["uint8"] * 2 + ["float32"]


def test_sums_are_a_part_of_a_convolution_or_one_function(tmp_path):
    """Of five convolutions before the last, three add; the fourth is read twice."""
    model = quantized(*sums(), tmp_path)
    assert kinds_of_calls(model) == ["uint8"] * 6 + ["float32"]
    kernels = tvm_deconv.explain(model, target=VNNI).kernels
    assert sum(" added" in kernel.reason for kernel in kernels) == 2


def test_what_is_added_to_phases_is_added_in_the_store(tmp_path):
    """An input repeated for each phase before a shuffle, as in networks for telephones."""
    net = Net((1, 3, 7, 11))
    x = net("Add", net.conv("x", 3, 27), net("Concat", *["x"] * 9, axis=1))
    output = net("DepthToSpace", x, blocksize=3, mode="DCR")
    model = quantized(net, output, tmp_path)
    (kernel,) = tvm_deconv.explain(model, target=VNNI).kernels
    assert " added" in kernel.reason
    x = image(net.shape)
    assert_equal_but_for_ties(computed(model, x), by_onnx_runtime(model, x))


def test_nothing_between_convolutions_is_float32(tmp_path):
    model = quantized(*between(), tmp_path)
    assert not reasons(model)
    assert "float32" not in kinds_of_calls(model)[:-1]


def joined_maps(resize):
    net = Net((1, 8, 6, 10))
    skip = net("Relu", net.conv(net.nearest("x", 2), 8, 8))
    small = net("Relu", net.conv("x", 8, 16))
    joined = net("Concat", getattr(net, resize)(small, 2), skip, axis=1)
    return net, net.conv(joined, 24, 4)


def test_a_concat_of_bytes_is_split_at_a_nearest_resize(tmp_path):
    net, output = joined_maps("nearest")
    model = quantized(net, output, tmp_path)
    report = tvm_deconv.explain(model, target=VNNI)
    assert sum("concat" in layer.rule for layer in report.rewritten) == 1
    assert {kernel.variant for kernel in report.kernels} == {"integer"}
    assert sum("by unfolded taps" in kernel.reason for kernel in report.kernels) == 2
    x = image(net.shape)
    assert_equal_but_for_ties(computed(model, x), by_onnx_runtime(model, x))


def test_a_concat_of_bytes_is_not_split_at_a_linear_resize(tmp_path):
    report = tvm_deconv.explain(quantized(*joined_maps("linear"), tmp_path), target=VNNI)
    (refused,) = report.refused
    assert "a linear resize of bytes adds up bytes" in str(refused)
    assert {kernel.variant for kernel in report.kernels} == {"integer"}


def test_a_variant_that_is_named_is_one_of_float32(quantized_espcn):
    report = tvm_deconv.explain(quantized_espcn, variant="tdc")
    assert {kernel.variant for kernel in report.kernels} == {"tdc"}
    x = image((1, 1, 11, 19))
    got = computed(quantized_espcn, x, variant="tdc")
    assert_equal_but_for_ties(got, by_onnx_runtime(quantized_espcn, x))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("nvidia/jetson-orin-nano", "uint8 by int8, sums in int32 (dp4a), "),
        ("arm/mali-g610", "uint8 by int8, sums in int32 (dot), "),
    ],
)
def test_gpus_that_multiply_bytes_have_kernels_of_integers(target, words, quantized_espcn):
    kernels = tvm_deconv.explain(quantized_espcn, target=target).kernels
    assert {kernel.variant for kernel in kernels} == {"integer"}
    assert all(kernel.reason.startswith(words) for kernel in kernels)
    assert all("column_threads=" in kernel.parameters for kernel in kernels)
    assert all("; machine model: integer " in kernel.reason for kernel in kernels)


def test_other_gpus_compute_in_float32_and_say_why(quantized_espcn):
    report = tvm_deconv.explain(quantized_espcn, target="nvidia/jetson-nano")
    assert all("sm_53 has no product of four bytes" in k.reason for k in report.kernels)


@opencl.required
@pytest.mark.parametrize(
    ("name", "activations", "device"),
    [
        ("residual", "QInt8", "mali"),
        ("strided", "QUInt8", "adreno"),
        ("espcn", "QUInt8", "mali"),
    ],
)
def test_a_gpu_gives_what_onnx_runtime_does(name, activations, device, tmp_path):
    free = {"dims": (1, 1, "h", "w")} if name == "espcn" else {}
    net, output = NETWORKS[name](**free)
    model = quantized(net, output, tmp_path, "QDQ", activations)
    x = image(net.shape)
    target = resolve_target({"kind": "opencl", "device": device})
    with tvm.transform.PassContext(config={"tirx.disable_cse_tir": True}):
        mod, passes = tvm_deconv.importer.load(model), tvm_deconv.pipeline(target)
        built = opencl.Network(mod, target, passes)
    assert "tvm_deconv_dot" in built.source
    assert_equal_but_for_ties(built.run(x)[0], by_onnx_runtime(model, x))


def depthwise():
    net = Net((1, 4, 8, 9))
    return net, net.conv("x", 4, 4, group=4)


def reasons(model):
    return [k.reason for k in tvm_deconv.explain(model).kernels if k.variant != "integer"]


def test_a_depthwise_convolution_is_one_of_integers_too(tmp_path):
    model = quantized(*depthwise(), tmp_path)
    assert not reasons(model)
    x = image((1, 4, 8, 9))
    assert_equal_but_for_ties(computed(model, x), by_onnx_runtime(model, x))


def one_convolution(weight, bias, zero_point=0, scale=1.0):
    """A QLinearConv of bytes, of scales that are powers of 2."""
    names = ["x", "one", "zero", "w", "one", "none", "large", "zero", "b"]
    values = {
        "one": np.float32(scale),
        "zero": np.uint8(zero_point),
        "none": np.int8(0),
        "large": np.float32(2**20),
        "w": weight.astype("int8"),
        "b": bias.astype("int32"),
    }
    shape = (1, weight.shape[1], 3, 4)
    graph = helper.make_graph(
        [helper.make_node("QLinearConv", names, ["y"])],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in values.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def test_a_sum_that_int32_may_not_hold_is_left_in_float32():
    wide = np.full((2, 70_000, 1, 1), 127)
    assert "which int32 does not hold" in reasons(one_convolution(wide, np.zeros(2)))[0]


@pytest.mark.parametrize("scale", [1e-21, 1e13])
def test_scales_that_float32_does_not_multiply_are_left_to_it(scale):
    """1e-42 has 10 bits in float32."""
    weight = np.random.default_rng(0).integers(-127, 128, (3, 6, 1, 1))
    model = one_convolution(weight, np.zeros(3), scale=scale)
    assert f"multiply to {scale**2:.0e}" in reasons(model)[0]


@pytest.mark.parametrize("bias", [2**31 - 4096, -(2**31) + 4096, 5])
def test_a_bias_near_the_bound_does_not_wrap_around(bias):
    weight = np.random.default_rng(0).integers(-127, 128, (3, 60, 1, 1))
    model = one_convolution(weight, np.full(3, bias), zero_point=128)
    assert not reasons(model)
    x = np.random.default_rng(1).integers(0, 256, (1, 60, 3, 4)).astype("uint8")
    sums = np.einsum("oc,nchw->nohw", weight[..., 0, 0], x.astype("int64") - 128) + bias
    expected = np.rint(sums / 2**20) + 128
    np.testing.assert_array_equal(computed(model, x), expected.clip(0, 255))


def test_weights_that_are_no_integers_are_left_in_float32(tmp_path):
    net = Net((1, 4, 8, 9))
    model = quantized(net, net.conv("x", 4, 4), tmp_path, op_types_to_quantize=["Conv"])
    (conv,) = (node for node in model.graph.node if node.op_type == "Conv")
    weight = np.random.default_rng(0).standard_normal((4, 4, 3, 3)).astype("float32")
    model.graph.initializer.append(numpy_helper.from_array(weight, "floats"))
    conv.input[1] = "floats"
    assert "not integers times a scale" in reasons(model)[0]
    x = image((1, 4, 8, 9))
    assert_equal_but_for_ties(computed(model, x), by_onnx_runtime(model, x))
