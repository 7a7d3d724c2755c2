"""A tiled product of free sizes asks for each tile only what may fail."""

from __future__ import annotations

import tvm_ffi
from kernel import HOST
from tvm import te
from tvm.s_tir import SBlockRealize

from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.rest.default import default_schedule


def test_only_the_last_tile_of_rows_is_cut():
    n, rows, columns = (te.var(name, "int64") for name in ("n", "rows", "columns"))
    a = te.placeholder((n, rows, 12), "float32", "a")
    b = te.placeholder((n, 12, columns), "float32", "b")
    k = te.reduce_axis((0, 12), "k")
    y = te.compute(
        (n, rows, columns), lambda i, r, c: te.sum(a[i, r, k] * b[i, k, c], axis=k), "matmul"
    )
    func = te.create_prim_func([a, b, y], index_dtype_override="int64")
    scheduled = default_schedule(func, cpu_machine(HOST))
    stores = []

    def note(realize):
        if realize.block.name_hint == "matmul_store":
            stores.append(realize)

    tvm_ffi.structural_walk(scheduled.body, (SBlockRealize, note))
    assert stores
    for store in stores:
        # The columns are cut into whole vectors and a rest; a batch is never too large.
        asked = str(store.predicate)
        assert "< rows" in asked and "columns" not in asked and "n" not in asked.split()
