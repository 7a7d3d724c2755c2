"""The function of a convolution of bytes by unfolded taps, written out statement by statement.

    parallel over strips of rows of blocks[, shares of the output channels]:
        rows of the strip as words, those of a row side by side
        for block of output channels:
            what the border sums up to, beside each row of sums
            for row of samples:
                for tap, vectors of samples: sums over the words, in registers
                for channel, vector: sums of taps => phases along the width
                    => rows of outputs that no later sample adds to; scale, round, clip, interleave
                       and the others, so far, for the next row of samples
                for row of outputs: store

The sums of a row stay in the level-1 cache, and so do outputs that wait. Rows of samples that lie
outside of a strip take the products of those taps only that its outputs read.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce
from itertools import product
from operator import add
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.algebra.unfolding import offset, offsets
from tvm_deconv.schedules.cpu.integer.kernel import Dim
from tvm_deconv.schedules.cpu.integer.storing import Total
from tvm_deconv.schedules.cpu.integer.writer import BlockWriter
from tvm_deconv.schedules.tir.edit import index, ramp
from tvm_deconv.schedules.tir.writing import named

from .kernel import UnfoldedInteger


def write_unfolded(kernel: UnfoldedInteger, shape: Sequence[Dim]) -> tirx.PrimFunc:
    """The function of the arguments that ``schedules.cpu.integer.write`` lists."""
    return _Writer(kernel, [index(dim) for dim in shape]).write()


class _Writer(BlockWriter):
    def __init__(self, kernel: UnfoldedInteger, shape: list[Any]) -> None:
        super().__init__(kernel, shape)
        op = kernel.op
        (self.low_h, self.high_h), (low_w, high_w) = offsets(op.h), offsets(op.w)
        # Whole vectors of border on both sides of a row of sums.
        self.front = self._whole(-low_w)
        self.behind = self._whole(max(0, op.w.blocks(0) + high_w) + self.lanes - 1)
        # For each phase along the height, how many rows of samples an output waits for.
        last = kernel.taps[0] - 1
        phases = range(op.h.stride)
        self.reach = [offset(op.h, f, 0) - offset(op.h, f, last) for f in phases]
        self.groups = kernel.taps[1] // kernel.tile.taps
        # Channels and taps of a register tile, in the order of weights.
        self.register_rows = list(product(range(kernel.tile.channels), range(kernel.tile.taps)))

    def _whole(self, columns: int) -> int:
        return -(-columns // self.lanes) * self.lanes

    def _strips(self) -> None:
        k, op, lanes = self.k, self.k.op, self.lanes
        _, _, h, w = self.shape
        rows, channels = k.tile.rows, k.tile.channels
        down = named(op.h.blocks(h))
        self.steps = named(tirx.ceildiv(w, index(self.wide)))
        self.pitch = named(self.steps * self.wide)
        self.line = named(self.pitch + (self.front + self.behind))
        self.chunks = named(tirx.ceildiv(op.w.blocks(w), index(lanes)))
        self.outputs = named(self.chunks * (lanes * op.w.stride))
        strips = named(tirx.ceildiv(down, index(rows)))
        splits = k.tile.splits
        share = k.blocks // splits
        halo = self.high_h - self.low_h
        with T.parallel(index(0), self.shape[0] * strips * splits) as piece:
            strip = T.bind(piece // splits)
            self.batch, self.top = T.bind(strip // strips), T.bind(strip % strips * rows)
            packed = T.alloc_buffer((self.pitch * ((rows + halo) * k.depth),), k.dot.word)
            taps = k.taps[0] * k.taps[1]
            sums = T.alloc_buffer((self.line * (taps * channels),), "int32")
            kept = self.chunks * (lanes * op.w.stride * channels * max(1, sum(self.reach)))
            waiting = T.alloc_buffer((kept,), "int32")
            lines = T.alloc_buffer((self.outputs * op.h.stride,), self.k.store.dtype)
            self.rows = T.bind(tirx.min(index(rows), down - self.top))
            read = T.bind(self.rows + halo)
            with T.serial(index(0), read) as row, T.serial(index(0), index(k.depth)) as word:
                y = T.bind(self.top + row + self.low_h)
                to = T.bind((row * k.depth + word) * self.pitch)
                source = self.given.source
                source.write_row(packed, to, self.pitch, self.batch, word, y, 0)
            first = T.bind(piece % splits * share)
            with T.serial(index(0), index(share)) as of_share:
                block = T.bind(first + of_share)
                self._borders(sums, block)
                with T.serial(index(0), read) as row:
                    self._products(packed, sums, block, row)
                    with T.serial(index(0), index(channels)) as o:
                        # A block may have more channels than there are.
                        channel = T.bind(block * channels + o)
                        with T.If(channel < op.out_channels), T.Then():
                            with T.serial(index(0), self.chunks) as chunk:
                                self._outputs(sums, waiting, lines, channel, o, chunk)
                            self._store(lines, channel, row)

    def _borders(self, sums: Any, block: Any) -> None:
        """On both sides of each row of sums: what samples of the border add up to."""
        k, lanes = self.k, self.lanes
        word = tirx.Cast(k.dot.word, self.given.source.points[index(0)])
        border = T.bind(tirx.Broadcast(word, lanes))
        behind = self.pitch + self.front
        firsts = [index(at) for at in range(0, self.front, lanes)]
        firsts += [behind + at for at in range(0, self.behind, lanes)]
        with (
            T.serial(index(0), index(k.taps[0])) as kh,
            T.serial(index(0), index(self.groups)) as group,
        ):
            weights = self._weights(block, kh, group)
            made = self._added(weights, self.register_rows, 1, lambda _: [border])
            for o, tap in self.register_rows:
                line = T.bind(self._line(o, kh, group * k.tile.taps + tap))
                for first in firsts:
                    T.buffer_store(sums, made[(o, tap), 0], [ramp(line + first, lanes)])

    def _products(self, packed: Any, sums: Any, block: Any, row: Any) -> None:
        """Sums of a row of samples, at those rows of taps that outputs of the strip read."""
        k, lanes, axis = self.k, self.lanes, self.k.op.h
        vectors, stride, pad = k.tile.vectors, axis.stride, axis.pad_begin
        # A phase f of an output row reads tap kh of the row (f + pad - kh) // stride after it.
        later = row + (self.low_h + 1)
        first = T.bind(tirx.max(pad + 1 - later * stride, index(0)))
        end = tirx.min(pad + stride - (later - self.rows) * stride, index(k.taps[0]))
        count = T.bind(end - first)
        with (
            T.serial(index(0), self.steps) as step,
            T.serial(index(0), count) as read,
            T.serial(index(0), index(self.groups)) as group,
        ):
            kh = T.bind(first + read)
            self._fetch_outputs(block, row, step, read * self.groups + group)

            def samples(word: Any) -> list[Any]:
                at = T.bind((row * k.depth + word) * self.pitch + step * self.wide)
                return [T.bind(packed[ramp(at + v * lanes, lanes)]) for v in range(vectors)]

            weights = self._weights(block, kh, group)
            made = self._added(weights, self.register_rows, vectors, samples)
            for o, tap in self.register_rows:
                line = T.bind(self._line(o, kh, group * k.tile.taps + tap) + step * self.wide)
                for v in range(vectors):
                    at = ramp(line + (self.front + v * lanes), lanes)
                    T.buffer_store(sums, made[(o, tap), v], [at])

    def _fetch_outputs(self, block: Any, row: Any, step: Any, turn: Any) -> None:
        """Where outputs of a step will be stored of the next row of samples: a turn's share of it.

        It completes as many neighbouring rows of outputs as there are phases.
        """
        k, rh, columns = self.k, self.k.op.h.stride, self.wide * self.k.op.w.stride
        rows = k.tile.channels * rh
        each = -(-rows // (k.taps[0] * self.groups))
        for i in range(each):
            number = T.bind(tirx.min(turn * each + i, index(rows - 1)))
            y = (self.top + row + (self.low_h + 1)) * rh - k.op.h.pad_begin + number % rh
            channel = T.bind(block * k.tile.channels + number // rh)
            self._fetch(channel, T.bind(y), step * columns, -(-columns // self.of_line))

    def _weights(self, block: Any, kh: Any, group: Any) -> Any:
        """Where those of some taps begin."""
        number = (block * self.k.taps[0] + kh) * self.groups + group
        return T.bind(number * (self.k.depth * len(self.register_rows)))

    def _line(self, o: Any, kh: Any, kw: Any) -> Any:
        """Where a channel's sums of a tap begin."""
        return ((o * self.k.taps[0] + kh) * self.k.taps[1] + kw) * self.line

    def _outputs(
        self, sums: Any, waiting: Any, lines: Any, channel: Any, o: Any, chunk: Any
    ) -> None:
        """A vector of blocks: what a row of samples adds to outputs, and complete ones stored."""
        k, op, lanes = self.k, self.k.op, self.lanes
        (rh, rw), (rows, _) = op.strides, k.taps
        by_row = [self._phases(sums, o, kh, chunk) for kh in range(rows)]
        stored = []
        for fh in range(rh):
            # [rows of samples until an output is complete][phase along the width]
            parts: list[list[list[Any]]] = [
                [[] for _ in range(rw)] for _ in range(self.reach[fh] + 1)
            ]
            for kh, fw in product(range(rows), range(rw)):
                parts[offset(op.h, fh, 0) - offset(op.h, fh, kh)][fw].append(by_row[kh][fw])
            slots = [
                [self._waiting(o, fh, later, fw, chunk) for fw in range(rw)]
                for later in range(self.reach[fh])
            ]
            for later, fw in product(range(self.reach[fh]), range(rw)):
                parts[later][fw].append(T.bind(waiting[slots[later][fw]]))
            made = [[T.bind(reduce(add, part)) for part in phases] for phases in parts]
            for later, fw in product(range(self.reach[fh]), range(rw)):
                T.buffer_store(waiting, made[later + 1][fw], [slots[later][fw]])
            totals: list[Total] = []
            for fw, total in enumerate(made[0]):
                at = T.bind((channel * rh + fh) * rw + fw)
                total = total + tirx.Broadcast(self.given.offsets[at], lanes)
                totals.append((total, partial(self._parameter, at=at)))
            stored.append(totals)
        for fh, values in self.given.of_store.stored_rows(stored, k.dot):
            to = fh * self.outputs + chunk * (lanes * rw)
            T.buffer_store(lines, values, [ramp(to, lanes * rw)])

    def _phases(self, sums: Any, o: Any, kh: int, chunk: Any) -> list[Any]:
        """Along the width, what a row of taps adds to a vector of blocks."""
        k, lanes, axis = self.k, self.lanes, self.k.op.w
        loaded: dict[tuple[int, int], Any] = {}
        made = []
        for fw in range(axis.stride):
            read = [(kw, offset(axis, fw, kw)) for kw in range(k.taps[1])]
            for kw, dx in read:
                if (kw, dx) not in loaded:
                    at = self._line(o, kh, kw) + chunk * lanes + (self.front + dx)
                    loaded[kw, dx] = T.bind(sums[ramp(at, lanes)])
            made.append(T.bind(reduce(add, [loaded[one] for one in read])))
        return made

    def _waiting(self, o: Any, fh: int, later: int, fw: int, chunk: Any) -> Any:
        """Where outputs are that ``later`` + 1 more rows of samples are missing for."""
        slots, rw = sum(self.reach), self.k.op.w.stride
        slot = sum(self.reach[:fh]) + later
        return ramp((((o * slots + slot) * self.chunks + chunk) * rw + fw) * self.lanes, self.lanes)

    def _store(self, lines: Any, channel: Any, row: Any) -> None:
        """The rows of outputs that a row of samples completes, where they are the strip's."""
        op, rw = self.k.op, self.k.op.w.stride
        for fh in range(op.h.stride):
            own = row + (self.low_h - offset(op.h, fh, 0))
            y = T.bind((self.top + own) * op.h.stride + fh)

            with T.If(tirx.all(own >= 0, own < self.rows, y < self.rows_out)), T.Then():
                self._store_row(lines, fh * self.outputs, channel, y, self.lanes * rw)
