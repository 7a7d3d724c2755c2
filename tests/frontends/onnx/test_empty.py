"""Tensors without elements: computed around, or refused by the node that leaves nothing."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime

from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load

SHAPE = (2, 4, 5, 7)


def parts(net, x, *sizes, opset=17, axis=1, **attributes):
    """The results of a Split."""
    count = len(sizes) or attributes["num_outputs"]
    names = [f"s{len(net.nodes)}_{i}" for i in range(count)]
    given = [net.integers(*sizes)] if sizes and opset >= 13 else []
    if sizes and opset < 13:
        attributes["split"] = sizes
    net.nodes.append(helper.make_node("Split", [x, *given], names, axis=axis, **attributes))
    return names


def nothing(net, axis=1):
    """A part of x, along an axis, without elements."""
    return net("Slice", "x", net.integers(3), net.integers(3), net.integers(axis))


def all_or_nothing(net, opset=17):
    rest, taken = parts(net, "x", 0, 4, opset=opset)
    return net("Concat", net("Relu", taken), rest, axis=1)


def three_parts(net, axis):
    """One of them empty and read twice."""
    first, second, third = parts(net, "x", 3, 0, SHAPE[axis] - 3, axis=axis)
    beside = net("Sigmoid", net("Add", second, net.given(np.float32(1))))
    return net("Concat", third, beside, second, first, axis=axis)


def uneven_parts(net):
    """Of opset 18: 2, 2 and none of four channels."""
    first, second, third = parts(net, "x", num_outputs=3)
    return net("Concat", third, second, first, axis=1)


def a_convolution_of_no_image(net):
    images = net.conv(nothing(net, axis=0), 4, 4)
    return net("Concat", net("Relu", "x"), net("MaxPool", images, kernel_shape=[1, 1]), axis=0)


def a_sum_of_nothing(net):
    return net("Add", "x", net("ReduceSum", nothing(net), net.integers(1)))


def a_mean_of_nothing(net):
    """Which the standard leaves open."""
    return net("Add", "x", net("ReduceMean", nothing(net), axes=[1]))


def a_product_over_nothing(net):
    flat = net("Reshape", nothing(net, axis=3), net.integers(40, 0), allowzero=1)
    product = net("MatMul", flat, net.given(np.zeros((0, 7), "float32")))
    return net("Add", "x", net("Reshape", product, net.integers(2, 4, 5, 7)))


def pads_around_nothing(net):
    pads = net.integers(0, 4, 0, 0, 0, 0, 0, 0)
    return net("Mul", "x", net("Pad", nothing(net), pads, net.given(np.float32(3))))


def nothing_written(net):
    """Of no place, into a tensor that has some."""
    at, updates = net.given(np.zeros((0, 2), "int64")), net.given(np.zeros((0, 5, 7), "float32"))
    places, values = net.given(np.zeros((0, 4, 5, 7), "int64")), nothing(net, axis=0)
    return net("ScatterElements", net("ScatterND", "x", at, updates), places, values, axis=0)


def sizes_of_nothing(net):
    size = net("Cast", net("Shape", nothing(net)), to=1)
    return net("Add", "x", net("Reshape", size, net.integers(1, 4, 1, 1)))


CASES = [
    all_or_nothing,
    lambda net: three_parts(net, 1),
    lambda net: three_parts(net, 2),
    a_convolution_of_no_image,
    a_sum_of_nothing,
    a_mean_of_nothing,
    a_product_over_nothing,
    pads_around_nothing,
    nothing_written,
    sizes_of_nothing,
]


def free_sizes_of_nothing(net):
    """What the Shape of a chain of tensors says where only the first part of it is known."""
    chain = net("Relu", net("Transpose", nothing(net), perm=[3, 0, 1, 2]))
    size = net("Cast", net("Shape", chain), to=1)
    return net("Add", "x", net("Reshape", size, net.integers(1, 4, 1, 1)))


def number_of_nothing(net):
    return net("Add", "x", net("Cast", net("Size", nothing(net)), to=1))


def nothing_by_attributes(net):
    empty = net("Slice", "x", starts=[2], ends=[1], axes=[3])
    return net("Concat", net("Relu", empty), "x", axis=3)


def nothing_of_a_free_axis(net):
    """However long it is."""
    backwards = [net.integers(*values) for values in ([-5], [-3], [3], [-2])]
    parts = [nothing(net, axis=2), net("Slice", "x", *backwards), "x", nothing(net, axis=3)]
    return net("Concat", net("Concat", *parts[1:], axis=3), parts[0], axis=2)


BESIDE_FREE_SIZES = [
    nothing_of_a_free_axis,
    all_or_nothing,
    sizes_of_nothing,
    free_sizes_of_nothing,
    number_of_nothing,
    lambda net: three_parts(net, 1),
    lambda net: net("Concat", "x", net("Sigmoid", nothing(net)), axis=1),
]
OPSETS = {
    "bounds as attributes": (9, nothing_by_attributes),
    "sizes as an attribute": (11, lambda net: all_or_nothing(net, 11)),
    "uneven parts": (18, uneven_parts),
}


def together(cases, dims=None):
    """One network of several, each an output."""
    net = Net(SHAPE, dims=dims)
    return net.model(*(case(net) for case in cases))


def check(model):
    assert_same_as_onnx_runtime(model, SHAPE, atol=1e-5)


def test_what_reads_nothing_beside_something_is_computed():
    check(together(CASES))


def test_so_it_is_beside_free_sizes():
    check(together(BESIDE_FREE_SIZES, ("n", 4, "h", "w")))


def test_what_makes_something_of_nothing_and_a_free_size_is_refused():
    net = Net(SHAPE, dims=("n", 4, "h", "w"))
    empty = nothing(net)
    added = net("Add", "x", net("ReduceSum", net("Relu", empty), net.integers(1)))
    with pytest.raises(ModelError, match=rf"Slice '{empty}' .* the shape \[\?, 0, \?, \?\]: there"):
        load(net.model(added))


@pytest.mark.parametrize("name", OPSETS)
def test_so_it_is_in_other_opsets(name):
    opset, case = OPSETS[name]
    for dims in (SHAPE, ("n", 4, "h", "w")):
        model = together([case], dims)
        model.opset_import[0].version = opset
        check(model)


def test_an_output_without_elements_is_refused_by_the_node_that_leaves_nothing():
    net = Net(SHAPE)
    empty = nothing(net)
    with pytest.raises(ModelError, match=rf"Slice '{empty}' .* there is nothing to compute"):
        load(net.model(net("Relu", empty)))
    net = Net(SHAPE)
    made = net("ConstantOfShape", net.integers(2, 0))
    with pytest.raises(ModelError, match=rf"'{made}' would have the shape \[2, 0\]"):
        load(net.model(net("Relu", "x"), made))


def test_indices_of_no_axis_are_not_taken_for_no_place():
    """ScatterND would write all of the tensor by each of them."""
    net = Net(SHAPE)
    updates = net("Mul", net.constant(3, 1, 1, 1, 1), "x")
    written = net("ScatterND", "x", net.given(np.zeros((3, 0), "int64")), updates)
    with pytest.raises(ModelError, match=rf"ScatterND '{written}' .*\[3, 0\] are of no axis"):
        load(net.model(net("Relu", written)))
