"""Loops over whole periods of a remainder, so that LLVM 22 cannot misread them.

LLVM 22.1 (that of TVM 0.27) vectorises a loop that reads ``table[i % 4 + c]`` with 32-bit indices
as if the index rose by one in every iteration: eight iterations load eight neighbours, of which
only four exist. It makes two assumptions about the index, that ``i`` modulo 4 never wraps around
and that the sum does not, takes the second for proof of the first, and tests neither
(llvm/llvm-project#191382, mended by #191498 in April 2026: ``SCEVWrapPredicate::implies`` has to
compare widths). Remainders by any power of two from 4 on are affected, on every processor with
vectors: a shuffle by 4 behind a constant per channel read beyond its constants. ``i % 2`` is not:
in one bit its step of 1 counts as negative.

    for i in range(24): y[i] = x[i // 4] + d[i % 4]
    => for p in range(6): for q in range(4): y[4*p + q] = x[p] + d[q]

No remainder is left that could be misread. Where a smaller one is, the inner loop is split in turn.
Where one by the period itself is, because something is added to ``i`` first, the inner loop is
unrolled: its index is then another constant in each copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import tvm
import tvm_ffi
from tvm import s_tir, sym, tirx
from tvm.ir import Expr, TensorLoad, Var

from tvm_deconv.schedules.algorithms.expressions import static

from . import edit

_SMALLEST_PERIOD = 4

# Copies of a loop's body, at most.
_MOST_COPIES = 64

# LLVM may write out loops of so many iterations and then vectorise the loop around them.
_WRITTEN_OUT = 128


def with_whole_periods(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """``func``, scheduled, with each loop that LLVM might misread as a loop over whole periods.

    Runs after all scheduling: a loop whose length is no multiple of the period becomes two, which
    repeats blocks.
    """
    if not _in_addresses(func.body):
        return func
    loops: list[tirx.For] = []
    tvm_ffi.structural_walk(func.body, (tirx.For, loops.append))
    ranges = {var: values for loop in loops for var, values in _range(loop).items()}
    read = _read_by_remainders(func.body, loops)

    def by_periods(loop: tirx.For) -> tirx.Stmt:
        return _by_periods(loop, ranges) if loop.loop_var in read else loop

    return func.with_body(tvm_ffi.structural_map(func.body, (tirx.For, by_periods)))


def has_remainders(stmt: tirx.Stmt) -> bool:
    """Whether a statement's addresses hold remainders that LLVM might misread in a loop."""
    return bool(_in_addresses(stmt))


def _read_by_remainders(stmt: tirx.Stmt, loops: Sequence[tirx.For]) -> set[Var]:
    """The variables in remainders of a statement's addresses; what a loop begins at is read, too.

    Most loops have none of them, and to look for the remainders in each takes long.
    """
    read: set[Var] = set()
    tvm_ffi.structural_walk(_in_addresses(_in_terms_of_loops(stmt)), (Var, read.add))
    # Inner loops stand before those whose variables they begin at.
    for loop in loops:
        if loop.loop_var in read:
            tvm_ffi.structural_walk(loop.min, (Var, read.add))
    return read


def _by_periods(loop: tirx.For, ranges: Mapping[Var, tvm.ir.Range]) -> tirx.Stmt:
    var = loop.loop_var
    if loop.kind not in (tirx.ForKind.SERIAL, tirx.ForKind.PARALLEL) or not _is_short(loop.body):
        return loop
    terms = [term for term in _computed(loop.body, ranges) if _uses(term.a, var)]
    if not terms:
        return loop
    period = max(int(term.b.value) for term in terms)
    left = [rest for term in terms for rest in _left(term, var, loop.min, period)]
    # Remainders by less are split off in turn: i % 64 % 8 in a loop over 64.
    clean = all(int(rest.b.value) < period for rest in left)
    if not clean and period > _MOST_COPIES:
        return loop
    kind = tirx.ForKind.SERIAL if clean else tirx.ForKind.UNROLLED
    index, simplify = str(var.ty.dtype), sym.Analyzer().simplify
    whole = simplify(loop.extent // period)
    rest = simplify(loop.extent - whole * period)

    def within(once: tirx.For, body: tirx.Stmt) -> tirx.Stmt:
        inner = edit.rebuild([once], body)
        return _by_periods(inner, {**ranges, **_range(periods), **_range(once)}) if left else inner

    parts = []
    periods = edit.loop(f"{var.name}_p", index, whole, loop.kind)
    if static(whole) != 0:
        once = edit.loop(f"{var.name}_q", index, period, kind)
        place = loop.min + periods.loop_var * period + once.loop_var
        parts.append(edit.rebuild([periods], within(once, _at(loop.body, var, place))))
    if static(rest) != 0:
        known = isinstance(static(rest), int)
        last = edit.loop(f"{var.name}_r", index, rest if known else period - 1, kind)
        body = _at(loop.body, var, loop.min + whole * period + last.loop_var)
        if not known:
            body = tirx.IfThenElse(last.loop_var < rest, body, None)
        parts.append(within(last, body))
    # A loop of no iterations, as a running sum of one element has, stays as it is.
    return edit.sequence(parts) if parts else loop


def _range(loop: tirx.For) -> dict[Var, tvm.ir.Range]:
    return {loop.loop_var: tvm.ir.Range.from_min_extent(loop.min, loop.extent)}


def _left(term: Any, var: Var, first: Expr, period: int) -> list[Any]:
    """The remainders of ``term`` that a loop over one period has still to compute."""
    outer, inner = Var("p", var.ty), Var("q", var.ty)
    analyzer = sym.Analyzer()
    analyzer.bind(inner, tvm.ir.Range(0, edit.const_like(inner, period)))
    place = first + outer * period + inner
    return _remainders(analyzer.simplify(_at(term, var, place)))


def _in_addresses(stmt: tirx.Stmt) -> list[Any]:
    """The remainders that decide where a statement loads and stores; a condition does no harm."""
    if not _remainders(stmt):
        return []
    places: list[Any] = []
    accesses = (TensorLoad, tirx.BufferStore)
    tvm_ffi.structural_walk(stmt, (accesses, lambda access: places.extend(access.indices)))
    return _remainders(places)


def _remainders(node: Any) -> list[Any]:
    """All remainders by a power of two that LLVM might misread."""
    found: list[Any] = []

    def note(term: Any) -> None:
        divisor = static(term.b)
        if isinstance(divisor, int) and divisor >= _SMALLEST_PERIOD and not divisor & divisor - 1:
            found.append(term)

    tvm_ffi.structural_walk(node, ((tirx.FloorMod, tirx.Mod), note))
    return found


def _computed(stmt: tirx.Stmt, ranges: Mapping[Var, tvm.ir.Range]) -> list[Any]:
    """The remainders in a statement's addresses that are left when TVM has simplified it."""
    found = _in_addresses(_in_terms_of_loops(stmt))
    if not found:
        return []
    analyzer = sym.Analyzer()
    for var, values in ranges.items():
        analyzer.bind(var, values)
    return [left for term in found for left in _remainders(analyzer.simplify(term))]


def _in_terms_of_loops(stmt: tirx.Stmt) -> tirx.Stmt:
    """The statement with the variables of its blocks replaced by what they are bound to."""

    def opened(realize: s_tir.SBlockRealize) -> tirx.Stmt:
        place = edit.place_of(realize.block, realize.iter_values)
        return edit.substitute(realize.block.body, place)

    return tvm_ffi.structural_map(stmt, (s_tir.SBlockRealize, opened))


def _is_short(stmt: tirx.Stmt) -> bool:
    """Whether LLVM may write out all loops in a statement."""
    extents: list[Any] = []
    tvm_ffi.structural_walk(stmt, (tirx.For, lambda loop: extents.append(static(loop.extent))))
    return all(isinstance(n, int) for n in extents) and prod(extents) <= _WRITTEN_OUT


def _uses(expr: Expr, var: Var) -> bool:
    return any(used.same_as(var) for used in tirx.analysis.undefined_vars(expr))


def _at(node: Any, var: Var, place: Expr) -> Any:
    return edit.substitute(node, {var: place})
