"""Weights without their zeros, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime

from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load

SHAPE = (1, 4, 5, 6)


def sparse(name, places, shape, count=None, dtype=TensorProto.FLOAT):
    """Of the values 1, 2, ..., at places that are numbers of elements, or one for each axis."""
    count = count or len(places)
    values = helper.make_tensor(name, dtype, [count], list(range(1, count + 1)))
    indices = np.array(places, "int64")
    given = helper.make_tensor(f"{name}_at", TensorProto.INT64, indices.shape, indices.ravel())
    return helper.make_sparse_tensor(values, given, shape)


def model(weights=(), constants=()):
    """x plus each of them."""
    net, y = Net(SHAPE), "x"
    for one in constants:
        y = net("Add", y, net("Constant", sparse_value=one))
    for one in weights:
        y = net("Add", y, one.values.name)
    proto = net.model(net("Relu", y))
    proto.graph.sparse_initializer.extend(weights)
    return proto


def test_weights_without_their_zeros_are_computed_with_them():
    proto = model(
        [sparse("w", [1, 7, 23], [4, 1, 6]), sparse("v", [[0, 3], [4, 5]], [5, 6])],
        [sparse("c", [2], [6]), sparse("d", [[3, 0, 1], [1, 0, 4]], [4, 1, 6])],
    )
    assert_same_as_onnx_runtime(proto, SHAPE)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (sparse("w", [1, 6], [6]), r"sparse weight 'w' of shape \[6\] is damaged: index 6 is out"),
        (sparse("w", [-1], [6]), "is damaged: 1 places for 1 values"),
        (sparse("w", [1, 2], [6], count=3), "is damaged: 2 places for 3 values"),
        (sparse("w", [[0, 6]], [4, 6]), "is damaged: invalid entry in coordinates array"),
        (sparse("w", [1], [1 << 40]), "has more elements than can be computed"),
        (sparse("w", [1], [-4]), "or less than none"),
    ],
)
def test_damaged_ones_are_refused_by_name(one, words):
    for proto in (model([one]), model([], [one])):
        with pytest.raises(ModelError, match=words):
            load(proto)
