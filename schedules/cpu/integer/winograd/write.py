"""The function of a convolution of bytes by Winograd's form, written out statement by statement.

    parallel over strips of rows of tiles[, shares of the output channels]:
        for word of input channels:
            rows of the strip as words, every m-th column side by side
            for row of tiles, vector of tiles: samples => points, by sums of int16
        for block of output channels:
            for vectors of tiles:
                for product: sums over the words, in registers
                for channel, vector: sums of products => outputs; scale, round, clip, interleave
            for channel, row of tiles: store m_h r_h rows

A vector holds neighbouring tiles, whose rows follow each other without a gap, so that all vectors
but the last are full. The products of one point read the same samples, and those that phases share
are computed once; they stay in a cache. Outputs of a tile lie side by side: m_w r_w columns of all
phases, of which the first are those that read ahead (``Axis.shifts``). A tile is m_h x m_w outputs
of each phase (``exact_winograd.Scheme``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.algebra.exact_winograd import Products, schemes_of, shift_and_inverse
from tvm_deconv.algebra.geometry import Axis
from tvm_deconv.schedules.cpu.integer.kernel import Dim
from tvm_deconv.schedules.cpu.integer.products import Modular
from tvm_deconv.schedules.cpu.integer.writer import BlockWriter
from tvm_deconv.schedules.tir.edit import index, ramp
from tvm_deconv.schedules.tir.writing import named, simplified

from .kernel import WinogradInteger


def write_winograd(kernel: WinogradInteger, shape: Sequence[Dim]) -> tirx.PrimFunc:
    """The function of the arguments that ``schedules.cpu.integer.write`` lists."""
    return _Writer(kernel, [index(dim) for dim in shape]).write()


class _Writer(BlockWriter):
    def __init__(self, kernel: WinogradInteger, shape: list[Any]) -> None:
        super().__init__(kernel, shape)
        self.schemes = schemes_of(kernel.op)
        self.m = tuple(scheme.outputs for scheme in self.schemes)
        # Of outputs of a tile.
        self.lines, self.columns = (
            m * stride for m, stride in zip(self.m, kernel.op.strides, strict=True)
        )

    def _strips(self) -> None:
        k, op, lanes = self.k, self.k.op, self.lanes
        _, _, h, w = self.shape
        mh, mw = self.m
        down = named(tirx.ceildiv(op.h.blocks(h) + max(op.h.shifts), index(mh)))
        self.across = named(tirx.ceildiv(op.w.blocks(w) + max(op.w.shifts), index(mw)))
        self.chunks = named(tirx.ceildiv(self.across, index(lanes)))
        # The last tile reads columns of the next one, the last vector of tiles whatever follows.
        self.spread_chunks = named(tirx.ceildiv(self.across + 1, index(lanes)))
        self.plane = named((self.chunks + 1) * lanes)
        # The last vector of the last row begins within it.
        vectors = tirx.ceildiv(self.across * k.tile.rows, index(self.wide)) * k.tile.vectors
        self.pitch = named((vectors + 1) * lanes)
        # Of the samples at a point, whose words a tile's are stored to at once: an odd number of
        # lines, so that points do not share few places of a cache.
        self.of_point = named((self.pitch * k.depth // lanes // 2 * 2 + 1) * lanes)
        strips = named(tirx.ceildiv(down, index(k.tile.rows)))
        splits = k.tile.splits
        share = k.blocks // splits
        with T.parallel(index(0), self.shape[0] * strips * splits) as piece:
            strip = T.bind(piece // splits)
            self.batch, self.top = T.bind(strip // strips), T.bind(strip % strips * k.tile.rows)
            samples = mh * k.tile.rows + self.schemes[0].taps - 1
            self.row_bytes = named(self.spread_chunks * (lanes * mw))
            rows = T.alloc_buffer((self.row_bytes * (samples * k.dot.group),), "int8")
            spread = T.alloc_buffer((self.plane * (mw * samples),), k.dot.word)
            made = T.alloc_buffer((self.of_point * k.points_count + self.pitch,), k.dot.word)
            products = T.alloc_buffer((index(k.count * k.tile.channels * self.wide),), "int32")
            size = self.pitch * (k.tile.channels * self.lines * self.columns)
            lines = T.alloc_buffer((size,), self.k.store.dtype)
            self.rows = T.bind(tirx.min(index(k.tile.rows), down - self.top))
            with T.serial(index(0), index(k.depth)) as word:
                self._spread(rows, spread, word)
                self._transform(spread, made, word)
            first = T.bind(piece % splits * share)
            with T.serial(index(0), index(share)) as of_share:
                block = T.bind(first + of_share)
                steps = tirx.ceildiv(self.rows * self.across, index(self.wide))
                with T.serial(index(0), steps) as step:
                    self._products(made, products, block, step)
                    self._outputs(products, lines, block, step)
                self._store(lines, block)

    def _spread(self, rows: Any, spread: Any, word: Any) -> None:
        """One word of the strip's rows, every m-th column of each side by side.

        Bytes of m columns are one integer, so no lane changes its place. The ``rows`` of all of its
        channels are copied before they are read: a vector of two that were just stored would wait.
        """
        k, lanes, (mh, mw) = self.k, self.lanes, self.m
        count = self.rows * mh + (self.schemes[0].taps - 1)
        left, group = k.op.w.halo[0], k.dot.group
        with T.serial(index(0), count) as row:
            y = T.bind(self.top * mh + row + k.op.h.halo[0])
            for i in range(group):
                # The weights of channels that there are none of are 0: any will do.
                channel = T.bind(tirx.min(word * group + i, index(k.op.in_channels - 1)))
                at = (row * group + i) * self.row_bytes
                self.given.source.copy_row(rows, at, self.row_bytes, self.batch, channel, y, left)
        with T.serial(index(0), count) as row, T.serial(index(0), self.spread_chunks) as chunk:
            kind, first = f"int{8 * mw}x{lanes}", row * (self.row_bytes * group)
            columns = [
                T.bind(
                    tirx.reinterpret(
                        kind,
                        rows[ramp(first + i * self.row_bytes + chunk * (lanes * mw), lanes * mw)],
                    )
                )
                for i in range(group)
            ]
            for place in range(mw):
                at = (row * mw + place) * self.plane + chunk * lanes
                T.buffer_store(spread, self._word(columns, place), [ramp(at, lanes)])

    def _word(self, columns: Sequence[Any], place: int) -> Any:
        """The word of the bytes number ``place`` of integers of each of its channels."""
        (_, mw), dot = self.m, self.k.dot
        kind, total = f"int{8 * mw}x{self.lanes}", None
        for i, column in enumerate(columns):
            if self.k.dtype == "int8":
                value = column << tirx.const(8 * (mw - 1 - place), kind)
                value = value >> tirx.const(8 * (mw - 1), kind)
            else:
                value = (column >> tirx.const(8 * place, kind)) & tirx.const(255, kind)
            value = tirx.Cast(f"{dot.word}x{self.lanes}", value)
            if i < len(columns) - 1:
                value = value & tirx.const((1 << dot.bits) - 1, value.ty.dtype)
            if i:
                value = value << tirx.const(dot.bits * i, value.ty.dtype)
            total = value if total is None else total | value
        return total

    def _transform(self, spread: Any, made: Any, word: Any) -> None:
        """Vectors of tiles at each point. One may reach into the next row, which comes later."""
        lanes = self.lanes
        with T.serial(index(0), self.rows) as row:
            half = lanes // 2
            with T.serial(index(0), self.across // lanes) as chunk:
                self._transform_tiles(spread, made, word, row, chunk * lanes, lanes)
            rest = T.bind(self.across % lanes)
            first = T.bind(self.across - rest)
            with T.If(rest > half), T.Then():
                self._transform_tiles(spread, made, word, row, first, lanes)
            with T.If(tirx.all(rest > 0, rest <= half)), T.Then():
                self._transform_tiles(spread, made, word, row, first, half)

    def _transform_tiles(
        self, spread: Any, made: Any, word: Any, row: Any, first: Any, lanes: int
    ) -> None:
        """So many of a row, from ``first`` on."""
        k, (mh, mw) = self.k, self.m
        height, width = self.schemes
        elements = f"int{k.dot.bits}x{lanes * k.dot.group}"

        def sample(a: int, b: int) -> Modular:
            later, apart = divmod(b, mw)
            at = ((row * mh + a) * mw + apart) * self.plane + first + later
            value = spread[ramp(at, lanes)]
            value = value if k.dot.group == 1 else tirx.reinterpret(elements, value)
            return Modular(T.bind(value))

        columns = [
            height.at_points([sample(a, b) for a in range(height.points)])
            for b in range(width.points)
        ]
        at = T.bind(row * self.across + first)
        for u in range(height.points):
            for v, made_of in enumerate(width.at_points([column[u] for column in columns])):
                value = made_of.value
                if k.dot.group > 1:
                    value = tirx.reinterpret(f"{k.dot.word}x{lanes}", value)
                to = self.of_point * (u * width.points + v) + word * self.pitch + at
                T.buffer_store(made, value, [ramp(to, lanes)])

    def _products(self, made: Any, products: Any, block: Any, step: Any) -> None:
        """Of a block of channels and as many tiles as registers hold."""
        k, lanes = self.k, self.lanes
        channels, vectors = k.tile.channels, k.tile.vectors
        height, width = k.products
        with (
            T.serial(index(0), index(height.count)) as a,
            T.serial(index(0), index(width.count)) as b,
        ):
            point = T.bind(_point(height, a) * self.schemes[1].points + _point(width, b))
            number = T.bind(a * width.count + b)
            first = T.bind(point * self.of_point + step * self.wide)
            weights = T.bind((block * k.count + number) * (k.depth * channels))
            self._fetch_outputs(block, step * k.count + number)

            def samples(word: Any) -> list[Any]:
                at = T.bind(first + word * self.pitch)
                return [T.bind(made[ramp(at + v * lanes, lanes)]) for v in range(vectors)]

            sums = self._added(weights, range(channels), vectors, samples, modular=True)
            to = T.bind(number * (channels * self.wide))
            for o, v in product(range(channels), range(vectors)):
                place = ramp(to + (o * self.wide + v * lanes), lanes)
                T.buffer_store(products, sums[o, v], [place])

    def _fetch_outputs(self, block: Any, turn: Any) -> None:
        """Where a block's outputs will be stored: what a turn, one of all its products, has of it.

        Those of a channel in a strip lie one behind the other.
        """
        k, op = self.k, self.k.op
        channels = k.tile.channels
        size = index(k.tile.rows * self.lines) * self.columns_out
        turns = tirx.ceildiv(index(k.tile.rows) * self.across, index(self.wide)) * k.count
        each = tirx.max(turns // channels, 1)
        share = simplified(tirx.ceildiv(tirx.ceildiv(size, index(self.of_line)), each))
        o = T.bind(tirx.min(turn // each, channels - 1))
        y = tirx.max(self.top * self.m[0] - max(op.h.shifts), index(0)) * op.h.stride
        first = T.bind(turn % each * share * self.of_line)
        self._fetch(block * channels + o, T.bind(y), first, share)

    def _outputs(self, products: Any, lines: Any, block: Any, step: Any) -> None:
        """Those tiles of each channel as parts of m_h r_h lines."""
        k, op, lanes = self.k, self.k.op, self.lanes
        height, width = k.products
        (rh, rw), channels = op.strides, k.tile.channels
        with (
            T.serial(index(0), index(channels)) as o,
            T.serial(index(0), index(k.tile.vectors)) as v,
        ):
            at = T.bind(o * self.wide + v * lanes)
            # A block may have more channels than there are.
            channel = T.bind(tirx.min(block * channels + o, index(op.out_channels - 1)))

            def one(a: int, b: int) -> Any:
                number = a * width.count + b
                place = ramp(at + number * (channels * self.wide), lanes)
                return Modular(T.bind(products[place]))

            for fh in range(rh):
                of_rows = [
                    self.schemes[0].sums([one(a, b) for a in height.of_phase(fh)])
                    for b in range(width.count)
                ]
                for i in range(self.m[0]):
                    of_phases = [
                        self.schemes[1].sums([of_rows[b][i] for b in width.of_phase(fw)])
                        for fw in range(rw)
                    ]
                    totals = []
                    for j, fw in product(range(self.m[1]), _in_order(op.w)):
                        place = T.bind((channel * rh + fh) * rw + fw)
                        total = self._exact(of_phases[fw][j])
                        total = total + tirx.Broadcast(self.given.offsets[place], lanes)
                        totals.append((total, partial(self._parameter, at=place)))
                    ((_, values),) = self.given.of_store.stored_rows([totals], k.dot)
                    to = self._line(o, fh, i) + (step * self.wide + v * lanes) * self.columns
                    T.buffer_store(lines, values, [ramp(to, lanes * self.columns)])

    def _exact(self, total: Modular) -> Any:
        """The sum of which ``total`` is a multiple, modulo 2^32."""
        shift, inverse = shift_and_inverse(self.k.op)
        if inverse != 1:
            total = total * inverse
        return total.value >> tirx.const(shift, f"int32x{self.lanes}") if shift else total.value

    def _line(self, o: Any, fh: int, i: int) -> Any:
        """Where a channel's outputs ``i`` of phase ``fh`` begin, of all tiles of the strip."""
        return (o * self.lines + (fh * self.m[0] + i)) * (self.pitch * self.columns)

    def _store(self, lines: Any, block: Any) -> None:
        """The rows of each channel that lie within the map, from its first column on.

        That column is not where a vector of outputs begins. A vector that is loaded right after two
        that it overlaps were stored waits until both have left the core: here they have.
        """
        k, op = self.k, self.k.op
        with T.serial(index(0), index(k.tile.channels)) as o, T.serial(index(0), self.rows) as row:
            channel = T.bind(block * k.tile.channels + o)
            for fh, i in product(range(op.h.stride), range(self.m[0])):
                of_phase = (self.top + row) * self.m[0] + (i - op.h.shifts[fh])
                y = T.bind(of_phase * op.h.stride + fh)
                first = self._line(o, fh, i) + row * self.across * self.columns
                first = first + sum(op.w.shifts)

                inside = tirx.all(channel < op.out_channels, y >= 0, y < self.rows_out)
                with T.If(inside), T.Then():
                    self._store_row(lines, first, channel, y, self.lanes * self.columns)


def _point(products: Products, number: Any) -> Any:
    """At which point a product is."""
    later = products.firsts[1:-1]
    return sum((tirx.Cast("int64", number >= first) for first in later), index(0))


def _in_order(axis: Axis) -> list[int]:
    """Phases as their outputs lie side by side: those that read ahead come a block earlier."""
    return sorted(range(axis.stride), key=lambda f: (-axis.shifts[f], f))
