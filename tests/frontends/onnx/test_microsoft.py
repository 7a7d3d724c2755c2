"""Operators that ONNX Runtime's optimizer joins, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime

from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load

DOMAIN = "com.microsoft"
SHAPE = (2, 4, 6, 8)


class Joined(Net):
    """``joined`` appends a node of ONNX Runtime's own, with ``count`` outputs."""

    def joined(self, operator, *inputs, count=1, **attributes):
        names = [f"{operator}{self.count}_{i}" for i in range(count)]
        self.count += 1
        self.nodes.append(helper.make_node(operator, inputs, names, domain=DOMAIN, **attributes))
        return names

    def results(self, *outputs, opset=13):
        model = self.model(outputs[0])
        del model.graph.output[:]
        kinds = [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs]
        model.graph.output.extend(kinds)
        del model.opset_import[:]
        model.opset_import.extend([helper.make_opsetid("", opset), helper.make_opsetid(DOMAIN, 1)])
        return model


def check(model, *shapes):
    assert_same_as_onnx_runtime(model, *shapes or (SHAPE,), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("opset", [10, 13])
def test_a_convolution_with_a_sum_and_an_activation(opset):
    net = Joined(SHAPE)
    added, outputs = net.conv("x", 4, 6), []
    ways = [
        ("", []),
        ("Relu", []),
        ("Tanh", []),
        ("Sigmoid", []),
        ("LeakyRelu", [0.3]),
        ("Clip", [-0.2, 0.6]),
        ("HardSigmoid", [0.3, 0.4]),
    ]
    for index, (kind, numbers) in enumerate(ways):
        bias = net.constant(6) if index % 2 else ""
        inputs = ["x", net.constant(6, 4, 3, 3, scale=0.2), bias, added][: 3 if bias else 4]
        options = {"pads": [1] * 4, "kernel_shape": [3, 3]}
        options |= {"activation": kind} if kind else {}
        options |= {"activation_params": numbers} if numbers else {}
        outputs += net.joined("FusedConv", *inputs, **options)
    check(net.results(*outputs, opset=opset))


def test_a_product_of_matrices_with_an_activation():
    net = Joined(SHAPE)
    rows = net("Reshape", "x", net.integers(-1, 8))
    square = net.constant(8, 8)
    outputs = [
        *net.joined("FusedGemm", rows, square, net.constant(8), activation="Relu", transB=1),
        *net.joined(
            "FusedGemm", rows, square, activation="LeakyRelu", activation_alpha=0.2, alpha=0.5
        ),
        *net.joined("FusedGemm", rows, square, net.constant(8), activation="Tanh", beta=2.0),
    ]
    check(net.results(*outputs))


@pytest.mark.parametrize("alpha", [1.0, 0.25])
@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("first", [0, 1])
def test_a_scaled_product_of_transposed_matrices(first, last, alpha):
    """The last two axes, the first one and the batch's, or both are transposed before."""
    net = Joined(SHAPE)
    batch, rows = ((4, 6), 2) if first else ((2, 4), 6)
    right = net.constant(*batch, rows if last else 8, 5)
    options = {"alpha": alpha, "transBatchA": first, "transA": last}
    outputs = net.joined("FusedMatMul", "x", right, **options)
    options = {"alpha": alpha, "transBatchB": first, "transB": last}
    left = net.constant(*batch, 5, 8 if last else rows)
    outputs += net.joined("FusedMatMul", left, "x", **options)
    check(net.results(*outputs))


def test_a_sum_that_is_normalised():
    net, outputs = Joined((2, 6, 8)), []
    scale, shift, bias = (net.constant(8) for _ in range(3))
    skip = net("Tanh", "x")
    options = {"epsilon": 1e-3}
    outputs += net.joined("SkipLayerNormalization", "x", skip, scale, **options)
    outputs += net.joined("SkipLayerNormalization", "x", skip, scale, shift, bias, **options)
    (y, *_, whole) = net.joined("SkipLayerNormalization", "x", skip, scale, shift, bias, count=4)
    check(net.results(*outputs, y, whole), (2, 6, 8))


def test_quick_gelu():
    net = Joined(SHAPE, dims=("n", 4, "h", "w"))
    outputs = [*net.joined("QuickGelu", "x"), *net.joined("QuickGelu", "x", alpha=1.0)]
    check(net.results(*outputs), SHAPE, (1, 4, 3, 5))


def optimized(model, folder):
    """By ONNX Runtime, as far as it goes on every processor."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    onnxruntime.InferenceSession(model.SerializeToString(), options)
    return onnx.load(folder / "optimized.onnx")


def test_a_file_that_onnx_runtime_has_optimized(tmp_path):
    """A sub-pixel convolution and a transformer's parts, of an opset without LayerNormalization."""
    net = Joined((1, 4, 6, 8), dims=("n", 4, "h", "w"))
    y = net("LeakyRelu", net.conv("x", 4, 8), alpha=0.1)
    y = net("Add", y, net("Relu", net.conv(y, 8, 8)))
    y = net("Mul", y, net("Sigmoid", y))
    rows = net("Transpose", y, perm=[0, 2, 3, 1])
    centred = net("Sub", rows, net("ReduceMean", rows, axes=[-1]))
    variance = net("ReduceMean", net("Pow", centred, net.given(np.float32(2))), axes=[-1])
    deviation = net("Sqrt", net("Add", variance, net.given(np.float32(1e-5))))
    rows = net("Add", net("Mul", net("Div", centred, deviation), net.constant(8)), net.constant(8))
    y = net.conv(net("Transpose", rows, perm=[0, 3, 1, 2]), 8, 12)
    model = net.model(net("DepthToSpace", y, blocksize=2, mode="CRD"))
    written = optimized(model, tmp_path)
    kinds = {node.op_type for node in written.graph.node}
    assert kinds >= {"FusedConv", "QuickGelu", "LayerNormalization"}
    check(written, (1, 4, 6, 8), (2, 4, 3, 5))


@pytest.mark.parametrize(
    ("operator", "attributes", "words"),
    [
        ("FusedConv", {"activation": "Sine"}, "activation is 'Sine': computed are Clip, Elu,"),
        ("FusedConv", {"pads": [1, 1]}, "pads"),
    ],
)
def test_what_has_no_parts_is_refused(operator, attributes, words):
    net = Joined(SHAPE)
    (y,) = net.joined(operator, "x", net.constant(3, 4, 3, 3), **attributes)
    with pytest.raises(ModelError, match=words):
        load(net.results(y))


def test_operators_of_one_processor_are_refused_with_the_level_to_write_at():
    net = Joined(SHAPE)
    weight = net.constant(8, 4, 3, 3)
    net.nodes.append(helper.make_node("Conv", ["x", weight], ["y"], domain="com.microsoft.nchwc"))
    model = net.results("y")
    model.opset_import.add(domain="com.microsoft.nchwc", version=1)
    with pytest.raises(
        ModelError, match=r"nchwc::Conv 'y' .*: let ONNX Runtime write the model at"
    ):
        load(model)
