"""Resizes of bytes: copies, or sums of integers that are rounded once."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from kernel import HOST
from tvm import tirx

from tvm_deconv.schedules.cpu.integer.nearest import repeats, write_nearest
from tvm_deconv.schedules.cpu.integer.resize import ByteResize, write_resize

# Factors; dtypes, zero points and ratio of scales; what is added up.
CASES = [
    ((2, 2), ("uint8", "uint8"), (4, 4), 1.0, "int16"),
    ((2, 4), ("int8", "int8"), (-7, -7), 1.0, "int16"),
    ((3, 2), ("uint8", "int8"), (100, -3), 1.3, "int16"),
    ((1, 4), ("int8", "uint8"), (0, 9), 0.7, "int16"),
    ((5, 1), ("uint8", "uint8"), (3, 4), 1.0, "int16"),
    ((3, 8), ("int8", "uint8"), (-100, 3), 0.9, "int16"),
    ((2, 7), ("uint8", "uint8"), (3, 3), 1.0, "int16"),
    ((16, 16), ("uint8", "uint8"), (3, 3), 1.0, "int32"),
]


def enlarged(x, factors):
    """Sums of integers, so many times the values as there is a denominator."""
    sums = x.astype(np.int64)
    for axis, r in zip((2, 3), factors, strict=True):
        size, made = sums.shape[axis], []
        for j in range(size * r if r > 1 else 0):
            before, share = divmod(2 * j + 1 - r, 2 * r)
            near = [np.take(sums, min(max(before + i, 0), size - 1), axis) for i in (0, 1)]
            made.append((2 * r - share) * near[0] + share * near[1])
        sums = np.stack(made, axis) if made else sums
    return sums


@pytest.mark.parametrize(("factors", "dtypes", "zero_points", "ratio", "kind"), CASES)
def test_every_value_is_the_exact_one_rounded_half_to_even(
    factors, dtypes, zero_points, ratio, kind
):
    resize = ByteResize(factors, dtypes, zero_points, ratio)
    assert resize.sums == kind
    free = [tirx.Var(name, "int64") for name in "nhw"]
    func = write_resize(resize, (free[0], 3, *free[1:])).with_attr("global_symbol", "main")
    main = tvm.compile(func, target=HOST)["main"]
    rng = np.random.default_rng(0)
    low, high = (np.iinfo(dtypes[0]).min, np.iinfo(dtypes[0]).max)
    for size in [(1, 1), (5, 43), (3, 8), (2, 65)]:
        x = rng.integers(low, high, (2, 3, *size), dtypes[0], endpoint=True)
        sums = enlarged(x, factors)
        y = tvm.runtime.empty(sums.shape, dtypes[1])
        main(tvm.runtime.tensor(x), y)
        d = resize.denominator
        values = (sums - d * zero_points[0]).astype("float32") * np.float32(ratio / d)
        bounds = np.iinfo(dtypes[1])
        expected = (np.rint(values) + zero_points[1]).clip(bounds.min, bounds.max)
        np.testing.assert_array_equal(y.numpy(), expected)


@pytest.mark.parametrize("factors", [(2048, 32), (2, 65)], ids=str)
def test_sums_that_float32_does_not_hold_and_many_phases_have_no_kernel(factors):
    assert not ByteResize(factors, ("uint8", "uint8"), (0, 0), 0.5).sums


@pytest.mark.parametrize("factors", [(2, 2), (3, 3), (1, 4), (5, 1), (2, 8)], ids=str)
def test_bytes_are_repeated(factors):
    free = [tirx.Var(name, "int64") for name in "nhw"]
    func = write_nearest(factors, "int8", (free[0], 3, *free[1:]))
    main = tvm.compile(func.with_attr("global_symbol", "main"), target=HOST)["main"]
    for size in [(1, 1), (5, 43), (3, 8), (2, 65), (2, 128)]:
        x = np.random.default_rng(0).integers(-128, 128, (2, 3, *size)).astype("int8")
        expected = x.repeat(factors[0], 2).repeat(factors[1], 3)
        y = tvm.runtime.empty(expected.shape, "int8")
        main(tvm.runtime.tensor(x), y)
        np.testing.assert_array_equal(y.numpy(), expected)
        known = write_nearest(factors, "int8", x.shape).with_attr("global_symbol", "main")
        tvm.compile(known, target=HOST)["main"](tvm.runtime.tensor(x), y)
        np.testing.assert_array_equal(y.numpy(), expected)


def test_bytes_are_repeated_so_many_times_at_the_most():
    assert repeats((64, 8)) and not repeats((2, 9))
