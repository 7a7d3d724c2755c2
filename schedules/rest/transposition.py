"""Copies whose rows are the columns of what they read: squares of vectors, by registers.

    y[outer, i, j] = x[outer, j, i], i neighbours in x and j in y
    => for squares: load rows of x along i, transpose, store rows of y along j

A loop along j reads a line of the cache for each number, and one along i writes one. Axes that both
sides walk through as one (rows and columns of a picture) are one. The last square begins so early
that it ends with the axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from tvm import sym, tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.tir.edit import index, ramp
from tvm_deconv.schedules.tir.squares import transposed
from tvm_deconv.schedules.tir.writing import body_of

from .injective import SERIAL_VALUES, is_injective
from .stage import Expr, Load, Stage, Var, simplify_under, static_value

# Smaller squares move too few numbers for their shuffles.
_SMALLEST = 4

# Squares side by side: four lines of each row are read, or written, before the next row's.
_ABREAST = 4


@dataclass
class MovedAxis:
    """``size`` steps, by which memory is read and written so many numbers apart."""

    size: int
    read: int
    written: int


@dataclass(frozen=True)
class Move:
    """``y[begin of y + ..] = x[begin of x + ..]`` over ``axes``, of numbers of 32 bits."""

    x: Var
    y: Var
    begins: tuple[int, int]
    axes: list[MovedAxis]


def move_of(stages: list[Stage]) -> Move | None:
    """The copy of known sizes that the stages of a function are; None if they are anything else.

    Axes that both sides walk through as one are one.
    """
    (stage, *others) = stages
    body = stage.body
    if others or not is_injective(stage) or not isinstance(body, tirx.BufferStore):
        return None
    load = body.value
    if not isinstance(load, Load) or load.ty.dtype.bits != 32 or load.ty.dtype.lanes != 1:
        return None
    read = _steps(stage, load.source, list(load.indices))
    written = _steps(stage, body.buffer, list(body.indices))
    if read is None or written is None:
        return None
    sizes = [axis.size for axis in stage.axes]
    # Of axes of one step nothing is left below: of one without steps there would be one step, too.
    if 0 in sizes:
        return None
    axes = _joined(
        [
            MovedAxis(size, *steps)
            for size, *steps in zip(sizes, read[0], written[0], strict=True)
            if size is not None and size > 1
        ]
    )
    return Move(load.source, body.buffer, (read[1], written[1]), axes)


@dataclass(frozen=True)
class Transposition:
    """``move``, where ``i`` is along x, ``j`` along y."""

    move: Move
    outer: tuple[MovedAxis, ...]
    i: MovedAxis
    j: MovedAxis
    lanes: int


def transposition_of(stages: list[Stage], machine: CpuMachine) -> Transposition | None:
    """The transposing copy that the stages of a function are; None if they are anything else."""
    move = move_of(stages)
    if move is None:
        return None
    axes = move.axes
    along = [
        next((a for a in axes if a.read == 1), None),
        next((a for a in axes if a.written == 1), None),
    ]
    i, j = along
    if i is None or j is None or i is j:
        return None
    lanes = machine.lanes
    while lanes > min(i.size, j.size):
        lanes //= 2
    if lanes < _SMALLEST:
        return None
    outer = tuple(axis for axis in axes if axis is not i and axis is not j)
    return Transposition(move, outer, i, j, lanes)


def _steps(stage: Stage, buffer: Var, indices: list[Expr]) -> tuple[list[int], int] | None:
    """How far apart the places of an access are along each axis, and its first place.

    None where that is not the same everywhere, or not a number.
    """
    offset: Any = tirx.IntImm("int64", 0)
    for extent, place in zip(buffer.shape, indices, strict=True):
        offset = offset * extent + place
    variables = [axis.var for axis in stage.axes]
    linear = sym.detect_linear_equation(simplify_under(stage.axes, offset), variables)
    numbers = [static_value(step) for step in linear]
    known = [number for number in numbers if number is not None]
    if not linear or len(known) < len(numbers) or any(axis.size is None for axis in stage.axes):
        return None
    return known[:-1], known[-1]


def _joined(axes: list[MovedAxis]) -> list[MovedAxis]:
    """``axes`` with those made one that are one to both sides."""
    for a in axes:
        for b in axes:
            if a is not b and (a.read, a.written) == (b.read * b.size, b.written * b.size):
                whole = MovedAxis(a.size * b.size, b.read, b.written)
                return _joined([whole if axis is a else axis for axis in axes if axis is not b])
    return axes


def write_transposition(func: tirx.PrimFunc, found: Transposition) -> tirx.PrimFunc:
    """``func``, which is that transposition, square by square."""
    return func.with_body(body_of(lambda: _write(found)))


def _write(found: Transposition) -> None:
    lanes, i, j = found.lanes, found.i, found.j
    x, y = flat(found.move.x), flat(found.move.y)
    longer, shorter = (i, j) if i.size >= j.size else (j, i)
    strips = -(-longer.size // (lanes * _ABREAST))
    outer = prod(axis.size for axis in found.outer)
    values = outer * i.size * j.size
    loop = T.parallel if values >= SERIAL_VALUES else T.serial
    with loop(index(0), index(outer * strips)) as piece:
        strip = piece % strips
        read, written = begins_of(found.move, found.outer, piece // strips)
        with (
            T.serial(index(0), index(-(-shorter.size // lanes))) as across,
            T.serial(index(0), index(_ABREAST)) as along,
        ):
            far = T.bind(tirx.min((strip * _ABREAST + along) * lanes, index(longer.size - lanes)))
            near = T.bind(tirx.min(across * lanes, index(shorter.size - lanes)))
            at = {id(longer): far, id(shorter): near}
            first_read = T.bind(read + at[id(i)] + at[id(j)] * j.read)
            first_written = T.bind(written + at[id(j)] + at[id(i)] * i.written)
            rows = [T.bind(x[ramp(first_read + n * j.read, lanes)]) for n in range(lanes)]
            for n, row in enumerate(transposed(rows, lanes)):
                T.buffer_store(y, row, [ramp(first_written + n * i.written, lanes)])


def flat(buffer: Var) -> Any:
    """``buffer`` as one row, within an ``IRBuilder``."""
    size = prod(int(extent) for extent in buffer.shape)
    return T.decl_buffer((size,), buffer.dtype, data=buffer.data)


def begins_of(move: Move, outer: Sequence[MovedAxis], place: Any) -> tuple[Any, Any]:
    """Where reads and writes begin at the ``place``-th value of all ``outer`` axes together."""
    read, written = (index(begin) for begin in move.begins)
    for axis in reversed(outer):
        read = read + place % axis.size * axis.read
        written = written + place % axis.size * axis.written
        place = place // axis.size
    return T.bind(read), T.bind(written)
