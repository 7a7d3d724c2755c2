"""Chains of activations: each operand named once, and no expression beyond what TVM can take."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import tvm
import tvm_ffi
from onnx_net import Net
from quick_network import compiled
from tvm import te, tirx
from tvm.ir import TensorLoad

from tvm_deconv.schedules.tir.bindings import bind_repeated_reads
from tvm_deconv.schedules.tir.expansion import LARGEST, size_of, size_when_inlined

ACTIVATIONS = ["Sigmoid", "Tanh", "Erf", "LeakyRelu", "Elu", "Softplus", "HardSwish", "Selu"]
LENGTH = 12


def chain(operator, x, net):
    for _ in range(LENGTH):
        x = net(operator, x)
    return x


@tvm.instrument.pass_instrument
class Sizes:
    """Names in each store as our schedules leave it, before TVM's own lowering."""

    def __init__(self):
        self.found = []

    def run_after_pass(self, mod, info):
        def note(store):
            self.found.append(size_of(store.value, lambda load: 1))

        if info.name == "tvm_deconv.ScheduleRemaining":
            for _, func in mod.functions_items():
                if isinstance(func, tirx.PrimFunc):
                    tvm_ffi.structural_walk(func.body, (tirx.BufferStore, note))


@pytest.mark.parametrize("after", ["an input", "a convolution"])
def test_long_chains_of_activations_are_computed_by_expressions_of_bounded_size(after):
    net = Net((1, 4, 5, 7))
    outputs = [
        chain(name, "x" if after == "an input" else net.conv("x", 4, 4), net)
        for name in ACTIVATIONS
    ]
    model = net.model(*outputs)
    x = net.rng.standard_normal(net.shape).astype("float32")
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    sizes = Sizes()
    with tvm.transform.PassContext(instruments=[sizes]):
        main = compiled(model)
    assert LARGEST / 100 < max(sizes.found) <= LARGEST
    for name, got, wanted in zip(ACTIVATIONS, main(tvm.runtime.tensor(x)), expected, strict=True):
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(got.numpy(), wanted, rtol=0, atol=1e-5 * scale, err_msg=name)


def leaky(p):
    return te.compute(p.shape, lambda i: tirx.Select(p[i] > 0, p[i], p[i] * 0.1), name="leaky")


def stored(func):
    stores = []
    tvm_ffi.structural_walk(func.body, (tirx.BufferStore, stores.append))
    return stores[-1].value


def loads(value):
    found = []
    tvm_ffi.structural_walk(value, (TensorLoad, found.append))
    return found


def test_a_value_that_is_read_three_times_is_named_once():
    x = te.placeholder((8,), "float32", "x")
    func = te.create_prim_func([x, leaky(te.compute((8,), lambda i: x[i] + 1, name="p"))])
    assert len(loads(stored(func))) == 3
    value = stored(bind_repeated_reads(func))
    assert isinstance(value, tirx.Let)
    assert len(loads(value)) == 1


def test_a_parameter_and_different_places_are_read_as_before():
    x = te.placeholder((8,), "float32", "x")
    p = te.compute((8,), lambda i: x[i] * x[i], name="p")
    func = te.create_prim_func([x, te.compute((7,), lambda i: p[i] + p[i + 1], name="y")])
    # The same one: a schedule of a copy that shares its body would change this one, too.
    assert bind_repeated_reads(func).same_as(func)


def test_a_place_that_a_name_says_is_read_where_the_name_is_known():
    i32, x = te.placeholder((8,), "int32", "i"), te.placeholder((8,), "float32", "x")
    p = te.compute((8,), lambda i: x[i] * x[i], name="p")

    def twice(i):
        at = tirx.Var("at", "int32")
        return tirx.Let(at, i32[i], p[at] * (p[at] + 1))

    func = te.create_prim_func([i32, x, te.compute((8,), twice, name="y")])
    value = stored(bind_repeated_reads(func))
    assert isinstance(value, tirx.Let) and value.value.source.name == "i"


@pytest.mark.parametrize("choice", [tirx.if_then_else, tirx.Select])
def test_what_may_only_be_read_on_one_side_is_named_on_that_side(choice):
    x = te.placeholder((8,), "float32", "x")
    p = te.compute((8,), lambda i: x[i] + 1, name="p")
    y = te.compute(
        (9,), lambda i: choice(i > 0, p[i - 1] * p[i - 1], tirx.const(0.0, "float32")), name="y"
    )
    value = stored(bind_repeated_reads(te.create_prim_func([x, y])))
    assert not isinstance(value, tirx.Let)
    assert len(loads(value)) == 1


def test_the_size_of_an_inlined_chain_is_that_of_its_parts_put_into_each_other():
    x = te.placeholder((8,), "float32", "x")
    once = te.create_prim_func([x, leaky(x)])
    twice = te.create_prim_func([x, leaky(leaky(x))])
    # A choice counts twice: 0 < x ? x : x * 0.1 names x three times and two numbers.
    assert size_when_inlined(once, [1]) == 2 * (3 * 1 + 2)
    assert size_when_inlined(once, [10]) == 2 * (3 * 10 + 2)
    assert size_when_inlined(twice, [1]) == size_when_inlined(once, [10])
