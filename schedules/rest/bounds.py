"""What a store has to ask before it writes: whether the place is one of its domain."""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Expr
from tvm.s_tir import SBlockRealize

from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.known import Known


def with_exact_bounds(func: tirx.PrimFunc, stores: set[str]) -> tirx.PrimFunc:
    """``func`` with the predicates of the blocks ``stores`` reduced to what can fail.

    A schedule that moves a store to its tiles asks for both ends of all its axes; where a size is
    free, TVM cannot prove most of that, and it would be asked for each element.
    """

    def visit(stmt: tirx.Stmt, known: Known) -> tirx.Stmt:
        if isinstance(stmt, tirx.SeqStmt):
            return tirx.SeqStmt([visit(part, known) for part in stmt.seq])
        if isinstance(stmt, tirx.For):
            return edit.with_loop(stmt, body=visit(stmt.body, known.inside(stmt)))
        if not isinstance(stmt, SBlockRealize):
            return stmt
        if stmt.block.name_hint in stores:
            return edit.with_block(stmt, predicate=_predicate(stmt, known))
        return edit.with_block(stmt, body=visit(stmt.block.body, known))

    return func.with_body(visit(func.body, Known()))


def _predicate(store: SBlockRealize, known: Known) -> Expr:
    extents = {loop.loop_var: loop.extent for loop in known.loops}

    def is_covered(place: Any, extent: Any) -> bool:
        own = extents.get(place) if isinstance(place, tirx.Var) else None
        return own is not None and tvm_ffi.structural_equal(own, extent)

    conditions = [
        place < axis.dom.extent
        for axis, place in zip(store.block.iter_vars, store.iter_values, strict=True)
        if not is_covered(place, axis.dom.extent)
    ]
    left = known.unproved(conditions)
    return tirx.IntImm("bool", 1) if left is None else left
