"""The loop nest of ``channels``, written out statement by statement.

    parallel over images, strips of rows, groups, shares of the channels:
        copy the strip's input, with a border of zeros, to scratch
        for block of input channels, tile of output channels, phase, rows, columns:
            sums[pixel][vector] = 0, or what the block before left
            for taps: for input channel:
                w[vector] = weights
                for pixel: x = broadcast of one input; sums[pixel][:] += w[:] * x
            leave the sums in scratch
            after the last block: transpose and store the tile's rows

The scratch for sums holds all tiles of a share where there are several blocks of input channels,
else one. A register has ``lanes`` neighbouring channels of one pixel, so that the store transposes
squares of ``lanes`` channels and columns, in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

from tvm import tirx
from tvm.s_tir import Schedule
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T
from tvm.sym import Analyzer

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms.names import PAD, PHASES
from tvm_deconv.schedules.cpu import steps
from tvm_deconv.schedules.cpu.elements import Elements
from tvm_deconv.schedules.cpu.tiling import STACK_BYTES
from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.edit import index, ramp
from tvm_deconv.schedules.tir.last_steps import for_llvm

from .tile import PixelTile, copied_rows, row_pitch

# Numbers of a cache line.
_LINE = 16
# Input channels whose weights are fetched ahead: some pages of the machine's memory.
_AHEAD = 32
# Channels of the input that are fetched ahead of those that are copied.
_CHANNELS_AHEAD = 4


def schedule(func: tirx.PrimFunc, conv: ConvTranspose2d, tile: PixelTile) -> tirx.PrimFunc:
    """The loop nest above, for a function made of ``compute`` and pointwise consumers."""
    sch = Schedule(func, enable_check=False)
    name = steps.inline_epilogue(sch, keep=(PAD, PHASES))
    store = edit.find_block(sch.mod["main"].body, name).block
    return for_llvm(_Writer(func, store, conv, tile).write())


def _ramp(base: Any, lanes: int) -> Any:
    return ramp(base, lanes) if lanes > 1 else base


def _bind(value: Any) -> Any:
    """``value`` under a name, or a number that it is."""
    value = Analyzer().simplify(value)
    return value if isinstance(value, tirx.IntImm | tirx.Var) else T.bind(value)


def _simplified(value: Any) -> Any:
    return Analyzer().simplify(value)


class _Writer:
    """Writes the function; one use each."""

    def __init__(
        self, func: tirx.PrimFunc, store: Any, conv: ConvTranspose2d, tile: PixelTile
    ) -> None:
        self.func, self.store_block, self.conv, self.tile = func, store, conv, tile
        _, _, height, width = func.params[0].ty.shape
        self.height, self.width = height, width
        _, _, self.rows_out, self.columns_out = func.params[-1].ty.shape
        down, right = conv.step
        h, w = conv.h, conv.w
        self.block_rows = _simplified(index(tirx.ceildiv(h.blocks(height), index(down))))
        blocks = _simplified(index(tirx.ceildiv(w.blocks(width), index(right))))
        self.column_tiles = tirx.ceildiv(blocks, index(tile.columns))
        # Rows of the input that lie between those of two outputs and that no tap reads, are none.
        self.pitch = row_pitch(conv)
        self.rows = tile.whole_rows
        self.copied_rows = copied_rows(conv, self.rows)
        self.blocks = -(-conv.group_inputs // tile.inputs)
        self.tiles = -(-conv.group_outputs // tile.channels) // tile.splits

    def write(self) -> tirx.PrimFunc:
        with IRBuilder() as builder, T.prim_func(s_tir=True):
            T.func_attr(dict(self.func.attrs) | {"tirx.is_scheduled": True})
            self.buffers = []
            for i, old in enumerate(self.func.params):
                new = T.match_buffer(T.arg(f"p{i}", T.handle()), old.ty.shape, str(old.ty.dtype))
                self.buffers.append((old, new))
            self.x, self.weights = (self.buffers[i][1] for i in range(2))
            self.elements = Elements(self.store_block, self.buffers)
            self._strips()
        return builder.get()

    def _strips(self) -> None:
        conv, tile = self.conv, self.tile
        batch = self.func.params[0].ty.shape[0]
        strips = tirx.ceildiv(self.block_rows, index(self.rows))
        parts = conv.groups * tile.splits
        pieces = _simplified(batch * strips * parts)
        loop = T.parallel if tile.parallel else T.serial
        self.column_tiles, self.block_rows = _bind(self.column_tiles), _bind(self.block_rows)
        width = self.column_tiles * (tile.columns * conv.step[1]) + conv.w.halo_extent
        # An odd number of cache lines: neighbouring channels do not share a set of the cache.
        lines = tirx.ceildiv(width - (conv.step[1] - 1), index(_LINE))
        self.copied_columns = _bind((lines // 2 * 2 + 1) * _LINE)
        self.row = _bind(self.copied_columns * conv.group_inputs)
        self.row_of_sums = _bind(self.column_tiles * (tile.columns * conv.w.stride))
        strips = _bind(strips)
        with loop(index(0), pieces) as piece:
            part = _bind(piece % parts)
            strip = _bind(piece // parts % strips)
            self.batch = _bind(piece // parts // strips)
            self.group, split = _bind(part // tile.splits), _bind(part % tile.splits)
            self.top = _bind(strip * self.rows)
            copied = T.alloc_buffer((self.row * self.copied_rows,), "float32")
            rows = self.row_of_sums * (conv.h.stride * self.rows)
            kept = self.tiles if self.blocks > 1 else 1
            # The last square that is transposed may reach beyond the last row.
            self.sums = T.alloc_buffer(((rows * kept + tile.lanes) * tile.channels,), "float32")
            across = self.row_of_sums + tile.lanes
            self.lines = T.alloc_buffer((across * tile.lanes,), "float32")
            self._copy(copied)
            with (
                T.serial(index(0), index(self.blocks)) as block,
                T.serial(index(0), index(self.tiles)) as number,
            ):
                place = _bind(number * rows if self.blocks > 1 else index(0))
                of_group = _bind(split * self.tiles + number)
                for fh, fw in product(range(conv.h.stride), range(conv.w.stride)):
                    self._phase(copied, block, of_group, place, fh, fw)
                if self.blocks > 1:
                    with T.If(block == self.blocks - 1), T.Then():
                        self._store(of_group, place)
                else:
                    self._store(of_group, place)

    def _copy(self, copied: Any) -> None:
        """The rows of a strip that are read, with zeros around the input."""
        conv, down = self.conv, self.conv.step[0]
        (above, _), (left, _) = conv.h.halo, conv.w.halo
        count = self.copied_columns
        before, after = edit.border_of(index(left), count, self.width)
        before, after = _bind(before), _bind(after)
        zero = tirx.const(0, "float32")
        with (
            T.serial(index(0), index(conv.group_inputs)) as channel,
            T.serial(index(0), index(self.copied_rows)) as row,
        ):
            to = _bind((row * conv.group_inputs + channel) * count)
            first = self.top * down + above
            inside = row if self.pitch == down else row // self.pitch * down + row % self.pitch
            y = _bind(first + inside)

            def zeros(begin: Any, end: Any) -> None:
                with T.serial(index(0), end - begin) as i:
                    T.buffer_store(copied, zero, [to + begin + i])

            with T.If(tirx.all(y >= 0, y < self.height)):
                with T.Then():
                    if conv.group_inputs > _CHANNELS_AHEAD:
                        later = self.group * conv.group_inputs + channel + _CHANNELS_AHEAD
                        with T.serial(index(0), tirx.ceildiv(self.width, index(_LINE))) as v:
                            T.evaluate(edit.prefetch(self.x[self.batch, later, y, v * _LINE]).value)
                    zeros(index(0), before)
                    with T.serial(index(0), after - before) as i:
                        at = [
                            self.batch,
                            self.group * conv.group_inputs + channel,
                            y,
                            before + i + left,
                        ]
                        value = self.x[tuple(at)].astype("float32")
                        T.buffer_store(copied, value, [to + before + i])
                    zeros(after, count)
                with T.Else():
                    zeros(index(0), count)

    def _phase(self, copied: Any, block: Any, number: Any, place: Any, fh: int, fw: int) -> None:
        """All sums of one phase of a tile of channels, over a block of input channels."""
        tile, conv = self.tile, self.conv
        with T.serial(index(0), index(self.rows // tile.lines)) as line:
            y = _bind(line * tile.lines)
            row = _bind(place + (y * conv.h.stride + fh) * self.row_of_sums + fw)
            with (
                T.If(self.top + y < self.block_rows),
                T.Then(),
                T.serial(index(0), self.column_tiles) as column,
            ):
                x = _bind(column * tile.columns)
                first = _bind(row + x * conv.w.stride)
                self._tile(copied, block, number, first, y, x, fh, fw)

    def _tile(
        self,
        copied: Any,
        block: Any,
        number: Any,
        first: Any,
        y: Any,
        x: Any,
        fh: int,
        fw: int,
    ) -> None:
        tile, conv, lanes = self.tile, self.conv, self.tile.lanes
        # Loops that are unrolled later, since TVM's analysis of buffers takes the square of the
        # number of statements. TVM moves buffers of 1 KiB to its workspace: so several of them.
        most = max(1, (STACK_BYTES - 1) // (4 * lanes))
        runs = [(j, min(most, tile.columns - j)) for j in range(0, tile.columns, most)]
        sums = {
            (i, v, j): T.alloc_buffer((index(count * lanes),), "float32", scope="local")
            for i, v, (j, count) in product(range(tile.lines), range(tile.vectors), runs)
        }

        def each(use: Callable[[Any, Any, Any], None]) -> None:
            """``use(register, its place, place in scratch)`` of all."""
            for (i, v, j), register in sums.items():
                with T.unroll(index(0), index(dict(runs)[j])) as k:
                    pixel = first + i * conv.h.stride * self.row_of_sums
                    pixel = pixel + (k + j) * conv.w.stride
                    place = pixel * tile.channels + v * lanes
                    use(register, _ramp(k * lanes, lanes), _ramp(place, lanes))

        def clear() -> None:
            zero = tirx.const(0, "float32")
            zero = zero if lanes == 1 else tirx.Broadcast(zero, lanes)
            each(lambda register, own, _: T.buffer_store(register, zero, [own]))

        def resume() -> None:
            each(lambda register, own, at: T.buffer_store(register, self.sums[at], [own]))

        if self.blocks == 1:
            clear()
        else:
            with T.If(block == 0):
                with T.Then():
                    clear()
                with T.Else():
                    resume()
        if fw == 0:
            self._fetch(block, number, y, x, fh)
        if conv.h.taps(fh) and conv.w.taps(fw):
            self._reduce(copied, block, number, y, x, (fh, fw), runs, sums)
        each(lambda register, own, at: T.buffer_store(self.sums, register[own], [at]))

    def _fetch(self, block: Any, number: Any, y: Any, x: Any, fh: int) -> None:
        """Fetch what the tile will be stored to, while it is computed.

        A map of some megabytes is in no core's own cache: 1x1 64->128 at 112x112 spent half of its
        time waiting for lines to write to.
        """
        tile, conv, out = self.tile, self.conv, self.buffers[-1][1]
        width = tile.columns * conv.w.stride
        channel = _bind(self.group * conv.group_outputs + number * tile.channels)

        def lines() -> None:
            with T.serial(index(0), index(tile.channels)) as c:
                for i, j in product(range(tile.lines), range(0, width, _LINE)):
                    row = (self.top + y + i) * conv.h.stride + fh
                    place = [self.batch, channel + c, row, x * conv.w.stride + j]
                    T.evaluate(edit.prefetch(out[tuple(place)], write=True).value)

        if self.blocks == 1:
            lines()
            return
        with T.If(block == self.blocks - 1), T.Then():
            lines()

    def _reduce(
        self,
        copied: Any,
        block: Any,
        number: Any,
        y: Any,
        x: Any,
        phase: tuple[int, int],
        runs: Sequence[tuple[int, int]],
        sums: Mapping[tuple[int, int, int], Any],
    ) -> None:
        tile, conv, lanes = self.tile, self.conv, self.tile.lanes
        h, w, right = conv.h, conv.w, conv.step[1]
        fh, fw = phase
        rows, columns = len(h.taps(fh)), len(w.taps(fw))
        above, left = h.first_offset(fh) - h.halo[0], w.first_offset(fw) - w.halo[0]
        begin = _bind(block * tile.inputs)
        place = (y * self.pitch + above) * self.row + begin * self.copied_columns
        place = _bind(place + x * right + left)
        inputs: Any = index(min(tile.inputs, conv.group_inputs))
        if conv.group_inputs % tile.inputs and self.blocks > 1:
            inputs = tirx.min(inputs, conv.group_inputs - begin)
        with (
            T.serial(index(0), index(rows)) as th,
            T.serial(index(0), index(columns)) as tw,
        ):
            source = _bind(place + th * h.tap_step * self.row + tw * w.tap_step)
            with T.serial(index(0), inputs) as ic:
                at = [self.group, number, index(fh), index(fw), th, tw, begin + ic]
                vectors = [
                    T.bind(self._weights(at, _ramp(index(v * lanes), lanes)))
                    for v in range(tile.vectors)
                ]
                ahead = [*at[:-1], begin + ic + _AHEAD]
                for v in range(0, tile.channels, _LINE):
                    T.evaluate(edit.prefetch(self._weights(ahead, index(v))).value)
                for i, (j, count) in product(range(tile.lines), runs):
                    with T.unroll(index(0), index(count)) as k:
                        pixel = source + ic * self.copied_columns + i * self.pitch * self.row
                        value = copied[pixel + (k + j) * right]
                        value = T.bind(value if lanes == 1 else tirx.Broadcast(value, lanes))
                        for v, vector in enumerate(vectors):
                            register, own = sums[i, v, j], _ramp(k * lanes, lanes)
                            T.buffer_store(register, register[own] + vector * value, [own])

    def _weights(self, at: Sequence[Any], channels: Any) -> Any:
        place = (*at, channels)
        return self.weights[place]

    def _store(self, number: Any, place: Any) -> None:
        """Transpose the sums of a tile of channels and store its rows; ``number`` of the group."""
        tile, conv, lanes = self.tile, self.conv, self.tile.lanes
        with (
            T.serial(index(0), index(self.rows)) as y,
            T.serial(index(0), index(conv.h.stride)) as fh,
            T.serial(index(0), index(tile.vectors)) as v,
        ):
            oh = _bind((self.top + y) * conv.h.stride + fh)
            first = _bind(number * tile.channels + v * lanes)
            with T.If(tirx.all(oh < self.rows_out, first < conv.group_outputs)), T.Then():
                row = _bind((y * conv.h.stride + fh) * self.row_of_sums + place)
                across = _bind(self.row_of_sums + lanes)
                with T.serial(index(0), tirx.ceildiv(self.columns_out, index(lanes))) as square:
                    begin = _bind(((row + square * lanes) * tile.vectors + v) * lanes)
                    values = [
                        T.bind(self.sums[_ramp(begin + i * tile.channels, lanes)])
                        for i in range(lanes)
                    ]
                    for i, value in enumerate(_transposed(values)):
                        to = across * i + square * lanes
                        T.buffer_store(self.lines, value, [_ramp(to, lanes)])
                left = tirx.min(index(lanes), conv.group_outputs - first)
                with T.serial(index(0), left) as channel:
                    c = _bind(self.group * conv.group_outputs + first + channel)
                    self._row(c, oh, _bind(across * channel))

    def _row(self, channel: Any, oh: Any, line: Any) -> None:
        """A row of the output: whole vectors, then smaller ones, or single columns."""
        lanes, width = self.tile.lanes, self.columns_out
        whole = _simplified(width // lanes)
        with T.serial(index(0), whole) as vector:
            self._columns(channel, oh, line, vector * lanes, lanes)
        done = whole * lanes
        if not isinstance(width, tirx.IntImm):
            with T.serial(index(0), width - done) as rest:
                self._columns(channel, oh, line, done + rest, 1)
            return
        rest = int(width) % lanes
        done = int(width) - rest
        while rest:
            lanes //= 2
            if rest >= lanes:
                self._columns(channel, oh, line, index(done), lanes)
                done, rest = done + lanes, rest - lanes

    def _columns(self, channel: Any, oh: Any, line: Any, first: Any, lanes: int) -> None:
        if lanes == 1:
            self._element(channel, oh, line, first)
            return
        with T.vectorized(index(0), index(lanes)) as lane:
            self._element(channel, oh, line, first + lane)

    def _element(self, channel: Any, oh: Any, line: Any, ow: Any) -> None:
        self.elements.store((self.batch, channel, oh, ow), self.lines[line + ow])


def _transposed(rows: list[Any]) -> list[Any]:
    """Columns of a square of vectors, by exchanging halves of pairs: log2 steps of shuffles."""
    size, half = len(rows), 1
    while half < size:
        low = [i if not i & half else size + i - half for i in range(size)]
        high = [i + half if not i & half else size + i for i in range(size)]
        done = list(rows)
        for i in range(size):
            if i & half:
                continue
            pair = [rows[i], rows[i + half]]
            for to, order in ((i, low), (i + half, high)):
                lanes = [tirx.const(lane, "int32") for lane in order]
                done[to] = T.bind(tirx.Shuffle(pair, lanes))
        rows, half = done, 2 * half
    return rows
