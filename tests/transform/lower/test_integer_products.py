"""Products of matrices of quantized networks in integers: what ONNX Runtime computes."""

from __future__ import annotations

import numpy as np
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

VNNI = {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "cascadelake"}


def computed(model, x, **options):
    return compiled(model, **options)(tvm.runtime.tensor(x)).numpy()


def calls(model):
    """What is called, in order: kernels by their names, operators by theirs."""
    mod = tvm_deconv.importer.load(model)
    with resolve_target(VNNI) as target:
        mod = tvm.transform.Sequential(before_schedules(target, Options(log=None)))(mod)
    bindings = [b for block in mod["main"].body.blocks for b in block.bindings]
    made = [b.value for b in bindings if isinstance(b.value, relax.Call)]
    is_tir = [str(call.op.name) == "relax.call_tir" for call in made]
    return [
        call.args[0].name_hint if tir else str(call.op.name)
        for call, tir in zip(made, is_tir, strict=True)
    ]


def perceptron(shape=(5, 40), dims=None):
    net = Net(shape, dims=dims)
    x = net("Gemm", "x", net.constant(40, 70, scale=0.1), net.constant(70))
    x = net("Gemm", net("Relu", x), net.constant(33, 70, scale=0.1), net.constant(33), transB=1)
    return net, net("MatMul", x, net.constant(33, 10))


def tokens(shape=(2, 9, 24), dims=None):
    """A feed-forward part with a residual, of a transformer."""
    net = Net(shape, dims=dims)
    x = net("MatMul", "x", net.constant(24, 24, scale=0.2))
    y = net("LeakyRelu", net("MatMul", x, net.constant(24, 50, scale=0.2)), alpha=0.1)
    return net, net("Add", x, net("MatMul", y, net.constant(50, 24, scale=0.2)))


@pytest.mark.parametrize(
    ("make", "activations", "form"),
    [
        (perceptron, "QUInt8", "QDQ"),
        (perceptron, "QInt8", "QDQ"),
        (tokens, "QUInt8", "QDQ"),
        (tokens, "QInt8", "QOperator"),
    ],
)
def test_quantized_products_give_what_onnx_runtime_does(make, activations, form, tmp_path):
    net, output = make()
    model = quantized(net, output, tmp_path, form, activations, per_channel=form == "QDQ")
    assert sum("integer_matmul" in name for name in calls(model)) == 3
    assert not any("matmul" in name and "integer" not in name for name in calls(model))
    x = np.random.default_rng(5).random(net.shape, "float32")
    assert_equal_but_for_ties(computed(model, x), by_onnx_runtime(model, x))


def test_batch_and_length_may_be_free(tmp_path):
    net, output = tokens(dims=("n", "length", 24))
    model = quantized(net, output, tmp_path)
    run = compiled(model)
    for shape in ((1, 1, 24), (3, 17, 24)):
        x = np.random.default_rng(5).random(shape, "float32")
        got = run(tvm.runtime.tensor(x)).numpy()
        assert_equal_but_for_ties(got, by_onnx_runtime(model, x))


def qlinear(shape, weight, zero_points=(0, 0, 0), scales=(0.5, 0.25, 8.0), dtype="uint8"):
    """One QLinearMatMul."""
    kinds = (dtype, str(weight.dtype), dtype)
    values = {"w": weight}
    for name, scale, zero, kind in zip("awy", scales, zero_points, kinds, strict=True):
        values[f"{name}s"] = np.asarray(scale, "float32")
        values[f"{name}z"] = np.asarray(zero, kind)
    inputs = ["x", "as", "az", "w", "ws", "wz", "ys", "yz"]
    kind = TensorProto.UINT8 if dtype == "uint8" else TensorProto.INT8
    graph = helper.make_graph(
        [helper.make_node("QLinearMatMul", inputs, ["y"])],
        "one",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(array, name) for name, array in values.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize(
    ("dtype", "zero_points"),
    [("uint8", (0, 0, 0)), ("uint8", (255, 0, 128)), ("int8", (-128, 0, 127))],
)
def test_zero_points_at_their_ends(dtype, zero_points):
    rng = np.random.default_rng(2)
    weight = rng.integers(-128, 128, (31, 19)).astype("int8")
    model = qlinear((4, 31), weight, zero_points, (0.5, 0.25, 130.0), dtype)
    assert calls(model) == ["integer_matmul"]
    low = np.iinfo(dtype).min
    x = rng.integers(low, low + 256, (4, 31)).astype(dtype)
    np.testing.assert_array_equal(computed(model, x), by_onnx_runtime(model, x))


def test_a_zero_point_of_weights_makes_them_wider_than_a_byte():
    rng = np.random.default_rng(2)
    weight = rng.integers(0, 256, (18, 7)).astype("uint8")
    model = qlinear((3, 18), weight, (7, 3, 100), (0.5, 0.25, 130.0))
    assert calls(model) == ["integer_matmul"]
    x = rng.integers(0, 256, (3, 18)).astype("uint8")
    np.testing.assert_array_equal(computed(model, x), by_onnx_runtime(model, x))


def attention(shape=(2, 65, 16), dims=None):
    """Two heads of 8 channels.

    Its softmax is one of bytes to ONNX Runtime, which then computes it by a table: an eighth of the
    results are up to two units off those of its own nodes one by one.
    """
    net = Net(shape, dims=dims)
    split, merge = net.integers(0, 0, 2, 8), net.integers(0, 0, 16)

    def heads(perm):
        x = net("MatMul", "x", net.constant(16, 16, scale=0.6))
        return net("Transpose", net("Reshape", x, split), perm=perm)

    q, k, v = heads([0, 2, 1, 3]), heads([0, 2, 3, 1]), heads([0, 2, 1, 3])
    y = net("MatMul", net("Softmax", net("MatMul", q, k)), v)
    return net, net("Reshape", net("Transpose", y, perm=[0, 2, 1, 3]), merge)


@pytest.mark.parametrize("activations", ["QUInt8", "QInt8"])
def test_attention_multiplies_bytes_by_bytes(activations, tmp_path):
    net, output = attention()
    model = quantized(net, output, tmp_path, "QDQ", activations, per_channel=True)
    assert sum("integer_matmul" in name for name in calls(model)) == 5
    x = np.random.default_rng(5).random(net.shape, "float32")
    assert_equal_but_for_ties(computed(model, x), by_onnx_runtime(model, x, fused=False))


def test_of_free_lengths_the_keys_are_multiplied_as_bytes_and_the_values_as_floats(tmp_path):
    net, output = attention(dims=("n", "length", 16))
    model = quantized(net, output, tmp_path, extra_options={"MatMulConstBOnly": False})
    assert sum("integer_matmul" in name for name in calls(model)) == 4
    run = compiled(model)
    for shape in ((1, 1, 16), (3, 33, 16)):
        x = np.random.default_rng(5).random(shape, "float32")
        got = run(tvm.runtime.tensor(x)).numpy()
        assert_equal_but_for_ties(got, by_onnx_runtime(model, x, fused=False))


def test_explain_says_what_is_multiplied_as_bytes(tmp_path):
    net, output = attention()
    model = quantized(net, output, tmp_path)
    kernels = tvm_deconv.explain(model, target=VNNI).kernels
    assert [kernel.variant for kernel in kernels] == ["integer"] * 5
    assert "matmul 16->16, 2x65" in {kernel.what for kernel in kernels}
    assert any("uint8 by uint8, sums in int32 (vnni)" in kernel.reason for kernel in kernels)
    assert not tvm_deconv.explain(model, target=VNNI, variant="tdc").kernels


def test_explain_says_why_a_product_of_bytes_is_computed_in_float32(tmp_path):
    net, output = attention(dims=("n", "length", 16))
    model = quantized(net, output, tmp_path, extra_options={"MatMulConstBOnly": False})
    left = [k for k in tvm_deconv.explain(model, target=VNNI).kernels if not k.variant]
    assert [(k.what, k.reason) for k in left] == [
        (
            "matmul length->8, nx2xlength",
            "in float32, because sums of length products are not proved to fit into int32",
        )
    ]
    on_gpu = tvm_deconv.explain(model, target="nvidia/jetson-orin-nano").kernels
    assert len(on_gpu) == 5
    assert {k.reason for k in on_gpu} == {
        "in float32, because products of matrices of bytes have kernels for processors only"
    }


def test_a_sum_that_int32_may_not_hold_is_left_in_float32():
    wide = np.full((70_000, 2), 127, "int8")
    model = qlinear((1, 70_000), wide, (255, 0, 0))
    assert "integer_matmul" not in calls(model)
    (kernel,) = tvm_deconv.explain(model, target=VNNI).kernels
    assert kernel.what == "matmul 70000->2, 1" and "in float32, because " in kernel.reason


def test_a_slope_for_each_column_of_two_computed_matrices_is_applied_behind_their_product():
    """Their kernel has one slope for all columns."""
    net = Net((6, 8))

    def bytes_of(x, scale, zero_point):
        how = net.given(np.float32(scale)), net.given(np.uint8(zero_point))
        return net("DequantizeLinear", net("QuantizeLinear", x, *how), *how)

    x = bytes_of("x", 0.01, 3)
    product = net("MatMul", x, bytes_of(net("Transpose", net("Neg", "x")), 0.01, 100))
    y = bytes_of(net("PRelu", product, net.constant(6)), 0.02, 128)
    model = net.model(y)
    x = np.random.default_rng(5).random(net.shape, "float32")
    expected = by_onnx_runtime(model, x, fused=False)
    assert_equal_but_for_ties(computed(model, x), expected)
