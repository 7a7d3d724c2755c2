"""A TensorIR function as a list of stages: perfect loop nests, each around one block.

The default schedule rewrites a function stage by stage. This module takes a normalised function
apart and puts it together again; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tvm
import tvm_ffi
from tvm import s_tir, sym, tirx
from tvm.ir import Expr, Var
from tvm.ir import TensorLoad as Load
from tvm.tirx import IterVar, PrimFunc

from tvm_deconv.schedules.tir.edit import sequence, substitute

# What a symbolic size is taken for where tiles are compared.
TYPICAL_SIZE = 64


@dataclass(frozen=True, eq=False)
class StageAxis:
    """One axis of a stage's iteration domain ``[0, extent)``."""

    var: Var
    extent: Expr
    reduces: bool = False

    @property
    def size(self) -> int | None:
        """The extent as a number; None if symbolic."""
        return static_value(self.extent)


@dataclass(frozen=True, eq=False)
class Stage:
    """``for axes: body`` with ``init`` before the first iteration of the reducing axes."""

    name: str
    axes: tuple[StageAxis, ...]
    body: tirx.Stmt
    init: tirx.Stmt | None = None

    @property
    def spatial(self) -> tuple[StageAxis, ...]:
        return tuple(axis for axis in self.axes if not axis.reduces)

    @property
    def reducing(self) -> tuple[StageAxis, ...]:
        return tuple(axis for axis in self.axes if axis.reduces)

    def stores(self) -> list[tirx.BufferStore]:
        """All stores of the body, in order."""
        found: list[tirx.BufferStore] = []
        tvm_ffi.structural_walk(self.body, (tirx.BufferStore, found.append))
        return found


def static_value(expr: Expr | int) -> int | None:
    """The value of a constant integer expression; None if it is symbolic."""
    if isinstance(expr, int):
        return expr
    return int(expr.value) if isinstance(expr, tirx.IntImm) else None


def is_conditional(expr: Expr) -> bool:
    """Whether ``expr`` is an ``if_then_else``, whose unused side is not evaluated."""
    return isinstance(expr, tvm.ir.Call) and getattr(expr.op, "name", "") == "prim.if_then_else"


def loads_of(node: Expr | tirx.Stmt) -> list[Load]:
    """Every buffer load below ``node``, in order of appearance."""
    found: list[Load] = []
    tvm_ffi.structural_walk(node, (Load, found.append))
    return found


def simplify_under(axes: Sequence[StageAxis], expr: Expr) -> Expr:
    """``expr`` simplified, knowing the ranges of the axes."""
    analyzer = sym.Analyzer()
    for axis in axes:
        analyzer.bind(axis.var, tvm.ir.Range(0, axis.extent))
    return analyzer.simplify(expr)


def map_loads(node, replace: Callable[[Load], Expr]):
    """``node`` with every buffer load replaced; the replacement is not visited again."""
    return tvm_ffi.structural_map(node, (Load, replace))


def stages_of(func: PrimFunc) -> list[Stage] | None:
    """The stages of a normalised function; None where its body has another form."""
    if not isinstance(func.body, s_tir.SBlockRealize):
        return None
    body = func.body.block.body
    nests = list(body.seq) if isinstance(body, tirx.SeqStmt) else [body]
    stages = [_stage(nest) for nest in nests]
    return None if any(stage is None for stage in stages) else stages  # type: ignore[return-value]


def _stage(nest: tirx.Stmt) -> Stage | None:
    extents: dict[Var, Expr] = {}
    while isinstance(nest, tirx.For):
        if nest.kind != tirx.ForKind.SERIAL or static_value(nest.min) != 0:
            return None
        extents[nest.loop_var] = nest.extent
        nest = nest.body
    if not isinstance(nest, s_tir.SBlockRealize) or static_value(nest.predicate) != 1:
        return None
    block = nest.block
    if block.alloc_buffers or block.match_buffers:
        return None
    axes = []
    for iter_var, value in zip(block.iter_vars, nest.iter_values, strict=True):
        if value not in extents or iter_var.iter_type not in (
            IterVar.DataPar,
            IterVar.CommReduce,
        ):
            return None
        reduces = iter_var.iter_type == IterVar.CommReduce
        axes.append(StageAxis(iter_var.var, extents.pop(value), reduces))
    if extents:
        return None
    return Stage(block.name_hint, tuple(axes), block.body, block.init)


def nest_of(stage: Stage) -> tirx.Stmt:
    """The loop nest of a stage, with fresh loop variables and recomputed access regions."""
    iter_vars, loops = [], []
    renamed: dict[Var, Expr] = {}
    for axis in stage.axes:
        # Fresh block variables too: a stage may be emitted in several places.
        inner = Var(axis.var.name, axis.var.ty)
        renamed[axis.var] = inner
        kind = IterVar.CommReduce if axis.reduces else IterVar.DataPar
        iter_vars.append(IterVar(tvm.ir.Range(0, axis.extent), inner, kind))
        loops.append(Var(f"{axis.var.name}_i", axis.var.ty))
    body = substitute(stage.body, renamed)
    init = substitute(stage.init, renamed) if stage.init is not None else None
    reads, writes = _regions(iter_vars, body, reducing=bool(stage.reducing))
    block = s_tir.SBlock(iter_vars, reads, writes, stage.name, body, init)
    nest: tirx.Stmt = s_tir.SBlockRealize(loops, True, block)
    for loop, axis in reversed(list(zip(loops, stage.axes, strict=True))):
        nest = tirx.For(loop, 0, axis.extent, tirx.ForKind.SERIAL, nest)
    return nest


def _regions(iter_vars: list[IterVar], body: tirx.Stmt, reducing: bool):
    """What a block reads and writes; a reduction's own accumulators do not count as read."""
    written = [store.buffer for store in Stage("", (), body).stores()]
    buffers = {*written, *(load.source for load in loads_of(body))}
    draft = s_tir.SBlock(iter_vars, [], [], "", body)
    reads, writes, _ = s_tir.analysis.get_sblock_access_region(
        draft, {buffer: buffer for buffer in buffers}
    )
    if reducing:
        reads = [region for region in reads if region.source not in written]
    return reads, writes


def with_stages(func: PrimFunc, stages: Sequence[Stage]) -> PrimFunc:
    """``func`` computing these stages instead; buffers that they add or drop are accounted for."""
    outside = set(func.params)
    touched: dict[Var, None] = {}
    for stage in stages:
        for store in stage.stores():
            touched.setdefault(store.buffer)
    allocated = [buffer for buffer in touched if buffer not in outside]
    nests = [nest_of(stage) for stage in stages]
    root = s_tir.SBlock([], [], [], "root", sequence(nests), alloc_buffers=allocated)
    return func.with_body(s_tir.SBlockRealize([], True, root))
