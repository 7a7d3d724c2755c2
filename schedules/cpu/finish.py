"""What the schedule language cannot say: the last rewrites of a scheduled nest.

The schedule leaves a correct nest over a domain rounded up to whole tiles. These rewrites make its
edges cheap, on plain TensorIR, after the last schedule primitive:

    guard     skip rows and tiles that lie wholly beyond the output
    prefetch  fetch the next strip's input while this one is computed
    pad       copy each row as three runs (zeros, input, zeros), not with a test per element
    store     interleave and store each tile with no test per element: see ``finish_rows``
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tvm import tirx
from tvm.s_tir import SBlockRealize
from tvm.sym import Analyzer

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms.names import (
    EDGE,
    GUARD,
    INTERLEAVE,
    PAD,
    PHASES,
    PLANES,
    TRANSPOSE,
)
from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.hiding import of_any_length
from tvm_deconv.schedules.tir.known import Known

from .finish_rows import TileStore
from .tiling import Tiling

# A shorter vector would prefetch the same cache line again and again.
_LINE_BYTES = 64


def finish(
    func: tirx.PrimFunc, conv: ConvTranspose2d, tile: Tiling, store: str, *, by_rows: bool = False
) -> tirx.PrimFunc:
    """All rewrites above, on a scheduled nest; the result is marked as scheduled.

    ``store`` is the name of the block that writes the output. It stands behind the reduction of
    each register tile or, with ``by_rows``, in a nest of its own that reads the finished strip
    ``lanes`` block columns of one row and channel at a time (``steps.rows_of_strip``).
    """
    body = _Finisher(conv, tile, store, by_rows, func.body).visit(func.body, Known())
    return func.with_body(body).with_attr("tirx.is_scheduled", True)


class _Finisher:
    def __init__(
        self, conv: ConvTranspose2d, tile: Tiling, store: str, by_rows: bool, body: tirx.Stmt
    ) -> None:
        self.conv, self.tile, self.store_name = conv, tile, store
        one_pass = conv.group_outputs <= tile.channels
        one_pass &= tile.inner_fh or conv.h.stride == 1
        self.pad_block = edit.find_block(body, PAD, missing_ok=True)
        copies = self.pad_block is not None and not by_rows
        self.prefetches = one_pass and copies and tile.lanes * 4 >= _LINE_BYTES
        self.edge_block = edit.find_block(body, EDGE, missing_ok=True)
        out_shape = edit.find_block(body, store).block.writes[0].source.shape
        self.block_rows = edit.ceil_div(out_shape[2], conv.h.stride)
        self.block_columns = edit.ceil_div(out_shape[3], conv.w.stride)
        stored = replace(tile, vectors=1, channels=1, inner_fh=False) if by_rows else tile
        origin = _row_origin(body, conv) if by_rows else _tile_origin(body)
        self.rows = TileStore(conv, stored, origin, out_shape, self.edge_block)

    def visit(self, stmt: tirx.Stmt, known: Known) -> tirx.Stmt:
        if isinstance(stmt, tirx.SeqStmt):
            return tirx.SeqStmt([self.visit(s, known) for s in stmt.seq])
        # The nest of a single output element has no loops.
        name = edit.sole_block_name(stmt)
        if name == PAD:
            return self.pad(stmt, known)
        if name == INTERLEAVE:
            return self.rows.interleave(stmt)
        if name == self.store_name:
            return self.rows.store(edit.find_block(stmt, name), known)
        if name == PHASES + "_update" and self.prefetches:
            return self.prefetch(stmt)
        if name in (PLANES, TRANSPOSE):
            return _without_predicate(stmt)
        if name == EDGE:
            return tirx.Evaluate(0)  # written where the store reads it
        if isinstance(stmt, SBlockRealize):
            # The rows of the edge are allocated where they are stored.
            return edit.with_block(stmt, body=self.visit(stmt.block.body, known), alloc_buffers=[])
        if name is not None or not isinstance(stmt, tirx.For):
            return stmt
        known = known.inside(stmt)
        body = self.visit(stmt.body, known)
        if GUARD in stmt.annotations:
            condition = known.unproved([self.guard(stmt)])
            if condition is not None:
                body = tirx.IfThenElse(condition, body, None)
        kept = {key: value for key, value in stmt.annotations.items() if key != GUARD}
        return edit.with_loop(stmt, body=body, annotations=kept)

    def guard(self, loop: tirx.For) -> Any:
        """Whether the loop's body can touch the output at all."""
        of_sums = edit.find_block(loop.body, PHASES + "_init", missing_ok=True) is not None
        *_, y, x = _tile_origin(loop) if of_sums else self.rows.origin
        return y < self.block_rows if loop.annotations[GUARD] == "row" else x < self.block_columns

    def pad(self, stmt: tirx.For, known: Known) -> tirx.Stmt:
        """for j: pad[j] = if_then_else(inside, x, 0)  =>  zeros; copy; zeros (or zeros alone)."""
        *outer, loop = edit.loops_to(stmt, None)
        known = known.inside(*outer)
        realize = loop.body
        block, store = realize.block, realize.block.body
        _, copied, zero = store.value.args
        _, _, height, width = block.reads[0].source.shape
        count = loop.extent
        first = edit.bind(realize.iter_values[3], {loop.loop_var: 0})
        values = [*realize.iter_values[:3], first]
        place = edit.place_of(block, values)
        _, _, row, column = (edit.bind(r.min, place) for r in block.reads[0].region)
        before, after = edit.border_of(column, count, width)

        def run(begin: Any, end: Any, value: Any, reads: list[Any]) -> tirx.Stmt:
            var = tirx.Var(loop.loop_var.name, loop.loop_var.ty)
            body = edit.with_block(
                realize,
                body=tirx.BufferStore(store.buffer, value, store.indices),
                iter_values=[*realize.iter_values[:3], first + begin + var],
                predicate=True,
                reads=reads,
            )
            extent = Analyzer().simplify(end - begin)
            return tirx.For(var, edit.zero_like(var), extent, tirx.ForKind.SERIAL, body)

        inside = tirx.SeqStmt(
            [
                run(0, before, zero, []),
                run(before, after, copied, list(block.reads)),
                run(after, count, zero, []),
            ]
        )
        valid = known.unproved([row >= 0, row < height])
        if valid is not None:
            inside = tirx.IfThenElse(valid, inside, run(0, count, zero, []))
        shape = block.reads[0].source.shape
        outer = [edit.with_loop(o, extent=of_any_length(int(o.extent), shape)) for o in outer]
        return edit.rebuild(outer, inside)

    def prefetch(self, reduction: tirx.For) -> tirx.Stmt:
        """for ic: multiply-adds  =>  for ic: prefetch what the next strip copies; multiply-adds.

        Where a strip's input is used in one pass, copying it is a fifth of the time, and this
        hides half of it: sub-pixel r3 32->1 from 182 to 203 GFLOP/s on Zen 4. With more passes
        there is nothing to gain. A prefetch beyond the input does no harm.
        """
        n, g, _, _, _, y, x = self.rows.origin
        source = self.pad_block.block.reads[0].source
        channel = g * self.conv.group_inputs + reduction.loop_var
        row = y + (self.tile.rows + self.conv.h.halo[1])
        fetches = []
        for vector in range(self.tile.vectors):
            line = tirx.BufferLoad(source, [n, channel, row, x + vector * self.tile.lanes])
            fetches.append(edit.prefetch(line))
        return edit.with_loop(reduction, body=tirx.SeqStmt([*fetches, reduction.body]))


def _without_predicate(stmt: tirx.For) -> tirx.Stmt:
    """A copy between scratch buffers, which are as large as the rounded domain."""
    loops = edit.loops_to(stmt, None)
    return edit.rebuild(loops, edit.with_block(loops[-1].body, predicate=True))


def _tile_origin(stmt: tirx.Stmt) -> list[Any]:
    """Where a register tile of sums begins: (n, g, o, fh, fw, y, x)."""
    return _first_of_tile(stmt, PHASES + "_init")


def _row_origin(stmt: tirx.Stmt, conv: ConvTranspose2d) -> list[Any]:
    """The same for the part of a row that is stored at a time; its fw is 0."""
    rows = (INTERLEAVE, TRANSPOSE)
    name = next(name for name in rows if edit.find_block(stmt, name, missing_ok=True))
    n, g, o, fh, y, ow = _first_of_tile(stmt, name)
    return [n, g, o, fh, edit.zero_like(ow), y, Analyzer().simplify(ow // conv.w.stride)]


def _first_of_tile(stmt: tirx.Stmt, name: str) -> list[Any]:
    """The block's place at the start of its tile, in terms of the loops around the tile."""
    block = edit.find_block(stmt, name)
    around = edit.loops_to(stmt, block)
    tiles = next(i for i, loop in enumerate(around) if loop.annotations.get(GUARD) == "column")
    inner = {loop.loop_var: 0 for loop in around[tiles + 1 :]}
    return [edit.bind(value, inner) for value in block.iter_values]
