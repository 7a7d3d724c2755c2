"""The loop nest of ``depthwise`` for maps at least as wide as a vector, or of any size.

    parallel over images, runs of channels, strips of rows:
        for channel of the run:
            unless ``direct``: copy the strip's rows to scratch, with a border of zeros; of strides
            s, every s-th column and row together
            for output channel of the group, lines of blocks, vectors of columns:
                sums[phase in width][line][vector] = 0
                for row, column of a tap: v = vector of inputs
                    for lines and taps that meet it: sums += v * weight
                interleave the phases of a line, store

A vector of inputs is loaded once for all lines of the register tile: 3x3 taps over 7 lines take 27
loads for 63 multiply-adds. The last tile of a row begins so that it ends with the row: it repeats
some columns, and a row has no remainder.

A ``direct`` nest reads the map itself. Tiles at its left and right edge, written out apart, shift
zeros into the vectors that reach beyond it; a row above or below it is zero.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, TypeAlias

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.algorithms.expressions import round_up
from tvm_deconv.schedules.tir.edit import index
from tvm_deconv.schedules.tir.hiding import opaque
from tvm_deconv.schedules.tir.picks import picked, picked_from
from tvm_deconv.schedules.tir.writing import (
    broadcast,
    in_halves,
    known,
    named,
    places,
    simplified,
)

from .common import DepthWriter, taps_of
from .tile import vectors_of

# Of an output channel, by phase and tap.
Weights: TypeAlias = dict[tuple[int, int, int, int], Any]

# Vectors of a row that are copied one by one rather than in a loop.
_FEW = 8


class RowsWriter(DepthWriter):
    """Writes the nest above."""

    def strips(self) -> Any:
        return tirx.ceildiv(self.block_rows, index(self.tile.strip))

    def prepare(self) -> None:
        conv, tile = self.conv, self.tile
        self.direct = tile.direct and str(self.x.ty.dtype) == "float32"
        if self.direct:
            return
        (down, right), span = conv.step, tile.lanes * tile.vectors
        columns = tirx.max(self.block_columns, index(span)) + conv.w.halo_extent // right
        self.columns = named(columns)
        # Whole vectors, so that one tap of a row reads aligned ones.
        self.pitch = named(round_up(simplified(columns), tile.lanes))
        self.copied_rows = (tile.strip - 1) * down + 1 + conv.h.halo_extent
        # In the last strip, a tile of more lines reads what nobody wrote, and drops it.
        rows = tile.strip + conv.h.halo_extent // down
        # A row has every `right`-th column together; zeros behind the last may spill over.
        self.row = named(self.pitch * right)
        self.rows_of_one = named(self.row * rows + tile.lanes)
        size = simplified(self.rows_of_one * down + tile.lanes)
        self.scratch = T.alloc_buffer((size,), "float32")

    def plane(self, batch: Any, channel: Any, strip: Any) -> None:
        conv, tile = self.conv, self.tile
        top = named(strip * tile.strip)
        if not self.direct:
            self._copy(batch, channel, top)
        lines = named(tirx.min(simplified(self.block_rows - top), index(tile.strip)))
        with T.serial(index(0), index(conv.group_outputs)) as output:
            weights = self.weights_of(channel, output)
            to = batch, named(channel * conv.group_outputs + output)
            with T.serial(index(0), tirx.ceildiv(lines, index(tile.lines))) as row:
                # Beyond the last whole tile, a tile that ends with the last row or column.
                y = named(tirx.max(tirx.min(row * tile.lines, lines - tile.lines), 0))
                if self.direct:
                    self._row_of_map(batch, channel, to, weights, named(top + y))
                else:
                    self._row_of_scratch(to, weights, top, y)

    def _row_of_scratch(self, to: Any, weights: Weights, top: Any, y: Any) -> None:
        lanes = self.tile.lanes
        span = lanes * self.tile.vectors
        with T.serial(index(0), tirx.ceildiv(self.block_columns, index(span))) as column:
            x = named(tirx.max(tirx.min(column * span, self.block_columns - span), 0))
            name = opaque if known(self.row) is None else named
            base = name(y * self.row + x)

            def read(i: int, p: int, q: int, j: int) -> Any:
                at = self.rows_of_one * p + self.row * i + self.pitch * q + j
                return self.scratch[places(base + at, lanes)]

            for fh in range(self.conv.h.stride):
                self._tile(to, weights, fh, named(top + y), x, read)

    def _row_of_map(self, batch: Any, channel: Any, to: Any, weights: Weights, y: Any) -> None:
        """A row of tiles: those at the edges written out, those between in a loop."""
        span = self.tile.lanes * self.tile.vectors
        left, extent = self.conv.w.halo[0], self.conv.w.halo_extent
        begins = vectors_of(int(self.block_columns), span)
        inside = [
            x
            for x in begins
            if x % span == 0 and x + left >= 0 and x + left + span + extent <= int(self.width)
        ]
        done = False
        for begin in begins:
            if begin not in inside or len(inside) == 1:
                self._tile_of_map(batch, channel, to, weights, y, index(begin))
            elif not done:
                done = True
                with T.serial(index(0), index(len(inside))) as column:
                    x = named(column * span + inside[0])
                    self._tile_of_map(batch, channel, to, weights, y, x)

    def _tile_of_map(
        self, batch: Any, channel: Any, to: Any, weights: Weights, y: Any, x: Any
    ) -> None:
        lanes, (above, _), (left, _) = self.tile.lanes, self.conv.h.halo, self.conv.w.halo
        height, width, at = int(self.height), int(self.width), known(x)
        # Tiles end with the last row of blocks, unless the last strip has fewer rows than a tile.
        rows, of_strip = int(self.block_rows), self.tile.strip
        lowest = max(rows - self.tile.lines, (rows - 1) // of_strip * of_strip)

        def read(i: int, p: int, q: int, j: int) -> Any:
            row, conditions = y + (i + above), []
            if i + above < 0:
                conditions.append(row >= 0)
            if i + above + lowest >= height:
                conditions.append(row < height)

            def load(column: Any, count: int) -> Any:
                value = self.load((batch, channel, row, index(column)), count)
                if not conditions:
                    return value
                zero = broadcast(tirx.const(0, "float32"), count)
                return tirx.if_then_else(tirx.all(*conditions), value, zero)

            if at is None:
                return load(x + (j + left), lanes)
            columns = range(at + j + left, at + j + left + lanes)
            held = [column if 0 <= column < width else None for column in columns]
            return picked_from(load, width, held)

        for fh in range(self.conv.h.stride):
            self._tile(to, weights, fh, y, x, read)

    def _copy(self, batch: Any, channel: Any, top: Any) -> None:
        """The rows of a strip, with zeros around the input."""
        down, above = self.conv.step[0], self.conv.h.halo[0]
        with T.serial(index(0), index(self.copied_rows)) as i:
            to = named(i % down * self.rows_of_one + i // down * self.row)
            y = named(top * down + above + i)
            inside = simplified(tirx.all(y >= 0, y < self.height))
            with T.If(inside):
                with T.Then():
                    if known(self.width) is None:
                        self._copy_any(batch, channel, y, to)
                    else:
                        self._copy_known(batch, channel, y, to)
                with T.Else():
                    self._zeros(to, index(0), self.row)

    def _zeros(self, to: Any, begin: Any, end: Any) -> None:
        """Zeros from ``begin`` to ``end``, and up to a vector beyond."""
        lanes = self.tile.lanes
        zero = broadcast(tirx.const(0, "float32"), lanes)
        count = simplified(tirx.ceildiv(tirx.max(end - begin, 0), index(lanes)))
        with T.serial(index(0), count) as vector:
            T.buffer_store(self.scratch, zero, [places(to + begin + vector * lanes, lanes)])

    def _copy_any(self, batch: Any, channel: Any, y: Any, to: Any) -> None:
        """A row whose length is not known."""
        left, right = self.conv.w.halo[0], self.conv.step[1]
        zero = tirx.const(0, "float32")
        for q in range(right):
            # Place j has column j * right + q + left.
            first = index(q + left)
            begin = named(tirx.max(tirx.min(-(first // right), self.columns), 0))
            end = tirx.ceildiv(self.width - first, index(right))
            end = named(tirx.max(tirx.min(end, self.columns), begin))
            row = named(to + q * self.pitch)
            for low, high in ((index(0), begin), (end, self.columns)):
                with T.serial(index(0), high - low) as j:
                    T.buffer_store(self.scratch, zero, [row + low + j])
            with T.serial(index(0), end - begin) as j:
                column = (begin + j) * right + first
                value = self.load((batch, channel, y, column), 1)
                T.buffer_store(self.scratch, value, [row + begin + j])

    def _copy_known(self, batch: Any, channel: Any, y: Any, to: Any) -> None:
        """A row by whole vectors, the last of which ends with it."""
        left, right = self.conv.w.halo[0], self.conv.step[1]
        columns, pitch = int(self.columns), int(self.pitch)
        begin = max(0, left)
        end = min(int(self.width), left + columns * right)
        for q in range(right):
            first = max(-((q + left) // right), 0)
            last = max(-(-(end - q - left) // right), first)
            self._zeros(to + q * pitch, index(0), index(first))
            self._zeros(to + q * pitch, index(last), index(columns))
        lanes = self.tile.lanes
        while lanes > 1 and lanes * right > end - begin:
            lanes //= 2
        span = lanes * right
        whole, rest = divmod(max(end - begin, 0), span)

        def copied(column: Any, phase: int) -> None:
            # `phase`: of column - left, by `right`.
            loads = [
                (
                    T.bind(self.load((batch, channel, y, column + i * lanes), lanes)),
                    range(i * lanes, (i + 1) * lanes),
                )
                for i in range(right)
            ]
            for q in range(right):
                at = (q - phase) % right
                value = picked(loads, range(at, span, right)) if lanes > 1 else loads[at][0]
                j = (column + (at - q - left)) // right
                place = simplified(to + q * pitch + j)
                T.buffer_store(self.scratch, value, [places(place, lanes)])

        if whole > _FEW:
            with T.serial(index(0), index(whole)) as vector:
                copied(vector * span + begin, (begin - left) % right)
        else:
            for vector in range(whole):
                copied(index(begin + vector * span), (begin - left) % right)
        if rest and whole:
            copied(index(end - span), (end - span - left) % right)
        elif rest:
            for column in range(begin, end):
                q = (column - left) % right
                value = self.load((batch, channel, y, index(column)), 1)
                place = to + q * pitch + (column - left - q) // right
                T.buffer_store(self.scratch, value, [place])

    def _tile(
        self,
        to: Any,
        weights: Weights,
        fh: int,
        y: Any,
        x: Any,
        read: Callable[[int, int, int, int], Any],
    ) -> None:
        """The sums of one phase in height of the blocks from (y, x) on, and their stores.

        ``read(i, p, q, j)`` is a vector of inputs: i * step + p rows and j * step + q columns after
        the first that is read for the tile.
        """
        tile, h, w, (down, right) = self.tile, self.conv.h, self.conv.w, self.conv.step
        lanes = tile.lanes
        sums: dict[tuple[int, int, int], Any] = {}
        # Rows by the lines and taps that read them.
        rows: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for line, (th, a) in product(range(tile.lines), enumerate(taps_of(h, fh))):
            rows.setdefault((line + a // down, a % down), []).append((line, th))
        columns = sorted({(b % right, b // right) for f in range(w.stride) for b in taps_of(w, f)})
        for i, p in sorted(rows):
            vectors = {
                (q, j, v): T.bind(read(i, p, q, j + v * lanes))
                for (q, j), v in product(columns, range(tile.vectors))
            }
            # One statement for a row of a sum: TVM takes the square of their number.
            for (line, th), fw, v in product(rows[i, p], range(w.stride), range(tile.vectors)):
                total = sums.get((fw, line, v))
                for tw, b in enumerate(taps_of(w, fw)):
                    weight = broadcast(weights[fh, fw, th, tw], lanes)
                    term = vectors[b % right, b // right, v] * weight
                    total = term if total is None else total + term
                if total is not None:
                    sums[fw, line, v] = T.bind(total)
        zero = broadcast(tirx.const(0, "float32"), lanes)
        for line, v in product(range(tile.lines), range(tile.vectors)):
            parts = [sums.get((fw, line, v), zero) for fw in range(w.stride)]
            self._store(to, parts, fh, named(y + line), named(x + v * lanes))

    def _store(self, to: Any, parts: list[Any], fh: int, y: Any, x: Any) -> None:
        """A vector of every phase in width, interleaved, of block row ``y`` from ``x`` on."""
        stride, lanes = len(parts), self.tile.lanes
        oh = named(y * self.conv.h.stride + fh)
        sources = [(part, range(f, lanes * stride, stride)) for f, part in enumerate(parts)]
        with T.If(simplified(oh < self.rows_out)), T.Then():
            for t in range(stride):
                value = parts[0]
                if stride > 1:
                    wanted = range(t * lanes, (t + 1) * lanes)
                    value = picked(sources, wanted) if lanes > 1 else parts[t]
                self._columns((*to, oh), named(x * stride + t * lanes), value)

    def _columns(self, outer: tuple[Any, Any, Any], ow: Any, value: Any) -> None:
        """Store a vector, or what of it lies inside."""
        lanes = self.tile.lanes
        left = simplified(self.columns_out - ow)

        def register() -> Any:
            kept = T.alloc_buffer((index(lanes),), "float32")
            T.buffer_store(kept, value, [places(index(0), lanes)])
            return kept

        count = known(left)
        if count is not None:
            kept = register() if count > 0 else None
            for first, size in in_halves(min(count, lanes), lanes):
                self.store_lanes((*outer, ow + first), kept, first, size)
            return
        if self._always_whole():
            self.store_lanes((*outer, ow), register(), 0, lanes)
            return
        # The places only: of the conditions TVM sees which are the same for a whole row.
        n, channel, row = outer
        outer, place = (n, channel, opaque(row)), opaque(ow)
        with T.If(left >= lanes):
            with T.Then():
                self.store_lanes((*outer, place), register(), 0, lanes)
            with T.Else():
                kept = register()
                with T.serial(index(0), tirx.max(left, index(0))) as lane:
                    self.elements.store((*outer, place + lane), kept[lane])

    def _always_whole(self) -> bool:
        """Whether no vector reaches beyond the last column."""
        columns, out = known(self.block_columns), known(self.columns_out)
        if columns is None or out is None:
            return False
        span = self.tile.lanes * self.tile.vectors
        return columns >= span and columns * self.conv.w.stride == out
