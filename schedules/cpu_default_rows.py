"""Cut a row of independent iterations into whole vectors and a rest.

``for i in range(57): body(i)`` becomes three vectors of 16 lanes, one of 8 and one single
iteration; a predicate ``i < bound`` is folded into the row's length first, so that no lane is ever
masked. TVM would vectorise a predicated row by making it scalar again.
"""

from __future__ import annotations

import tvm
import tvm_ffi
from tvm import s_tir, sym, tirx

from .cpu_default_stage import Expr, Var, static_value, substitute

# Marks a loop for `cut_rows`; the value is the number of lanes.
ROW = "tvm_deconv.row"


def cut_rows(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """Replace every loop that carries the annotation ROW.

    The loop must be innermost, hold one block and have independent iterations. Runs after all
    scheduling: the result repeats blocks, which schedules do not accept.
    """
    return func.with_body(tvm_ffi.structural_map(func.body, (tirx.For, _cut)))


def _cut(loop: tirx.For) -> tirx.Stmt:
    if ROW not in loop.annotations:
        return loop
    lanes = int(loop.annotations[ROW])
    realize = loop.body
    bound, predicate = _split_predicate(realize.predicate, loop.loop_var)
    row = _Row(loop.loop_var, s_tir.SBlockRealize(realize.iter_values, predicate, realize.block))
    whole = static_value(loop.extent)
    if bound is None or whole is None:
        # What lies wholly outside has a negative rest: no iteration, not a wrapped-around one.
        zero = tirx.IntImm(loop.loop_var.ty.dtype, 0)
        length = loop.extent if bound is None else tirx.max(tirx.min(loop.extent, bound), zero)
        return row.pieces(sym.Analyzer().simplify(length), lanes)
    # All tiles but the last are full: ask once per row instead of once per lane.
    rest = row.pieces(_rest_of_last_tile(bound, whole), lanes)
    return tirx.IfThenElse(
        bound >= whole,
        row.pieces(loop.extent, lanes),
        tirx.IfThenElse(bound > 0, rest, None),
    )


def _rest_of_last_tile(bound: Expr, whole: int) -> Expr:
    """``bound`` where it is below ``whole``: a number if it is known modulo ``whole``."""
    known = sym.Analyzer().modular_set(bound)
    if known.coeff and known.coeff % whole == 0:
        return tirx.IntImm("int64", known.base % whole)
    return bound


class _Row:
    """The body of a row, to be repeated over parts of it."""

    def __init__(self, var: Var, realize: s_tir.SBlockRealize) -> None:
        self._var = var
        self._realize = realize

    def pieces(self, length: Expr, lanes: int) -> tirx.Stmt:
        """The body for every iteration in ``[0, length)``."""
        size = static_value(length)
        if size is not None:
            return self._static_pieces(size, lanes)
        whole = length // lanes
        return tirx.SeqStmt(
            [
                self._vectors(whole, lanes, self._number(0)),
                self._loop(length - whole * lanes, tirx.ForKind.SERIAL, whole * lanes),
            ]
        )

    def _static_pieces(self, size: int, lanes: int) -> tirx.Stmt:
        parts = []
        start = 0
        while start < size:
            while lanes > size - start:
                lanes //= 2
            count = (size - start) // lanes
            parts.append(self._vectors(self._number(count), lanes, self._number(start)))
            start += count * lanes
        return parts[0] if len(parts) == 1 else tirx.SeqStmt(parts)

    def _vectors(self, count: Expr, lanes: int, start: Expr) -> tirx.Stmt:
        if static_value(count) == 1:
            return self._loop(self._number(lanes), tirx.ForKind.VECTORIZED, start)
        outer = Var(f"{self._var.name}_v", self._var.ty)
        inner = self._loop(self._number(lanes), tirx.ForKind.VECTORIZED, outer * lanes + start)
        return tirx.For(outer, 0, count, tirx.ForKind.SERIAL, inner)

    def _loop(self, count: Expr, kind: tirx.ForKind, start: Expr) -> tirx.Stmt:
        if static_value(count) == 1:
            return self._at(start)
        inner = Var(f"{self._var.name}_l", self._var.ty)
        return tirx.For(inner, 0, count, kind, self._at(start + inner))

    def _at(self, position: Expr) -> tirx.Stmt:
        values = [substitute(value, {self._var: position}) for value in self._realize.iter_values]
        return s_tir.SBlockRealize(
            values, substitute(self._realize.predicate, {self._var: position}), self._realize.block
        )

    def _number(self, value: int) -> Expr:
        return tirx.IntImm(self._var.ty.dtype, value)


def _split_predicate(predicate: Expr, var: Var) -> tuple[Expr | None, Expr]:
    """(smallest upper bound that the predicate sets on ``var``, what remains of it)."""
    bound: Expr | None = None
    rest: Expr = tirx.const(True, "bool")
    for condition in _conjuncts(predicate):
        own = _upper_bound(condition, var)
        if own is None:
            rest = condition if static_value(rest) == 1 else tirx.And(rest, condition)
        else:
            bound = own if bound is None else tirx.min(bound, own)
    return bound, rest


def _conjuncts(predicate: Expr) -> list[Expr]:
    if isinstance(predicate, tirx.And):
        return _conjuncts(predicate.a) + _conjuncts(predicate.b)
    return [] if static_value(predicate) == 1 else [predicate]


def _upper_bound(condition: Expr, var: Var) -> Expr | None:
    """``b - a`` where the condition is ``var + a < b``; None where it is anything else."""
    if not isinstance(condition, tirx.LT):
        return None
    linear = sym.detect_linear_equation(condition.a, [var])
    uses = [v for v in tvm.tirx.analysis.undefined_vars(condition.b) if v.same_as(var)]
    if not linear or static_value(linear[0]) != 1 or uses:
        return None
    return sym.Analyzer().simplify(condition.b - linear[1])
