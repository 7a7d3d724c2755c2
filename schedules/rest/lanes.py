"""Sums along contiguous memory: one partial result per lane, joined at the end.

Floating-point sums may not be reordered by a compiler, so a mean over the last axis, the maxima and
sums of softmax, norms and matrix-vector products run one addition after the other unless the
reordering is written down (and sums of bytes in int32 are as slow without it)::

    partial[s, l] = reduce over j: term[s, l + width*j]      # vectors, several in flight
    rest[s]       = reduce over the last size % width iterations
    result[s]     = partial[s, 0] + ... + rest[s]            # pairwise

All components of a tuple reduction (sum and sum of squares) do so together, in one sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import tvm
from tvm import s_tir, tirx
from tvm.tirx import decl_buffer

from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.tir.edit import sequence

from .injective import is_joined, parallelise
from .reduction import (
    Accumulation,
    accumulations_of,
    is_used_little,
    operands_of,
    sum_type,
    widened,
)
from .stage import Expr, Stage, StageAxis, Var, substitute

# Additions take four cycles on recent cores: so many vectors are in flight on long rows.
VECTORS = 4

# Shorter rows than this gain nothing from lanes.
_SHORTEST_ROW = 4

# From here on lanes are better than a tile across rows that would have to be transposed.
_LONG_ROW = 8


@dataclass(frozen=True, eq=False)
class LaneReduction:
    """The stages of one reduction by lanes; ``rest`` is None if nothing is left over.

    ``is_best`` says that no tile could do better: rows are long and no operand is used twice.
    """

    partial: Stage
    rest: Stage | None
    result: Stage
    lanes: int
    is_best: bool

    @property
    def stages(self) -> list[Stage]:
        rest = [self.rest] if self.rest is not None else []
        return [self.partial, *rest, self.result]


def lane_reduction_of(stage: Stage, machine: CpuMachine) -> LaneReduction | None:
    """``stage`` by lanes; None unless it accumulates along an axis contiguous in its operands."""
    accumulations = accumulations_of(stage)
    if accumulations is None or not all(_has_lanes(a.buffer) for a in accumulations):
        return None
    along = stage.reducing[-1]
    moving = []
    for accumulation in accumulations:
        operands = operands_of(stage, accumulation.term)
        if operands is None:
            return None
        moving += [operand for operand in operands if along in operand.axes]
    if not moving or not all(operand.is_contiguous_along(along) for operand in moving):
        return None
    row = _joined_row(stage, [operand.load for operand in moving])
    lanes, width = _lanes_and_width(row, machine)
    if width < 2:
        return None
    is_best = lanes >= _LONG_ROW and all(is_used_little(stage, operand) for operand in moving)
    return _Builder(stage, accumulations, row, width).build(lanes, is_best)


def _has_lanes(buffer: Var) -> bool:
    """Whether sums are floats, or the integers that bytes are added up in."""
    return str(buffer.dtype).startswith("float") or str(buffer.dtype) == "int32"


def _joined_row(stage: Stage, loads) -> tuple[StageAxis, ...]:
    """The longest tail of reducing axes that is one contiguous row of every operand."""
    count = 1
    accesses = [(load.source, load.indices) for load in loads]
    while count < len(stage.reducing) and all(
        # TVM does not see through the divisions by a symbolic size.
        axis.size is not None
        for axis in stage.reducing[-count - 1 :]
    ):
        if not all(is_joined(*access, stage.reducing[-count - 1 :]) for access in accesses):
            break
        count += 1
    return stage.reducing[-count:]


def _lanes_and_width(row: Sequence[StageAxis], machine: CpuMachine) -> tuple[int, int]:
    lanes = machine.lanes
    sizes = [axis.size for axis in row]
    if any(size is None for size in sizes):
        return lanes, lanes
    length = prod(size for size in sizes if size is not None)
    if length < _SHORTEST_ROW:
        return 1, 1
    while lanes > length:
        lanes //= 2
    best = lanes, lanes
    for narrower in (lanes, lanes // 2) if lanes > _LONG_ROW else (lanes,):
        for vectors in range(1, VECTORS + 1):
            # Pairs of vectors are joined, and joining takes as long as a step.
            is_even = vectors & (vectors - 1) == 0
            width = narrower * vectors
            is_long = vectors == 1 or length >= 2 * width
            if is_even and is_long and _additions(length, width) < _additions(length, best[1]):
                best = narrower, width
    return best


def _additions(length: int, width: int) -> int:
    """How many, one waiting for the other, a row takes: steps, then what is left one by one."""
    return length // width + length % width


class _Builder:
    """Builds the stages; ``row`` are the reducing axes that are walked ``width`` at a time."""

    def __init__(
        self,
        stage: Stage,
        accumulations: list[Accumulation],
        row: tuple[StageAxis, ...],
        width: int,
    ) -> None:
        self._stage = stage
        self._sums = accumulations
        self._row = row
        self._width = width
        self._outer = tuple(axis for axis in stage.reducing if axis not in row)
        self._integer = row[-1].var.ty
        length: Expr = row[0].extent
        for axis in row[1:]:
            length = length * axis.extent
        self._length = tvm.sym.Analyzer().simplify(length)

    def build(self, lanes: int, is_best: bool) -> LaneReduction:
        analyzer = tvm.sym.Analyzer()
        whole = analyzer.simplify(self._length // self._width)
        left = analyzer.simplify(self._length % self._width)
        step = StageAxis(Var("j", self._integer), whole, reduces=True)
        lane = StageAxis(Var("l", self._integer), self._number(self._width))
        partials, partial = self._accumulate(
            "partial", [lane], [step], step.var * self._width + lane.var
        )
        rests, rest = None, None
        if tvm.sym.Analyzer().can_prove_equal(left, 0) is False:
            position = StageAxis(Var("t", self._integer), left, reduces=True)
            at = whole * self._width + position.var
            rests, rest = self._accumulate("rest", [], [position], at)
        return LaneReduction(partial, rest, self._result(partials, rests, lanes), lanes, is_best)

    def _accumulate(
        self, suffix: str, lanes: list[StageAxis], steps: list[StageAxis], position: Expr
    ) -> tuple[list[Var], Stage]:
        """One sweep of all components: term at ``position`` of the row, for every step."""
        spatial = [*self._stage.spatial, *lanes]
        values = self._axes_at(position)
        at = [axis.var for axis in spatial]
        buffers, updates, starts = [], [], []
        for number, sums in enumerate(self._sums):
            dtype = sum_type(sums.buffer)
            name = f"{self._stage.name}_{suffix}{number}"
            shape = [axis.extent for axis in spatial] or [1]
            buffer = decl_buffer(shape, dtype, name)
            term = substitute(widened(sums.term, dtype), values)
            index = at or [0]
            total = sums.combine(tirx.BufferLoad(buffer, index), term)
            updates.append(tirx.BufferStore(buffer, total, index))
            starts.append(tirx.BufferStore(buffer, sums.identity.astype(dtype), index))
            buffers.append(buffer)
        # Lanes innermost, so that a step reads whole vectors.
        axes = (*self._stage.spatial, *self._outer, *steps, *lanes)
        stage = Stage(f"{self._stage.name}_{suffix}", axes, sequence(updates), sequence(starts))
        return buffers, stage

    def _axes_at(self, position: Expr) -> dict[Var, Expr]:
        """The row's axes at one position of the joined row."""
        values: dict[Var, Expr] = {}
        for axis in reversed(self._row[1:]):
            values[axis.var] = position % axis.extent
            position = position // axis.extent
        values[self._row[0].var] = position
        return values

    def _result(self, partials: list[Var], rests: list[Var] | None, lanes: int) -> Stage:
        at = [axis.var for axis in self._stage.spatial]
        statements: list[tirx.Stmt] = []
        for number, sums in enumerate(self._sums):
            vectors = [
                tirx.BufferLoad(partials[number], [*at, tirx.Ramp(self._number(first), 1, lanes)])
                for first in range(0, self._width, lanes)
            ]
            total = self._joined(vectors, lanes, sums, statements)
            if rests is not None:
                total = sums.combine(total, tirx.BufferLoad(rests[number], at or [0]))
            value = total.astype(str(sums.buffer.dtype))
            statements.append(tirx.BufferStore(sums.buffer, value, list(sums.indices)))
        return Stage(f"{self._stage.name}_result", self._stage.spatial, sequence(statements))

    @staticmethod
    def _joined(
        vectors: list[Expr], lanes: int, sums: Accumulation, statements: list[tirx.Stmt]
    ) -> Expr:
        """The lanes of all vectors as one number."""

        def bound(value: Expr) -> Expr:
            whole = Var("lanes", value.ty)
            statements.append(tirx.Bind(whole, value))
            return whole

        return across_lanes(vectors, lanes, sums.combine, bound)

    def _number(self, value: int) -> Expr:
        return tirx.IntImm(self._integer.dtype, value)


def across_lanes(
    vectors: Sequence[Expr],
    lanes: int,
    combine: Callable[[Expr, Expr], Expr],
    bound: Callable[[Expr], Expr],
) -> Expr:
    """The lanes of all vectors as one number: vectors in pairs, then halves of the last.

    Left to itself LLVM pairs lanes of different vectors, with a dozen shuffles for each step.
    ``bound`` gives a value a name.
    """
    while len(vectors) > 1:
        half = len(vectors) // 2
        joined = [combine(vectors[i], vectors[i + half]) for i in range(half)]
        vectors = [*joined, *vectors[2 * half :]]
    (total,) = vectors
    while lanes > 1:
        whole = bound(total)
        lanes //= 2
        low, high = (
            tirx.Shuffle([whole], list(range(first, first + lanes))) for first in (0, lanes)
        )
        total = combine(low, high)
    return total


def schedule_lanes(schedule: s_tir.Schedule, reduction: LaneReduction, machine: CpuMachine) -> None:
    """Before: ``partial; rest; result``, each over all rows. After: row by row, in parallel."""
    place_lanes(schedule, reduction)
    loops = schedule.get_loops(schedule.get_sblock(reduction.result.name))
    parallelise(schedule, reduction.partial, loops, machine)
    vectorise_lanes(schedule, reduction)


def place_lanes(schedule: s_tir.Schedule, reduction: LaneReduction) -> None:
    """``partial`` and ``rest`` in front of ``result``, within all of its loops."""
    loops = schedule.get_loops(schedule.get_sblock(reduction.result.name))
    if not loops:
        return
    for stage in (reduction.partial, reduction.rest):
        if stage is not None:
            # Loops of one iteration stay: the sums are set to zero in front of the reducing ones.
            block = schedule.get_sblock(stage.name)
            schedule.compute_at(block, loops[-1], preserve_unit_loops=True)


def vectorise_lanes(schedule: s_tir.Schedule, reduction: LaneReduction) -> None:
    """The lanes of ``partial`` as vectors, last of all: then no loop can be made parallel."""
    partial = schedule.get_sblock(reduction.partial.name)
    inner = schedule.get_loops(partial)
    reducing = inner[-1 - len(reduction.partial.reducing) : -1]
    unrolled, lane = schedule.split(inner[-1], [None, reduction.lanes])
    schedule.unroll(unrolled)
    schedule.vectorize(lane)
    if reduction.rest is not None:
        # A symbolic row may leave nothing over; the rest must be set nevertheless.
        rest = schedule.get_sblock(reduction.rest.name)
        first = schedule.get_loops(rest)[-len(reduction.rest.reducing)]
        schedule.decompose_reduction(rest, first)
    start = schedule.decompose_reduction(partial, reducing[0])
    *_, unrolled, lane = schedule.get_loops(start)
    schedule.unroll(unrolled)
    schedule.vectorize(lane)
