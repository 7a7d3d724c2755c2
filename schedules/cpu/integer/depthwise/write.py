"""The function of a depthwise layer of bytes, written out statement by statement.

    parallel over pictures, runs of channels, strips of rows of blocks:
        for channel of the run:
            copy the strip's rows to scratch, the border as the zero point; of steps s, every s-th
            row together
            for output channel of the group:
                for vectors of blocks, over all rows of the strip:
                    for phase: sums of words of bytes (``kernel``); scale, round, clip, interleave
                for row of outputs: store

A vector runs on from one row into the next: what lies between rows is computed, and not stored. A
row of scratch is as long as ``right`` steps of a row of blocks, so that a block reads its words at
``right`` times its number, in whichever row it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.cpu.integer.kernel import Dim
from tvm_deconv.schedules.cpu.integer.products import add_products, weights_of
from tvm_deconv.schedules.cpu.integer.storing import Total
from tvm_deconv.schedules.cpu.integer.writer import Writer
from tvm_deconv.schedules.tir.edit import index, ramp
from tvm_deconv.schedules.tir.writing import named

from .kernel import DepthwiseInteger


def write_depthwise(kernel: DepthwiseInteger, shape: Sequence[Dim]) -> tirx.PrimFunc:
    """The function of the arguments that ``schedules.cpu.integer.write`` lists."""
    return _Writer(kernel, [index(dim) for dim in shape]).write()


class _Writer(Writer):
    def __init__(self, kernel: DepthwiseInteger, shape: list[Any]) -> None:
        op = kernel.op
        super().__init__(kernel, shape, op.out_channels * op.h.stride * op.w.stride)
        # Vectors that have the blocks of a run of words between them, and their bytes.
        self.turns = kernel.dot.group // op.step[1]
        self.bytes = self.lanes * kernel.dot.group

    def _strips(self) -> None:
        k, op = self.k, self.k.op
        batch, _, h, w = self.shape
        (down, right), (rows, planes) = op.step, (k.tile.rows, k.tile.planes)
        block_rows = named(tirx.ceildiv(op.h.blocks(h), index(down)))
        beyond = -(-op.w.halo_extent // right)
        # Blocks of a row, with what the last one reads beyond it; the bytes that they read.
        self.pitch = named(tirx.ceildiv(op.w.blocks(w), index(right)) + beyond)
        self.row = named(self.pitch * right)
        self.plane = named(self.row * (rows + op.h.halo_extent // down))
        blocks = self.lanes * self.turns
        self.line = named(tirx.ceildiv(self.pitch * rows, index(blocks)) * (blocks * op.w.stride))
        strips = named(tirx.ceildiv(block_rows, index(rows)))
        runs = -(-op.in_channels // planes)
        with T.parallel(index(0), batch * strips * runs) as piece:
            self.batch = named(piece // (strips * runs))
            run, strip = named(piece // strips % runs), named(piece % strips)
            self.top = named(strip * rows)
            self.rows = named(tirx.min(index(rows), block_rows - self.top))
            # The last vectors read on behind the last row.
            behind = 2 * self.bytes + op.w.halo_extent
            packed = T.alloc_buffer((self.plane * down + behind,), "int8")
            lines = T.alloc_buffer((self.line * op.h.stride,), k.store.dtype)
            with T.serial(index(0), index(planes)) as of_run:
                channel = named(run * planes + of_run)
                with T.If(channel < op.in_channels), T.Then():
                    self._copy(packed, channel)
                    with T.serial(index(0), index(op.group_outputs)) as output:
                        self._channel(packed, lines, named(channel * op.group_outputs + output))

    def _copy(self, packed: Any, channel: Any) -> None:
        """The rows that the strip reads, in planes of every ``down``-th."""
        op, down = self.k.op, self.k.op.step[0]
        with T.serial(index(0), (self.rows - 1) * down + (1 + op.h.halo_extent)) as row:
            to = named(row % down * self.plane + row // down * self.row)
            y = named(self.top * down + row + op.h.halo[0])
            left = op.w.halo[0]
            self.given.source.copy_row(packed, to, self.row, self.batch, channel, y, left)

    def _channel(self, packed: Any, lines: Any, channel: Any) -> None:
        """All outputs of an output channel."""
        k, op = self.k, self.k.op
        (rh, rw), order = op.strides, k.order()
        first = named(channel * len(order))
        loaded = weights_of(k.dot, self.given.words, first, len(order))
        weights = {one: T.bind(weight) for one, weight in zip(order, loaded, strict=True)}
        at = named(channel * (rh * rw))
        blocks = self.lanes * self.turns
        with T.serial(index(0), tirx.ceildiv(self.rows * self.pitch, index(blocks))) as step:
            begin = named(step * self.bytes)
            rows: list[list[Total]] = []
            for fh in range(rh):
                totals: list[Total] = []
                for turn, fw in product(range(self.turns), range(rw)):
                    of_phase = at + (fh * rw + fw)
                    total = tirx.Broadcast(self.given.offsets[of_phase], self.lanes)
                    for (f, kh, f_w, place), weight in weights.items():
                        if (f, f_w) == (fh, fw):
                            x = self._words(packed, begin, fh, kh, place + turn * op.step[1])
                            total = add_products(k.dot, total, x, weight)

                    def vector(buffer: Any, at: Any = of_phase) -> Any:
                        return self._parameter(buffer, at)

                    totals.append((T.bind(total), vector))
                rows.append(totals)
            for fh, values in self.given.of_store.stored_rows(rows, k.dot):
                to = ramp(step * (blocks * rw) + self.line * fh, blocks * rw)
                T.buffer_store(lines, values, [to])
        with T.serial(index(0), self.rows) as row:
            for fh in range(rh):
                y = named((self.top + row) * rh + fh)
                with T.If(y < self.rows_out), T.Then():
                    begin = row * (self.pitch * rw) + self.line * fh
                    self._store_row(lines, begin, channel, y, self.bytes)

    def _words(self, packed: Any, begin: Any, fh: int, kh: int, place: int) -> Any:
        """A vector of words that the tap ``kh`` of a phase reads, so many bytes after ``begin``."""
        axis, down = self.k.op.h, self.k.op.step[0]
        (row,) = (tap.offset - axis.halo[0] for tap in axis.taps(fh) if tap.k == kh)
        at = begin + self.plane * (row % down) + self.row * (row // down) + place
        return tirx.reinterpret(f"int32x{self.lanes}", packed[ramp(at, self.bytes)])
