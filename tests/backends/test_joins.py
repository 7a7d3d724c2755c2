"""Kernels write their results where a Concat has them; what cannot be written there is copied."""

from __future__ import annotations

import numpy as np
import opencl
import pytest
import tvm
from onnx.reference import ReferenceEvaluator
from onnx_net import Net
from quick_network import compiled
from tvm import relax

import tvm_deconv
from tvm_deconv.backends.joins import WriteParts
from tvm_deconv.backends.parts import ReadParts
from tvm_deconv.backends.views import ViewReshapes
from tvm_deconv.compiler import before_schedules
from tvm_deconv.importer import load
from tvm_deconv.options import Options
from tvm_deconv.relax_functions import KERNEL_CALLS
from tvm_deconv.targets import resolve_target

SHAPE = (1, 6, 16, 24)


def join(net, *parts, axis=1):
    return net("Concat", *parts, axis=axis)


def layers(net):
    """Two layers, one behind the other, of 8 and 12 channels."""
    first = net("Relu", net.conv("x", 6, 8))
    return first, net("Tanh", net.conv(first, 8, 12))


def two_layers(net):
    return [net.conv(join(net, *layers(net)), 20, 5)]


def dense_block(net):
    """Each layer reads all that was computed before, and the last adds what the first had read."""
    found = [net.conv("x", 6, 8)]
    for count in (8, 12, 16):
        given = join(net, *found) if found[1:] else found[0]
        found.append(net("LeakyRelu", net.conv(given, count, 4)))
    return [net("Add", net.conv(join(net, *found), 20, 8), found[0])]


def nested(net):
    first, second = layers(net)
    both = join(net, first, second)
    third = net.conv(both, 20, 4)
    return [net.conv(join(net, third, both), 24, 5)]


def neighbours(net):
    """The second of two Concats has the last parts of the first."""
    first, second = layers(net)
    third = net.conv(second, 12, 4)
    all_of_them = join(net, first, second, third)
    return [net.conv(all_of_them, 24, 5), net.conv(join(net, second, third), 16, 3)]


def read_late(net):
    first, second = layers(net)
    result = net.conv(join(net, second, first), 20, 8)
    return [net("Mul", net("Add", result, first), net("Sigmoid", first))]


def sum_of_layers(net):
    """A layer behind a Concat of which some was resized is two, of which one adds to the other."""
    first, second = layers(net)
    small = net("MaxPool", second, kernel_shape=[2, 2], strides=[2, 2])
    summed = net.conv(join(net, net.nearest(small, 2), first), 20, 16)
    return [net.conv(join(net, summed, second), 28, 5)]


def resized(net):
    small = net("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2])
    large = net.deconv(net.conv(small, 6, 8), 8, 12, 2, 2)
    return [net.conv(join(net, net.conv("x", 6, 8), large), 20, 5, k=1)]


def kept_parts(net):
    """What a layer reads a part of is a part itself."""
    first, second = layers(net)
    net("Split", second, net.integers(5, 7), axis=1)
    net.nodes[-1].output[:] = ["kept", "rest"]
    third = net.conv("rest", 7, 4)
    return [net.conv(join(net, second, first, third), 24, 5)]


def split(net, given, axis, *sizes):
    """The first part of a tensor, and the rest of it."""
    net("Split", given, net.integers(*sizes), axis=axis)
    net.nodes[-1].output[:] = [f"{given}_first", f"{given}_rest"]
    return net.nodes[-1].output


def of_parts(net):
    """The Concat reads half of a layer, which has as many channels as the Concat."""
    kept, rest = split(net, net.conv("x", 6, 16), 1, 8, 8)
    third = net.conv(rest, 8, 8)
    return [net.conv(join(net, rest, third), 16, 5), net.conv(join(net, kept, third), 16, 5)]


def of_rows(net):
    """The Concat reads the lower rows of a layer."""
    upper, lower = split(net, net.conv("x", 6, 24), 2, 8, 8)
    return [net.conv(join(net, lower, net.conv(lower, 24, 8)), 32, 5), net.conv(upper, 24, 3)]


def with_input(net):
    return [net.conv(join(net, "x", layers(net)[1]), 18, 5)]


def of_two(net):
    """A tensor is a part of one Concat only."""
    first, second = layers(net)
    third = net.conv(second, 12, 4)
    return [net.conv(join(net, first, second), 20, 5), net.conv(join(net, first, third), 12, 5)]


def given_back(net):
    first, second = layers(net)
    return [net.conv(join(net, first, second), 20, 5), first]


def other_reader(net):
    """A view is no kernel."""
    first, second = layers(net)
    rows = net("Reshape", first, net.integers(8, -1))
    return [net.conv(join(net, first, second), 20, 5), net("Softmax", rows, axis=1)]


def inputs_alone(net):
    return [net.conv(join(net, "x", net.constant(1, 2, 16, 24)), 8, 5)]


def result_given_back(net):
    return [join(net, *layers(net))]


def twice_the_same(net):
    first, _ = layers(net)
    return [net.conv(join(net, first, first), 16, 5)]


def columns(net):
    first = net.conv("x", 6, 8)
    return [net.conv(join(net, first, net.conv(first, 8, 8), axis=3), 8, 5)]


def few(net):
    net.shape = net.dims = (1, 6, 4, 5)
    return two_layers(net)


CASES = {
    two_layers: [],
    dense_block: [],
    nested: [],
    neighbours: [],
    read_late: [],
    sum_of_layers: [],
    resized: [],
    kept_parts: [],
    with_input: ["copy"],
    of_two: ["copy"],
    given_back: ["copy"],
    other_reader: ["copy"],
    inputs_alone: ["concatenate"],
    result_given_back: ["concatenate"],
    twice_the_same: ["concatenate"],
    columns: ["concatenate"],
    few: ["concatenate"],
    of_parts: ["concatenate"],
    of_rows: ["concatenate"],
}


def copies(net: Net, *outputs: str) -> list[str]:
    """The kernels that copy, without the numbers behind their names."""
    host = resolve_target("host")
    passes = [*before_schedules(host, Options(log=None)), ViewReshapes(), ReadParts(), WriteParts()]
    with host:
        mod = tvm.transform.Sequential(passes)(load(net.model(*outputs)))
    values = [b.value for block in mod["main"].body.blocks for b in block.bindings]
    calls = [v for v in values if isinstance(v, relax.Call) and v.op in KERNEL_CALLS]
    names = [call.args[0].name_hint.rstrip("0123456789_") for call in calls]
    return [name.split("_")[0] for name in names if name.startswith(("copy", "concatenate"))]


def check(net: Net, outputs: list[str], shape=SHAPE, tolerance=1e-5):
    model = net.model(*outputs)
    x = np.random.default_rng(2).standard_normal(shape).astype(net.dtype)
    expected = ReferenceEvaluator(model).run(None, {"x": x})
    found = compiled(model)(tvm.runtime.tensor(x))
    found = [found] if isinstance(found, tvm.runtime.Tensor) else found
    for result, wanted in zip(found, expected, strict=True):
        error = np.abs(result.numpy().astype("float64") - wanted).max()
        assert error <= tolerance * np.abs(wanted).max()


@pytest.mark.parametrize("build", CASES, ids=lambda build: build.__name__)
def test_what_is_copied_is_as_expected_and_results_are_right(build):
    net = Net(SHAPE)
    outputs = build(net)
    assert copies(net, *outputs) == CASES[build]
    check(net, outputs, net.shape)


@pytest.mark.parametrize("build", [dense_block, with_input, sum_of_layers])
def test_sizes_may_be_free(build):
    net = Net(SHAPE, dims=(1, 6, "h", "w"))
    check(net, build(net), (1, 6, 18, 22))


@opencl.required
@pytest.mark.parametrize("build", [dense_block, with_input])
def test_a_gpu_writes_parts_where_they_belong(build):
    model = (net := Net(SHAPE)).model(*build(net))
    target = resolve_target({"kind": "opencl", "device": "mali"})
    x = np.random.default_rng(2).standard_normal(SHAPE).astype("float32")
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    (found,) = opencl.Network(load(model), target, tvm_deconv.pipeline(target)).run(x)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_float16_is_written_in_place():
    net = Net(SHAPE, "float16")
    outputs = dense_block(net)
    assert copies(net, *outputs) == []
    check(net, outputs, tolerance=1e-2)


def test_images_are_joined_one_behind_the_other():
    net = Net((2, 6, 16, 24))
    outputs = [net.conv(join(net, *(net.conv("x", 6, 8) for _ in range(2)), axis=0), 8, 5)]
    assert copies(net, *outputs) == []
    check(net, outputs, net.shape)


def test_channels_of_several_images_are_copied():
    net = Net((2, 6, 16, 24))
    outputs = two_layers(net)
    assert copies(net, *outputs) == ["concatenate"]
    check(net, outputs, net.shape)
