"""Copying TensorIR statements with changes: what the Python API of TVM 0.27 lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Range, StringImm, TensorLoad, TensorRegion, Var
from tvm.s_tir import SBlock, SBlockRealize
from tvm.sym import Analyzer

# Key of the attribute by which TVM's code generator makes a function of a statement.
FUNCTION = "compute_scope"


def const_like(expr: Any, value: int) -> tirx.IntImm:
    """The integer ``value`` in the index type of ``expr``."""
    return tirx.IntImm(str(expr.ty.dtype), value)


def zero_like(expr: Any) -> tirx.IntImm:
    return const_like(expr, 0)


def ceil_div(expr: Any, divisor: int) -> Any:
    """``expr / divisor`` rounded up, simplified."""
    return Analyzer().simplify((expr + (divisor - 1)) // divisor)


def bind(expr: Any, values: Mapping[Var, Any]) -> Any:
    """``expr`` with variables replaced by integers or expressions, simplified."""
    analyzer = Analyzer()
    for var, value in values.items():
        analyzer.bind(var, const_like(var, value) if isinstance(value, int) else value)
    return analyzer.simplify(expr)


def substitute(node: Any, values: Mapping[Var, Any]) -> Any:
    """``node``, a statement or an expression, with variables replaced and nothing simplified."""
    return tvm_ffi.structural_map(node, (Var, lambda var: values.get(var, var)))


def variables_of(node: Any) -> set[Var]:
    """The variables that occur in ``node``, a statement or an expression."""
    found: set[Var] = set()
    tvm_ffi.structural_walk(node, (Var, found.add))
    return found


def place_of(block: SBlock, values: Iterable[Any]) -> dict[Var, Any]:
    """By the variable of each axis of ``block`` its value, for ``substitute`` and ``bind``."""
    return {axis.var: value for axis, value in zip(block.iter_vars, values, strict=True)}


def loops_to(stmt: tirx.Stmt, realize: SBlockRealize | None) -> list[tirx.For]:
    """The loops from ``stmt`` down to ``realize``, or down a straight nest if it is None."""
    if isinstance(stmt, tirx.For):
        below = loops_to(stmt.body, realize)
        return [] if realize is not None and not _contains(stmt, realize) else [stmt, *below]
    if isinstance(stmt, tirx.SeqStmt) and realize is not None:
        return next((found for s in stmt.seq if (found := loops_to(s, realize))), [])
    if isinstance(stmt, SBlockRealize) and realize is not None:
        return loops_to(stmt.block.body, realize)
    if isinstance(stmt, tirx.IfThenElse) and realize is not None:
        return loops_to(stmt.then_case, realize)
    if isinstance(stmt, tirx.AttrStmt) and realize is not None:
        return loops_to(stmt.body, realize)
    return []


def loop(name: str, dtype: str, extent: Any, kind: tirx.ForKind) -> tirx.For:
    """A fresh loop from 0 to ``extent``, its body still to be given by ``rebuild``."""
    var = tirx.Var(name, dtype)
    extent = const_like(var, extent) if isinstance(extent, int) else extent
    return tirx.For(var, zero_like(var), extent, kind, tirx.Evaluate(0))


def rebuild(loops: Iterable[tirx.For], body: tirx.Stmt) -> tirx.Stmt:
    """The nest of ``loops``, outermost first, around ``body``."""
    for loop in reversed(list(loops)):
        body = with_loop(loop, body=body)
    return body


def sequence(stmts: list[tirx.Stmt]) -> tirx.Stmt:
    """The statements one after the other; TVM refuses a sequence of one."""
    return stmts[0] if len(stmts) == 1 else tirx.SeqStmt(stmts)


def allocating(buffers: Iterable[Any], stmts: Sequence[tirx.Stmt]) -> tirx.Stmt:
    """The statements with memory for ``buffers``, which are as large as they say.

    TVM bounds what a block allocates by all that is read and written there, which takes long.
    """
    return tirx.SeqStmt([*map(tirx.AllocBuffer, buffers), *stmts])


def in_function(name: str, stmt: tirx.Stmt) -> tirx.Stmt:
    """``stmt`` in a function of its own, which is not inlined: registers are allotted within it."""
    return tirx.AttrStmt(tirx.IntImm("int32", 0), FUNCTION, StringImm(name), stmt)


def blocks_allocate(func: tirx.PrimFunc) -> bool:
    """Whether a block allocates memory, which TVM makes as small as what is used of it."""
    blocks: list[SBlock] = []
    tvm_ffi.structural_walk(func.body, (SBlock, blocks.append))
    return any(len(block.alloc_buffers) for block in blocks)


def with_loop(loop: tirx.For, **changes: Any) -> tirx.For:
    fields = {
        name: getattr(loop, name)
        for name in (
            "loop_var",
            "min",
            "extent",
            "kind",
            "body",
            "thread_binding",
            "annotations",
            "step",
        )
    }
    return tirx.For(**{**fields, **changes})


def with_block(
    realize: SBlockRealize,
    *,
    iter_values: Any = None,
    predicate: Any = None,
    **changes: Any,
) -> SBlockRealize:
    """A copy of a block and its realisation, with changed fields."""
    return SBlockRealize(
        realize.iter_values if iter_values is None else iter_values,
        realize.predicate if predicate is None else predicate,
        changed(realize.block, **changes),
    )


def changed(block: SBlock, **changes: Any) -> SBlock:
    """A copy of a block with changed fields."""
    fields = {
        name: getattr(block, name)
        for name in (
            "iter_vars",
            "reads",
            "writes",
            "name_hint",
            "body",
            "init",
            "alloc_buffers",
            "match_buffers",
            "annotations",
        )
    }
    return SBlock(**{**fields, **changes})


def widen(region: Any, extents: Mapping[int, tuple[Any, int]]) -> Any:
    """A buffer region with some dimensions replaced by (first, extent)."""
    ranges = list(region.region)
    for dimension, (first, extent) in extents.items():
        ranges[dimension] = Range.from_min_extent(first, extent)
    return TensorRegion(region.source, ranges, region.ty)


def element(buffer: Any, indices: list[Any], ty: Any) -> TensorRegion:
    """The region of a single element, of type ``ty``."""
    ranges = [Range.from_min_extent(index, const_like(index, 1)) for index in indices]
    return TensorRegion(buffer, ranges, ty)


def index(value: Any) -> Any:
    """A number as one of int64; an expression as it is."""
    return tirx.const(value, "int64") if isinstance(value, int) else value


def ramp(base: Any, lanes: int) -> tirx.Ramp:
    """The indices of a vector that starts at ``base``."""
    base = index(base)
    return tirx.Ramp(base, const_like(base, 1), lanes)


def shuffle(vectors: Sequence[Any], order: Iterable[int]) -> tirx.Shuffle:
    """The lanes of ``order``, counted through all ``vectors``."""
    return tirx.Shuffle(list(vectors), [tirx.const(lane, "int32") for lane in order])


def interleaved(vectors: Sequence[Any], lanes: int) -> Any:
    """v[0][0], v[1][0], ..., v[0][1], ... of vectors of ``lanes``: phases of each block in turn."""
    if len(vectors) == 1:
        return vectors[0]
    order = [i * lanes + lane for lane in range(lanes) for i in range(len(vectors))]
    return shuffle(vectors, order)


def redirected(
    realize: SBlockRealize,
    written: TensorRegion,
    read: Callable[[TensorLoad], tuple[Any, list[Any]]],
) -> SBlockRealize:
    """A copy that reads ``read(load)`` (buffer, indices) for each load of ``written``'s buffer."""
    block = realize.block
    reads = [region for region in block.reads if not region.source.same_as(written.source)]

    def replace(load: TensorLoad) -> Any:
        if not load.source.same_as(written.source):
            return load
        buffer, indices = read(load)
        reads.append(element(buffer, indices, written.ty))
        return tirx.BufferLoad(buffer, indices)

    body = tvm_ffi.structural_map(block.body, (TensorLoad, replace))
    return with_block(realize, body=body, reads=reads)


def moving(
    whole: Any, part: Any, place: Callable[[Any], list[Any]], size: Callable[[Any], list[Any]]
) -> list[tuple[type, Callable[[Any], Any]]]:
    """What ``structural_map`` takes to have the buffer ``part`` stand for ``whole``.

    ``place`` turns the indices of an element of ``whole`` into those in ``part``, and ``size`` the
    extents of a region.
    """

    def load(node: TensorLoad) -> Any:
        return tirx.BufferLoad(part, place(node.indices)) if node.source.same_as(whole) else node

    def store(node: tirx.BufferStore) -> Any:
        if not node.buffer.same_as(whole):
            return node
        return tirx.BufferStore(part, node.value, place(node.indices))

    def region(node: TensorRegion) -> Any:
        if not node.source.same_as(whole):
            return node
        begins = place([dimension.min for dimension in node.region])
        extents = size([dimension.extent for dimension in node.region])
        ranges = [Range.from_min_extent(*pair) for pair in zip(begins, extents, strict=True)]
        return TensorRegion(part, ranges, node.ty)

    def block(node: SBlock) -> Any:
        buffers = [part if b.same_as(whole) else b for b in node.alloc_buffers]
        return changed(node, alloc_buffers=buffers)

    return [(TensorLoad, load), (tirx.BufferStore, store), (TensorRegion, region), (SBlock, block)]


def border_of(first: Any, count: Any, size: Any) -> tuple[Any, Any]:
    """Which of ``count`` places, the first at ``first``, lie in 0..size: begin and end."""
    begin = tirx.max(tirx.min(-first, count), 0)
    return begin, tirx.max(tirx.min(size - first, count), begin)


def sole_block_name(stmt: tirx.Stmt) -> str | None:
    """Name of the block under a straight nest of loops; None for any other statement."""
    while isinstance(stmt, tirx.For):
        stmt = stmt.body
    return stmt.block.name_hint if isinstance(stmt, SBlockRealize) else None


def find_block(stmt: tirx.Stmt, name: str, missing_ok: bool = False) -> Any:
    """The first block called ``name`` under ``stmt``; None if there is none and that is fine."""
    found = next((r for r in _realizes(stmt) if r.block.name_hint == name), None)
    if found is None and not missing_ok:
        raise KeyError(f"no block {name} in the scheduled nest")
    return found


def _realizes(stmt: tirx.Stmt) -> Iterable[SBlockRealize]:
    if isinstance(stmt, SBlockRealize):
        yield stmt
        yield from _realizes(stmt.block.body)
    elif isinstance(stmt, tirx.SeqStmt):
        for part in stmt.seq:
            yield from _realizes(part)
    elif isinstance(stmt, tirx.For | tirx.AttrStmt):
        yield from _realizes(stmt.body)
    elif isinstance(stmt, tirx.IfThenElse):
        yield from _realizes(stmt.then_case)


def _contains(stmt: tirx.Stmt, realize: SBlockRealize) -> bool:
    return any(r.same_as(realize) for r in _realizes(stmt))


def in_root(body: tirx.Stmt) -> tirx.Stmt:
    """``body``, written out, as the body of a function: TVM's passes look for a block there."""
    root = SBlock([], [], [], "root", body)
    return SBlockRealize([], tirx.IntImm("bool", 1), root)


def prefetch(load: Any, write: bool = False) -> tirx.Stmt:
    """Fetch the cache line of ``load`` into the level-2 cache, to read it or to ``write`` it."""
    level_2, data = 2, 1
    place = tirx.address_of(load)
    call = tirx.call_intrin("void", "tirx.prefetch", place, int(write), level_2, data)
    return tirx.Evaluate(call)
