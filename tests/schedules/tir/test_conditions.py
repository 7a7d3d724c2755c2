"""Conditions on free sizes get a name, others stay, and the function computes the same."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
import tvm_ffi
from kernel import HOST
from tvm import te, tirx

from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.conditions import with_named_conditions


def guarded(height):
    """y[i] = x[i] where i is less than the height or 3, the others are left."""
    h = te.var("h", "int64") if height is None else height
    x = te.placeholder((h,), "float32", "x")
    y = te.compute((16,), lambda i: tirx.if_then_else(i < h, x[i], tirx.const(5, "float32")), "y")
    func = te.create_prim_func([x, y], index_dtype_override="int64")

    def branches(store):
        ((i,), few) = store.indices, tirx.const(3, "int64")
        inner = tirx.IfThenElse(i < few, store, tirx.BufferStore(store.buffer, -x0, [i]))
        return tirx.IfThenElse(i < h, inner, None)

    x0 = tirx.const(1, "float32")
    body = tvm_ffi.structural_map(func.body, (tirx.BufferStore, branches))
    return func.with_body(body).with_attr("global_symbol", "main")


def named(func):
    """The values that are bound, and the conditions that are."""
    binds, branches = [], []
    tvm_ffi.structural_walk(func.body, (tirx.Bind, binds.append))
    tvm_ffi.structural_walk(func.body, (tirx.IfThenElse, branches.append))
    names = {bind.var for bind in binds}
    return len(binds), sum(branch.condition in names for branch in branches), len(branches)


def with_scratch(func):
    """The same with memory of a block."""
    scratch = tirx.decl_buffer((4,), "float32")
    return func.with_body(edit.with_block(func.body, alloc_buffers=[scratch]))


@pytest.mark.parametrize(("height", "count"), [(None, 1), (9, 0)])
def test_only_a_condition_on_a_free_size_is_named(height, count):
    func = with_scratch(guarded(height))
    assert named(with_named_conditions(func)) == (count, count, 2)


@pytest.mark.parametrize("height", [None, 9])
def test_every_condition_is_named_where_no_block_allocates(height):
    assert named(with_named_conditions(guarded(height))) == (2, 2, 2)


def test_the_function_computes_the_same():
    one, other = (
        tvm.compile(tvm.IRModule({"main": func}), target=HOST)["main"]
        for func in (guarded(None), with_named_conditions(guarded(None)))
    )
    for height in (1, 3, 9, 20):
        x = tvm.runtime.tensor(np.arange(10, 10 + height, dtype="float32"))
        results = [tvm.runtime.tensor(np.full(16, 7, "float32")) for _ in range(2)]
        one(x, results[0])
        other(x, results[1])
        np.testing.assert_array_equal(*(y.numpy() for y in results))
        inside = min(height, 16)
        np.testing.assert_array_equal(results[0].numpy()[inside:], 7)
        np.testing.assert_array_equal(results[0].numpy()[:inside][3:], -1)
