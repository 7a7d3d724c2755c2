"""Equal pointwise operators are computed once, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from onnx import TensorProto, helper
from quick_network import compiled

from tvm_deconv.importer import load
from tvm_deconv.transform.graph import op_name
from tvm_deconv.transform.merge_equal import MergeEqual


def network(*nodes, outputs=("y",)):
    shape = [1, 2, 4, 4]
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name in ("x", "z", *outputs)
    }
    graph = helper.make_graph(
        nodes, "network", [values["x"], values["z"]], [values[name] for name in outputs]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def pointwise(model):
    mod = MergeEqual()(load(model))
    calls = [binding.value for block in mod["main"].body.blocks for binding in block.bindings]
    return [name for call in calls if (name := op_name(call)) and name != "relax.add"]


def leaky(source, result, alpha=0.1):
    return helper.make_node("LeakyRelu", [source], [result], alpha=alpha)


def add(a, b, result):
    return helper.make_node("Add", [a, b], [result])


def test_an_activation_of_two_readers_is_computed_once():
    model = network(leaky("x", "a"), leaky("x", "b"), add("a", "z", "c"), add("b", "c", "y"))
    assert pointwise(model) == ["relax.nn.leakyrelu"]


def test_what_follows_equal_operators_is_equal_too():
    tanh = [helper.make_node("Tanh", [name], [f"{name}t"]) for name in "ab"]
    model = network(leaky("x", "a"), leaky("x", "b"), *tanh, add("at", "bt", "y"))
    assert pointwise(model) == ["relax.nn.leakyrelu", "relax.tanh"]


@pytest.mark.parametrize(
    "second", [leaky("x", "b", 0.2), leaky("z", "b"), helper.make_node("Relu", ["x"], ["b"])]
)
def test_another_slope_operand_or_operator_stays(second):
    assert len(pointwise(network(leaky("x", "a"), second, add("a", "b", "y")))) == 2


def test_both_outputs_of_a_model_are_returned():
    model = network(leaky("x", "y"), leaky("x", "w"), outputs=("y", "w"))
    x, z = np.random.default_rng(0).standard_normal((2, 1, 2, 4, 4)).astype("float32")
    for got in compiled(model)(*map(tvm.runtime.tensor, (x, z))):
        np.testing.assert_array_equal(got.numpy(), np.where(x > 0, x, np.float32(0.1) * x))
