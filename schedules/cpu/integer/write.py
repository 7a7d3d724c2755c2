"""The function of an integer convolution, written out statement by statement.

Each parallel step takes a strip of rows: it packs the input with its halo into words of ``group``
channels (``dot``), the borders as the zero point; then, for each tile of output channels, for each
row, and for each tile of its columns, it adds up in registers

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

from tvm_deconv.schedules.tir.edit import index, ramp, shuffle
from tvm_deconv.schedules.tir.writing import in_vectors, named, places, type_of

from .kernel import Dim, Integer, Read
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
        self.columns = self.lanes * kernel.tile.across
        whole = -(-kernel.tile.rows // kernel.tile.down) * kernel.tile.down
        self.packed_rows = (whole - 1) * op.step[0] + 1 + op.h.halo_extent

    def _strips(self) -> None:
        k, op = self.k, self.k.op
        _, _, h, w = self.shape
        down, right = op.step
        self.block_rows = named(tirx.ceildiv(op.h.blocks(h), index(down)))
        self.column_tiles = named(tirx.ceildiv(op.w.blocks(w), index(self.columns * right)))
        beyond = -(-(op.w.halo_extent + k.folded - 1) // right)
        # Of the columns that are a step apart, which lie side by side.
        self.plane = named(self.column_tiles * self.columns + beyond)
        self.packed_columns = named(self.plane * right)
        # Of a row of outputs.
        self.line = named(self.column_tiles * (self.columns * op.w.stride))
        strips = named(tirx.ceildiv(self.block_rows, k.tile.rows))
        # Each split packs the strip anew, for its share of the tiles.
        splits = k.tile.splits
        share = op.groups * k.tiles // splits
        with T.parallel(index(0), self.shape[0] * strips * splits) as piece:
            strip = T.bind(piece // splits)
            batch, top = T.bind(strip // strips), T.bind(strip % strips * k.tile.rows)
            self.batch = batch
            depth = op.groups * k.depth
            size = depth * self.packed_rows * self.packed_columns
            packed = T.alloc_buffer((size,), k.dot.word)
            natural = T.alloc_buffer((self.packed_columns,), k.dot.word) if right > 1 else None
            kept = self.line * (k.tile.channels * k.tile.down * len(k.row_phases[0]))
            written = T.alloc_buffer((kept,), k.store.dtype)
            with T.serial(index(0), index(depth)) as word:
                self._pack(packed, natural, batch, top, word)
            rows = tirx.min(index(k.tile.rows), self.block_rows - top)
            first = T.bind(piece % splits * share)
            with (
                T.serial(index(0), index(share)) as of_share,
                T.serial(index(0), tirx.ceildiv(rows, index(k.tile.down))) as step,
            ):
                tile, row = T.bind(first + of_share), T.bind(step * k.tile.down)
                for phases in k.row_phases:
                    with T.serial(index(0), self.column_tiles) as column:
                        self._tile(packed, written, tile, column, row, phases)
                    self._store(written, T.bind(top + row), tile, phases)

    def _pack(self, result: Any, natural: Any, batch: Any, top: Any, word: Any) -> None:
        """One word of channels of a strip: its rows, then the borders of each.

        ``natural`` is for one row in the order of its columns, where it has another one at the end.
        """
        packed = result if natural is None else natural
        op, left = self.k.op, self.k.op.w.halo[0]
        with T.serial(index(0), index(self.packed_rows)) as row:
            to = T.bind((word * self.packed_rows + row) * self.packed_columns)
            at = to if natural is None else index(0)
            y = T.bind(top * self.k.op.step[0] + row + op.h.halo[0])
            self.given.source.write_row(packed, at, self.packed_columns, batch, word, y, left)
            if self.k.folded > 1:
                self._fold(packed, at)
            if natural is not None:
                self._apart(natural, result, to)

    def _apart(self, natural: Any, packed: Any, at: Any) -> None:
        """A row with the columns side by side that are a step apart."""
        lanes, step = self.lanes, self.k.op.step[1]
        with T.serial(index(0), self.plane // lanes) as v:
            begin = T.bind(v * (lanes * step))
            parts = [natural[ramp(begin + i * lanes, lanes)] for i in range(step)]
            for i in range(step):
                order = [lane * step + i for lane in range(lanes)]
                to = ramp(at + i * self.plane + v * lanes, lanes)
                T.buffer_store(packed, shuffle(parts, order), [to])
        with T.serial(index(0), self.plane % lanes) as rest:
            x = T.bind(self.plane - self.plane % lanes + rest)
            for i in range(step):
                T.buffer_store(packed, natural[x * step + i], [at + i * self.plane + x])

    def _fold(self, packed: Any, at: Any) -> None:
        """A row of words that hold one tap as words that hold several, from left to right."""
        k = self.k

        def words(x: Any, lanes: int) -> None:
            kind, total = type_of("int32", lanes), None
            for i in range(k.folded):
                value = packed[places(at + x + i, lanes)]
                if i:
                    value = value << tirx.const(k.dot.bits * k.op.group_inputs * i, kind)
                total = value if total is None else total | value
            T.buffer_store(packed, total, [places(at + x, lanes)])

        in_vectors(self.packed_columns - (k.folded - 1), self.lanes, words)

    def _tile(
        self,
        packed: Any,
        written: Any,
        tile: Any,
        column: Any,
        row: Any,
        phases: Sequence[int],
    ) -> None:
        """Sums of a row of one tile, and what is stored of them."""
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
        rows = _by_row(taps)
        in_all = reads * vectors * len(k.row_phases)
        is_long = reads * vectors > _UNROLLED or in_all > _UNROLLED_IN_ALL
        looped = _even_step(rows) if is_long else None

        def add_row(at: Any, weights: Any, columns: _Columns) -> int:
            """The taps of one row, of which packed x begins at ``at``; how many weights it took."""
            count = sum(map(len, columns.values())) * channels
            loaded = weights_of(k.dot, self.given.words, weights, count)
            for dx, read in columns.items():
                apart, near = dx % k.op.step[1], dx // k.op.step[1]
                start = at + near + (apart * self.plane if apart else 0)
                below = self.packed_columns * k.op.step[0]
                firsts = [start + d * below + v * lanes for d, v in k.tile.places]
                xs = [T.bind(packed[ramp(first, lanes)]) for first in firsts]
                for (fh, fw), o in product(read, range(channels)):
                    weight = next(loaded)
                    for v, x in enumerate(xs):
                        at_v = (fh, fw, o), v
                        sums[at_v] = add_products(k.dot, sums[at_v], x, weight)
            return count

        with T.serial(index(0), self.depth) as word:
            weights = T.bind(tile * before[0] + before[1] + word * reads)
            top_row = (group * k.depth + word) * self.packed_rows + row * k.op.step[0]
            first, stride = column * self.columns, self.packed_columns
            if looped:
                with T.serial(index(0), index(len(rows))) as i:
                    at = T.bind((top_row + min(rows) + i * looped) * stride + first)
                    add_row(at, T.bind(weights + i * (reads // len(rows))), rows[min(rows)])
            else:
                starts = {dy: T.bind((top_row + dy) * stride + first) for dy in rows}
                for dy, columns in rows.items():
                    weights = weights + add_row(starts[dy], weights, columns)
        across, part = k.tile.across, lanes * rw
        rows_of = [
            [
                (
                    sums[(fh, fw, o), d * across + v],
                    partial(self._parameter, at=parameter(fh, fw, o)),
                )
                for fw in range(rw)
            ]
            for d, fh, o, v in product(range(k.tile.down), phases, range(channels), range(across))
        ]
        begin = T.bind(column * (across * part))
        for number, values in self.given.of_store.stored_rows(rows_of, k.dot, across):
            to = begin + self.line * (number // across) + number % across * part
            T.buffer_store(written, values, [ramp(to, values.ty.dtype.lanes)])

    def _store(self, written: Any, row: Any, tile: Any, phases: Sequence[int]) -> None:
        """Rows of a tile's channels, each to its end before the next one.

        By columns of the tile, halves of lines of many channels shared few places of a cache, and
        sums were in registers where it branched: of 1 channel to 64 of 224x224, kernel 5, 0.54 ms,
        not 1.2, of 3 to 64 of 96x96, kernel 3, 0.09, not 0.17.
        """
        k, op = self.k, self.k.op
        channels, outputs, rh = k.tile.channels, op.group_outputs, op.h.stride
        first = T.bind(tile % k.tiles * channels)
        count: Any = index(channels)
        if outputs % channels:
            count = tirx.min(outputs - first, count)
        for number, (d, fh) in enumerate(product(range(k.tile.down), phases)):
            y = T.bind((row + d) * rh + fh)
            with T.If(y < self.rows_out), T.Then(), T.serial(index(0), count) as o:
                channel = T.bind(tile // k.tiles * outputs + first + o)
                line = T.bind((o + number * channels) * self.line)
                self._store_row(written, line, channel, y, self.lanes * k.dot.group)
