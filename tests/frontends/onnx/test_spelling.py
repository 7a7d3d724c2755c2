"""What files of other exporters spell in their own way is computed as ONNX Runtime does."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime

from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load

X = np.random.default_rng(0).standard_normal((1, 3, 6, 8)).astype("float32")
make = helper.make_node


def computed_as_onnx_runtime(model, *inputs):
    before = model.SerializeToString()
    assert_same_as_onnx_runtime(model, *inputs or [X], rtol=1e-5, atol=1e-5)
    assert model.SerializeToString() == before, "the user's model stays as it is"


def net(*nodes, dims=X.shape, result="y"):
    """A convolution of 3 channels to 4, ``t1``, and nodes that follow."""
    chain = Net(shape=X.shape, dims=dims)
    chain.conv("x", 3, 4)
    chain.nodes += nodes
    return chain.model(result)


RELU = make("Relu", ["t1"], ["y"])


@pytest.mark.parametrize("named", ["nodes", "opsets", "both"])
def test_the_standard_has_two_names_for_its_domain(named):
    model = net(RELU)
    if named != "nodes":
        model.opset_import[0].domain = "ai.onnx"
    if named != "opsets":
        for node in model.graph.node:
            node.domain = "ai.onnx"
    computed_as_onnx_runtime(model)


def test_a_size_of_minus_one_is_free():
    model = net(RELU, dims=(-1, 3, -1, -1))
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    for size in (-1, 4, -1, -1):
        model.graph.output[0].type.tensor_type.shape.dim.add().dim_value = size
    computed_as_onnx_runtime(model, X, X[:, :, 1:2], np.concatenate([X, X])[..., :3])


def test_weights_that_nothing_reads_may_be_of_any_type():
    model = net(RELU)
    labels = helper.make_tensor("labels", TensorProto.STRING, [2], [b"cat", b"dog"])
    model.graph.initializer.append(labels)
    model.graph.input.append(helper.make_tensor_value_info("labels", TensorProto.STRING, [2]))
    computed_as_onnx_runtime(model)


def test_weights_of_old_files_need_not_be_inputs():
    model = net(RELU)
    model.ir_version, model.opset_import[0].version = 3, 8
    computed_as_onnx_runtime(model)


def test_outputs_without_a_name_are_left_out():
    pool = make("MaxPool", ["t1"], ["m", ""], kernel_shape=[2, 2])
    computed_as_onnx_runtime(net(pool, make("Dropout", ["m"], ["y", ""])))


def branches(condition):
    """Two layers of If; names are used again in each branch."""

    def body(*nodes, result):
        outputs = [onnx.ValueInfoProto(name=result)]
        return helper.make_graph(list(nodes), "body", [], outputs)

    deep = make(
        "If",
        [condition],
        ["deep"],
        then_branch=body(make("Neg", ["z"], ["v"]), make("Exp", ["v"], ["w"]), result="w"),
        else_branch=body(make("Abs", ["z"], ["v"]), result="v"),
    )
    model = net(
        make(
            "If",
            ["yes"],
            ["r"],
            then_branch=body(make("Sin", ["t1"], ["z"]), deep, result="deep"),
            else_branch=body(make("Cos", ["t1"], ["z"]), result="z"),
        ),
        make("Relu", ["r"], ["y"]),
    )
    for key, value in (("yes", True), ("no", False)):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value), key))
    return model


@pytest.mark.parametrize("condition", ["yes", "no"])
def test_a_branch_in_a_branch_is_taken_if_its_condition_is_known(condition):
    computed_as_onnx_runtime(branches(condition))


def with_function(operator, opset, **attributes):
    body = [make(operator, ["a"], ["b"], **attributes)]
    opsets = [helper.make_opsetid("", opset)]
    model = net(make("Mine", ["t1"], ["y"], domain="my"))
    model.functions.append(helper.make_function("my", "Mine", ["a"], ["b"], body, opsets))
    model.opset_import.add(domain="my", version=1)
    return model


@pytest.mark.parametrize("given", [{}, {"slope": 0.7}])
def test_an_attribute_of_a_function_may_have_a_default_value(given):
    model = with_function("LeakyRelu", 17)
    alpha = model.functions[0].node[0].attribute.add()
    alpha.name, alpha.ref_attr_name, alpha.type = "alpha", "slope", onnx.AttributeProto.FLOAT
    model.functions[0].attribute_proto.append(helper.make_attribute("slope", 0.3))
    call = next(node for node in model.graph.node if node.domain == "my")
    call.attribute.extend(helper.make_attribute(*pair) for pair in given.items())
    computed_as_onnx_runtime(model)


@pytest.mark.parametrize("opset", [14, 17, 18])
def test_a_function_may_be_of_another_opset(opset):
    computed_as_onnx_runtime(with_function("LeakyRelu" if opset > 15 else "Elu", opset, alpha=0.5))


def test_a_function_of_another_opset_that_means_something_else_is_refused():
    words = "function 'Mine' is of opset 18, where ReduceMean is not what it is in opset 17"
    with pytest.raises(ModelError, match=words):
        load(with_function("ReduceMean", 18))


def test_axes_that_come_in_any_order():
    """As onnxslim joins two nodes to one; before opset 13 they are attributes."""
    nodes = [
        make("Unsqueeze", ["k"], ["wide"], axes=[2, 0]),
        make("Unsqueeze", ["x"], ["xs"], axes=[2, 0]),
        make("Squeeze", ["wide"], ["narrow"], axes=[2, 0]),
        make("Add", ["xs", "wide"], ["a"]),
        make("Squeeze", ["a"], ["b"], axes=[2, 0]),
        make("Mul", ["b", "narrow"], ["y"]),
    ]
    k = numpy_helper.from_array(np.arange(15, dtype="float32").reshape(1, 3, 5), "k")
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [4, 3, 5]) for n in "xy")
    graph = helper.make_graph(nodes, "g", [x], [y], [k])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)
    computed_as_onnx_runtime(model, np.random.default_rng(0).random((4, 3, 5), "float32"))
