"""Elementwise stages and those that only move data: rows of vectors, outer axes in parallel."""

from __future__ import annotations

from math import prod

from tvm import s_tir, sym, tirx

from .cpu_default_rows import ROW
from .cpu_default_stage import Axis, Stage, loads_of, static_value
from .machine import CpuMachine

# Handing work to TVM's thread pool and waiting for it costs some 5 to 20 microseconds; one core
# streams about 10 values per nanosecond from L2. Below this many values a loop is faster alone.
SERIAL_VALUES = 1 << 15


def is_injective(stage: Stage) -> bool:
    """Whether every iteration writes a place of its own, independent of the others."""
    return stage.init is None and not stage.reducing and len(stage.stores()) == 1


def fused_tail(stage: Stage) -> int:
    """How many trailing axes may be one: all accesses see them as one contiguous axis.

    ``relu`` over (1, 32, 56, 57) is one row of 102144 values; adding a bias per channel leaves
    rows of 56 * 57 values. The longer the row, the smaller the share of its scalar rest.
    """
    count = 1
    while count < len(stage.axes) and _is_joined(stage, stage.axes[-count - 1 :]):
        count += 1
    return count


def _is_joined(stage: Stage, axes: tuple[Axis, ...]) -> bool:
    accesses = [(store.buffer, store.indices) for store in stage.stores()]
    accesses += [(load.source, load.indices) for load in loads_of(stage.body)]
    return all(_is_joined_in(buffer, indices, axes) for buffer, indices in accesses) and not (
        _uses_outside_indices(stage, axes)
    )


def _is_joined_in(buffer, indices, axes: tuple[Axis, ...]) -> bool:
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


def _uses_outside_indices(stage: Stage, axes: tuple[Axis, ...]) -> bool:
    """Whether the value itself depends on an axis (a condition, a coordinate)."""
    variables = {axis.var for axis in axes}
    found = [0]

    def count(var) -> None:
        found[0] += var in variables

    import tvm_ffi
    import tvm

    tvm_ffi.structural_walk(stage.body, (tvm.ir.Var, count))
    total = found[0]
    found[0] = 0
    for store in stage.stores():
        for index in store.indices:
            tvm_ffi.structural_walk(index, (tvm.ir.Var, count))
    for load in loads_of(stage.body):
        for index in load.indices:
            tvm_ffi.structural_walk(index, (tvm.ir.Var, count))
    return found[0] != total


def schedule_injective(schedule: s_tir.Schedule, stage: Stage, machine: CpuMachine) -> None:
    """Before: ``for axes: body``. After: ``for outer in parallel: row of vectors``."""
    loops = schedule.get_loops(schedule.get_sblock(stage.name))
    if not loops:
        return
    joined = fused_tail(stage)
    size = prod(axis.size or machine.lanes * 64 for axis in stage.axes)
    outer, tail = loops[:-joined], loops[-joined:]
    row = schedule.fuse(*tail) if len(tail) > 1 else tail[0]
    length = prod(axis.size or SERIAL_VALUES for axis in stage.axes[-joined:])
    is_symbolic = any(axis.size is None for axis in stage.axes)
    if not outer and length > machine.lanes * machine.threads:
        # One long row: chunks of whole vectors, so that only the last one has a rest.
        chunk = 64 * machine.lanes
        chunks, row = schedule.split(row, [None, chunk])
        outer = [chunks]
    schedule.annotate(row, ROW, machine.lanes)
    if outer and (is_symbolic or size >= SERIAL_VALUES):
        schedule.parallel(schedule.fuse(*outer) if len(outer) > 1 else outer[0])
