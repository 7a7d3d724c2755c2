"""Copies between a few rows and one in which they take turns: pixel shuffles, colours of pixels.

    y[outer, q, w] = x[outer, s*w + q]      the row is taken apart (space to depth)
    y[outer, s*w + q] = x[outer, q, w]      or made (depth to space, NCHW to NHWC)
    => for vectors along w: load s vectors, shuffle them to s others, store those

A loop along w reads, or writes, every s-th number only, and TVM makes a vector of such a loop
number by number. All s rows together move whole vectors, each line of the cache once. The last
vectors begin so early that they end with the row.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.tir.edit import index, ramp, shuffle
from tvm_deconv.schedules.tir.writing import body_of

from .digits import with_digits
from .injective import SERIAL_VALUES
from .stage import Stage
from .transposition import Move, MovedAxis, begins_of, flat, move_of

# More rows are squares (``transposition``).
_MOST_ROWS = 4
# Vectors of fewer lanes are not worth their shuffles.
_FEWEST_LANES = 4
# Vectors of each row in a piece of the work.
_VECTORS = 64


@dataclass(frozen=True)
class Interleaving:
    """``move`` along ``rows`` (q), which take turns in x or in y, and ``row`` (w)."""

    move: Move
    rows: MovedAxis
    row: MovedAxis
    takes_apart: bool
    lanes: int

    @property
    def outer(self) -> list[MovedAxis]:
        return [axis for axis in self.move.axes if axis is not self.rows and axis is not self.row]


def interleaving_of(stages: list[Stage], machine: CpuMachine) -> Interleaving | None:
    """The copy of this kind that the stages of a function are; None if they are anything else."""
    move = move_of([with_digits(stage) for stage in stages])
    if move is None:
        return None
    for rows in move.axes:
        for row in move.axes:
            takes_apart = (rows.read, row.read, row.written) == (1, rows.size, 1)
            puts_together = (rows.written, row.written, row.read) == (1, rows.size, 1)
            if rows.size > _MOST_ROWS or not (takes_apart or puts_together):
                continue
            lanes = machine.lanes
            while lanes > row.size:
                lanes //= 2
            if lanes >= _FEWEST_LANES:
                return Interleaving(move, rows, row, takes_apart, lanes)
    return None


def write_interleaving(func: tirx.PrimFunc, found: Interleaving) -> tirx.PrimFunc:
    """``func``, which is that copy, by whole vectors."""
    return func.with_body(body_of(lambda: _write(found)))


def _write(found: Interleaving) -> None:
    lanes, rows, row, move = found.lanes, found.rows, found.row, found.move
    x, y = flat(move.x), flat(move.y)
    vectors = -(-row.size // lanes)
    strip = min(vectors, _VECTORS)
    strips = -(-vectors // strip)
    outer = prod(axis.size for axis in found.outer)
    loop = T.parallel if outer * rows.size * row.size >= SERIAL_VALUES else T.serial
    with loop(index(0), index(outer * strips)) as piece:
        read, written = begins_of(move, found.outer, piece // strips)
        with T.serial(index(0), index(strip)) as number:
            along = (piece % strips * strip + number) * lanes
            at = T.bind(tirx.min(along, index(row.size - lanes)))
            first_read = T.bind(read + at * row.read)
            first_written = T.bind(written + at * row.written)
            # Vectors that follow one another in the row of all, or begin one in each row.
            numbers = range(rows.size)
            together = [n * lanes for n in numbers]
            if found.takes_apart:
                reads, writes = together, [n * rows.written for n in numbers]
            else:
                reads, writes = [n * rows.read for n in numbers], together
            given = [T.bind(x[ramp(first_read + n, lanes)]) for n in reads]
            for n, to in enumerate(writes):
                value = shuffle(given, _order(n, rows.size, lanes, found.takes_apart))
                T.buffer_store(y, value, [ramp(first_written + to, lanes)])


def _order(number: int, rows: int, lanes: int, takes_apart: bool) -> list[int]:
    """Which of the numbers read, counted through all vectors, make up a vector that is written."""
    if takes_apart:
        return [lane * rows + number for lane in range(lanes)]
    places = range(number * lanes, (number + 1) * lanes)
    return [place % rows * lanes + place // rows for place in places]
