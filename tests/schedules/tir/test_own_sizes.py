"""A dimension that is a formula gets a variable, unless the function needs to know the formula."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tvm
from kernel import HOST
from tvm import te

from tvm_deconv.schedules.tir.own_sizes import with_own_sizes

H, W = te.var("h", "int64"), te.var("w", "int64")
UP, DOWN = (H + 3) // 4, (W + 1) // 2


def reading(inputs, shape, value):
    tensors = [te.placeholder(dims, "float32", f"x{i}") for i, dims in enumerate(inputs)]
    y = te.compute(shape, lambda *place: value(*tensors, *place), "y")
    return te.create_prim_func([*tensors, y], index_dtype_override="int64")


def product(rows):
    """A product of matrices of so many rows and columns."""
    k = te.reduce_axis((0, 5), "k")

    def value(a, b, i, j):
        return te.sum(a[i, k] * b[k, j], axis=k)

    return reading([(rows, 5), (5, rows)], (rows, rows), value)


def dimensions(func):
    """What the dimensions of the arguments read, without types and numbers of variables."""
    shapes = [[str(dim) for dim in param.ty.shape] for param in func.params]
    return [[re.sub(r"T\.int64\((\d+)\)|_\d+", r"\1", dim) for dim in dims] for dims in shapes]


FORGOTTEN = {
    "a product": (product(H * W), [["size", "5"], ["5", "size"], ["size", "size"]]),
    "windows": (product(UP * DOWN * 16), [["size", "5"], ["5", "size"], ["size", "size"]]),
    "a size that was rounded, beside the size itself": (
        reading([(UP * 4,)], (H,), lambda x, i: x[i] + 1),
        [["size"], ["h"]],
    ),
    "formulas in a formula": (
        reading([(UP, DOWN)], (UP * DOWN,), lambda x, i: x[i // DOWN, i % DOWN]),
        [["size", "size"], ["size * size"]],
    ),
}


@pytest.mark.parametrize("case", FORGOTTEN)
def test_a_formula_that_says_nothing_else_becomes_a_size(case):
    func, expected = FORGOTTEN[case]
    assert dimensions(with_own_sizes(func)) == expected


KEPT = {
    "a size": reading([(H, W)], (H, W), lambda x, i, j: x[i, j] + 1),
    "a multiple": reading([(H,)], (H * 2 + 1,), lambda x, i: x[i // 2]),
    "a reshape": reading([(H, W)], (H * W,), lambda x, i: x[i // W, i % W]),
    "the size as a value": reading([(H * W,)], (H * W,), lambda x, i: x[i] / W.astype("float32")),
    "rounded sizes that belong together": reading(
        [(UP * DOWN,)], (UP * 2, DOWN * 3), lambda x, i, j: x[i // 2 * DOWN + j // 3]
    ),
}


@pytest.mark.parametrize("case", KEPT)
def test_a_formula_that_the_function_needs_stays(case):
    func = KEPT[case]
    assert dimensions(with_own_sizes(func)) == dimensions(func)


def test_the_size_is_read_off_the_arguments_and_they_have_to_agree():
    func = with_own_sizes(product(UP)).with_attr("global_symbol", "main")
    run = tvm.compile(tvm.IRModule({"main": func}), target=HOST)["main"]
    a, b = np.random.rand(7, 5).astype("float32"), np.random.rand(5, 7).astype("float32")
    y = tvm.runtime.empty((7, 7))
    run(tvm.runtime.tensor(a), tvm.runtime.tensor(b), y)
    np.testing.assert_allclose(y.numpy(), a @ b, rtol=1e-5)
    with pytest.raises(Exception, match="6"):
        run(tvm.runtime.tensor(a), tvm.runtime.tensor(b[:, :6].copy()), y)
