"""Maxima and minima with a constant are one instruction on AArch64, and what they were for NaN."""

from __future__ import annotations

import re

import pytest
import tvm
from tvm import s_tir, te, tirx

from tvm_deconv.backends.extremes import with_extremes
from tvm_deconv.backends.linking import compiled
from tvm_deconv.targets import resolve_target

ARM = resolve_target({"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72"})
X86 = resolve_target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "haswell"})


def kernel(expression, dtype="float32"):
    x = te.placeholder((64,), dtype, "x")
    y = te.compute((64,), lambda i: expression(x[i]), "y")
    schedule = s_tir.Schedule(te.create_prim_func([x, y]))
    _, lane = schedule.split(schedule.get_loops("y")[0], [None, 4])
    schedule.vectorize(lane)
    return schedule.mod["main"].with_attr("global_symbol", "main")


def instructions(func, target):
    """The mnemonics of the function's machine code that work on floats."""
    built = compiled(func, target).mod
    texts = [m.inspect_source("asm") for m in (built, *built.imports) if m.kind == "llvm"]
    return set(re.findall(r"^\s(f(?:max|min|cm)\w*|bsl|bit|bif|bic)\s+v", "\n".join(texts), re.M))


# As LLVM has it: maximum(c, NaN) is NaN, maxnum(NaN, c) is c.
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (lambda x: tirx.max(tirx.const(-2.0, "float32"), x), {"fmax"}),
        (lambda x: tirx.min(tirx.const(-2.0, "float32"), x), {"fmin"}),
        (lambda x: tirx.max(x, tirx.const(0.5, "float32")), {"fmaxnm"}),
        (lambda x: tirx.min(x, tirx.const(6.0, "float32")), {"fminnm"}),
        (
            lambda x: tirx.min(
                tirx.const(1.0, "float32"), tirx.max(tirx.const(-1.0, "float32"), x)
            ),
            {"fmin", "fmax"},
        ),
    ],
    ids=["first", "least, first", "second", "least, second", "one in the other"],
)
def test_an_instruction_says_what_comes_of_nan(expression, expected):
    assert instructions(kernel(expression), ARM) == expected


def of_target(expression, target, dtype="float32"):
    return tvm.IRModule({"main": kernel(expression, dtype).with_attr("target", target)})


@pytest.mark.parametrize(
    "mod",
    [
        of_target(lambda x: tirx.max(x, tirx.const(0.5, "float32")), X86),
        of_target(lambda x: tirx.max(x, tirx.const(0.0, "float32")), ARM),
        of_target(lambda x: tirx.max(x, x * x), ARM),
        of_target(lambda x: tirx.max(tirx.const(float("nan"), "float32"), x), ARM),
        of_target(lambda x: tirx.max(x, tirx.const(0.0, "float64")), ARM, "float64"),
        of_target(lambda x: tirx.max(x, tirx.const(0, "int32")), ARM, "int32"),
    ],
    ids=["x86", "ReLU", "two variables", "NaN", "float64", "integers"],
)
def test_others_stay(mod):
    assert with_extremes(mod)["main"].body.same_as(mod["main"].body)
