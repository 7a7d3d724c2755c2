"""Names that are made up for a model are none that it has."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime

from tvm_deconv.frontends.names import unused
from tvm_deconv.importer import load

SHAPE = (1, 4, 5, 7)


def with_weight(net, name, values):
    net.weights.append(numpy_helper.from_array(values, name))
    return name


def a_shorter_split(net):
    """Its sizes are a weight, of which there is one with that name already."""
    sizes = net.integers(0, 3, 1)
    net.nodes.append(helper.make_node("Split", ["x", sizes], ["a", "b", "c"], axis=1))
    taken = with_weight(net, "a/split", np.full((1, 3, 1, 1), 2, "float32"))
    return net("Concat", "a", net("Mul", "b", taken), "c", axis=1)


def a_taken_branch(net):
    """The If's output is before the names inside; one outside is called so, too."""
    kind = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    inner = helper.make_node("Relu", ["x"], ["inner"])
    branches = [
        helper.make_graph([inner, helper.make_node(last, ["inner"], ["y"])], last, [], [kind])
        for last in ("Sqrt", "Exp")
    ]
    how = {"then_branch": branches[0], "else_branch": branches[1]}
    net.nodes.append(helper.make_node("Sigmoid", ["x"], ["out/inner"]))
    net.nodes.append(helper.make_node("If", [net.given(np.array(True))], ["out"], **how))
    return net("Sub", "out", net("Add", "out/inner", "out/inner"))


def a_definition(net):
    """Of an operator that is written out: its steps are called after its output."""
    net.nodes.append(helper.make_node("Neg", ["x"], ["crop/padded_input__1"]))
    sizes = net.integers(3, 9)
    net.nodes.append(helper.make_node("CenterCropPad", ["x", sizes], ["crop"], axes=[2, 3]))
    return net("Add", "crop", net("ReduceMean", "crop/padded_input__1"))


@pytest.mark.parametrize("case", [a_shorter_split, a_taken_branch, a_definition])
def test_a_name_that_the_model_has_is_not_made_up(case):
    net = Net(SHAPE)
    model = net.model(case(net))
    model.opset_import[0].version = 18
    assert_same_as_onnx_runtime(model, SHAPE, atol=1e-5)


@pytest.mark.parametrize(
    ("names", "dims"),
    [
        (("x", "y"), ((None, 4), ("x_0", 4))),
        (("x", "y"), (("n-1", 4), ("n_1", 4))),
        (("a.b", "a_b"), ((None, 4), (None, 4))),
    ],
    ids=["no name", "no identifier", "alike"],
)
def test_sizes_of_different_names_stay_different(names, dims):
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, dim)
        for name, dim in zip(names, dims, strict=True)
    ]
    graph = helper.make_graph(
        [helper.make_node("Concat", list(names), ["out"], axis=0)],
        "net",
        inputs,
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    first, second = (param.ty.shape.values[0] for param in load(model)["main"].params)
    assert not first.same_as(second) and first.name != second.name
    arrays = [np.full((rows, 4), rows, "float32") for rows in (2, 3)]
    assert_same_as_onnx_runtime(model, dict(zip(names, arrays, strict=True)), atol=1e-5)


def test_sizes_of_one_name_stay_one():
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "y"], ["out"])],
        "net",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("a-b", 4)) for name in "xy"],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
    )
    opsets = [helper.make_opsetid("", 17)]
    params = load(onnx.helper.make_model(graph, opset_imports=opsets))["main"].params
    first, second = (param.ty.shape.values[0] for param in params)
    assert first.same_as(second)


def test_a_name_that_is_taken_gets_a_number():
    taken = {"a", "a/2", "b"}
    assert [unused("a", taken), unused("a", taken), unused("c", taken)] == ["a/3", "a/4", "c"]
    assert unused("b", taken, "_") == "b_2"
