"""The vector forms of exp, log, sigmoid, tanh, erf, sin and cos are as good as the C library's."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
import tvm
from tvm import s_tir, te, tirx
from tvm.target import Target

from tvm_deconv.schedules.tir.vector_math import exp_of_a_difference, with_vector_math

# Relative to the result, in float32.
TOLERANCE = {
    "exp": 2e-7,
    "log": 3e-7,
    "sigmoid": 3e-7,
    "tanh": 6e-7,
    "erf": 7e-7,
    "sin": 2.4e-7,
    "cos": 2.4e-7,
}
SMALLEST = 2.4e-38


def kernel(name, size, dtype="float32", lanes=16):
    x = te.placeholder((size,), dtype, name="x")
    y = te.compute((size,), lambda i: getattr(tirx, name)(x[i]), name="y")
    schedule = s_tir.Schedule(te.create_prim_func([x, y]))
    _, lane = schedule.split(schedule.get_loops("y")[0], [None, lanes])
    schedule.vectorize(lane)
    return with_vector_math(schedule.mod["main"])


def apply(name, x):
    func = kernel(name, x.size, str(x.dtype)).with_attr("global_symbol", "main")
    built = tvm.compile(tvm.IRModule({"main": func}), Target("llvm"))
    result = tvm.runtime.tensor(np.zeros_like(x))
    built["main"](tvm.runtime.tensor(x), result)
    return result.numpy()


def exact(name, x):
    return getattr(torch, name)(torch.from_numpy(x.astype("float64"))).numpy()


@pytest.mark.parametrize("name", TOLERANCE)
@pytest.mark.parametrize("reach", [0.01, 1.0, 10.0, 88.0])
def test_every_value_is_within_a_few_last_bits(name, reach):
    x = np.linspace(-reach, reach, 1 << 16).astype("float32")
    x = np.abs(x) if name == "log" else x
    expected = exact(name, x)
    error = np.abs(apply(name, x) - expected) / np.maximum(np.abs(expected), SMALLEST)
    error[np.abs(expected) < SMALLEST] = 0
    assert error.max() <= TOLERANCE[name]


def test_a_logarithm_is_exact_at_one_and_good_from_the_smallest_to_the_largest():
    below_normal = np.float32(1e-45) * np.arange(1, 4096)
    around = np.geomspace(2.0**-149, 3.4e38, 1 << 16), np.linspace(0.5, 2, 1 << 12)
    x = np.concatenate([below_normal, *around, [1.0]]).astype("float32")
    x = np.resize(x, x.size // 16 * 16)
    got, expected = apply("log", x), exact("log", x)
    assert (np.abs(got - expected) <= 3e-7 * np.abs(expected)).all()
    assert (got[x == 1] == 0).all()


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sine_and_cosine_are_right_to_two_last_bits_however_large_the_angle(name):
    rng = np.random.default_rng(3)
    quarters = np.arange(1, 1 << 16) * (np.pi / 2)
    any_size = rng.choice([-1, 1], 1 << 16) * 2.0 ** rng.uniform(-30, 128, 1 << 16)
    x = np.concatenate([quarters, quarters * 2.0**20, any_size]).astype("float32")
    x = np.resize(x, x.size // 16 * 16)
    expected = exact(name, x)
    last_bit = np.spacing(np.abs(expected).astype("float32"))
    assert (np.abs(apply(name, x) - expected) <= 2 * last_bit).all()


@pytest.mark.parametrize("name", TOLERANCE)
def test_infinities_and_nan_come_out_as_from_the_c_library(name):
    x = np.resize(np.float32([np.inf, -np.inf, np.nan, 0.0, 1000.0, -1000.0]), 16)
    expected = exact(name, x).astype("float32")
    np.testing.assert_allclose(apply(name, x), expected, TOLERANCE[name], SMALLEST)


@pytest.mark.parametrize("name", TOLERANCE)
def test_half_precision_is_computed_in_single_precision(name):
    x = np.linspace(-8, 8, 1024).astype("float16")
    x = np.abs(x) if name == "log" else x
    np.testing.assert_allclose(apply(name, x), exact(name, x), rtol=6e-4, atol=6e-8)


@pytest.mark.parametrize("name", TOLERANCE)
def test_no_call_of_the_c_library_is_left(name):
    func = kernel(name, 64).with_attr("global_symbol", "main")
    target = Target({"kind": "llvm", "mcpu": "haswell", "mtriple": "x86_64-linux-gnu"})
    assembly = tvm.compile(tvm.IRModule({"main": func}), target).mod.inspect_source("asm")
    assert not re.search(r"call\w*\s+_?(exp|log|tanh|erf|sin|cos)f?\b", assembly)


def test_float64_is_left_to_the_c_library():
    func = kernel("exp", 64, "float64")
    assert "T.exp" in func.script()


@pytest.mark.parametrize("highest", [0.0, -3.7, 1e4, -1e4, 3e38])
def test_an_exponential_as_in_softmax_is_right_beside_the_largest(highest):
    below = np.concatenate([np.linspace(0, 130, 1 << 14), np.geomspace(1e-7, 1e6, 1 << 14)])
    x = (np.float32(highest) - below.astype("float32")).astype("float32")
    x[-2:] = -np.inf, np.nan
    given = te.placeholder((x.size,), "float32", name="x")
    y = te.compute(
        x.shape, lambda i: exp_of_a_difference(given[i], tirx.const(highest, "float32")), name="y"
    )
    func = te.create_prim_func([given, y]).with_attr("global_symbol", "main")
    built = tvm.compile(tvm.IRModule({"main": func}), Target("llvm"))
    result = tvm.runtime.tensor(np.ones_like(x))
    built["main"](tvm.runtime.tensor(x), result)
    with np.errstate(over="ignore"):
        expected = np.exp(x.astype("float64") - np.float32(highest))
    assert np.isnan(result.numpy()[-1]) and result.numpy()[-2] == 0
    np.testing.assert_allclose(result.numpy()[:-1], expected[:-1], rtol=0, atol=2e-7)
