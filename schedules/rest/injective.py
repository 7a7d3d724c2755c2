"""Elementwise stages and those that only move data: rows of vectors, outer axes in parallel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import tvm_ffi
from tvm import s_tir, sym, tirx
from tvm.s_tir.schedule import LoopRV

from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.tir.periods import has_remainders
from tvm_deconv.schedules.tir.pieces import join

from .edges import edges_of
from .rows import ROW
from .stage import Expr, Stage, StageAxis, Var, loads_of, simplify_under, static_value

# Handing work to TVM's thread pool and waiting for it costs some 5 to 20 microseconds; one core
# streams about 10 values per nanosecond from L2. Below this many values a loop is faster alone.
SERIAL_VALUES = 1 << 15

# Several pieces each even out threads that are interrupted.
_PIECES_PER_THREAD = 8

# A chunk of 64 vectors is 4 KiB of AVX-512 registers: long enough to hide its loop, short enough
# to share 32768 values between 32 threads.
_CHUNK_VECTORS = 64


def is_injective(stage: Stage) -> bool:
    """Whether every iteration writes a place of its own, independent of the others."""
    return stage.init is None and not stage.reducing and len(stage.stores()) == 1


def fused_tail(stage: Stage) -> int:
    """How many trailing axes may be one: all accesses see them as one contiguous axis.

    ``relu`` over (1, 32, 56, 57) is one row of 102144 values; adding a bias per channel leaves
    rows of 56 * 57 values. The longer the row, the smaller the share of its scalar rest.
    """
    count = 1
    while (
        count < len(stage.axes)
        # TVM does not see through the divisions by a symbolic size.
        and all(axis.size is not None for axis in stage.axes[-count:])
        and _is_joined_everywhere(stage, stage.axes[-count - 1 :])
    ):
        count += 1
    return count


def _is_joined_everywhere(stage: Stage, axes: tuple[StageAxis, ...]) -> bool:
    accesses = [(store.buffer, store.indices) for store in stage.stores()]
    accesses += [(load.source, load.indices) for load in loads_of(stage.body)]
    return all(is_joined(buffer, indices, axes) for buffer, indices in accesses) and not _decides(
        stage, axes
    )


def is_joined(buffer: Var, indices: Sequence[Expr], axes: tuple[StageAxis, ...]) -> bool:
    """Whether neighbouring ``axes`` are one contiguous axis of an access, or do not move it."""
    analyzer = sym.Analyzer()
    offset = tirx.IntImm("int64", 0)
    for extent, index in zip(buffer.shape, indices, strict=True):
        offset = offset * extent + index
    linear = sym.detect_linear_equation(analyzer.simplify(offset), [axis.var for axis in axes])
    if not linear:
        return False
    steps = linear[:-1]
    if all(static_value(step) == 0 for step in steps):
        return True
    stride = tirx.IntImm("int64", 1)
    for step, axis in reversed(list(zip(steps, axes, strict=True))):
        if not analyzer.can_prove_equal(step, stride):
            return False
        stride = analyzer.simplify(stride * axis.extent)
    return True


def _decides(stage: Stage, axes: tuple[StageAxis, ...]) -> bool:
    """Whether anything but an index depends on an axis: a condition, a coordinate."""
    variables = {axis.var for axis in axes}
    inside: list[Var] = []
    tvm_ffi.structural_walk(stage.body, (Var, inside.append))
    places: list[Var] = []
    for access in (*stage.stores(), *loads_of(stage.body)):
        for index in access.indices:
            tvm_ffi.structural_walk(index, (Var, places.append))
    return sum(v in variables for v in inside) != sum(v in variables for v in places)


def is_vector_row(stage: Stage, axis: StageAxis) -> bool:
    """Whether the iterations along ``axis`` are the same code with evenly spaced addresses.

    Otherwise (the edge of a padding, a gather, an interpolation) TVM would make an explicit vector
    scalar again, lane by lane; LLVM vectorises the plain loop with masks, or not at all.
    """
    edges = edges_of(stage.body)
    if edges is not None and edges.axis.same_as(axis.var) and edges.is_static:
        # Between its edges a padded row is a plain copy: `cut_rows` separates them.
        return is_vector_row(replace(stage, body=edges.between), axis)
    if _decides(stage, (axis,)):
        return False
    indices = [index for access in loads_of(stage.body) for index in access.indices]
    for index in indices:
        linear = sym.detect_linear_equation(simplify_under(stage.axes, index), [axis.var])
        if not linear or static_value(linear[0]) is None:
            return False
    return True


def schedule_injective(schedule: s_tir.Schedule, stage: Stage, machine: CpuMachine) -> None:
    """Before: ``for axes: body``. After: ``for outer in parallel: row of vectors``."""
    loops = schedule.get_loops(schedule.get_sblock(stage.name))
    if not loops:
        return
    row = join_row(schedule, stage, loops)
    outer = loops[: -row.axes]
    loop = row.loop
    if not outer:
        # One long row: chunks of whole vectors, so that only the last chunk has a rest.
        chunks, loop = schedule.split(loop, [None, _CHUNK_VECTORS * machine.lanes])
        outer = [chunks]
    if row.is_vectors(stage, machine):
        schedule.annotate(loop, ROW, machine.lanes)
    parallelise(schedule, stage, outer, machine)


@dataclass(frozen=True)
class JoinedRow:
    """The innermost loop, made of the last ``axes`` axes; a symbolic ``length`` is a long one."""

    loop: LoopRV
    axes: int
    length: int

    def is_vectors(self, stage: Stage, machine: CpuMachine) -> bool:
        """Whether ``cut_rows`` is to make vectors of it."""
        return self.length >= machine.lanes and is_vector_row(stage, stage.axes[-1])


def join_row(schedule: s_tir.Schedule, stage: Stage, loops: list[LoopRV]) -> JoinedRow:
    """Make one row of as many of ``loops``, the innermost of ``stage``, as can be."""
    count = min(fused_tail(stage), len(loops))
    loop = schedule.fuse(*loops[-count:]) if count > 1 else loops[-1]
    length = prod(axis.size or SERIAL_VALUES for axis in stage.axes[-count:])
    return JoinedRow(loop, count, length)


def parallelise(
    schedule: s_tir.Schedule, stage: Stage, loops: list[LoopRV], machine: CpuMachine
) -> None:
    """Run as few of the outermost loops in parallel as give every thread several pieces.

    Each fused loop costs a division per iteration, so the rest stay loops of their own. A stage
    with little work stays serial.
    """
    if not loops or values_of(stage) < SERIAL_VALUES:
        return
    count, fused = 1, 0
    while fused < len(loops) and count < _PIECES_PER_THREAD * machine.threads:
        count *= static_value(schedule.get(loops[fused]).extent) or 1
        fused += 1
    pieces = loops[:fused]
    # Loops over remainders have to be one that can be split into whole periods.
    join(schedule, [schedule.fuse(*pieces)] if has_remainders(stage.body) else pieces)


def values_of(stage: Stage) -> int:
    """Iterations of a stage; a symbolic size counts as a large one."""
    return prod(axis.size or SERIAL_VALUES for axis in stage.axes)
