"""The Winograd transforms written out, and the store fused behind them.

The schedule has tiled the products. What is left of the definition, constant matrices and index
maps with divisions, is replaced here by straight-line vector code that means the same:

    pad, spread, transform   one nest over input channels: copy a row in three runs (zeros, input,
                             zeros), deal its columns out to vectors, transform all its tiles
    outputs, store           one nest over the channels of a block: inverse transform to a scratch
                             of some KiB, then interleave it row by row into whole vectors; only
                             vectors that lie inside the strip and the output are stored, the last
                             elements of a row one by one
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import TensorLoad, TensorRegion
from tvm.s_tir import SBlockRealize
from tvm.sym import Analyzer

from tvm_deconv.schedules.algorithms.expressions import by_phase, static
from tvm_deconv.schedules.algorithms.names import OUTPUTS, PAD, PREFETCH, PRODUCTS, TRANSFORM
from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.lagrange import lagrange
from tvm_deconv.schedules.tir.pieces import divided
from tvm_deconv.schedules.tir.straight_line import StraightLine
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE

from .tile import LINE, Layout

# Rows of input that are copied before the first of them is dealt out.
_ROWS = 4
# Lines of output that are prefetched for a block: more would not stay in a level-2 cache of 256 KiB
# beside the weights.
_MOST_FETCHED = 2048


def finish(func: tirx.PrimFunc, layout: Layout, store: str) -> tirx.PrimFunc:
    """``func`` with both nests above; the result is marked as scheduled.

    ``store`` is the name of the block that writes the output.
    """
    root = func.body
    strip = _Strip(layout, root, store)
    blocks = strip.blocks
    inner = tirx.SeqStmt([strip.in_scratch(blocks.body), strip.write_outputs()])
    before = [*strip.keep_pitch(), strip.read_inputs(), *strip.clear_reach()]
    body = tirx.SeqStmt([*before, edit.with_loop(blocks, body=inner)])
    body = edit.rebuild(strip.pieces, body)
    root = edit.with_block(root, body=body, alloc_buffers=strip.buffers)
    return func.with_body(root).with_attr("tirx.is_scheduled", True)


class _Strip:
    """The nests of one strip, in terms of the loops around the products."""

    def __init__(self, layout: Layout, root: SBlockRealize, store_name: str) -> None:
        self.layout, self.conv, self.lanes = layout, layout.conv, layout.tile.lanes
        init = edit.find_block(root, PRODUCTS + "_init")
        self.pieces, (self.blocks, *inner) = divided(edit.loops_to(root, init))
        # The loops over a block's register tiles: points, rows, tiles.
        self.register_tiles = inner[:4]
        # Where the strip and its block begin: (n, sy, sx, g, block).
        origin = {loop.loop_var: 0 for loop in inner}
        self.place = [edit.substitute(value, origin) for value in init.iter_values[:5]]
        self.weights = edit.find_block(root, PRODUCTS + "_update").block.reads[-1].source
        self.in_registers = [init.block.writes[0].source]
        if layout.tile.weight_vectors:
            # What is read there is a copy; the block that makes it has the copy's name.
            self.in_registers.append(self.weights)
            self.weights = edit.find_block(root, self.weights.name).block.reads[0].source
        self.definition = {
            name: edit.find_block(root, name).block for name in (PAD, TRANSFORM, OUTPUTS)
        }
        self.store = edit.find_block(root, store_name)
        self.x = self.definition[PAD].reads[0].source
        self.index = str(self.place[0].ty.dtype)

        h, w, lanes = layout.h, layout.w, self.lanes
        points = (h.points, w.points)
        # One vector more: phases that start later read on into the next tile.
        columns = (layout.output_chunks + 1) * lanes
        line = w.unit * w.axis.stride * lanes
        self.rows = self._memory("rows", _ROWS, layout.row_inputs)
        self.spread = self._memory("spread", h.inputs, w.unit, layout.spread)
        self.transform = self._memory(TRANSFORM, *points, self.conv.group_inputs | 1, layout.pitch)
        self.products = self._memory(PRODUCTS, *points, layout.rows | 1, layout.pitch)
        self.outputs = self._memory(OUTPUTS, w.axis.stride, h.outputs, w.unit, columns)
        self.edge = self._memory("edge", line)
        self.line = self._registers("line", line)

    @property
    def buffers(self) -> list[Any]:
        """Everything that a strip needs besides input, weights and output."""
        scratch = [self.rows, self.spread, self.transform, self.products, self.outputs]
        return [*scratch, self.line, self.edge, *self.in_registers]

    def keep_pitch(self) -> list[tirx.Stmt]:
        """Nothing that runs. TVM cuts a buffer to what is touched, and with it the space between
        rows that ``Layout.pitch`` and one row more keep a power of two away from each other; it
        keeps the size of one whose address is taken."""
        return [tirx.Evaluate(buffer.data) for buffer in (self.transform, self.products)]

    def in_scratch(self, products: tirx.Stmt) -> tirx.Stmt:
        """The products' nest on buffers of one strip: [u, v, ic or row, tile]."""
        own = {
            self.definition[TRANSFORM].writes[0].source: (self.transform, 4),
            self.definition[OUTPUTS].reads[0].source: (self.products, 5),
        }

        def load(node: TensorLoad) -> Any:
            buffer, skipped = own.get(node.source, (None, 0))
            return node if buffer is None else tirx.BufferLoad(buffer, node.indices[skipped:])

        def store(node: tirx.BufferStore) -> Any:
            buffer, skipped = own.get(node.buffer, (None, 0))
            if buffer is None:
                return node
            return tirx.BufferStore(buffer, node.value, node.indices[skipped:])

        def region(node: TensorRegion) -> Any:
            buffer, skipped = own.get(node.source, (None, 0))
            return node if buffer is None else TensorRegion(buffer, node.region[skipped:], node.ty)

        def loop(node: tirx.For) -> Any:
            return self._prefetching(node) if PREFETCH in node.annotations else node

        callbacks = [
            (TensorLoad, load),
            (tirx.BufferStore, store),
            (TensorRegion, region),
            (tirx.For, loop),
        ]
        return tvm_ffi.structural_map(products, callbacks)

    def _prefetching(self, reduction: tirx.For) -> tirx.Stmt:
        """for ic: products  =>  prefetch outputs; for ic: prefetch next rows' weights; products.

        The weights of a large layer are in no core's own cache. Measured on two cores of Zen 4:
        2 to 5 % for layers of 128 to 512 channels, nothing for fewer.
        """
        tile = self.layout.tile
        realize = edit.find_block(reduction, PRODUCTS + "_update")
        inner = {loop.loop_var: 0 for loop in edit.loops_to(reduction, realize)[1:]}
        values = [edit.substitute(value, inner) for value in realize.iter_values]
        _, _, _, g, block, u, v, row, _, channel, _ = values
        fetches = []
        turn = self.layout.pieces * tile.channels
        for first in range(0, tile.unroll * turn, LINE):
            later, within = divmod(first, turn)
            piece, lane = divmod(within, tile.channels)
            place = [g, block, u, v, row // tile.channels + 1, channel + later, piece, lane]
            line = tirx.BufferLoad(self.weights, place)
            fetches.append(edit.prefetch(line))
        body = tirx.SeqStmt([*fetches, reduction.body])
        loop = edit.with_loop(reduction, body=body, annotations={})
        return edit.sequence([*self._fetch_outputs(), loop])

    def _fetch_outputs(self) -> list[tirx.Stmt]:
        """Prefetch a register tile's share of the lines that the block's outputs are stored to.

        A line that is in no core's own cache is read before it is written, and the store waits.
        Measured on an Intel Xeon (Emerald Rapids): 5 to 18 % of the time of ten layers whose maps
        are in the level-3 cache. A prefetch beyond the output does no harm.
        """
        h, w = self.layout.h, self.layout.w
        n, sy, sx, g, block = self.place
        y = self.store.block.writes[0].source
        values = LINE * 4 // (y.dtype.bits // 8)
        rows = h.unit * h.tiles * h.axis.stride
        lines = -(-w.span * w.axis.stride // values)
        count = self.layout.tile.block * rows * lines
        if count > _MOST_FETCHED:
            return []
        number, tiles = tirx.const(0, self.index), 1
        for loop in self.register_tiles:
            number, tiles = number * loop.extent + loop.loop_var, tiles * int(loop.extent)
        share = -(-count // tiles)
        line = self._loop("line", share)
        place = number * share + line.loop_var
        channel, row = place // (rows * lines), place // lines % rows
        o = g * self.conv.group_outputs + block * self.layout.tile.block + channel
        top, left = sy * h.span * h.axis.stride, sx * w.span * w.axis.stride
        first = tirx.BufferLoad(y, [n, o, top + row, left + place % lines * values])
        return [edit.rebuild([line], edit.prefetch(first, write=True))]

    def read_inputs(self) -> tirx.Stmt:
        """for ic: for group of rows: pad the group, then spread it; transform all tiles.

        A vector that is loaded right after two stores that it overlaps waits for both to leave the
        core; a few rows later they have left.
        """
        channel = self._loop("ic", self.conv.group_inputs)
        group = self._loop("rows", -(-self.layout.h.inputs // _ROWS))
        body = tirx.SeqStmt(
            [
                edit.rebuild(
                    [group],
                    tirx.SeqStmt(
                        [
                            self._each_row(group, partial(self._copy_row, channel.loop_var)),
                            self._each_row(group, self._spread_row),
                        ]
                    ),
                ),
                self._transform_tiles(channel.loop_var),
            ]
        )
        return edit.rebuild([channel], body)

    def _each_row(self, group: tirx.For, body: Callable[[Any, Any], tirx.Stmt]) -> tirx.Stmt:
        """for rows of a group: body(row of the strip, row of the group)."""
        row = self._loop("i", _ROWS)
        i = group.loop_var * _ROWS + row.loop_var
        stmt = body(i, row.loop_var)
        if self.layout.h.inputs % _ROWS:
            stmt = tirx.IfThenElse(i < self.layout.h.inputs, stmt, None)
        return edit.rebuild([row], stmt)

    def _copy_row(self, channel: Any, i: Any, place: Any) -> tirx.Stmt:
        """rows[place] = zeros, x, zeros."""
        layout, w = self.layout, self.layout.w
        n, sy, sx, g, _ = self.place
        height, width = self.x.shape[2:]
        y = sy * layout.h.span + layout.h.first + i
        first = sx * w.span + w.first
        count = edit.const_like(first, layout.row_inputs)
        before, after = edit.border_of(first, count, width)
        zero = tirx.const(0, ACCUMULATE_DTYPE)

        def run(begin: Any, end: Any, value: Any) -> tirx.Stmt:
            extent = Analyzer().simplify(end - begin)
            loop = self._loop("j", extent)
            j = begin + loop.loop_var
            return edit.rebuild([loop], tirx.BufferStore(self.rows, value(j), [place, j]))

        def zeros(_: Any) -> Any:
            return zero

        def copied(j: Any) -> Any:
            c = g * self.conv.group_inputs + channel
            return tirx.BufferLoad(self.x, [n, c, y, first + j]).astype(ACCUMULATE_DTYPE)

        inside = tirx.SeqStmt(
            [
                self._fetch_row(n, g * self.conv.group_inputs + channel + 1, y, first),
                run(edit.zero_like(first), before, zeros),
                run(before, after, copied),
                run(after, count, zeros),
            ]
        )
        whole = run(edit.zero_like(first), count, zeros)
        return tirx.IfThenElse(tirx.all(y >= 0, y < height), inside, whole)

    def _fetch_row(self, n: Any, channel: Any, y: Any, first: Any) -> tirx.Stmt:
        """Prefetch a row of the next channel: without it, waiting for memory takes as long as all
        else that is done to the input. A prefetch beyond the input does no harm."""
        values = LINE * 4 // (self.x.dtype.bits // 8)
        line = self._loop("line", -(-self.layout.row_inputs // values))
        load = tirx.BufferLoad(self.x, [n, channel, y, first + line.loop_var * values])
        return edit.rebuild([line], edit.prefetch(load))

    def _spread_row(self, i: Any, place: Any) -> tirx.Stmt:
        """spread[i, p, t] = rows[place, m*t + p], with the tiles of all residues for m."""
        layout, w = self.layout, self.layout.w
        chunk = self._loop("t", layout.spread // self.lanes)
        code = StraightLine()
        start = chunk.loop_var * (w.unit * self.lanes)
        vectors = [
            code.name(self._load(self.rows, [place, start + part * self.lanes]))
            for part in range(w.unit)
        ]
        for residue, vector in enumerate(code.deinterleave(vectors)):
            target = [i, residue, chunk.loop_var * self.lanes]
            code.statements.append(self._put(self.spread, target, vector))
        return edit.rebuild([chunk], tirx.SeqStmt(code.statements))

    def _transform_tiles(self, channel: Any) -> tirx.Stmt:
        """for ty, residues, vector of tiles: transform[u, v, ic, tiles] = B^T d B.

        The last vector of a row of tiles may reach into the next row's place; that row comes later.
        """
        layout, h, w = self.layout, self.layout.h, self.layout.w
        ty = self._loop("ty", h.positions)
        rh, rw = self._loop("rh", h.step), self._loop("rw", w.step)
        chunk = self._loop("tx", layout.chunks)
        code = StraightLine()
        first = chunk.loop_var * self.lanes

        def sample(a: int, b: int) -> Any:
            row = ty.loop_var * h.unit + rh.loop_var + a * h.step
            later, column = divmod(b, w.outputs)
            place = [row, column * w.step + rw.loop_var, first + later]
            return code.name(self._load(self.spread, place))

        columns = [
            lagrange(code, h.matrices.points, [sample(a, b) for a in range(h.points)])
            for b in range(w.points)
        ]
        values = [lagrange(code, w.matrices.points, row) for row in zip(*columns, strict=True)]
        line = (ty.loop_var * h.step + rh.loop_var) * w.step + rw.loop_var
        tau = line * w.positions + first
        for u, row in enumerate(values):
            for v, value in enumerate(row):
                code.statements.append(self._put(self.transform, [u, v, channel, tau], value))
        tiles = edit.rebuild([ty, rh, rw, chunk], tirx.SeqStmt(code.statements))
        if layout.reach >= layout.read_tiles:
            return tiles
        beyond = self._clear(self.transform, channel, layout.reach, layout.read_tiles)
        return tirx.SeqStmt([tiles, beyond])

    def clear_reach(self) -> list[tirx.Stmt]:
        """Products beyond those computed, where the last row of tiles reaches further; or nothing.

        They are never used, but memory that nobody wrote may hold slow denormal numbers.
        """
        first, last = self.layout.strip_tiles, self.layout.output_reach
        if last <= first:
            return []
        row = self._loop("row", self.layout.rows)
        return [edit.rebuild([row], self._clear(self.products, row.loop_var, first, last))]

    def _clear(self, buffer: Any, row: Any, first: int, last: int) -> tirx.Stmt:
        """for u, v: buffer[u, v, row, first:last] = 0."""
        layout = self.layout
        u, v = self._loop("u", layout.h.points), self._loop("v", layout.w.points)
        beyond = self._loop("tau", last - first)
        place = [u.loop_var, v.loop_var, row, first + beyond.loop_var]
        zeros = tirx.BufferStore(buffer, tirx.const(0, ACCUMULATE_DTYPE), place)
        return edit.rebuild([u, v, beyond], zeros)

    def write_outputs(self) -> tirx.Stmt:
        """for channel, fh, row of tiles of each residue: outputs = A^T M A for all fw; store."""
        layout, h = self.layout, self.layout.h
        channel = self._loop("o", layout.tile.block)
        phase = self._loop("fh", h.axis.stride)
        ty, rh = self._loop("ty", h.tiles), self._loop("rh", h.step)
        o = self.place[4] * layout.tile.block + channel.loop_var
        body: tirx.Stmt = tirx.SeqStmt(
            [
                self._invert_tiles(
                    channel.loop_var, phase.loop_var, ty.loop_var * h.step + rh.loop_var
                ),
                self._store_rows(o, phase.loop_var, ty.loop_var * h.unit + rh.loop_var),
            ]
        )
        nest = edit.rebuild([phase, ty, rh], body)
        if layout.computed_channels > self.conv.group_outputs:
            nest = tirx.IfThenElse(o < self.conv.group_outputs, nest, None)
        return edit.rebuild([channel], nest)

    def _invert_tiles(self, channel: Any, phase: Any, line: Any) -> tirx.Stmt:
        """outputs = A^T M A for all fw, of one row of tiles and residue of rows."""
        layout, h, w = self.layout, self.layout.h, self.layout.w
        fw, rw = self._loop("fw", w.axis.stride), self._loop("rw", w.step)
        chunk = self._loop("tx", layout.output_chunks)
        row = (channel * h.axis.stride + phase) * w.axis.stride + fw.loop_var
        first = chunk.loop_var * self.lanes
        tau = (line * w.step + rw.loop_var) * w.positions + first
        code = StraightLine()

        def product(u: int, v: int) -> Any:
            return code.name(self._load(self.products, [u, v, row, tau]))

        columns = [
            code.combine(h.matrices.inverse, [product(u, v) for u in range(h.points)])
            for v in range(w.points)
        ]
        values = [code.combine(w.matrices.inverse, row) for row in zip(*columns, strict=True)]
        for i, row_values in enumerate(values):
            for j, value in enumerate(row_values):
                place = [fw.loop_var, i, j * w.step + rw.loop_var, first]
                code.statements.append(self._put(self.outputs, place, value))
        return edit.rebuild([fw, rw, chunk], tirx.SeqStmt(code.statements))

    def _store_rows(self, o: Any, phase: Any, top: Any) -> tirx.Stmt:
        """for i, vector of tiles: line = outputs of all fw, interleaved; store what is inside."""
        layout, h, w, lanes = self.layout, self.layout.h, self.layout.w, self.lanes
        n, sy, sx, g, _ = self.place
        _, _, out_height, out_width = self.store.block.writes[0].source.shape
        row = self._loop("i", h.outputs)
        chunk = self._loop("tx", layout.output_chunks)
        y = sy * h.span + top + row.loop_var * h.step - by_phase(h.shifts, phase)
        oh = y * h.axis.stride + phase
        per_chunk = w.unit * w.axis.stride
        first = (sx * w.span + chunk.loop_var * (w.unit * lanes)) * w.axis.stride
        end = tirx.min((sx + 1) * (w.span * w.axis.stride), out_width)

        code = StraightLine()
        sources = []
        for j in range(w.unit):
            for fw in range(w.axis.stride):
                later, column = divmod(j + w.shifts[fw], w.unit)
                place = [fw, row.loop_var, column, chunk.loop_var * lanes + later]
                sources.append(code.name(self._load(self.outputs, place)))
        wide = code.interleave(sources)

        at = [n, g * self.conv.group_outputs + o, oh]
        # Of free width, the number of elements left is made of remainders by a free number.
        left = code.name(end - first) if not isinstance(static(out_width), int) else end - first

        def filled(line: Any, stores: tirx.Stmt) -> tirx.Stmt:
            puts = [self._put(line, [index * lanes], vector) for index, vector in enumerate(wide)]
            return tirx.SeqStmt([*puts, stores])

        # The line is a memory of its own where elements are read one by one: the other then stays
        # in registers.
        whole = filled(self.line, self._store_whole(at, first, per_chunk))
        part = filled(self.edge, self._store_part(at, first, per_chunk, left))
        stores = tirx.IfThenElse(first + per_chunk * lanes <= end, whole, part)
        body = edit.rebuild([chunk], tirx.SeqStmt([*code.statements, stores]))
        inside = tirx.all(y >= 0, oh < out_height)
        return edit.rebuild([row], tirx.IfThenElse(inside, body, None))

    def _store_whole(self, at: list[Any], first: Any, vectors: int) -> tirx.Stmt:
        """unrolled v: vectorised lane: store of line[v, lane]."""
        part = self._loop("v", vectors, tirx.ForKind.UNROLLED)
        return edit.rebuild([part], self._store_vector(at, first, self.line, part.loop_var))

    def _store_part(self, at: list[Any], first: Any, vectors: int, left: Any) -> tirx.Stmt:
        """for v: whole vectors of edge, then the elements that are left.

        Of a free number it is a loop, so that its code stands there once.
        """
        free, lanes = isinstance(left, tirx.Var), self.lanes
        part = self._loop("v", vectors, tirx.ForKind.SERIAL if free else tirx.ForKind.UNROLLED)
        offset = part.loop_var * lanes
        element = self._loop("j", lanes if free else left - offset)
        some = self._store_element(at, first, self.edge, offset + element.loop_var)
        if free:
            some = tirx.IfThenElse(offset + element.loop_var < left, some, None)
        rest = edit.rebuild([element], some)
        if not free:
            rest = tirx.IfThenElse(offset < left, rest, None)
        vector = self._store_vector(at, first, self.edge, part.loop_var)
        return edit.rebuild([part], tirx.IfThenElse(offset + lanes <= left, vector, rest))

    def _store_vector(self, at: list[Any], first: Any, line: Any, number: Any) -> tirx.Stmt:
        lane = self._loop("lane", self.lanes, tirx.ForKind.VECTORIZED)
        place = number * self.lanes + lane.loop_var
        return edit.rebuild([lane], self._store_element(at, first, line, place))

    def _store_element(self, at: list[Any], first: Any, line: Any, offset: Any) -> SBlockRealize:
        """The store's block for one element, which stands in ``line[offset]``."""
        column = self.store.block.iter_vars[-1].var
        written = self.definition[OUTPUTS].writes[0]
        reading = edit.redirected(self.store, written, lambda _: (line, [column - first]))
        return edit.with_block(reading, iter_values=[*at, first + offset], predicate=True)

    def _memory(self, name: str, *shape: int) -> Any:
        """A buffer in the workspace of the thread, whatever its size.

        That is where TVM puts the scope "local" on a CPU. In the default scope it may share the
        storage of the accumulators or of the line, which LLVM then cannot keep in registers:
        eight stores in each turn of the reduction.
        """
        return self._buffer(name, shape, "local")

    def _registers(self, name: str, *shape: int) -> Any:
        """A buffer that is on the stack if it has less than 1 KiB, so that LLVM removes it."""
        return self._buffer(name, shape, "global")

    def _buffer(self, name: str, shape: tuple[int, ...], scope: str) -> Any:
        sizes = [tirx.IntImm(self.index, n) for n in shape]
        return tirx.decl_buffer(sizes, ACCUMULATE_DTYPE, name=name, scope=scope)

    def _loop(self, name: str, extent: Any, kind: Any = tirx.ForKind.SERIAL) -> tirx.For:
        return edit.loop(name, self.index, extent, kind)

    def _load(self, buffer: Any, place: list[Any]) -> Any:
        return tirx.BufferLoad(buffer, self._vector(place))

    def _put(self, buffer: Any, place: list[Any], value: Any) -> tirx.Stmt:
        return tirx.BufferStore(buffer, value, self._vector(place))

    def _vector(self, place: list[Any]) -> list[Any]:
        """Indices of a vector that starts at ``place``."""
        indices = [tirx.IntImm(self.index, p) if isinstance(p, int) else p for p in place]
        indices[-1] = edit.ramp(indices[-1], self.lanes)
        return indices
