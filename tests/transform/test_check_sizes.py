"""Sizes that a network of free size cannot have are refused when it is run."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import tvm
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime
from quick_network import compiled
from relax_helpers import module
from tvm import relax

from tvm_deconv.transform import CheckSizes


def split(net):
    part = net("Split", "x", net.integers(2, 3), axis=2)
    net.nodes[-1].output.append("rest")
    return part


# A network of (n, 4, h, w), sizes that it can have, and some that it cannot.
CASES = {
    "space to depth": (lambda n: n("SpaceToDepth", "x", blocksize=4), (4, 8), (1, 8)),
    "reflection": (
        lambda n: n("Pad", "x", n.integers(0, 0, 2, 1, 0, 0, 0, 1), mode="reflect"),
        (3, 2),
        (2, 8),
    ),
    "edge of nothing": (
        lambda n: n(
            "Pad",
            n("Slice", "x", n.integers(2), n.integers(9), n.integers(2)),
            n.integers(0, 0, 2, 1, 0, 0, 0, 1),
            mode="edge",
        ),
        (3, 2),
        (2, 8),
    ),
    "convolution": (lambda n: n.conv("x", 4, 3, k=5, pads=[0] * 4), (5, 8), (4, 8)),
    "cropped transposed convolution": (
        lambda n: n.deconv("x", 4, 3, 2, 2, pads=[3] * 4),
        (4, 4),
        (3, 4),
    ),
    "reshape": (lambda n: n("Reshape", "x", n.integers(0, -1, 7)), (7, 3), (1, 3)),
    "matrix product": (lambda n: n("MatMul", n.constant(3, 5), "x"), (5, 3), (2, 3)),
    "channels that are free": (
        lambda n: n("Conv", n("Transpose", "x", perm=[0, 2, 1, 3]), n.constant(3, 5, 1, 1)),
        (5, 3),
        (4, 3),
    ),
    "split": (split, (5, 3), (6, 3)),
    "gather from the end": (lambda n: n("Gather", "x", n.integers(0, -2), axis=2), (2, 3), (1, 3)),
    "gather": (lambda n: n("Gather", "x", n.integers(3, 1), axis=2), (4, 3), (3, 3)),
}


@pytest.mark.parametrize("name", CASES)
def test_sizes_that_onnx_runtime_refuses_are_refused(name):
    build, good, bad = CASES[name]
    net = Net((2, 4, *good), dims=("n", 4, "h", "w"))
    model = net.model(build(net))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    main = compiled(model)
    assert_same_as_onnx_runtime(model, net.shape, main=main, of_largest=1e-5)
    x = np.ones((2, 4, *bad), "float32")
    with pytest.raises(Exception, match=r"."):
        session.run(None, {"x": x})
    with pytest.raises(RuntimeError, match="match_cast error"):
        main(tvm.runtime.tensor(x))


@pytest.mark.parametrize("ceil", [0, 1])
@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
def test_a_window_that_fits_nowhere_is_refused_when_run(operator, ceil):
    net = Net((2, 4, 6, 8), dims=("n", 4, "h", "w"))
    model = net.model(net(operator, "x", kernel_shape=[4, 1], strides=[2, 3], ceil_mode=ceil))
    main = compiled(model)
    assert main(tvm.runtime.tensor(np.ones((2, 4, 4, 8), "float32"))).shape[2] == 1
    with pytest.raises(RuntimeError, match="match_cast error"):
        main(tvm.runtime.tensor(np.ones((2, 4, 1, 8), "float32")))


def rows_behind(operator):
    """A network that sums, orders or multiplies rows of a tensor, which may have none."""

    def build(net, x):
        rows = net("Transpose", x, perm=[0, 2, 3, 1])
        more = {
            "MatMul": lambda: (net("MatMul", rows, net.constant(4, 5)),),
            "LayerNormalization": lambda: (rows, net.constant(4), net.constant(4)),
            "CumSum": lambda: (rows, net.given(np.array(2))),
        }.get(operator, lambda: (rows,))()
        if operator == "MatMul":
            return net("Add", *more, net.constant(5))
        out = net(operator, *more)
        return net("Cast", out, to=onnx.TensorProto.FLOAT) if operator == "ArgMax" else out

    return build


COMPUTING = (
    *("Softmax", "LogSoftmax", "MatMul", "LayerNormalization", "CumSum", "ArgMax", "ReduceMean"),
    *("ReduceMax", "GlobalAveragePool"),
)


@pytest.mark.parametrize("operator", COMPUTING)
def test_nothing_is_computed_of_a_crop_that_leaves_nothing(operator):
    """Loops over rows divided by their number, and the process ended."""
    net = Net((2, 4, 6, 8), dims=("n", 4, "h", "w"))
    rows = net("Slice", "x", net.integers(3), net.integers(2**31), net.integers(2))
    main = compiled(net.model(rows_behind(operator)(net, rows)))
    x = net.rng.standard_normal((2, 4, 6, 8)).astype("float32")
    assert np.isfinite(main(tvm.runtime.tensor(x)).numpy()).all()
    with pytest.raises(RuntimeError, match="match_cast error"):
        main(tvm.runtime.tensor(x[:, :, :3]))


@pytest.mark.parametrize("operator", [*COMPUTING, "Relu"])
def test_an_empty_input_of_free_size_is_refused_when_run(operator):
    """As one of fixed size is when it is compiled."""
    net = Net((2, 4, 6, 8), dims=("n", 4, "h", "w"))
    main = compiled(net.model(rows_behind(operator)(net, "x")))
    for shape in ((0, 4, 6, 8), (2, 4, 0, 8), (2, 4, 6, 0)):
        with pytest.raises(RuntimeError, match="match_cast error"):
            main(tvm.runtime.tensor(np.zeros(shape, "float32")))


def test_a_crop_that_leaves_nothing_can_be_moved_and_joined():
    net = Net((2, 4, 6, 8), dims=("n", 4, "h", "w"))
    rows = net("Slice", "x", net.integers(3), net.integers(2**31), net.integers(2))
    model = net.model(net("Concat", net("Relu", rows), "x", axis=2))
    x = net.rng.standard_normal((2, 4, 3, 8)).astype("float32")
    np.testing.assert_array_equal(compiled(model)(tvm.runtime.tensor(x)).numpy(), x)


def grow(b, x):
    n, c, h, w = x.ty.shape.values
    flat = b.emit(relax.op.reshape(x, (n, c, h * w)))
    return b.emit(relax.op.reshape(flat, (n, c, h, w)))


def asked(mod):
    shape, match = CheckSizes()(mod)["main"].body.blocks[0].bindings
    assert isinstance(match, relax.MatchCast)
    return len(shape.value.values)


def test_what_always_fits_is_not_asked():
    mod = module(grow, (1, 4, 5, 6))
    assert CheckSizes()(mod).same_as(mod)
    # No more than that n, h and w are positive.
    assert asked(module(grow, ("n", 4, "h", "w"))) == 3


def test_the_same_is_asked_once():
    def halved_twice(b, x):
        n, c, h, w = x.ty.shape.values
        first = b.emit(relax.op.reshape(x, (n, c, h // 2, 2, w)))
        second = b.emit(relax.op.reshape(x, (n, c, h // 2, 2, w)))
        return b.emit(relax.op.add(first, second))

    assert asked(module(halved_twice, ("n", 4, "h", "w"))) == 3 + 1
