"""Activations that kernels compute where they read: which are, and that the numbers stay."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import tvm
from onnx_net import Net
from quick_network import built
from tvm import relax

from tvm_deconv import importer
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform import LowerConvolutions
from tvm_deconv.transform.graph import op_name

TOLERANCE = {"float32": 2e-5, "float16": 4e-3}


def lowered(net, *outputs, variant="winograd"):
    model = net.model(*outputs)
    return model, LowerConvolutions(resolve_target("host"), variant=variant)(importer.load(model))


def calls(mod):
    """Operators of main, in order."""
    bindings = [binding.value for block in mod["main"].body.blocks for binding in block.bindings]
    return [name.removeprefix("relax.") for value in bindings if (name := op_name(value))]


def kernels(mod):
    return [name for name, func in mod.functions_items() if not isinstance(func, relax.Function)]


def check(net, model, mod, shape=None):
    x = net.rng.standard_normal(shape or net.shape).astype(net.dtype)
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    got = built(mod)(tvm.runtime.tensor(x))
    got = [got] if len(expected) == 1 else list(got)
    for have, want in zip(got, expected, strict=True):
        close = TOLERANCE[net.dtype] * max(1, np.abs(want).max())
        np.testing.assert_allclose(have.numpy(), want, rtol=0, atol=close)


def block(net, x, activation=("LeakyRelu", {"alpha": 0.1})):
    """A residual layer that begins with an activation."""
    operator, attributes = activation
    return net("Add", net.conv(net(operator, x, **attributes), 6, 6), x)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("activation", ["Relu", "LeakyRelu"])
def test_an_activation_whose_operand_is_a_residual_is_computed_where_it_is_read(activation, dtype):
    net = Net(dtype=dtype)
    model, mod = lowered(net, block(net, block(net, "x", (activation, {})), (activation, {})))
    assert calls(mod) == ["call_tir"] * 2 and len(kernels(mod)) == 1
    check(net, model, mod)


def test_layers_with_other_activations_have_kernels_of_their_own():
    net = Net()
    y = block(net, "x", ("LeakyRelu", {"alpha": 0.1}))
    y = block(net, block(net, y, ("LeakyRelu", {"alpha": 0.3})), ("Relu", {}))
    model, mod = lowered(net, net("Add", net.conv(y, 6, 6), y))
    assert calls(mod) == ["call_tir"] * 4 and len(kernels(mod)) == 4
    check(net, model, mod)


def test_every_reader_computes_it_anew():
    net = Net()
    act = net("LeakyRelu", "x")
    sums = net("Add", net.conv(act, 6, 6), net.conv(act, 6, 6, k=5))
    model, mod = lowered(net, net("Add", sums, "x"))
    assert calls(mod) == ["call_tir"] * 2
    check(net, model, mod)


def test_sizes_may_be_free():
    net = Net(dims=("n", 6, "h", "w"))
    model, mod = lowered(net, block(net, block(net, "x")))
    assert calls(mod) == ["call_tir"] * 2
    check(net, model, mod, shape=(1, 6, 9, 50))


def test_one_that_is_stored_with_a_layer_stays_there():
    net = Net()
    model, mod = lowered(net, net.conv(net("Relu", net.conv("x", 6, 6)), 6, 6))
    assert calls(mod) == ["call_tir"] * 2 and len(kernels(mod)) == 2
    check(net, model, mod)


@pytest.mark.parametrize("reader", ["output", "operator", "kernel", "variant", "large"])
def test_one_that_others_need_is_computed_once(reader):
    net = Net()
    act = net("Tanh" if reader == "large" else "LeakyRelu", "x")
    y = net.conv(act, 6, 6)
    if reader == "operator":
        y = net("Add", y, net("Sin", act))
    # One row and one column: there is nothing to save.
    others = {"output": [act], "kernel": [net.conv(act, 6, 6, k=1)]}.get(reader, [])
    variant = "revd2" if reader == "variant" else "winograd"
    model, mod = lowered(net, net("Add", y, "x"), *others, variant=variant)
    assert calls(mod)[0] == ("tanh" if reader == "large" else "nn.leakyrelu")
    check(net, model, mod)
