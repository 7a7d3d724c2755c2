"""Kernels read a part of a tensor where it lies; a copy is made for others alone."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from onnx.reference import ReferenceEvaluator
from onnx_net import Net
from quick_network import compiled
from tvm import relax, te, tirx, topi

from tvm_deconv.backends.parts import ReadParts, offsets_of_parts
from tvm_deconv.backends.views import ViewReshapes
from tvm_deconv.compiler import before_schedules
from tvm_deconv.importer import load
from tvm_deconv.options import Options
from tvm_deconv.targets import resolve_target

SHAPE = (2, 12, 16, 16)


def kernel(compute, shape=SHAPE):
    x = te.placeholder(shape, name="x")
    results = compute(x)
    results = [*results] if isinstance(results, (list, tvm.ir.Array)) else [results]
    return te.create_prim_func([x, *results])


FREE = (2, 12, tirx.Var("h", "int64"), 16)
PARTS = {
    "channels": (
        lambda x: topi.split(x, [2, 7], axis=1),
        [(0, 0, 0, 0), (0, 2, 0, 0), (0, 7, 0, 0)],
        SHAPE,
    ),
    "pictures": (lambda x: topi.split(x, 2, axis=0), [(0, 0, 0, 0), (1, 0, 0, 0)], SHAPE),
    "rows of some channels": (
        lambda x: topi.strided_slice(x, [0, 3, 1], [2, 9, 12], [1, 1, 1]),
        [(0, 3, 1, 0)],
        SHAPE,
    ),
    "channels of a picture of any height": (
        lambda x: topi.strided_slice(x, [0, 4], [2, 8], [1, 1]),
        [(0, 4, 0, 0)],
        FREE,
    ),
}
OTHERS = {
    "columns": lambda x: topi.strided_slice(x, [0, 0, 0, 0], [2, 12, 16, 8], [1] * 4),
    "every other channel": lambda x: topi.strided_slice(x, [0, 0], [2, 12], [1, 2]),
    "channels backwards": lambda x: topi.flip(x, 1),
    "another type": lambda x: topi.cast(topi.strided_slice(x, [0], [1], [1]), "int32"),
    "changed": topi.nn.relu,
    "repeated": lambda x: topi.tile(x, (2, 1, 1, 1)),
    "fewer axes": lambda x: topi.take(x, tirx.const(5), axis=1),
    "rows and columns exchanged": lambda x: topi.transpose(x, [0, 1, 3, 2]),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_known_by_where_it_begins(name):
    compute, offsets, shape = PARTS[name]
    assert offsets_of_parts(kernel(compute, shape)) == offsets


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_part_is_none(name):
    assert offsets_of_parts(kernel(OTHERS[name])) is None


def test_parts_that_are_read_late_and_given_back_keep_their_values():
    """Memory of the whole stays while a part is read, and nobody writes over it."""
    x = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")
    net = Net(SHAPE)
    whole = net("Softmax", net("Neg", "x"), axis=3)
    parts = ["first", "second"]
    net("Split", whole, net.integers(4, 8), axis=1)
    net.nodes[-1].output[:] = parts
    # Several tensors of the size of the whole come and go in between.
    late = "second"
    for _ in range(3):
        late = net("Softmax", late, axis=3)
    between = net("Softmax", net("Softmax", whole, axis=2), axis=1)
    total = net("Mul", net("Softmax", "second", axis=2), late)
    results = compiled(net.model(total, between, "first"))(tvm.runtime.tensor(x))

    def softmax(values, axis):
        values = np.exp(values - values.max(axis, keepdims=True))
        return values / values.sum(axis, keepdims=True)

    expected = softmax(-x.astype("float64"), 3)
    first, late = expected[:, :4], expected[:, 4:]
    second = late
    for _ in range(3):
        late = softmax(late, 3)
    wanted = [softmax(second, 2) * late, softmax(softmax(expected, 2), 1), first]
    for result, values in zip(results, wanted, strict=True):
        np.testing.assert_allclose(result.numpy(), values, rtol=0, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_network_that_goes_on_with_some_channels_is_right(batch):
    shape = (batch, 8, 6, 16)
    x = np.random.default_rng(1).standard_normal(shape).astype("float32")
    net = Net(shape)
    net("Split", net("Neg", "x"), net.integers(2, 6), axis=1)
    net.nodes[-1].output[:] = ["kept", "rest"]
    kept, rest = net("Sigmoid", "kept"), net("Relu", net("Softmax", "rest", axis=3))
    result = compiled(net.model(net("Concat", rest, kept, axis=1)))(tvm.runtime.tensor(x))
    x = -x.astype("float64")
    e = np.exp(x[:, 2:] - x[:, 2:].max(3, keepdims=True))
    expected = np.concatenate([e / e.sum(3, keepdims=True), 1 / (1 + np.exp(-x[:, :2]))], 1)
    np.testing.assert_allclose(result.numpy(), expected, rtol=0, atol=1e-6)


def calls(net: Net, *outputs: str) -> list[str]:
    """The kernels that are called, without the numbers behind their names."""
    host = resolve_target("host")
    passes = [*before_schedules(host, Options(log=None)), ViewReshapes(), ReadParts()]
    with host:
        mod = tvm.transform.Sequential(passes)(load(net.model(*outputs)))
    values = [b.value for block in mod["main"].body.blocks for b in block.bindings]
    called = [v.args[0].name_hint for v in values if isinstance(v, relax.Call) and len(v.args) > 1]
    return [name.rstrip("0123456789") for name in called]


def distilled(net: Net, channels: int) -> str:
    """Some channels are kept after each layer, and the next one goes on with the rest."""
    kept, rest = [], "x"
    for number in range(2):
        net("Split", net("LeakyRelu", net.conv(rest, channels, 12)), net.integers(4, 8), axis=1)
        net.nodes[-1].output[:] = [f"kept{number}", f"rest{number}"]
        kept.append(f"kept{number}")
        rest, channels = f"rest{number}", 8
    return net("Concat", *kept, rest, axis=1)


@pytest.mark.parametrize(
    ("shape", "dims"),
    [((1, 6, 16, 24), None), ((2, 6, 13, 37), None), ((2, 6, 17, 23), (2, 6, "h", "w"))],
    ids=["one picture", "odd sizes", "free sizes"],
)
def test_convolutions_read_their_channels_of_the_layer_before(shape, dims):
    net = Net(shape, dims=dims)
    result = distilled(net, 6)
    model = net.model(result)
    if dims is None:
        # What only the Concat reads is split where that is computed.
        assert "split" not in calls(net, result)
    x = np.random.default_rng(2).standard_normal(shape).astype("float32")
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    found = compiled(model)(tvm.runtime.tensor(x)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_part_that_is_given_back_is_copied():
    net = Net((1, 6, 16, 24))
    result = distilled(net, 6)
    assert any("split" in name for name in calls(net, result, "kept0"))


def test_little_is_copied():
    """Another function for those who read it would cost more than the copy."""
    net = Net((1, 6, 4, 5))
    assert any("split" in name for name in calls(net, distilled(net, 6)))
