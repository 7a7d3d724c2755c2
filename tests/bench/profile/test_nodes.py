"""The nodes of a model that a kernel computes, by what it stores."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper

from tvm_deconv.bench.profile.nodes import ModelNodes, with_unique_names
from tvm_deconv.bench.profile.optimized import stored_nodes


def model(text, weights=()):
    """A model of lines ``Operator: operands -> results``; a node is called after its first result.

    ``x`` is the input, ``weights`` are names of constants.
    """
    nodes = []
    for line in text.strip().splitlines():
        operator, operands, results = (
            part.split() for part in line.replace("->", ":").strip().split(":")
        )
        nodes.append(helper.make_node(*operator, operands, results, name=f"n_{results[0]}"))
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4])
        for name in ("x", nodes[-1].output[0])
    )
    values = [helper.make_tensor(name, TensorProto.FLOAT, [4], [1.0] * 4) for name in weights]
    return helper.make_model(helper.make_graph(nodes, "net", [x], [y], values))


CHAIN = """
    Conv: x w -> a
    Add: a a -> b
    Relu: b -> c
    Conv: c w -> d
"""


def computed(text, *stored):
    return ModelNodes(model(text, ["w"])).computed([names.split() for names in stored])


def test_a_kernel_computes_what_no_other_stores_on_the_way_to_its_result():
    assert computed(CHAIN, "n_a", "n_c", "n_d") == [("n_a",), ("n_b", "n_c"), ("n_d",)]
    assert computed(CHAIN, "n_c", "n_d") == [("n_a", "n_b", "n_c"), ("n_d",)]


def test_what_two_kernels_compute_for_themselves_belongs_to_both():
    text = """
        Sigmoid: x -> a
        Relu: a -> b
        Tanh: a -> c
        Add: b c -> d
    """
    assert computed(text, "n_b", "n_c", "n_d") == [("n_a", "n_b"), ("n_a", "n_c"), ("n_d",)]


def test_kernels_that_make_one_layer_together_compute_the_same_nodes():
    assert computed(CHAIN, "n_c", "n_c", "n_d")[:2] == [("n_a", "n_b", "n_c")] * 2


def test_a_kernel_of_no_known_node_computes_none():
    assert computed(CHAIN, "", "elsewhere", "n_d") == [(), (), ("n_a", "n_b", "n_c", "n_d")]


def test_views_belong_to_nobody_but_whoever_stores_them():
    text = """
        Relu: x -> a
        Reshape: a w -> b
        Relu: b -> c
    """
    assert computed(text, "n_a", "n_c") == [("n_a",), ("n_c",)]
    assert computed(text, "n_a", "n_b", "n_c") == [("n_a",), ("n_b",), ("n_c",)]


def test_arithmetic_of_sizes_and_of_constants_is_no_part_of_a_network():
    text = """
        Relu: x -> a
        Shape: a -> s
        Gather: s w -> g
        Mul: w w -> k
        Expand: a g -> b
        Add: b k -> c
    """
    nodes = ModelNodes(model(text, ["w"]))
    assert list(nodes.operators) == ["n_a", "n_b", "n_c"]
    assert nodes.computed([["n_a"], ["n_c"]]) == [("n_a",), ("n_b", "n_c")]


def test_the_order_of_nodes_in_a_file_does_not_matter():
    shuffled = model(CHAIN, ["w"])
    nodes = list(shuffled.graph.node)[::-1]
    del shuffled.graph.node[:]
    shuffled.graph.node.extend(nodes)
    assert ModelNodes(shuffled).computed([["n_c"], ["n_d"]]) == [("n_a", "n_b", "n_c"), ("n_d",)]


def test_nodes_get_names_that_no_other_has_and_keep_those_that_they_have():
    given = model(CHAIN, ["w"])
    for node, name in zip(given.graph.node, ("twice", "twice", "twice#1", ""), strict=True):
        node.name = name
    names = [node.name for node in with_unique_names(given).graph.node]
    assert names == ["twice#2", "twice#3", "twice#1", "d"]
    assert given.graph.node[0].name == "twice"


def optimized(*nodes):
    """A graph as ONNX Runtime writes it: name, operator, operands, results, domain, attributes."""
    graph = helper.make_graph([], "optimized", [], [])
    for name, operator, operands, results, domain, attributes in nodes:
        ends = operands.split(), results.split()
        made = helper.make_node(operator, *ends, name=name, domain=domain, **attributes)
        graph.node.append(made)
    return onnx.ModelProto(graph=graph)


BLOCKED = "com.microsoft.nchwc"


def test_a_fused_node_is_known_by_the_result_that_it_has():
    nodes = ModelNodes(model(CHAIN, ["w"]))
    fused = optimized(
        ("fused 1", "FusedConv", "x w a", "c", "com.microsoft", {}),
        ("n_d", "Conv", "c w", "d", "", {}),
    )
    found = stored_nodes(fused, nodes)
    assert found == {"fused 1": {"n_c"}, "n_d": {"n_d"}}


@pytest.mark.parametrize(
    ("operands", "attributes", "last"),
    [
        ("x w", {}, "n_a"),
        ("x w bias other", {}, "n_b"),
        ("x w bias other", {"activation": "Relu"}, "n_c"),
        # An activation that the model does not have behind it is none that was fused.
        ("x w bias other", {"activation": "Tanh"}, "n_b"),
    ],
)
def test_a_blocked_convolution_is_known_by_its_name_and_what_it_adds_and_applies(
    operands, attributes, last
):
    nodes = ModelNodes(model(CHAIN, ["w"]))
    fused = optimized(("a_nchwc", "Conv", operands, "reorder_3", BLOCKED, attributes))
    assert stored_nodes(fused, nodes) == {"a_nchwc": {last}}


def test_changes_of_layout_count_to_what_they_are_for():
    nodes = ModelNodes(model(CHAIN, ["w"]))
    found = stored_nodes(
        optimized(
            ("to blocks", "ReorderInput", "x", "reorder", BLOCKED, {}),
            ("a_nchwc_token_7", "Conv", "reorder w", "reorder_1", BLOCKED, {}),
            ("n_b", "Add", "reorder_1 reorder_1", "reorder_2", "", {}),
            ("from blocks", "ReorderOutput", "reorder_2", "b", BLOCKED, {}),
        ),
        nodes,
    )
    assert found["to blocks"] == found["a_nchwc_token_7"] == {"n_a"}
    assert found["n_b"] == found["from blocks"] == {"n_b"}
