"""Loops of which it is known how often they turn are written out; others are refused."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.onnx.bodies import MOST_TURNS
from tvm_deconv.importer import load

make = helper.make_node
SHAPE = (1, 4, 6, 5)


def value(name, kind=TensorProto.FLOAT, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


def body(nodes, inputs, outputs):
    """The first of the outputs of a Loop, ``on``, and its second input are conditions."""
    kinds = {"turn": (TensorProto.INT64, []), "before": (TensorProto.BOOL, [])}
    kinds["on"] = kinds["before"]
    infos = [
        [value(name, *kinds.get(name.rstrip("2"), ())) for name in names]
        for names in (inputs, outputs)
    ]
    return helper.make_graph(nodes, "body", *infos)


def loop(net, count, condition, *carried, nodes=(), goes_on="before", means="means"):
    """x = relu(conv(x)) in each turn, its mean besides."""
    weight = net.constant(4, 4, 3, 3, scale=0.3)
    steps = [
        make("Conv", ["a", weight], ["c"], pads=[1] * 4),
        make("Relu", ["c"], ["r"]),
        make("ReduceMean", ["r"], ["mean"], keepdims=0, axes=[2, 3]),
        *nodes,
        make("Identity", [goes_on], ["on"]),
    ]
    inner = body(steps, ["turn", "before", "a"], ["on", "r", "mean"])
    net.nodes.append(make("Loop", [count, condition, *carried], ["y", means], body=inner))
    return net


def a_fixed_count(net):
    return loop(net, net.given(np.array(3)), "", "x")


def a_count_from_a_fixed_size(net):
    count = net("Gather", net("Shape", "x"), net.given(np.array(1)))
    return loop(net, count, net.given(np.array(True)), "x")


def until_a_turn_says_no(net):
    last = net.given(np.array(2))
    less = make("Less", ["turn", last], ["less"])
    return loop(net, "", net.given(np.array(True)), "x", nodes=[less], goes_on="less")


def one_turn_after_another(net):
    """The weights of each turn are its own."""
    weights = net.constant(3, 4, 4, 1, 1)
    steps = [
        make("Gather", [weights, "turn"], ["w"], axis=0),
        make("Conv", ["a", "w"], ["c"]),
        make("Identity", ["before"], ["on"]),
    ]
    inner = body(steps, ["turn", "before", "a"], ["on", "c"])
    net.nodes.append(make("Loop", [net.given(np.array(3)), "", "x"], ["y"], body=inner))
    return net


def a_loop_in_a_loop(net):
    inner = body(
        [make("Mul", ["b", "a"], ["m"]), make("Identity", ["before"], ["on"])],
        ["turn", "before", "b"],
        ["on", "m"],
    )
    count = net.given(np.array(2))
    steps = [
        make("Tanh", ["a"], ["t"]),
        make("Loop", [count, "", "t"], ["c"], body=inner),
        make("Identity", ["before2"], ["on2"]),
    ]
    outer = body(steps, ["turn2", "before2", "a"], ["on2", "c"])
    net.nodes.append(make("Loop", [count, "", "x"], ["y"], body=outer))
    return net


def no_turn(net):
    steps = [make("Tanh", ["a"], ["t"]), make("Identity", ["before"], ["on"])]
    inner = body(steps, ["turn", "before", "a"], ["on", "t"])
    never = net.given(np.array(False))
    net.nodes.append(make("Loop", [net.given(np.array(3)), never, "x"], ["y"], body=inner))
    return net


def scan(**attributes):
    """Of rows of the image: s = tanh(s + row), and the row times s."""

    def build(net):
        steps = [
            make("Add", ["s", "row"], ["sum"]),
            make("Tanh", ["sum"], ["new"]),
            make("Mul", ["new", "row"], ["product"]),
        ]
        inner = body(steps, ["s", "row"], ["new", "product"])
        first = net(
            "Squeeze", net("Slice", "x", *(net.integers(n) for n in (0, 1, 2))), net.integers(2)
        )
        options = {"body": inner, "num_scan_inputs": 1, "scan_input_axes": [2], **attributes}
        net.nodes.append(make("Scan", [first, "x"], ["y", "means"], **options))
        return net

    build.__name__ = f"scan {attributes}"
    return build


NETS = [
    a_fixed_count,
    a_count_from_a_fixed_size,
    until_a_turn_says_no,
    one_turn_after_another,
    a_loop_in_a_loop,
    no_turn,
    scan(),
    scan(scan_input_directions=[1], scan_output_axes=[-1]),
    scan(scan_output_directions=[1], scan_output_axes=[2]),
]


@pytest.mark.parametrize("build", NETS, ids=lambda build: build.__name__)
def test_turns_are_those_of_onnx_runtime(build):
    net = build(Net(SHAPE))
    proto = net.model(*net.nodes[-1].output)
    assert_same_as_onnx_runtime(proto, SHAPE, rtol=1e-5, atol=1e-5)


def endless(net):
    return loop(net, "", net.given(np.array(True)), "x", means="")


def until_a_value_says_no(net):
    limit = net.given(np.float32(1))
    more = [make("ReduceMax", ["r"], ["most"], keepdims=0), make("Less", ["most", limit], ["less"])]
    return loop(net, "", net.given(np.array(True)), "x", nodes=more, goes_on="less", means="")


def a_count_that_is_computed(net):
    count = net("Cast", net("ReduceMax", "x", keepdims=0), to=TensorProto.INT64)
    return loop(net, count, "", "x", means="")


REFUSED = [
    (endless, f"Loop 'y' .*: it has more than {MOST_TURNS} turns: each would be compiled"),
    (until_a_value_says_no, "Loop 'y' .*: whether there is a turn after 1 is computed at run time"),
    (a_count_that_is_computed, "Loop 'y' .* cannot be imported, neither here nor by TVM"),
]


@pytest.mark.parametrize(("build", "reason"), REFUSED, ids=[build.__name__ for build, _ in REFUSED])
def test_a_loop_of_unknown_length_is_refused(build, reason):
    net = build(Net(SHAPE))
    with pytest.raises(ModelError, match=reason):
        load(net.model("y"))
