"""The store of one tile of rows: phases interleaved, whole vectors, and the output's edges.

interleave  turn the gather of phases into vector shuffles of whole registers
store       whole vectors where the tile lies inside the output, a plain loop over its columns
            where it crosses the edge; predicates follow from the output's shape alone
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.ir import TensorLoad
from tvm.s_tir import SBlockRealize
from tvm.sym import Analyzer

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms.expressions import static
from tvm_deconv.schedules.algorithms.names import EDGE
from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.hiding import of_any_length
from tvm_deconv.schedules.tir.known import Known

from .tiling import Tiling


class TileStore:
    """Rewrites what stands behind the sums of a tile.

    ``origin`` is where the tile begins, (n, g, o, fh, fw, y, x) in terms of the loops around it;
    ``tile`` says how large it is. ``edge`` is the block that holds a row in memory, if any.
    """

    def __init__(
        self,
        conv: ConvTranspose2d,
        tile: Tiling,
        origin: list[Any],
        out_shape: Any,
        edge: SBlockRealize | None,
    ) -> None:
        self.conv, self.tile, self.origin = conv, tile, origin
        self.out_shape, self.edge_block = out_shape, edge
        self.phases = conv.h.stride if tile.inner_fh else 1
        # The rows of a tile. TVM cannot bound the columns that the edge stage holds, and gives it
        # fewer than a tile writes.
        shape = (tile.channels * self.phases, tile.tile_columns * conv.w.stride)
        sizes = [edit.const_like(origin[-1], size) for size in shape]
        dtype = "float32" if edge is None else str(edge.block.writes[0].source.dtype)
        self.edge_rows = tirx.decl_buffer(sizes, dtype, name=EDGE)

    def interleave(self, stmt: tirx.For) -> tirx.Stmt:
        """for j: wide[j] = phases[j % s, j / s]  =>  s vectors in, shuffled, s vectors out."""
        *outer, loop = edit.loops_to(stmt, None)
        realize, stride, lanes = loop.body, self.conv.w.stride, self.tile.lanes
        store, load = realize.block.body, realize.block.body.value
        j = realize.block.iter_vars[-1].var
        *lead, _, y, x = load.indices
        *row, column = store.indices
        inputs = [
            tirx.BufferLoad(load.source, [*lead, edit.const_like(j, f), y, edit.ramp(x, lanes)])
            for f in range(stride)
        ]
        stores = []
        for part in range(stride):
            lane = range(part * lanes, (part + 1) * lanes)
            shuffled = edit.shuffle(inputs, [i % stride * lanes + i // stride for i in lane])
            target = [*row, edit.ramp(column + part * lanes, lanes)]
            stores.append(tirx.BufferStore(store.buffer, shuffled, target))

        group = lanes * stride
        var = tirx.Var(loop.loop_var.name, loop.loop_var.ty)
        first = edit.bind(realize.iter_values[-1], {loop.loop_var: 0})
        reads = edit.widen(realize.block.reads[0], {4: (0, stride), 6: (x, lanes)})
        writes = edit.widen(realize.block.writes[0], {5: (j, group)})
        body = edit.with_block(
            realize,
            body=edit.sequence(stores),
            iter_values=[*realize.iter_values[:-1], first + var * group],
            predicate=True,
            reads=[reads],
            writes=[writes],
        )
        vectors = edit.const_like(var, int(loop.extent) // group)
        nest = tirx.For(var, edit.zero_like(var), vectors, tirx.ForKind.UNROLLED, body)
        return edit.rebuild([edit.with_loop(o, kind=tirx.ForKind.UNROLLED) for o in outer], nest)

    def store(self, block: SBlockRealize, known: Known) -> tirx.Stmt:
        """The store of one register tile, over exactly the phases that the tile holds.

        unrolled o, fh: unrolled vector: vectorised lane: store

        and where tiles may cross the output's right edge

        if the tile's columns are inside: the same
        else: unrolled o, fh: the vectors that are inside; edge[o, fh] = those of the rest
              for o, fh: for columns of the rest that are inside: store, reading edge

        Of a free width all is rest. Element by element the rows are stored in a loop over ``o``:
        LLVM makes vectors of its columns, with a start and a rest, which was half of a kernel's
        code with one for each row. It is slow, too: 5x5 taps from 1 to 64 channels of 224x224, 5
        tiles of 48 columns a row, took 1.15 ms with 32 columns of the last one by elements, and
        take 0.68 with two vectors (Zen 5, one thread).
        """
        if self.edge_block is None:
            return self._rows(known, lambda row: row.vectors(block))
        _, _, _, _, _, _, x = self.origin
        columns = self.tile.tile_columns * self.conv.w.stride
        copy, width = self.edge_block, static(self.out_shape[3])
        direct = _reading_past(block, copy)
        whole = self._rows(known, lambda row: row.vectors(direct))
        vectors, rest = 0, None
        if isinstance(width, int) and width % columns:
            vectors, rest = divmod(width % columns, self.tile.lanes)
        some = []
        if vectors:
            some.append(self._rows(known, lambda row: row.vectors(direct, range(vectors))))
        if rest != 0:
            last = None if rest is None else range(vectors, vectors + 1)
            fill = self._rows(known, lambda row: row.fill(copy, self.edge_rows, last))

            def elements(row: _Row) -> tirx.Stmt:
                first = vectors * self.tile.lanes
                count = self.out_shape[3] - row.first if rest is None else rest
                return row.elements(block, copy, self.edge_rows, first, count)

            some += [fill, self._rows(known, elements, looped=True)]
        by_parts = edit.sequence(some)
        if rest != 0:
            by_parts = edit.allocating([self.edge_rows], some)
        is_inside = x * self.conv.w.stride + columns <= self.out_shape[3]
        return tirx.IfThenElse(is_inside, whole, by_parts)

    def _rows(
        self, known: Known, store: Callable[[_Row], tirx.Stmt], looped: bool = False
    ) -> tirx.Stmt:
        """unrolled o, fh: store(row), where the row is part of the output; or ``looped`` over o."""
        conv, tile = self.conv, self.tile
        n, g, first_o, first_fh, _, y, x = self.origin
        index = str(x.ty.dtype)
        channel = edit.loop("o", index, tile.channels, tirx.ForKind.UNROLLED)
        if looped:
            count = of_any_length(tile.channels, self.out_shape)
            channel = edit.loop("o", index, count, tirx.ForKind.SERIAL)
        phase = edit.loop("fh", index, self.phases, tirx.ForKind.UNROLLED)
        known = known.inside(channel, phase)
        o, fh = first_o + channel.loop_var, first_fh + phase.loop_var
        oh = y * conv.h.stride + fh

        inside = [o < conv.group_outputs]
        covered = edit.ceil_div(self.out_shape[2], conv.h.stride) * conv.h.stride
        if not Analyzer().can_prove_equal(covered, self.out_shape[2]):
            # The last block of rows holds fewer than stride_h rows; else its guard is enough.
            inside.append(oh < self.out_shape[2])
        condition = known.unproved(inside)
        row = _Row(
            output=[n, g * conv.group_outputs + o, oh],
            tile=[n, g, o, fh, y],
            number=channel.loop_var * self.phases + phase.loop_var,
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
    """A row of a register tile: its place in the output (n, c, oh) and in the tile's buffers.

    ``number`` counts the rows of the tile.
    """

    output: list[Any]
    tile: list[Any]
    number: Any
    first: Any
    vectors_in_row: int
    lanes: int

    def vectors(self, block: SBlockRealize, some: range | None = None) -> tirx.Stmt:
        """unrolled vector: vectorised lane: block, over all vectors of the row or ``some``."""
        return self._vectors(block, self.output, some)

    def fill(self, copy: SBlockRealize, edge: Any, some: range | None = None) -> tirx.Stmt:
        """edge[number] = the row's vectors, or ``some``."""
        place = [self.number, copy.block.iter_vars[-1].var - self.first]
        fill = edit.with_block(
            copy,
            body=tirx.BufferStore(edge, copy.block.body.value, place),
            writes=[edit.element(edge, place, copy.block.writes[0].ty)],
        )
        return self._vectors(fill, self.tile, some)

    def elements(
        self, block: SBlockRealize, copy: SBlockRealize, edge: Any, first: int, count: Any
    ) -> tirx.Stmt:
        """for ``count`` columns of the row from ``first`` on: block, reading edge[number]."""
        reading = edit.redirected(
            block,
            copy.block.writes[0],
            lambda load: (edge, [self.number, load.indices[-1] - self.first]),
        )
        columns = edit.loop("j", self._index, count, tirx.ForKind.SERIAL)
        values = [*self.output, self.first + first + columns.loop_var]
        store = edit.with_block(reading, iter_values=values, predicate=True)
        return edit.rebuild([columns], store)

    def _vectors(self, block: SBlockRealize, place: list[Any], some: range | None) -> tirx.Stmt:
        some = range(self.vectors_in_row) if some is None else some
        vector = edit.loop("v", self._index, len(some), tirx.ForKind.UNROLLED)
        lane = edit.loop("lane", self._index, self.lanes, tirx.ForKind.VECTORIZED)
        column = self.first + ((vector.loop_var + some.start) * self.lanes + lane.loop_var)
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

    return edit.redirected(block, copy.block.writes[0], read)
