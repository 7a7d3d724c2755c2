"""Reshapes become views of the tensor; what keeps only a part of the elements does not."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from onnx_net import Net
from quick_network import compiled
from relax_helpers import compiled as compiled_mod
from relax_helpers import kernels
from tvm import relax, te, tirx, topi

from tvm_deconv.backends.views import is_reshape

X = np.random.default_rng(0).standard_normal((2, 6, 4, 5)).astype("float32")


def kernel(compute, shape=X.shape):
    x = te.placeholder(shape, name="x")
    return te.create_prim_func([x, compute(x)])


SAME_PLACES = {
    "other axes": lambda x: topi.reshape(x, (2, 3, 40)),
    "one row": lambda x: topi.reshape(x, (240,)),
    "axes of size 1": lambda x: topi.expand_dims(x, 2),
}
OTHERS = {
    "the first half": lambda x: topi.strided_slice(x, [0], [1], [1]),
    "the first half of the channels": lambda x: topi.strided_slice(x, [0, 0], [2, 3], [1, 1]),
    "axes in another order": lambda x: topi.transpose(x, [0, 2, 1, 3]),
    "backwards": lambda x: topi.flip(x, 3),
    "another type": lambda x: topi.cast(x, "float16"),
    "repeated": lambda x: topi.tile(x, (2, 1, 1, 1)),
}


@pytest.mark.parametrize("name", SAME_PLACES)
def test_what_leaves_every_element_in_its_place_is_a_reshape(name):
    assert is_reshape(kernel(SAME_PLACES[name]))


@pytest.mark.parametrize("name", OTHERS)
def test_what_moves_or_drops_elements_is_none(name):
    assert not is_reshape(kernel(OTHERS[name]))


def test_free_sizes_are_views_for_axes_of_size_1_only():
    h = tirx.Var("h", "int64")
    assert is_reshape(kernel(lambda x: topi.expand_dims(x, 0), (2, h)))
    assert not is_reshape(kernel(lambda x: topi.reshape(x, (2 * h,)), (2, h)))


def test_a_tensor_without_elements_is_copied():
    """TVM's reshape would take the 0 for the size of what it reads: 2."""
    assert not is_reshape(kernel(lambda x: topi.transpose(x, [1, 0, 2]), (2, 0, 3)))


def run(net: Net, *outputs: str) -> list[np.ndarray]:
    result = compiled(net.model(*outputs))(tvm.runtime.tensor(X))
    return [one.numpy() for one in ([result] if hasattr(result, "numpy") else result)]


def test_halves_of_the_channels_are_copies():
    net = Net(X.shape)
    halves = ["first", "second"]
    net("Split", "x", axis=1)
    net.nodes[-1].output[:] = halves
    (total,) = run(net, net("Add", *halves))
    np.testing.assert_array_equal(total, X[:, :3] + X[:, 3:])


def test_a_view_that_is_an_output_and_is_read_on_keeps_its_values():
    net = Net(X.shape)
    y = net("Neg", "x")
    view = net("Reshape", y, net.integers(2, 3, 40))
    more = net("Relu", view)
    first, second, third = run(net, view, more, net("Reshape", "x", net.integers(240)))
    np.testing.assert_array_equal(first, -X.reshape(2, 3, 40))
    np.testing.assert_array_equal(second, np.maximum(-X.reshape(2, 3, 40), 0))
    np.testing.assert_array_equal(third, X.reshape(240))


def test_a_reshape_of_free_sizes_is_a_view_and_gives_the_same():
    """Behind and before what computes: whatever a view reads is whole."""
    n, c, h, w = X.shape
    x = relax.Var(
        "x", relax.TensorType([tirx.Var("n", "int64"), c, tirx.Var("h", "int64"), w], "float32")
    )
    free_n, _, free_h, _ = x.ty.shape.values
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            rows = builder.emit(relax.op.reshape(relax.op.negative(x), [free_n, c, free_h * w]))
            swapped = builder.emit(relax.op.permute_dims(rows, [0, 2, 1]))
            flat = builder.emit(relax.op.flatten(relax.op.nn.relu(swapped)))
            result = builder.emit_output(flat)
        builder.emit_func_output(result)
    mod = builder.finalize()
    assert not [name for name in kernels(mod) if "reshape" in name or "flatten" in name]
    expected = np.maximum(-X.reshape(n, c, h * w).transpose(0, 2, 1), 0).reshape(-1)
    np.testing.assert_array_equal(compiled_mod(mod, X), expected)
