"""Names bound twice, or in factors of products: TVM's vectorizer takes them as they come out."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from relax_helpers import constant, module
from tvm import relax, s_tir, te, tirx

import tvm_deconv
from tvm_deconv.schedules.tir.names import with_names_bound_once
from tvm_deconv.schedules.tir.series import bind, number


def fused(x):
    return tirx.call_llvm_pure_intrin("float32", "llvm.fma", x, x, x)


def cubed(s):
    """s * (s + 1), of which TVM makes a new call even where s is no vector."""
    return bind("x", s, fused)


def guarded(s):
    return tirx.if_then_else(s > number(0.0), cubed(s), cubed(s * number(2.0)))


# Of a scalar s: what it is multiplied by 3 as, and its value.
FACTORS = {
    "a name": (cubed, lambda s: s * (s + 1)),
    "behind operators": (lambda s: tirx.max(cubed(s), number(1.0)), lambda s: max(s * (s + 1), 1)),
    "a name in a name": (
        lambda s: bind("y", cubed(s), lambda y: y * y),
        lambda s: (s * (s + 1)) ** 2,
    ),
    "sides of a choice": (guarded, lambda s: s * (s + 1) if s > 0 else 2 * s * (2 * s + 1)),
    "a choice by a name": (
        lambda s: bind("y", fused(s), guarded),
        lambda s: (s * (s + 1)) * (s * (s + 1) + 1),
    ),
    "NaN": (lambda s: bind("y", s, lambda y: tirx.isnan(y).astype("float32")), lambda s: 0),
}


def vectorized(factor):
    x, s = (te.placeholder((n,), "float32", name) for n, name in ((8, "x"), (1, "s")))
    y = te.compute((8,), lambda i: x[i] * (factor(s[0] + number(0.0)) * number(3.0)), "y")
    schedule = s_tir.Schedule(te.create_prim_func([x, s, y]))
    schedule.vectorize(*schedule.get_loops(schedule.get_sblock("y")))
    return schedule.mod["main"]


@pytest.mark.parametrize("name", FACTORS)
def test_scalar_factors_with_names_are_computed(name):
    factor, expected = FACTORS[name]
    func = with_names_bound_once(vectorized(factor))
    built = tvm.tirx.build(tvm.IRModule({"main": func}), target="llvm", pipeline="s_tir")
    x, s = np.arange(8, dtype="float32"), np.float32([1.5])
    y = tvm.runtime.tensor(np.zeros(8, "float32"))
    built["main"](tvm.runtime.tensor(x), tvm.runtime.tensor(s), y)
    np.testing.assert_allclose(y.numpy(), x * 3 * expected(1.5), rtol=1e-6)


def test_a_function_without_such_names_is_handed_back():
    func = vectorized(lambda s: bind("x", s, lambda x: x * x))
    assert with_names_bound_once(func) is func


@pytest.mark.parametrize("target", ["host", "raspberry-pi/4b-aarch64"])
def test_a_gate_of_a_maximum_is_compiled(target):
    def gated(builder, x, g, s):
        gate = builder.emit(relax.op.exp(builder.emit(relax.op.maximum(g, s))))
        twice = builder.emit(relax.op.multiply(gate, relax.const(2.0, "float32")))
        return relax.op.multiply(x, twice)

    shapes = (1, 8, 16, 16), (1, 8, 1, 1), (1,)
    made = tvm_deconv.compile(module(gated, shapes[0], g=shapes[1], s=shapes[2]), target, log=None)
    if target == "host":
        rng = np.random.default_rng(0)
        x, g, s = (rng.standard_normal(shape).astype("float32") for shape in shapes)
        main = relax.VirtualMachine(made, tvm.cpu())["main"]
        got = main(*map(tvm.runtime.tensor, (x, g, s))).numpy()
        np.testing.assert_allclose(got, x * np.exp(np.maximum(g, s)) * 2, rtol=1e-5)


@pytest.mark.parametrize("mcpu", ["host", "nehalem", "haswell"])
def test_an_activation_that_three_others_read_is_stored_with_a_layer(mcpu):
    weight = np.random.default_rng(1).standard_normal((8, 8, 2, 2)).astype("float32")

    def two_activations(builder, x):
        zero, one = (relax.const(value, "float32") for value in (0.0, 1.0))
        large = builder.emit(relax.op.nn.conv2d_transpose(x, constant(weight), strides=2))
        leaky = builder.emit(relax.op.nn.leakyrelu(large, 0.1))
        above = builder.emit(relax.op.greater(leaky, zero))
        below = builder.emit(relax.op.subtract(builder.emit(relax.op.exp(leaky)), one))
        return relax.op.where(above, leaky, below)

    target = mcpu if mcpu == "host" else {"kind": "llvm", "mcpu": mcpu}
    mod = module(two_activations, (1, 8, 16, 16))
    made = tvm_deconv.compile(mod, target, log=None)
    x = np.random.default_rng(0).standard_normal((1, 8, 16, 16)).astype("float32")
    got = relax.VirtualMachine(made, tvm.cpu())["main"](tvm.runtime.tensor(x)).numpy()
    large = np.einsum("nihw,iokl->nohkwl", x, weight).reshape(1, 8, 32, 32)
    leaky = np.where(large > 0, large, 0.1 * large)
    np.testing.assert_allclose(got, np.where(leaky > 0, leaky, np.expm1(leaky)), atol=2e-5)
