"""What the schedule language cannot say: the last rewrites of a scheduled nest.

The schedule leaves a correct nest over a domain rounded up to whole tiles. These rewrites make its
edges cheap, on plain TensorIR, after the last schedule primitive:

    guard       skip rows and register tiles that lie wholly beyond the output
    prefetch    fetch the next strip's input while this one is computed
    pad         copy each row as three runs (zeros, input, zeros), not with a test per element
    interleave  turn the gather of phases into vector shuffles of whole registers
    store       whole vectors where the tile lies inside the output, a plain loop over its columns
                where it crosses the edge; predicates follow from the output's shape alone
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Range, TensorLoad, TensorRegion
from tvm.s_tir import SBlockRealize
from tvm.sym import Analyzer

from tvm_deconv.geometry import ConvTranspose2d

from . import tir_edit as edit
from .names import EDGE, GUARD, INTERLEAVE, PAD, PHASES
from .tiling import Tiling

# A shorter vector would prefetch the same cache line again and again.
_LINE_BYTES = 64


def finish(func: tirx.PrimFunc, conv: ConvTranspose2d, tile: Tiling, store: str) -> tirx.PrimFunc:
    """All rewrites above, on a scheduled nest of ``revd2``; the result is marked as scheduled.

    ``store`` is the name of the block that writes the output.
    """
    body = _Finisher(conv, tile, store, func.body).visit(func.body)
    return func.with_body(body).with_attr("tirx.is_scheduled", True)


class _Finisher:
    def __init__(self, conv: ConvTranspose2d, tile: Tiling, store: str, body: tirx.Stmt) -> None:
        self.conv, self.tile, self.store_name = conv, tile, store
        self.source = edit.find_block(body, PAD).block.reads[0].source
        self.in_shape = self.source.shape
        one_pass = conv.group_outputs <= tile.channels
        one_pass &= tile.inner_fh or conv.h.stride == 1
        self.prefetches = one_pass and tile.lanes * 4 >= _LINE_BYTES
        self.out_shape = edit.find_block(body, store).block.writes[0].source.shape
        # Where a register tile begins: (n, g, o, fh, fw, y, x) in terms of the loops around it.
        init = edit.find_block(body, PHASES + "_init")
        around = edit.loops_to(body, init)
        tiles = next(i for i, loop in enumerate(around) if loop.annotations.get(GUARD) == "column")
        inner = {loop.loop_var: 0 for loop in around[tiles + 1 :]}
        self.tile_origin = [edit.substitute(value, inner) for value in init.iter_values]
        self.edge_block = edit.find_block(body, EDGE, missing_ok=True)
        # One row of a register tile. TVM cannot bound the columns that the edge stage holds, and
        # gives it fewer than a tile writes.
        x = self.tile_origin[-1]
        columns = edit.const_like(x, tile.tile_columns * conv.w.stride)
        self.edge_row = tirx.decl_buffer((columns,), "float32", name=EDGE)
        self.loops: dict[tirx.Var, Range] = {}

    def visit(self, stmt: tirx.Stmt) -> tirx.Stmt:
        if isinstance(stmt, tirx.SeqStmt):
            return tirx.SeqStmt([self.visit(s) for s in stmt.seq])
        # The nest of a single output element has no loops.
        name = edit.sole_block_name(stmt)
        if name == PAD:
            return self.pad(stmt)
        if name == INTERLEAVE:
            return self.interleave(stmt)
        if name == self.store_name:
            return self.store(stmt)
        if name == PHASES + "_update" and self.prefetches:
            return self.prefetch(stmt)
        if name == EDGE:
            return tirx.Evaluate(0)  # written where `store` reads it
        if isinstance(stmt, SBlockRealize):
            body, buffers = self.visit(stmt.block.body), list(stmt.block.alloc_buffers)
            if self.edge_block is not None:
                unused = self.edge_block.block.writes[0].source
                buffers = [self.edge_row, *(b for b in buffers if not b.same_as(unused))]
            return edit.with_block(stmt, body=body, alloc_buffers=buffers)
        if name is not None or not isinstance(stmt, tirx.For):
            return stmt
        self.enter(stmt)
        body = self.visit(stmt.body)
        if GUARD in stmt.annotations:
            condition = self.unless_proved([self.guard(stmt)])
            if condition is not None:
                body = tirx.IfThenElse(condition, body, None)
        return edit.with_loop(stmt, body=body, annotations={})

    def enter(self, loop: tirx.For) -> None:
        self.loops[loop.loop_var] = Range.from_min_extent(loop.min, loop.extent)

    def unless_proved(self, conditions: list[Any]) -> Any:
        """Those conditions, joined, that some iteration may fail; None if there is none."""
        analyzer = Analyzer()
        for var, extent in self.loops.items():
            analyzer.bind(var, extent)
        left = [c for c in conditions if not analyzer.can_prove(c)]
        return tirx.all(*left) if left else None

    def guard(self, loop: tirx.For) -> Any:
        """Whether the loop's body can touch the output at all."""
        *_, y, x = self.tile_origin
        if loop.annotations[GUARD] == "row":
            return y < self.conv.h.blocks(self.in_shape[2])
        return x < self.conv.w.blocks(self.in_shape[3])

    def pad(self, stmt: tirx.For) -> tirx.Stmt:
        """for j: pad[j] = if_then_else(inside, x, 0)  =>  zeros; copy; zeros (or zeros alone)."""
        *outer, loop = edit.loops_to(stmt, None)
        for enclosing in outer:
            self.enter(enclosing)
        realize = loop.body
        block, store = realize.block, realize.block.body
        _, copied, zero = store.value.args
        count = loop.extent
        row = realize.iter_values[2] + self.conv.h.halo[0]
        first = edit.substitute(realize.iter_values[3], {loop.loop_var: 0})
        column = first + self.conv.w.halo[0]
        before = tirx.max(tirx.min(-column, count), 0)
        after = tirx.max(tirx.min(self.in_shape[3] - column, count), before)

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
        valid = self.unless_proved([row >= 0, row < self.in_shape[2]])
        if valid is not None:
            inside = tirx.IfThenElse(valid, inside, run(0, count, zero, []))
        return edit.rebuild(outer, inside)

    def prefetch(self, reduction: tirx.For) -> tirx.Stmt:
        """for ic: multiply-adds  =>  for ic: prefetch what the next strip copies; multiply-adds.

        Where a strip's input is used in one pass, copying it is a fifth of the time, and this
        hides half of it: sub-pixel r3 32->1 from 182 to 203 GFLOP/s on Zen 4. With more passes
        there is nothing to gain. A prefetch beyond the input does no harm.
        """
        n, g, _, _, _, y, x = self.tile_origin
        channel = g * self.conv.group_inputs + reduction.loop_var
        row = y + (self.tile.rows + self.conv.h.halo[1])
        fetches = []
        for vector in range(self.tile.vectors):
            line = tirx.BufferLoad(self.source, [n, channel, row, x + vector * self.tile.lanes])
            read, level_2, data = 0, 2, 1
            call = tirx.call_intrin(
                "void", "tirx.prefetch", tirx.address_of(line), read, level_2, data
            )
            fetches.append(tirx.Evaluate(call))
        return edit.with_loop(reduction, body=tirx.SeqStmt([*fetches, reduction.body]))

    def interleave(self, stmt: tirx.For) -> tirx.Stmt:
        """for j: wide[j] = phases[j % s, j / s]  =>  s vectors in, shuffled, s vectors out."""
        *outer, loop = edit.loops_to(stmt, None)
        realize, stride, lanes = loop.body, self.conv.w.stride, self.tile.lanes
        store, load = realize.block.body, realize.block.body.value
        j = realize.block.iter_vars[-1].var
        *lead, _, y, _ = load.indices
        inputs = [
            tirx.BufferLoad(
                load.source, [*lead, edit.const_like(j, f), y, _ramp(j // stride, lanes)]
            )
            for f in range(stride)
        ]
        stores = []
        for part in range(stride):
            lane = range(part * lanes, (part + 1) * lanes)
            shuffled = tirx.Shuffle(inputs, [_i32(i % stride * lanes + i // stride) for i in lane])
            target = [*store.indices[:-1], _ramp(j + part * lanes, lanes)]
            stores.append(tirx.BufferStore(store.buffer, shuffled, target))

        group = lanes * stride
        var = tirx.Var(loop.loop_var.name, loop.loop_var.ty)
        first = edit.substitute(realize.iter_values[-1], {loop.loop_var: 0})
        reads = edit.widen(realize.block.reads[0], {4: (0, stride), 6: (j // stride, lanes)})
        writes = edit.widen(realize.block.writes[0], {5: (j, group)})
        body = edit.with_block(
            realize,
            body=tirx.SeqStmt(stores),
            iter_values=[*realize.iter_values[:-1], first + var * group],
            predicate=True,
            reads=[reads],
            writes=[writes],
        )
        vectors = edit.const_like(var, int(loop.extent) // group)
        nest = tirx.For(var, edit.zero_like(var), vectors, tirx.ForKind.UNROLLED, body)
        return edit.rebuild([edit.with_loop(o, kind=tirx.ForKind.UNROLLED) for o in outer], nest)

    def store(self, stmt: tirx.For) -> tirx.Stmt:
        """The store of one register tile, over exactly the phases that the tile holds.

        unrolled o, fh: unrolled vector: vectorised lane: store

        and where tiles may cross the output's right edge

        if the tile's columns are inside: the same
        else: unrolled o, fh: edge[...] = the row's vectors; for columns that are inside: store
        """
        block = edit.find_block(stmt, self.store_name)
        if self.edge_block is None:
            return self._rows(lambda row: row.vectors(block))
        _, _, _, _, _, _, x = self.tile_origin
        last = x * self.conv.w.stride + self.tile.tile_columns * self.conv.w.stride
        copy, width = self.edge_block, self.out_shape[3]
        direct = _reading_past(block, copy)
        whole = self._rows(lambda row: row.vectors(direct))
        part = self._rows(lambda row: row.elements(block, copy, self.edge_row, width))
        return tirx.IfThenElse(last <= self.out_shape[3], whole, part)

    def _rows(self, store: Callable[[_Row], tirx.Stmt]) -> tirx.Stmt:
        """unrolled o, fh: store(row), where the row is part of the output."""
        conv, tile = self.conv, self.tile
        n, g, first_o, first_fh, _, y, x = self.tile_origin
        index = str(x.ty.dtype)
        channel = edit.loop("o", index, tile.channels, tirx.ForKind.UNROLLED)
        phases = conv.h.stride if tile.inner_fh else 1
        phase = edit.loop("fh", index, phases, tirx.ForKind.UNROLLED)
        for each in (channel, phase):
            self.enter(each)
        o, fh = first_o + channel.loop_var, first_fh + phase.loop_var
        oh = y * conv.h.stride + fh

        inside = [o < conv.group_outputs]
        covered = conv.h.blocks(self.in_shape[2]) * conv.h.stride
        if not Analyzer().can_prove_equal(covered, self.out_shape[2]):
            # The last block of rows holds fewer than stride_h rows; else its guard is enough.
            inside.append(oh < self.out_shape[2])
        condition = self.unless_proved(inside)
        row = _Row(
            output=[n, g * conv.group_outputs + o, oh],
            tile=[n, g, o, fh, y],
            first=x * conv.w.stride,
            vectors_in_row=tile.vectors * conv.w.stride,
            lanes=tile.lanes,
        )
        body = store(row)
        if condition is not None:
            body = tirx.IfThenElse(condition, body, None)
        return edit.rebuild([channel, phase], body)


@dataclass(frozen=True)
class _Row:
    """A row of a register tile: its place in the output (n, c, oh) and in the tile's buffers."""

    output: list[Any]
    tile: list[Any]
    first: Any
    vectors_in_row: int
    lanes: int

    def vectors(self, block: SBlockRealize) -> tirx.Stmt:
        """unrolled vector: vectorised lane: block, over whole vectors of the output."""
        return self._vectors(block, self.output)

    def elements(
        self, block: SBlockRealize, copy: SBlockRealize, edge: Any, width: Any
    ) -> tirx.Stmt:
        """edge[...] = the row's vectors; for columns that are inside: block, reading edge."""
        column = copy.block.iter_vars[-1].var - self.first
        fill = edit.with_block(
            copy,
            body=tirx.BufferStore(edge, copy.block.body.value, [column]),
            writes=[_element(edge, [column], copy.block.writes[0].ty)],
        )
        reading = _redirected(
            block,
            copy.block.writes[0],
            lambda load: (edge, [load.indices[-1] - self.first]),
        )
        columns = edit.loop("j", self._index, width - self.first, tirx.ForKind.SERIAL)
        values = [*self.output, self.first + columns.loop_var]
        store = edit.with_block(reading, iter_values=values, predicate=True)
        return tirx.SeqStmt([self._vectors(fill, self.tile), edit.rebuild([columns], store)])

    def _vectors(self, block: SBlockRealize, place: list[Any]) -> tirx.Stmt:
        vector = edit.loop("v", self._index, self.vectors_in_row, tirx.ForKind.UNROLLED)
        lane = edit.loop("lane", self._index, self.lanes, tirx.ForKind.VECTORIZED)
        column = self.first + (vector.loop_var * self.lanes + lane.loop_var)
        values = [*place, column]
        body = edit.with_block(block, iter_values=values, predicate=True)
        return edit.rebuild([vector, lane], body)

    @property
    def _index(self) -> str:
        return str(self.first.ty.dtype)


def _reading_past(block: SBlockRealize, copy: SBlockRealize) -> SBlockRealize:
    """``block`` with every load of what ``copy`` writes replaced by a load of what it reads."""
    source = copy.block.body.value
    axes = [axis.var for axis in copy.block.iter_vars]

    def read(load: TensorLoad) -> tuple[Any, list[Any]]:
        values = dict(zip(axes, load.indices, strict=True))
        return source.source, [edit.bind(index, values) for index in source.indices]

    return _redirected(block, copy.block.writes[0], read)


def _redirected(
    block: SBlockRealize, written: TensorRegion, read: Callable[[Any], tuple[Any, list[Any]]]
) -> SBlockRealize:
    """``block`` with every load from the buffer of ``written`` replaced by ``read(load)``."""
    reads = [region for region in block.block.reads if not region.source.same_as(written.source)]

    def replace(load: TensorLoad) -> Any:
        if not load.source.same_as(written.source):
            return load
        buffer, indices = read(load)
        reads.append(_element(buffer, indices, written.ty))
        return tirx.BufferLoad(buffer, indices)

    body = tvm_ffi.structural_map(block.block.body, (TensorLoad, replace))
    return edit.with_block(block, body=body, reads=reads)


def _element(buffer: Any, indices: list[Any], ty: Any) -> TensorRegion:
    ranges = [Range.from_min_extent(index, edit.const_like(index, 1)) for index in indices]
    return TensorRegion(buffer, ranges, ty)


def _ramp(base: Any, lanes: int) -> tirx.Ramp:
    return tirx.Ramp(base, edit.const_like(base, 1), lanes)


def _i32(value: int) -> tirx.IntImm:
    return tirx.IntImm("int32", value)
