"""The sums of a tile of channels, in registers: products of weights and broadcast inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.algorithms.expressions import ceil_div
from tvm_deconv.schedules.cache_lines import LINE
from tvm_deconv.schedules.cpu.tiling import STACK_BYTES
from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.edit import index
from tvm_deconv.schedules.tir.writing import broadcast, known, named, places, simplified

from .reach import row_pitch, taps_inside
from .strip import Strip

# Input channels whose weights are fetched ahead, some pages of memory. 1024->512 channels of 4x4
# in tiles of 16 pixels take 0.90 ms with 32 of them and 0.86 with 128.
_AHEAD = 128

# By line, vector and first column: the sums of a run of columns.
_Registers: TypeAlias = dict[tuple[int, int, int], Any]


@dataclass(frozen=True)
class _Tile:
    """A register tile: of a block of input channels and the ``number``-th tile of output channels.

    ``y`` and ``x`` are its block row and column in the strip, ``turn`` counts the tiles of a phase,
    and ``first`` is the place of its sums.
    """

    block: Any
    number: Any
    phase: tuple[int, int]
    y: Any
    x: Any
    turn: Any
    first: Any


@dataclass(frozen=True)
class _Fetches:
    """Lines of weights to fetch with each input channel of a tap.

    What is used for one register tile of pixels is read as it comes: some channels later are
    fetched. What is used for several comes from the level-2 cache in all turns but the first, which
    would wait for memory while the others ask for nothing. So each of ``turns`` fetches its share
    of the next phase's weights, ``each`` line by line from the ``first`` on. Measured on an Intel
    Xeon (model 207), two threads: 5 to 17 % of layers whose weights have 8 to 34 MB.
    """

    strip: Strip
    turns: Any
    each: int
    first: Any
    begin: Any

    @staticmethod
    def of(strip: Strip, at: _Tile, begin: Any) -> _Fetches:
        tile = strip.tile
        lines = tile.whole_rows // tile.lines
        turns = simplified(lines * strip.column_tiles)
        each = ceil_div(ceil_div(tile.channels, LINE), known(turns) or lines)
        share = tirx.ceildiv(index(tile.inputs * tile.channels), turns * LINE)
        return _Fetches(strip, turns, each, named(at.turn * share), begin)

    def places(self, channel: Any, ic: Any) -> list[tuple[Any, Any]]:
        """Input and output channel of weights, both counted on beyond those of the tap."""
        tile, conv = self.strip.tile, self.strip.conv
        if known(self.turns) == 1:
            return [(channel + _AHEAD, index(v)) for v in range(0, tile.channels, LINE)]
        phase = conv.h.max_taps * conv.w.max_taps * conv.group_inputs
        line = self.first + ic * self.each
        return [(self.begin + phase, (line + i) * LINE) for i in range(self.each)]


def add_phase(strip: Strip, block: Any, number: Any, place: Any, phase: tuple[int, int]) -> None:
    """All sums of one phase of a tile of channels, over a block of input channels.

    Those of the tile begin at the pixel ``place`` of the scratch for sums.
    """
    tile, conv, (fh, fw) = strip.tile, strip.conv, phase
    with T.serial(index(0), index(tile.whole_rows // tile.lines)) as line:
        y = named(line * tile.lines)
        row = named(place + (y * conv.h.stride + fh) * strip.row_of_sums + fw)
        with (
            T.If(strip.top + y < strip.block_rows),
            T.Then(),
            T.serial(index(0), strip.column_tiles) as column,
        ):
            x = named(column * tile.columns)
            turn = line * strip.column_tiles + column
            first = named(row + x * conv.w.stride)
            _add(strip, _Tile(block, number, phase, y, x, turn, first))


def _add(strip: Strip, at: _Tile) -> None:
    tile, conv, lanes = strip.tile, strip.conv, strip.tile.lanes
    fh, fw = at.phase
    # Loops that are unrolled later, since TVM's analysis of buffers takes the square of the
    # number of statements. Buffers of the default scope and less than 1 KiB are on the stack, where
    # LLVM removes them: so several of them. In TVM's workspace each sum is stored in each turn.
    most = max(1, (STACK_BYTES - 1) // (4 * lanes))
    runs = {j: min(most, tile.columns - j) for j in range(0, tile.columns, most)}
    registers = {
        (i, v, j): T.alloc_buffer((index(count * lanes),), "float32")
        for i, v, (j, count) in product(range(tile.lines), range(tile.vectors), runs.items())
    }

    def each(use: Callable[[Any, Any, Any], None]) -> None:
        """``use(register, its place, place in scratch)`` of all."""
        for (i, v, j), register in registers.items():
            with T.unroll(index(0), index(runs[j])) as k:
                pixel = at.first + i * conv.h.stride * strip.row_of_sums
                pixel = pixel + (k + j) * conv.w.stride
                place = pixel * tile.channels + v * lanes
                use(register, places(k * lanes, lanes), places(place, lanes))

    def clear() -> None:
        zero = broadcast(tirx.const(0, "float32"), lanes)
        each(lambda register, own, _: T.buffer_store(register, zero, [own]))

    def resume() -> None:
        each(lambda register, own, place: T.buffer_store(register, strip.sums[place], [own]))

    if strip.blocks == 1:
        clear()
    else:
        with T.If(at.block == 0):
            with T.Then():
                clear()
            with T.Else():
                resume()
    if fw == 0:
        _fetch_outputs(strip, at)
    if conv.h.taps(fh) and conv.w.taps(fw):
        _reduce(strip, at, runs, registers)
    each(lambda register, own, place: T.buffer_store(strip.sums, register[own], [place]))


def _fetch_outputs(strip: Strip, at: _Tile) -> None:
    """Fetch what the tile will be stored to, while it is computed.

    A map of some megabytes is in no core's own cache: 1x1 64->128 at 112x112 spent half of its
    time waiting for lines to write to.
    """
    tile, conv = strip.tile, strip.conv
    width = tile.columns * conv.w.stride
    channel = named(strip.group * conv.group_outputs + at.number * tile.channels)

    def lines() -> None:
        with T.serial(index(0), index(tile.channels)) as c:
            for i, j in product(range(tile.lines), range(0, width, LINE)):
                row = (strip.top + at.y + i) * conv.h.stride + at.phase[0]
                place = (strip.batch, channel + c, row, at.x * conv.w.stride + j)
                T.evaluate(edit.prefetch(strip.out[place], write=True).value)

    if strip.blocks == 1:
        lines()
        return
    with T.If(at.block == strip.blocks - 1), T.Then():
        lines()


def _taps(strip: Strip, at: _Tile) -> list[tuple[Any, Any]]:
    """The first tap that is computed and how many are, along height and width."""
    conv, tile, (_, _, height, width) = strip.conv, strip.tile, strip.x.shape
    axes = [
        (conv.h, at.phase[0], conv.step[0], height, strip.top + at.y, tile.lines),
        (conv.w, at.phase[1], conv.step[1], width, at.x, tile.columns),
    ]
    if strip.reach.share == 1:
        return [(index(0), index(len(axis.taps(phase)))) for axis, phase, *_ in axes]
    ends = [tuple(map(named, taps_inside(*axis))) for axis in axes]
    return [(first, named(end - first)) for first, end in ends]


def _reduce(strip: Strip, at: _Tile, runs: dict[int, int], registers: _Registers) -> None:
    """for taps: for input channels of the block: registers += weights * inputs."""
    tile, conv, lanes = strip.tile, strip.conv, strip.tile.lanes
    h, w, right, pitch = conv.h, conv.w, conv.step[1], row_pitch(conv)
    fh, fw = at.phase
    above = h.first_offset(fh) - strip.above
    left = w.first_offset(fw) - strip.reach.first_column
    begin = named(at.block * tile.inputs)
    fetches = _Fetches.of(strip, at, begin)
    place = (at.y * pitch + above) * strip.row + begin * strip.copied_columns
    place = named(place + at.x * right + left)
    inputs: Any = index(min(tile.inputs, conv.group_inputs))
    if conv.group_inputs % tile.inputs and strip.blocks > 1:
        inputs = tirx.min(inputs, conv.group_inputs - begin)
    (first_th, rows), (first_tw, columns) = _taps(strip, at)
    with T.serial(index(0), rows) as later_th, T.serial(index(0), columns) as later_tw:
        th, tw = first_th + later_th, first_tw + later_tw
        source = named(place + th * h.tap_step * strip.row + tw * w.tap_step)
        tap = [strip.group, at.number, index(fh), index(fw), th, tw]

        def weights(channel: Any, outputs: Any) -> Any:
            place = (*tap, channel, outputs)
            return strip.weights[place]

        with T.serial(index(0), inputs) as ic:
            channel = begin + ic
            vectors = [
                T.bind(weights(channel, places(index(v * lanes), lanes)))
                for v in range(tile.vectors)
            ]
            for ahead in fetches.places(channel, ic):
                T.evaluate(edit.prefetch(weights(*ahead)).value)
            for i, (j, count) in product(range(tile.lines), runs.items()):
                with T.unroll(index(0), index(count)) as k:
                    pixel = source + ic * strip.copied_columns + i * pitch * strip.row
                    value = T.bind(broadcast(strip.copied[pixel + (k + j) * right], lanes))
                    for v, vector in enumerate(vectors):
                        register, own = registers[i, v, j], places(k * lanes, lanes)
                        T.buffer_store(register, register[own] + vector * value, [own])
