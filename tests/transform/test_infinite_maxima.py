"""The largest of nothing but -inf is -inf, and has its place; where there is a NaN, it is NaN."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from numpy.lib.stride_tricks import sliding_window_view
from onnx import TensorProto, helper
from quick_network import compiled

SHAPE = (2, 3, 6, 7)
NODES = {
    "max": helper.make_node("ReduceMax", ["x"], ["max"], axes=[2, 3]),
    "min": helper.make_node("ReduceMin", ["x"], ["min"], axes=[3]),
    "pool": helper.make_node("MaxPool", ["x"], ["pool"], kernel_shape=[3, 3], pads=[1, 0, 1, 2]),
    "ceil": helper.make_node(
        "MaxPool", ["x"], ["ceil"], kernel_shape=[2, 3], strides=[3, 3], ceil_mode=1
    ),
    "whole": helper.make_node("GlobalMaxPool", ["x"], ["whole"]),
    "first": helper.make_node("ArgMax", ["x"], ["first"], axis=2, keepdims=0),
    "least": helper.make_node("ArgMin", ["x"], ["least"], axis=3, keepdims=0),
    "integer": helper.make_node("ArgMax", ["i"], ["integer"], axis=1, keepdims=0),
}
PLACES = {"first", "least", "integer"}


@pytest.fixture(scope="module")
def main():
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE),
        helper.make_tensor_value_info("i", TensorProto.INT32, (2, 5)),
    ]
    kinds = {name: TensorProto.INT64 if name in PLACES else TensorProto.FLOAT for name in NODES}
    outputs = [helper.make_tensor_value_info(name, kind, None) for name, kind in kinds.items()]
    graph = helper.make_graph(list(NODES.values()), "graph", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return compiled(model)


def pooled(x):
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 2)), constant_values=-np.inf)
    return sliding_window_view(padded, (3, 3), (2, 3)).max((-2, -1))


def pooled_with_part_of_a_window(x):
    """A window that would begin beyond the last row is none."""
    padded = np.pad(x, ((0, 0), (0, 0), (0, 0), (0, 2)), constant_values=-np.inf)
    return sliding_window_view(padded, (2, 3), (2, 3))[:, :, ::3, ::3].max((-2, -1))


def bounds(x: np.ndarray) -> dict[str, np.ndarray]:
    """What the nodes that give no place and read floats have to give."""
    return {
        "max": x.max((2, 3), keepdims=True),
        "min": x.min(3, keepdims=True),
        "pool": pooled(x),
        "ceil": pooled_with_part_of_a_window(x),
        "whole": x.max((2, 3), keepdims=True),
    }


@pytest.mark.parametrize("bound", [-np.inf, np.inf])
def test_a_reduction_of_infinities_is_infinite_and_has_a_place(main, bound):
    x = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")
    x[0], x[1, :, :3, :3] = bound, bound
    i = np.full((2, 5), np.iinfo("int32").min, "int32")
    i[1, 3] = 7
    got = main(*map(tvm.runtime.tensor, (x, i)))
    expected = {
        **bounds(x),
        "first": x.argmax(2),
        "least": x.argmin(3),
        "integer": i.argmax(1),
    }
    for (name, wanted), result in zip(expected.items(), got, strict=True):
        np.testing.assert_array_equal(result.numpy(), wanted, err_msg=name)


def test_a_reduction_is_nan_where_a_term_is(main):
    """ONNX Runtime loses most of them, by their place; onnx.reference and NumPy none."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(SHAPE).astype("float32")
    x[rng.random(SHAPE) < 0.1] = np.nan
    x[0, 0], x[0, 1, 2, 3] = 1, -np.nan
    got = dict(
        zip(NODES, main(*map(tvm.runtime.tensor, (x, np.zeros((2, 5), "int32")))), strict=True)
    )
    for name, wanted in bounds(x).items():
        assert np.isnan(wanted).any() and not np.isnan(wanted).all(), "the test is one"
        np.testing.assert_array_equal(got[name].numpy(), wanted, err_msg=name)
