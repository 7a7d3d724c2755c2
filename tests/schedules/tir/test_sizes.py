"""Divisions of what grows with a free size round towards zero, and give the same quotients."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tvm
import tvm_ffi
from kernel import HOST, function
from tvm import te, tirx

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.tir.sizes import with_sizes_from_zero

LAYER = ConvTranspose2d(6, 9, Axis(6, 2, 3, 2, 1, 3), Axis(4, 2, 1, 1), groups=3)
SHORT_TAPS = ConvTranspose2d(6, 9, Axis(4, 2, 1, 1), Axis(4, 2, 1, 1), groups=3)


def quotients(height, divided, by):
    """y[i] = divided // by and z[i] = divided % by, functions of i and of the size h."""
    h = te.var("h", "int64") if height is None else height
    x = te.placeholder((h, 3), "int64", "x")

    def both(i, k):
        a, b = divided(i, h), by(i, h)
        return x[0, 0] + te.if_then_else(k == 0, a // b, a % b)

    y = te.compute((h * 5, 2), both, "y")
    func = te.create_prim_func([x, y], index_dtype_override="int64")
    return func.with_attr("tirx.is_scheduled", True).with_attr("global_symbol", "main")


def divisions(func):
    """How many round down, and how many towards zero."""
    down, towards_zero = [], []
    tvm_ffi.structural_walk(func.body, ((tirx.FloorDiv, tirx.FloorMod), down.append))
    tvm_ffi.structural_walk(func.body, ((tirx.Div, tirx.Mod), towards_zero.append))
    return len(down), len(towards_zero)


FROM_ZERO = {
    "a loop by a size": (lambda i, h: i, lambda i, h: h),
    "strips": (lambda i, h: h + 17, lambda i, h: 18),
    "a piece by strips": (lambda i, h: i % ((h + 6) // 7 * h), lambda i, h: (h + 6) // 7),
    "what is at least 0": (lambda i, h: te.max(i - h, 0), lambda i, h: 3),
}


@pytest.mark.parametrize("case", FROM_ZERO)
def test_a_quotient_of_sizes_is_the_same_and_rounds_towards_zero(case):
    func = quotients(None, *FROM_ZERO[case])
    changed = with_sizes_from_zero(func)
    assert divisions(func)[1] == 0 and divisions(changed) == (0, divisions(func)[0])
    one, other = (tvm.compile(tvm.IRModule({"main": f}), target=HOST) for f in (func, changed))
    for height in (1, 2, 7, 30):
        x = tvm.runtime.tensor(np.zeros((height, 3), "int64"))
        results = [tvm.runtime.empty((height * 5, 2), "int64") for _ in range(2)]
        one["main"](x, results[0])
        other["main"](x, results[1])
        np.testing.assert_array_equal(*(y.numpy() for y in results))


@pytest.mark.parametrize(
    ("height", "divided", "by"),
    [
        (None, lambda i, h: i - h, lambda i, h: 3),
        (None, lambda i, h: h, lambda i, h: -18),
        (None, lambda i, h: i, lambda i, h: h - 5),
        (None, lambda i, h: h + 6, lambda i, h: 8),
        (None, lambda i, h: i + 6, lambda i, h: 7),
        (20, lambda i, h: i, lambda i, h: h),
    ],
    ids=[
        "a difference",
        "a negative divisor",
        "a divisor that may be negative",
        "a power of two",
        "of no size",
        "a size that is known",
    ],
)
def test_all_others_stay(height, divided, by):
    func = quotients(height, divided, by)
    before = divisions(func)
    assert divisions(with_sizes_from_zero(func)) == before and before[0] > 0


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_no_index_of_a_kernel_of_free_sizes_is_written_out_at_length(variant):
    conv = SHORT_TAPS if variant == "winograd" else LAYER
    func, _ = function(variant, conv, (2, 11, 9), symbolic="nhw")
    lowered = tvm.tirx.transform.LowerIntrin()(
        tvm.tirx.transform.BindTarget(HOST)(tvm.IRModule({"main": func}))
    )
    longest = max(map(len, re.split(r"\n\s*", lowered.script())))
    assert longest < 2000
