"""Loops over a free number of pieces are one parallel loop that reaches every piece once."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import tvm
import tvm_ffi
from kernel import HOST
from tvm import s_tir, te, tirx

from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.pieces import divided, join, with_joined_pieces


def counting(sizes, pieces, hidden=False):
    """y += 1 at each place, the outermost ``pieces`` loops joined; free sizes are strings."""
    shape = [te.var(size, "int64") if isinstance(size, str) else size for size in sizes]
    x = te.placeholder(shape, "float32", "x")
    y = te.compute(shape, lambda *place: x(*place) + 1, "y")
    schedule = s_tir.Schedule(te.create_prim_func([x, y], index_dtype_override="int64"))
    loops = schedule.get_loops(schedule.get_sblock("y"))
    innermost = join(schedule, loops[:pieces], hidden=hidden)
    return schedule, innermost


def nest_of(schedule):
    body = schedule.mod["main"].body
    return edit.loops_to(body, edit.find_block(body, "y"))


def loops_of(func):
    found = []
    tvm_ffi.structural_walk(func.body, (tirx.For, found.append))
    return found


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize(
    ("sizes", "pieces"),
    [
        (("n", "h", 3), 2),
        (("n", 3, "h", 2), 3),
        ((1, "h", "w", 2), 3),
        (("h", 1, 1, 2), 3),
        (("h", 4), 1),
        ((2, 3, 4), 2),
    ],
)
def test_each_piece_is_computed_once(sizes, pieces, hidden):
    schedule, _ = counting(sizes, pieces, hidden)
    func = with_joined_pieces(schedule.mod["main"]).with_attr("tirx.is_scheduled", True)
    kinds = [loop.kind for loop in loops_of(func)]
    assert kinds.count(tirx.ForKind.PARALLEL) == 1
    run = tvm.compile(tvm.IRModule({"main": func}), target=HOST)["main"]
    for free in product((1, 2, 5), repeat=sum(isinstance(size, str) for size in sizes)):
        given = iter(free)
        shape = [next(given) if isinstance(size, str) else size for size in sizes]
        x = np.arange(np.prod(shape), dtype="float32").reshape(shape)
        y = tvm.runtime.empty(shape)
        run(tvm.runtime.tensor(x), y)
        np.testing.assert_array_equal(y.numpy(), x + 1)


def test_free_numbers_stay_loops_of_their_own_while_the_rest_is_scheduled():
    schedule, innermost = counting(("n", "h", 3), 2)
    pieces, within = divided(nest_of(schedule))
    assert (len(pieces), len(within)) == (2, 1)
    assert pieces[-1].loop_var.same_as(schedule.get(innermost).loop_var)
    fixed, innermost = counting((2, 5, 3), 2)
    pieces, within = divided(nest_of(fixed))
    assert (len(pieces), len(within)) == (1, 1)
    assert pieces[0].loop_var.same_as(fixed.get(innermost).loop_var)


def test_no_index_holds_a_quotient():
    schedule, _ = counting(("n", 3, "h", 2), 3)
    func = with_joined_pieces(schedule.mod["main"])
    accesses = []
    tvm_ffi.structural_walk(func.body, (tirx.BufferStore, accesses.append))
    assert accesses and not any("//" in str(store) or "Div" in str(store) for store in accesses)


def test_a_place_that_is_hidden_stays_a_name_when_tvm_has_simplified_all():
    def names(hidden):
        schedule, _ = counting(("n", "h", 3), 2, hidden)
        mod = tvm.IRModule({"main": with_joined_pieces(schedule.mod["main"])})
        mod = s_tir.transform.ConvertBlocksToOpaque()(mod)
        mod = s_tir.transform.LowerOpaqueBlock()(s_tir.transform.StmtSimplify()(mod))
        stores = []
        tvm_ffi.structural_walk(mod["main"].body, (tirx.BufferStore, stores.append))
        return str(stores[0])

    assert "Div" in names(False) and "Div" not in names(True)
