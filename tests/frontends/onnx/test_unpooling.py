"""Indices of MaxPool and MaxUnpool against ONNX Runtime: the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from onnx import TensorProto, helper
from onnx_rows import Table, floats, ints, model_of, row
from quick_network import compiled

from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load


def few_values(*shape: int) -> np.ndarray:
    """With many equal ones in each window."""
    return np.round(floats(*shape) * 1.5)


def pool(x, free=(), **attributes):
    return row("MaxPool", x, outputs=2, free=free, **attributes)


def at_random(seed: int):
    rng = np.random.default_rng(seed)

    def one_of(*values):
        return values[rng.integers(len(values))]

    axes = one_of(1, 2, 2, 3)
    kernel = [int(rng.integers(1, 4)) for _ in range(axes)]
    pads = [int(rng.integers(0, k)) for k in kernel]
    shape = [one_of(1, 2), one_of(1, 3), *(int(rng.integers(7, 12)) for _ in range(axes))]
    return pool(
        few_values(*shape),
        free=one_of((), tuple(range(2, axes + 2)), (0,)),
        kernel_shape=kernel,
        strides=[int(rng.integers(1, 4)) for _ in range(axes)],
        pads=one_of([0] * axes, pads) * 2,
        dilations=[one_of(1, 1, 2) for _ in range(axes)],
        ceil_mode=one_of(0, 0, 1),
        storage_order=one_of(0, 1),
    )


def unpool(x, indices, *shape, **attributes):
    options = {"kernel_shape": [2, 2], "strides": [2, 2], **attributes}
    return row("MaxUnpool", x, np.array(indices, "int64"), *shape, **options)


SMALL = floats(1, 2, 2, 2)
OWN = np.array([5, 7, 13, 15, 16, 19, 24, 26]).reshape(1, 2, 2, 2)
MANY = np.random.default_rng(1).permutation(2 * 3 * 8 * 10)[: 2 * 3 * 4 * 5].reshape(2, 3, 4, 5)

TABLE = Table(
    [
        *map(at_random, range(24)),
        pool(few_values(2, 3, 9, 8), kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
        pool(few_values(2, 3, 9, 8), kernel_shape=[2, 3], strides=[1, 2], auto_pad="SAME_LOWER"),
        pool(few_values(1, 2, 6, 6).astype("int8"), kernel_shape=[2, 2], strides=[2, 2]),
        unpool(SMALL, OWN),
        unpool(SMALL, OWN, ints(1, 2, 5, 6)),
        # Two values at one place: the last stays.
        unpool(SMALL, OWN // 2 * 2),
        # Out of their own planes, all over.
        unpool(floats(2, 3, 4, 5), MANY),
        unpool(floats(2, 3, 4, 5), MANY // 3 * 3),
        unpool(SMALL, OWN, kernel_shape=[3, 3], pads=[1, 1, 0, 0]),
        unpool(floats(1, 2, 3), [[[0, 3, 5], [6, 8, 11]]], kernel_shape=[2], strides=[2]),
    ]
)


@pytest.mark.parametrize("one", TABLE.rows, ids=str)
def test_it_is_what_onnx_runtime_computes(one):
    TABLE.check(one)


@pytest.mark.parametrize("shape", [(2, 3, 8, 6), (1, 4, 4, 10)])
def test_a_pool_is_undone_at_any_size(shape):
    """Pool, unpool, and pool again: the maxima, and nothing else, at their places."""
    function = compiled(_segnet())
    x = np.abs(floats(*shape)) + 1
    y, large, again = (each.numpy() for each in function(tvm.runtime.tensor(x)))
    np.testing.assert_array_equal(again, y)
    kept = large != 0
    np.testing.assert_array_equal(large[kept], x[kept])
    assert kept.sum() == y.size


def _segnet():
    options = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        helper.make_node("MaxPool", ["x"], ["y", "i"], **options),
        helper.make_node("MaxUnpool", ["y", "i"], ["large"], **options),
        helper.make_node("MaxPool", ["large"], ["again"], **options),
    ]
    infos = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "c", "h", "w"]),
        *(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
            for name in ("y", "large", "again")
        ),
    ]
    graph = helper.make_graph(nodes, "segnet", infos[:1], infos[1:])
    opsets = [helper.make_opsetid("", 13)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def test_an_index_that_leads_nowhere_is_passed_over():
    """ONNX Runtime stops there; no memory is touched here that is not the result's."""
    model, values = model_of([unpool(SMALL, [[[[99, -1], [2**40, 3]], [[16, 17], [18, 19]]]])])
    got = compiled(model)(*map(tvm.runtime.tensor, values.values())).numpy()
    expected = np.zeros(32, "float32")
    expected[[3, 16, 17, 18, 19]] = SMALL.ravel()[3:]
    np.testing.assert_array_equal(got.ravel(), expected)


REFUSED = [
    (unpool(SMALL, OWN, ints(1, 2, 3, 4)), r"output_shape is \[1, 2, 3, 4\]: at least"),
    (unpool(SMALL, OWN[:, :1]), "its indices are int64 of shape"),
]


@pytest.mark.parametrize(("one", "reason"), REFUSED, ids=lambda value: str(value)[:50])
def test_what_is_not_computed_is_refused_in_words(one, reason):
    with pytest.raises(ModelError, match=reason) as caught:
        load(model_of([one])[0])
    assert "\n" not in str(caught.value)
