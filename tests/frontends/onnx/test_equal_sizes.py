"""Free sizes of several inputs that a Concat asks to be equal."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from onnx import TensorProto, helper
from onnx_runtime import assert_same_as_onnx_runtime
from quick_network import compiled
from tvm import relax

import tvm_deconv
from tvm_deconv.errors import ModelError

NODE = helper.make_node


def model(nodes, *dims):
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes)
        for name, sizes in zip("abc", dims, strict=False)
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "net", inputs, [output])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


JOINED = [NODE("Concat", ["a", "b"], ["y"], axis=1)]
BEHIND_LAYERS = [
    NODE("Relu", ["c"], ["d"]),
    NODE("Concat", ["d", "b"], ["e"], axis=1),
    NODE("MaxPool", ["e"], ["f"], kernel_shape=[2, 2], strides=[2, 2]),
    NODE("Concat", ["f", "a"], ["y"], axis=1),
]
NAMELESS, NAMED, OTHERS = [1, 3, None, None], [1, 3, "h", "w"], [1, 2, "rows", "w"]


@pytest.mark.parametrize(
    ("nodes", "dims", "sizes"),
    [
        (JOINED, (NAMELESS, NAMELESS), ((4, 5), (4, 5))),
        (JOINED, (NAMED, OTHERS), ((4, 5), (4, 5))),
        (JOINED, ([1, 3, 4, None], [1, 3, "h", "w"]), ((4, 5), (4, 5))),
        (BEHIND_LAYERS, (NAMELESS, NAMELESS, NAMED), ((2, 3), (4, 6), (4, 6))),
    ],
    ids=["without names", "two names", "one is known", "behind layers"],
)
def test_inputs_are_joined_whose_sizes_have_other_names(nodes, dims, sizes):
    net = model(nodes, *dims)
    rng = np.random.default_rng(1)
    arrays = [
        rng.standard_normal((1, given[1], *size)).astype("float32")
        for given, size in zip(dims, sizes, strict=True)
    ]
    run = compiled(net)
    assert_same_as_onnx_runtime(net, dict(zip("abc", arrays, strict=False)), main=run)
    arrays[-1] = np.ascontiguousarray(arrays[-1][..., :-1])
    with pytest.raises(Exception, match="vs"):
        run(*map(tvm.runtime.tensor, arrays))


def test_sizes_that_may_repeat_are_refused():
    net = model([NODE("Add", ["a", "b"], ["y"])], NAMELESS, NAMELESS)
    with pytest.raises(ModelError, match="depends on free sizes: give the shapes of the inputs"):
        tvm_deconv.compile(net)


def test_sizes_that_never_are_equal_are_refused():
    """Behind a window of 8, h - 7 and h fit where h is 8: a library would refuse all others."""
    window = NODE("MaxPool", ["a"], ["b"], kernel_shape=[8, 8])
    net = model([window, NODE("Add", ["a", "b"], ["y"])], NAMED)
    with pytest.raises(ModelError, match="depends on free sizes: give the shapes of the inputs"):
        tvm_deconv.compile(net)
    fixed = tvm_deconv.compile(net, shapes={"a": (1, 3, 8, 8)})
    x = np.random.default_rng(2).standard_normal((1, 3, 8, 8)).astype("float32")
    main = relax.VirtualMachine(fixed, tvm.cpu())["main"]
    assert_same_as_onnx_runtime(net, x, main=main)


def test_sizes_that_only_the_values_tell_are_refused():
    places = [NODE("NonZero", [name], [f"{name}_places"]) for name in "ab"]
    joined = NODE("Concat", ["a_places", "b_places"], ["y"], axis=0)
    net = model([*places, joined], [4], [4])
    net.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    with pytest.raises(ModelError):
        tvm_deconv.compile(net)
