"""Stages that only meet within a row: computed row by row, while the row is in the cache.

Softmax goes over its rows four times (maximum, exponentials, their sum, quotients), a normalisation
three times. Stage by stage that is three or four passes over memory, with a map of exponentials
between; where no stage reads another row of an earlier one it is::

    for row in parallel:                 # the leading axes that all stages have in common
        maximum[row], exponentials[row, :], sum[row], result[row, :]

and what lies between shrinks to one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import tvm_ffi
from tvm import s_tir, sym, tirx

from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.tir.edit import changed, moving
from tvm_deconv.schedules.tir.pieces import join

from .injective import SERIAL_VALUES, is_injective, join_row, values_of
from .lanes import LaneReduction, place_lanes, vectorise_lanes
from .reduction import split_groups
from .rows import ROW
from .stage import TYPICAL_SIZE, Expr, Stage, StageAxis, Var, loads_of, static_value

# With fewer rows for each thread, those with one row less than others wait too long.
_ROWS_PER_THREAD = 4


@dataclass(frozen=True, eq=False)
class RowGroup:
    """``before`` and then ``last``, whose first ``shared`` axes are the rows of all."""

    before: tuple[Stage | LaneReduction, ...]
    last: Stage
    shared: int

    @property
    def stages(self) -> list[Stage]:
        return [stage for part in (*self.before, self.last) for stage in _stages(part)]


def row_group_of(
    parts: Sequence[object], outputs: set[Var], machine: CpuMachine
) -> RowGroup | None:
    """``parts`` as one group; None where they share no rows, or too few for the threads.

    The last part has to be injective, and some part before it a reduction by lanes. ``outputs`` are
    the buffers that are read elsewhere.
    """
    *before, last = parts
    if not isinstance(last, Stage) or not is_injective(last):
        return None
    # Statistics of groups are read at ``channel // size``.
    last = split_groups(last)
    kept = [part for part in before if isinstance(part, Stage | LaneReduction)]
    if len(kept) < len(before) or not any(isinstance(part, LaneReduction) for part in kept):
        return None
    between = {store.buffer for part in kept for store in _result(part).stores()}
    if between & outputs:
        return None
    shared = min(_shared(part, last, between) for part in (*kept, last))
    # Nothing is gained where no values are left within a row.
    shared = min(shared, len(last.axes) - 1)
    rows = prod(axis.size or TYPICAL_SIZE for axis in last.axes[:shared])
    if shared < 1 or rows < _ROWS_PER_THREAD * machine.threads:
        return None
    return RowGroup(tuple(kept), _with_reciprocals(last, shared), shared)


def _stages(part: Stage | LaneReduction) -> list[Stage]:
    return [part] if isinstance(part, Stage) else part.stages


def _result(part: Stage | LaneReduction) -> Stage:
    """What writes the part's result; its axes are the rows, and for a stage what is within."""
    return part if isinstance(part, Stage) else part.result


def _shared(part: Stage | LaneReduction, last: Stage, between: set[Var]) -> int:
    """How many leading axes of ``last`` the part has, too, and goes along wherever it is read."""
    result = _result(part)
    own = result.spatial
    count = _while(_is_same_size(a, b) for a, b in zip(own, last.axes, strict=False))
    places = [store.indices for store in result.stores() if part is not last]
    for stage in _stages(part):
        places += [load.indices for load in loads_of(stage.body) if load.source in between]
    return min([count, *(_rows_of(indices, result) for indices in places)])


# Divisors whose reciprocal is a normal number, and products with it as good as quotients.
_SMALLEST, _LARGEST = 2.0**-100, 2.0**100


def _with_reciprocals(stage: Stage, shared: int) -> Stage:
    """Quotients by a number of the row as products, one rounding more: a division takes ten times
    as long, and LLVM may not do so by itself.
    """
    within = {axis.var for axis in stage.axes[shared:]}

    def visit(quotient: tirx.Div) -> Expr:
        divisor = quotient.b
        inside: list[Var] = []
        tvm_ffi.structural_walk(divisor, (Var, inside.append))
        if str(divisor.ty.dtype) != "float32" or within & set(inside) or not loads_of(divisor):
            return quotient
        size = tirx.abs(divisor)
        is_usual = tirx.And(size > _SMALLEST, size < _LARGEST)
        product = quotient.a * (tirx.const(1, "float32") / divisor)
        return tirx.if_then_else(is_usual, product, quotient)

    return replace(stage, body=tvm_ffi.structural_map(stage.body, (tirx.Div, visit)))


def kept_in_result(group: RowGroup) -> Var | None:
    """What lies between and can be kept in the result: ``last`` reads it at its own place.

    Exponentials then go to memory while they are computed, and their quotients to lines that the
    cache has; a row of scratch less is read and written.
    """
    (store,) = group.last.stores()
    loads: dict[Var, list[tirx.BufferLoad]] = {}
    for load in loads_of(group.last.body):
        loads.setdefault(load.source, []).append(load)
    for stage in group.before:
        if not isinstance(stage, Stage) or not is_injective(stage):
            continue
        (kept,) = stage.stores()
        read = loads.get(kept.buffer, ())
        if not read or not all(tvm_ffi.structural_equal(r.indices, store.indices) for r in read):
            continue
        if _is_alike(kept.buffer, store.buffer) and store.buffer not in loads:
            return kept.buffer
    return None


def with_results_in_place(func: tirx.PrimFunc, group: RowGroup) -> tirx.PrimFunc:
    """``func``, scheduled, with what ``kept_in_result`` says in the result itself."""
    (store,) = group.last.stores()
    kept = kept_in_result(group)
    return func if kept is None else _merged(func, kept, store.buffer)


def overwritten_by_result(group: RowGroup, inputs: Sequence[Var]) -> int | None:
    """The place among ``inputs`` of one that the result may be written over; None if of none.

    Its values must be read before their places are written: those of a row by what comes before
    anything is written there, or by what writes it, each value at the place that it goes to.
    """
    (store,) = group.last.stores()
    kept = kept_in_result(group)
    writes = [
        any(s.buffer.same_as(kept) or s.buffer.same_as(store.buffer) for s in stage.stores())
        for stage in group.stages
    ]
    first = writes.index(True)
    for number, given in enumerate(inputs):
        if not _is_alike(given, store.buffer):
            continue
        readers = {
            i: own
            for i, stage in enumerate(group.stages)
            if (own := [load for load in loads_of(stage.body) if load.source.same_as(given)])
        }
        if not readers or max(readers) > first:
            continue
        in_place = [
            tvm_ffi.structural_equal(load.indices, group.stages[first].stores()[0].indices)
            for load in readers.get(first, ())
        ]
        in_row = [
            _rows_of(load.indices, group.stages[i]) >= group.shared
            for i, own in readers.items()
            for load in own
        ]
        goes_along = _rows_of(store.indices, group.last) >= group.shared
        if all(in_place) and all(in_row) and goes_along:
            return number
    return None


def _rows_of(indices: Sequence[Expr], stage: Stage) -> int:
    """By how many of its first axes, in their order, ``stage`` goes through the first indices."""
    moving = [index for index in indices if static_value(index) is None]
    return _while(
        index.same_as(axis.var) for index, axis in zip(moving, stage.spatial, strict=False)
    )


def _is_alike(a: Var, b: Var) -> bool:
    sizes = [[static_value(size) for size in buffer.shape] for buffer in (a, b)]
    return None not in sizes[0] and sizes[0] == sizes[1] and a.dtype == b.dtype


def _merged(func: tirx.PrimFunc, gone: Var, stays: Var) -> tirx.PrimFunc:
    """``func`` with one buffer in the place of another that it allocates."""

    def without(block: s_tir.SBlock) -> s_tir.SBlock:
        left = [buffer for buffer in block.alloc_buffers if not buffer.same_as(gone)]
        return (
            block if len(left) == len(block.alloc_buffers) else changed(block, alloc_buffers=left)
        )

    body = tvm_ffi.structural_map(func.body, (s_tir.SBlock, without))
    same = moving(gone, stays, list, list)
    return func.with_body(tvm_ffi.structural_map(body, same))


def _while(conditions) -> int:
    """How many of the first conditions hold."""
    count = 0
    for condition in conditions:
        if not condition:
            break
        count += 1
    return count


def _is_same_size(a: StageAxis, b: StageAxis) -> bool:
    return sym.Analyzer().can_prove_equal(a.extent, b.extent)


def schedule_rows(schedule: s_tir.Schedule, group: RowGroup, machine: CpuMachine) -> None:
    """Before: each stage over all rows. After: ``for row in parallel: each stage``."""
    last = schedule.get_sblock(group.last.name)
    rows = schedule.get_loops(last)[: group.shared]
    for part in reversed(group.before):
        schedule.compute_at(schedule.get_sblock(_result(part).name), rows[-1])
        if isinstance(part, LaneReduction):
            place_lanes(schedule, part)
    work = sum(values_of(stage) for stage in group.stages)
    row = schedule.get(join(schedule, list(rows), work >= SERIAL_VALUES)).loop_var
    for part in (*group.before, group.last):
        if isinstance(part, LaneReduction):
            vectorise_lanes(schedule, part)
        elif is_injective(part):
            loops = schedule.get_loops(schedule.get_sblock(part.name))
            within = [schedule.get(loop).loop_var.same_as(row) for loop in loops].index(True) + 1
            if loops[within:]:
                values = join_row(schedule, part, loops[within:])
                if values.is_vectors(part, machine):
                    schedule.annotate(values.loop, ROW, machine.lanes)
