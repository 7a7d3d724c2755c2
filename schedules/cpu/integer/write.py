"""The function of an integer convolution, written out statement by statement.

Each parallel step takes a strip of rows: it packs the input with its halo into words of ``group``
channels (``dot``), the borders as the zero point (``layout``); then, for each tile of output
channels, for each line of blocks, a row or all rows of the strip, and for each tile of its columns,
it adds up in registers

    sums[phase, channel, vector] += words of x at a tap's offset . words of its weights

over all words of channels, and stores ``scale * sums``, rounded half to even, clipped and with the
phases interleaved. Registers hold ``channels * phases * vectors`` sums and the ``vectors`` of x
that a tap reads, each of which is used for every channel and phase. A weight is broadcast from
memory. Where only every second column is computed, a row is packed as its even words, then its odd
ones, so that what a tap reads lies side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise, product
from typing import Any, TypeAlias

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.tir.edit import index, ramp
from tvm_deconv.schedules.tir.writing import named

from .kernel import Dim, Integer, Read
from .layout import Flat, Rows
from .products import add_products, weights_of
from .registers import Registers
from .writer import Writer

# Products of vectors that are written out one after the other; more go row by row in a loop.
_UNROLLED = 1500
# Of all phases along the height together: in a pipeline that is not ours TVM takes the square of it
# to compact buffers, 70 s for the 16000 products of 16 phases of 8x8 taps, and 5 s in loops.
_UNROLLED_IN_ALL = 4096


def write(kernel: Integer, shape: Sequence[Dim]) -> tirx.PrimFunc:
    """The function of the kernel's arguments, y the last of them:

    x (N, C, H, W) of ``shape``, words, points, offsets, scales, numbers[, shifts][, slopes]
    [, other, values], y. A size is an int or a variable of its own. Words, points, offsets, scales,
    shifts and slopes are those that ``kernel`` packs, numbers those of its ``Store``; ``other`` is
    what is added, of y's shape, and ``values`` those of ``Sum``.
    """
    return _Writer(kernel, [index(dim) for dim in shape]).write()


# By column of a packed input: which (f_h, f_w) read it.
_Columns: TypeAlias = dict[int, list[tuple[int, int]]]


def _by_row(taps: Mapping[tuple[int, int], Sequence[Read]]) -> dict[int, _Columns]:
    rows: dict[int, _Columns] = {}
    for (dy, dx), read in taps.items():
        rows.setdefault(dy, {})[dx] = [(fh, fw) for fh, fw, _, _ in read]
    return rows


def _even_step(rows: Mapping[int, _Columns]) -> int | None:
    """How far the rows are apart, if that is equal and so are their taps."""
    places = sorted(rows)
    steps = {b - a for a, b in pairwise(places)}
    alike = all(columns == rows[places[0]] for columns in rows.values()) if rows else False
    return steps.pop() if alike and len(steps) == 1 else None


class _Writer(Writer):
    def __init__(self, kernel: Integer, shape: list[Any]) -> None:
        op = kernel.op
        parameters = op.groups * kernel.tiles * op.strides[0] * op.strides[1]
        super().__init__(kernel, shape, parameters * kernel.tile.channels)

    def _strips(self) -> None:
        k, op = self.k, self.k.op
        _, _, h, w = self.shape
        down, right = op.step
        block_rows = named(tirx.ceildiv(op.h.blocks(h), index(down)))
        width = named(tirx.ceildiv(op.w.blocks(w), index(right)))
        self.layout = (Flat if k.tile.flat else Rows)(k, width)
        # Of a line of outputs.
        self.line = named(self.layout.tiles * (self.layout.wide * op.w.stride))
        strips = named(tirx.ceildiv(block_rows, k.tile.rows))
        # Each split packs the strip anew, for its share of the tiles.
        splits = k.tile.splits
        share = op.groups * k.tiles // splits
        with T.parallel(index(0), self.shape[0] * strips * splits) as piece:
            strip = T.bind(piece // splits)
            batch, top = T.bind(strip // strips), T.bind(strip % strips * k.tile.rows)
            self.batch = batch
            packed = T.alloc_buffer((self.layout.size,), k.dot.word)
            kept = self.line * (k.tile.channels * len(k.row_phases[0]))
            written = T.alloc_buffer((kept,), k.store.dtype)
            self.layout.pack(packed, self.given.source, batch, top)
            rows = T.bind(tirx.min(index(k.tile.rows), block_rows - top))
            first = T.bind(piece % splits * share)
            with (
                T.serial(index(0), index(share)) as of_share,
                T.serial(index(0), tirx.ceildiv(rows, self.layout.rows_of_line)) as line,
            ):
                tile = T.bind(first + of_share)
                first_row = T.bind(top + line * self.layout.rows_of_line)
                for phases in k.row_phases:
                    with T.serial(index(0), self.layout.tiles) as column:
                        self._tile(packed, written, tile, column, line, phases, first_row)
                    self._store(written, first_row, rows, tile, phases)

    def _tile(
        self,
        packed: Any,
        written: Any,
        tile: Any,
        column: Any,
        line: Any,
        phases: Sequence[int],
        top: Any,
    ) -> None:
        """Sums of columns of a line, and what is stored of them; ``top`` is its first row."""
        k, op, lanes = self.k, self.k.op, self.lanes
        vectors, channels, (rh, rw) = k.tile.vectors, k.tile.channels, op.strides
        lines = list(product(phases, range(rw), range(channels)))
        sums = Registers(product(lines, range(vectors)), lanes)

        def parameter(fh: int, fw: int, o: int) -> Any:
            return ((tile * rh + fh) * rw + fw) * channels + o

        for one in lines:
            first = tirx.Broadcast(self.given.offsets[parameter(*one)], lanes)
            for v in range(vectors):
                sums[one, v] = first
        group = tile // k.tiles
        taps = k.taps(phases)
        reads = sum(len(at) for at in taps.values()) * channels
        before = [len(k.order()) * k.depth * channels, 0]
        for earlier in k.row_phases[: k.row_phases.index(tuple(phases))]:
            before[1] += sum(len(at) for at in k.taps(earlier).values()) * k.depth * channels
        rows, layout = _by_row(taps), self.layout
        in_all = reads * vectors * len(k.row_phases)
        is_long = reads * vectors > _UNROLLED or in_all > _UNROLLED_IN_ALL
        looped = _even_step(rows) if is_long else None

        def add_row(at: Any, weights: Any, columns: _Columns) -> int:
            """The taps of one row, of which packed x begins at ``at``; how many weights it took."""
            count = sum(map(len, columns.values())) * channels
            loaded = weights_of(k.dot, self.given.words, weights, count)
            for dx, read in columns.items():
                start = at + layout.column(dx)
                xs = [T.bind(packed[ramp(start + v * lanes, lanes)]) for v in range(vectors)]
                for (fh, fw), o in product(read, range(channels)):
                    weight = next(loaded)
                    for v, x in enumerate(xs):
                        at_v = (fh, fw, o), v
                        sums[at_v] = add_products(k.dot, sums[at_v], x, weight)
            return count

        if not k.tile.flat:
            self._fetch_outputs(tile, column, top, phases)
        with T.serial(index(0), self.depth) as word:
            weights = T.bind(tile * before[0] + before[1] + word * reads)
            of_group = group * k.depth + word
            first = T.bind(column * layout.wide)
            if looped:
                with T.serial(index(0), index(len(rows))) as i:
                    at = T.bind(layout.row(of_group, line, min(rows) + i * looped) + first)
                    add_row(at, T.bind(weights + i * (reads // len(rows))), rows[min(rows)])
            else:
                starts = {dy: T.bind(layout.row(of_group, line, dy) + first) for dy in rows}
                for dy, columns in rows.items():
                    weights = weights + add_row(starts[dy], weights, columns)
        part = lanes * rw
        rows_of = [
            [(sums[(fh, fw, o), v], partial(self._parameter, at=parameter(fh, fw, o)))
             for fw in range(rw)]
            for fh, o, v in product(phases, range(channels), range(vectors))
        ]  # fmt: skip
        begin = T.bind(column * (vectors * part))
        for number, values in self.given.of_store.stored_rows(rows_of, k.dot, vectors):
            to = begin + self.line * (number // vectors) + number % vectors * part
            T.buffer_store(written, values, [ramp(to, values.ty.dtype.lanes)])

    def _fetch_outputs(self, tile: Any, column: Any, top: Any, phases: Sequence[int]) -> None:
        """Where the sums of columns of a row will be stored."""
        k, op = self.k, self.k.op
        columns = self.layout.wide * op.w.stride
        first = T.bind(tile // k.tiles * op.group_outputs + tile % k.tiles * k.tile.channels)
        for fh in phases:
            with T.serial(index(0), index(k.tile.channels)) as o:
                y = top * op.h.stride + fh
                lines = -(-columns // self.of_line)
                self._fetch(first + o, y, column * columns, lines)

    def _store(self, written: Any, top: Any, rows: Any, tile: Any, phases: Sequence[int]) -> None:
        """A line of a tile's channels, each to its end before the next one.

        ``top`` is its first row of blocks, ``rows`` are those of the strip. By columns of the tile,
        halves of lines of many channels shared few places of a cache, and sums were in registers
        where it branched: of 1 channel to 64 of 224x224, kernel 5, 0.54 ms, not 1.2, of 3 to 64 of
        96x96, kernel 3, 0.09, not 0.17.
        """
        k, op = self.k, self.k.op
        channels, outputs, (rh, rw) = k.tile.channels, op.group_outputs, op.strides
        first = T.bind(tile % k.tiles * channels)
        count: Any = index(channels)
        if outputs % channels:
            count = tirx.min(outputs - first, count)
        rows = rows if k.tile.flat else index(1)
        for number, fh in enumerate(phases):
            with T.serial(index(0), count) as o, T.serial(index(0), rows) as row:
                y = T.bind((top + row) * rh + fh)
                with T.If(y < self.rows_out), T.Then():
                    channel = T.bind(tile // k.tiles * outputs + first + o)
                    begin = (o + number * channels) * self.line + row * (self.layout.width * rw)
                    self._store_row(written, T.bind(begin), channel, y, self.lanes * k.dot.group)
