"""Scheduling steps of a contraction: strips in parallel, tiles in registers."""

from __future__ import annotations

from tvm import s_tir, tirx

from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.tir.pieces import join

from .contraction import Contraction
from .injective import is_vector_row, schedule_injective, values_of
from .rows import ROW
from .stage import static_value

# One core does some 30 multiply-adds per nanosecond: below this many, waking the others (5 to 20
# microseconds) takes longer than the work.
_SERIAL_MULTIPLY_ADDS = 1 << 18

# Innermost reducing axes are unrolled up to this many multiply-adds, the 3x3 taps of a tile of 16
# accumulators: with both axes of a window written out, rows that several taps read are loaded once.
_UNROLLED_MULTIPLY_ADDS = 160

# LLVM 22 takes twice as long for each further comparison in a chain of maxima: 1 s for 25 of them,
# 36 s for 30.
_UNROLLED_COMPARISONS = 16


def schedule_contraction(
    schedule: s_tir.Schedule, contraction: Contraction, machine: CpuMachine
) -> None:
    """Before: ``copies; for spatial, reducing: compute; for spatial: store``.

    After::

        for strip in parallel(outer axes):
            copies that belong to the strip
            for other axes, tiles:
                tile = 0                            # vectors x rows, unrolled
                for reducing: tile += ...           # the same, without predicates
                store(tile)

    Copies that all strips need (packed weights) stay in front, parallel by themselves.
    """
    tile, plan = contraction.tile, contraction.plan
    compute = schedule.get_sblock(contraction.compute.name)
    loops = dict(zip(contraction.rounded, schedule.get_loops(compute), strict=True))

    loops[tile.vector_axis], vectors, lanes = schedule.split(
        loops[tile.vector_axis], [None, tile.vectors, tile.lanes]
    )
    inner = [vectors, lanes]
    if tile.row_axis is not None:
        loops[tile.row_axis], rows = schedule.split(loops[tile.row_axis], [None, tile.rows])
        inner = [rows, *inner]
    within = []
    if plan.strip_axis is not None and plan.strip > 1:
        loops[plan.strip_axis], step = schedule.split(loops[plan.strip_axis], [None, plan.strip])
        within = [step]
    strips = [loops[axis] for axis in plan.outer]
    sweeps = [loops[axis] for axis in plan.swept]
    moving = [loops[axis] for axis in plan.innermost]
    reducing = [loop for axis, loop in loops.items() if axis.reduces]
    schedule.reorder(*strips, *sweeps, *within, *moving, *reducing, *inner)
    strip = join(schedule, strips, values_of(contraction.compute) >= _SERIAL_MULTIPLY_ADDS)

    for copy in contraction.copies:
        if not plan.is_copied_by_strip(copy.operand):
            schedule_injective(schedule, copy.stage, machine)
            continue
        block = schedule.get_sblock(copy.stage.name)
        schedule.compute_at(block, strip)
        if is_vector_row(copy.stage, copy.stage.axes[-1]):
            schedule.annotate(schedule.get_loops(block)[-1], ROW, machine.lanes)
    tiles = [*sweeps, *within, *moving]
    store = schedule.get_sblock(contraction.store.name)
    depth = len(schedule.get_loops(compute)) - len(reducing) - len(inner)
    schedule.reverse_compute_at(store, tiles[-1] if tiles else strip)
    *stored_rows, row = schedule.get_loops(store)[depth:]
    for loop in stored_rows:
        # Registers have no addresses: every row must be named by a constant.
        if static_value(schedule.get(loop).extent) is not None:
            schedule.unroll(loop)
    schedule.annotate(row, ROW, tile.lanes)
    most = _UNROLLED_MULTIPLY_ADDS // (tile.rows * tile.vectors)
    if any(isinstance(s.value, (tirx.Max, tirx.Min)) for s in contraction.compute.stores()):
        most = min(most, _UNROLLED_COMPARISONS)
    count = 1
    for loop, axis in reversed(list(zip(reducing, contraction.compute.reducing, strict=True))):
        if axis.size is None:
            break
        count *= axis.size
        if count > most:
            break
        schedule.unroll(loop)
    _to_registers(schedule, inner)
    start = schedule.decompose_reduction(compute, reducing[0])
    _to_registers(schedule, schedule.get_loops(start)[-len(inner) :])


def _to_registers(schedule: s_tir.Schedule, loops: list[s_tir.schedule.LoopRV]) -> None:
    *unrolled, lane = loops
    for loop in unrolled:
        schedule.unroll(loop)
    schedule.vectorize(lane)
