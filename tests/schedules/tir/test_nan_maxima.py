"""A maximum is NaN where a term is, whatever the schedule of the reduction and the processor."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tvm
from numpy.lib.stride_tricks import sliding_window_view
from qemu import Processor
from tvm import te, tirx

from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.rest.default import default_schedule
from tvm_deconv.targets import resolve_target

ARM = Processor(
    "aarch64-linux-gnu-gcc",
    "qemu-aarch64-static",
    "/usr/aarch64-linux-gnu",
    "gcc-aarch64-linux-gnu qemu-user-static",
)
BOARD = resolve_target({"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72"})

# The window and its stride: of tiles in registers, of plain loops, and whole rows by lanes.
WINDOWS = [((3, 3), 1), ((3, 2), 2), ((1, 37), 1)]
SHAPE = (3, 17, 37)


def pool(combine, window, stride, dtype="float32"):
    x = te.placeholder([int64(size) for size in SHAPE], dtype, name="x")
    down, right = (te.reduce_axis((int64(0), int64(size)), name="k") for size in window)
    out = [(size - k) // stride + 1 for size, k in zip(SHAPE[1:], window, strict=True)]
    y = te.compute(
        [int64(size) for size in (SHAPE[0], *out)],
        lambda c, i, j: combine(x[c, i * stride + down, j * stride + right], axis=[down, right]),
        name="y",
    )
    return te.create_prim_func([x, y]).with_attr("global_symbol", "main")


def int64(size):
    return tirx.IntImm("int64", size)


def compiled(func, target):
    scheduled = default_schedule(func, cpu_machine(target))
    return tvm.compile(tvm.IRModule({"main": scheduled}), target)


def terms(dtype="float32"):
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 9, SHAPE).astype(dtype)
    for value in (np.nan, -np.nan, np.inf, -np.inf):
        x[rng.random(SHAPE) < 0.02] = value
    x[:, :4, :9] = -np.inf
    x[0, 1, 2] = np.nan
    return x


def expected(x, of, window, stride):
    windows = sliding_window_view(x, window, (1, 2))[:, ::stride, ::stride]
    return of(windows, (-2, -1))


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
@pytest.mark.parametrize(("window", "stride"), WINDOWS)
@pytest.mark.parametrize(("combine", "of"), [(te.max, np.max), (te.min, np.min)])
def test_a_nan_in_the_window_is_the_result(combine, of, window, stride, dtype):
    target, x = resolve_target("host"), terms(dtype)
    wanted = expected(x, of, window, stride)
    got = tvm.runtime.tensor(np.zeros_like(wanted))
    compiled(pool(combine, window, stride, dtype), target)["main"](tvm.runtime.tensor(x), got)
    assert 0 < np.isnan(wanted).mean() < 1, "the test is one"
    np.testing.assert_array_equal(got.numpy(), wanted)


def marked(test):
    for mark in ARM.marks:
        test = mark(test)
    return test


def test_neon_keeps_nan_in_one_instruction():
    assembly = compiled(pool(te.max, (3, 3), 1), BOARD).mod.inspect_source("asm")
    assert re.search(r"\bfmax\s+v\d+\.4s", assembly)
    assert not re.search(r"\bfcm\w+\s+v\d+", assembly)


@marked
@pytest.mark.parametrize(("window", "stride"), WINDOWS)
def test_arm_computes_the_same(tmp_path, window, stride):
    x = terms()
    wanted = expected(x, np.max, window, stride)
    built = compiled(pool(te.max, window, stride), BOARD)
    got = ARM.run(ARM.loader(tmp_path), built, BOARD, [x, np.zeros_like(wanted)], tmp_path)
    np.testing.assert_array_equal(got, wanted)
