"""Reductions with little reuse, or of a kind of their own: outer axes in parallel, no more.

Pooling with strides, sums over channels and argmax load each value about once. LLVM vectorises
their inner loops as they are written; copies or tiles were measured to be slower.
"""

from __future__ import annotations

from tvm import s_tir

from tvm_deconv.schedules.cpu.machine import CpuMachine

from .injective import parallelise
from .stage import Stage


def schedule_reduction(schedule: s_tir.Schedule, stage: Stage, machine: CpuMachine) -> None:
    """Before: ``for spatial, reducing: body``. After: ``for outer in parallel: the rest``.

    The last spatial axis stays inside: it is the one that LLVM makes vectors of.
    """
    loops = dict(zip(stage.axes, schedule.get_loops(schedule.get_sblock(stage.name)), strict=True))
    outer = [loops[axis] for axis in stage.spatial]
    if len(outer) > 1:
        outer = outer[:-1]
    parallelise(schedule, stage, outer, machine)
