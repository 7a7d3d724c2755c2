"""What all forms of layers of bytes have in common: each instruction, store, size and processor."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tvm
from integer_forms import DEPTHWISE, DIRECT, FORMS, UNFOLDED, WINOGRAD, exact
from integer_kernel import run_here
from kernel import HOST

from tvm_deconv.schedules import llvm
from tvm_deconv.schedules.cpu.dot import PLAIN, Dot
from tvm_deconv.schedules.cpu.integer.kernel import Store, Sum
from tvm_deconv.targets import resolve_target

SSE2 = Dot("pairs", 4, 2, 16, "llvm.x86.sse2.pmadd.wd", adds=False)
# Depthwise layers are of words of bytes alone.
OF_DOTS = [
    ("depthwise", None),
    *((name, dot) for name in ("winograd", "unfolded") for dot in (None, SSE2, PLAIN)),
]


@pytest.mark.parametrize(
    ("name", "dot"), OF_DOTS, ids=[f"{name} {dot.name if dot else 'best'}" for name, dot in OF_DOTS]
)
@pytest.mark.parametrize(("dtype", "zero_point"), [("uint8", 0), ("uint8", 255), ("int8", -128)])
def test_every_instruction_gives_the_integers_of_the_layer(name, dot, dtype, zero_point):
    form = FORMS[name]
    exact(form, form.layer(5), (2, 5, 5, 37), dtype, zero_point, dot)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_sizes_may_be_free(form):
    exact(form, form.layer(6), (2, 6, 5, 19), "int8", -7, free="nhw")


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(
    ("store", "own"),
    [
        (Store("int8"), {"zero_point": -20, "low": 0, "high": 90}),
        (Store("uint8", has_shift=True, has_slope=True), {"zero_point": 9}),
        (Store("uint8", is_value=True), {"zero_point": 99, "scale": 0.3, "low": 0}),
        (Store("uint8", sum=Sum("uint8", "int8")), {"zero_point": 120}),
        (Store("float32"), {}),
    ],
    ids=["bounds", "shift and slope", "what bytes stand for", "sum", "float32"],
)
def test_what_follows_is_in_the_store(form, store, own):
    expected = exact(form, form.layer(5), (1, 5, 6, 20), store=store, own=own)
    assert len(np.unique(expected)) > 50


@pytest.mark.parametrize("form", [DIRECT, WINOGRAD, UNFOLDED], ids=["tap", "winograd", "unfolded"])
def test_lines_that_are_stored_to_are_fetched_while_products_are_computed(form):
    target = resolve_target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "cascadelake"})
    found = []

    def compile_only(func, target):
        found.append(tvm.compile(func, target).mod.inspect_source("asm"))

    options = {"target": target, "compile": compile_only, "run": lambda *_: None}
    exact(form, form.layer(8), (1, 8, 16, 40), dot=form.dot(target), **options)
    assert "prefetchw" in found[0]


@pytest.mark.parametrize(
    ("form", "mcpu", "feature", "pattern"),
    [
        (WINOGRAD, "haswell", "avx2", r"vpmaddwd\s.*%ymm"),
        (WINOGRAD, "cascadelake", "avx512vnni", r"vpdpwssd\s.*%zmm"),
        (UNFOLDED, "haswell", "avx2", r"vpmaddwd\s.*%ymm"),
        (UNFOLDED, "cascadelake", "avx512vnni", r"vpdpbusd\s.*%zmm"),
        (DEPTHWISE, "alderlake", "avxvnni", r"vpdpbusd\s.*%ymm"),
        (DEPTHWISE, "cascadelake", "avx512vnni", r"vpdpbusd\s.*%zmm"),
    ],
)
def test_other_processors_give_the_same_integers(form, mcpu, feature, pattern):
    target = resolve_target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": mcpu})
    runs = []

    def run(built, arrays, out):
        assert re.search(pattern, built.mod.inspect_source("asm"))
        runs.append(mcpu)
        return run_here(built, arrays, out) if llvm.has_feature(HOST, feature) else None

    op = form.layer(6)
    exact(form, op, (2, 6, 5, 19), "int8", -5, form.dot(target), target=target, run=run)
    assert runs == [mcpu]
