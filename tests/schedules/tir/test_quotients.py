"""Numbers are quantized by a known scale without a division where a processor fuses products."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from relax_helpers import module
from tvm import relax

import tvm_deconv
from tvm_deconv.targets import resolve_target


def quantized(scale, zero, dtype, shape, then=lambda x: x):
    def body(_builder, x):
        factor, point = relax.const(scale, "float32"), relax.const(zero, dtype)
        return relax.op.quantize(then(x), factor, point, 0, dtype)

    return module(body, shape)


def assembly(executable):
    def every(made):
        yield made
        for one in made.imports:
            yield from every(one)

    return "\n".join(m.inspect_source("asm") for m in every(executable.mod) if m.kind == "llvm")


@pytest.mark.parametrize(
    ("scale", "zero", "dtype"), [(0.0123, 7, "uint8"), (0.5, 0, "uint8"), (3.1e-5, -128, "int8")]
)
def test_the_integers_are_those_of_a_division(scale, zero, dtype):
    rng, kind, by = np.random.default_rng(0), np.iinfo(dtype), np.float32(scale)
    middles = (rng.integers(kind.min - zero, kind.max - zero, 2000) + 0.5) * float(by)
    x = np.concatenate([middles, rng.standard_normal(2000) * 100 * scale]).astype("float32")
    x[:7] = np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-42, -0.0
    executable = tvm_deconv.compile(quantized(scale, zero, dtype, x.shape), log=None)
    got = relax.VirtualMachine(executable, tvm.cpu())["main"](tvm.runtime.tensor(x)).numpy()
    with np.errstate(over="ignore"):
        units = np.rint(x / by) + np.float32(zero)
    expected = np.where(np.isnan(units), kind.min, units.clip(kind.min, kind.max)).astype(dtype)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("mcpu", "divides"), [("x86-64", True), ("haswell", False), ("skylake-avx512", False)]
)
def test_processors_that_fuse_products_do_not_divide(mcpu, divides):
    target = resolve_target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": mcpu})
    made = tvm_deconv.compile(quantized(0.0123, 7, "uint8", (1, 4096)), target, log=None)
    listing = assembly(made)
    assert ("divps" in listing) == divides
    assert "fmaf" not in listing


def test_what_is_computed_before_is_computed_once():
    def then(x):
        return relax.op.exp(relax.op.tanh(x))

    target = resolve_target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "haswell"})
    module_ = quantized(0.0123, 7, "uint8", (1, 4096), then)
    listing = assembly(tvm_deconv.compile(module_, target, log=None))
    # That of tanh.
    assert listing.count("vdivps") <= 4
