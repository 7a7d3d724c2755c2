"""Cut a row of independent iterations into whole vectors and a rest.

``for i in range(57): body(i)`` becomes three vectors of 16 lanes, one of 8 and one single
iteration; a predicate ``i < bound`` is folded into the row's length first, so that no lane is ever
masked. TVM would vectorise a predicated row by making it scalar again.
"""

from __future__ import annotations

import tvm_ffi
from tvm import s_tir, sym, tirx

from tvm_deconv.schedules.tir import edit

from .edges import conjuncts, edges_of, upper_bound
from .stage import Expr, Var, static_value, substitute

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
    whole = static_value(loop.extent)
    zero = tirx.IntImm(loop.loop_var.ty.dtype, 0)

    def pieces(length: Expr) -> tirx.Stmt:
        parts: list[tirx.Stmt] = []
        for start, count, block in _zones(loop.loop_var, length, realize):
            row = _Row(loop.loop_var, s_tir.SBlockRealize(realize.iter_values, predicate, block))
            parts += row.pieces(start, count, lanes)
        return edit.sequence(parts)

    if bound is None or whole is None:
        # What lies wholly outside has a negative rest: no iteration, not a wrapped-around one.
        length = loop.extent if bound is None else tirx.max(tirx.min(loop.extent, bound), zero)
        return pieces(sym.Analyzer().simplify(length))
    # All tiles but the last are full: ask once per row instead of once per lane.
    last = tirx.IfThenElse(bound > 0, pieces(_rest_of_last_tile(bound, whole)), None)
    return tirx.IfThenElse(bound >= whole, pieces(loop.extent), last)


def _zones(
    var: Var, length: Expr, realize: s_tir.SBlockRealize
) -> list[tuple[Expr, Expr, s_tir.SBlock]]:
    """(start, length, block) of the parts of a row in which no condition changes.

    A padded row has three: the edges, where the padding's value is stored, and what is between.
    """
    zero = tirx.IntImm(var.ty.dtype, 0)
    block = realize.block
    edges = edges_of(block.body)
    place = edit.place_of(block, realize.iter_values)
    if edges is None or edges.axis not in place:
        return [(zero, length, block)]
    offset = substitute(place[edges.axis], {var: zero})
    analyzer = sym.Analyzer()

    def clamp(position: Expr, low: Expr) -> Expr:
        # Outside of the block, its variables are known by what they are bound to.
        position = substitute(position, place) - offset
        return analyzer.simplify(tirx.max(low, tirx.min(length, position)))

    first = clamp(edges.low, zero) if edges.low is not None else zero
    last = clamp(edges.high, first) if edges.high is not None else length
    outside = edit.changed(block, body=edges.outside)
    zones = [
        (zero, first, outside),
        (first, analyzer.simplify(last - first), edit.changed(block, body=edges.between)),
        (last, analyzer.simplify(length - last), outside),
    ]
    return [zone for zone in zones if static_value(zone[1]) != 0]


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

    def pieces(self, start: Expr, length: Expr, lanes: int) -> list[tirx.Stmt]:
        """The body for every iteration in ``[start, start + length)``."""
        size = static_value(length)
        if size is not None:
            return self._static_pieces(start, size, lanes)
        whole = length // lanes
        rest = length - whole * lanes
        return [
            self._vectors(whole, lanes, start),
            self._loop(rest, tirx.ForKind.SERIAL, start + whole * lanes),
        ]

    def _static_pieces(self, start: Expr, size: int, lanes: int) -> list[tirx.Stmt]:
        parts = []
        done = 0
        while done < size:
            while lanes > size - done:
                lanes //= 2
            count = (size - done) // lanes
            parts.append(self._vectors(self._number(count), lanes, start + done))
            done += count * lanes
        return parts

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
    for condition in conjuncts(predicate):
        own = upper_bound(condition, var)
        if own is None:
            rest = condition if static_value(rest) == 1 else tirx.And(rest, condition)
        else:
            bound = own if bound is None else tirx.min(bound, own)
    return bound, rest
