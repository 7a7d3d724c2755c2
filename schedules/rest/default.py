"""A sound default schedule for every function that no template of ours covers."""

from __future__ import annotations

import logging
from collections.abc import Collection

import tvm
from tvm import s_tir, tirx
from tvm.s_tir.dlight.analysis import normalize_prim_func

from tvm_deconv.annotations import WRITTEN_OUT
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.tir.bindings import bind_repeated_reads
from tvm_deconv.schedules.tir.identities import with_true_identities
from tvm_deconv.schedules.tir.last_steps import for_llvm
from tvm_deconv.schedules.tir.names import with_names_bound_once, with_own_names
from tvm_deconv.schedules.tir.nan_maxima import with_nan_kept
from tvm_deconv.schedules.tir.own_sizes import with_own_sizes
from tvm_deconv.schedules.tir.periods import with_whole_periods
from tvm_deconv.schedules.tir.quotients import with_known_quotients

from .bounds import with_exact_bounds
from .contraction import Contraction, contraction_of, epilogue_positions
from .injective import is_injective, schedule_injective
from .inline import inline_producers
from .interleaving import interleaving_of, write_interleaving
from .lanes import LaneReduction, lane_reduction_of, schedule_lanes
from .nest import schedule_contraction
from .plain import schedule_reduction
from .product.schedule import Packings, schedule_product
from .recurrence.schedule import is_recurrence, schedule_recurrence
from .row_group import (
    RowGroup,
    overwritten_by_result,
    row_group_of,
    schedule_rows,
    with_results_in_place,
)
from .rows import cut_rows
from .stage import Stage, Var, loads_of, stages_of, with_stages
from .transposition import transposition_of, write_transposition

_LOG = logging.getLogger(__name__)

SCHEDULED = "tirx.is_scheduled"
# The place of a parameter that the result may be written over.
OVERWRITES = "tvm_deconv.overwrites"

Part = Stage | Contraction | LaneReduction | RowGroup


def is_scheduled(func: tirx.PrimFunc) -> bool:
    return func.attrs is not None and bool(func.attrs.get(SCHEDULED, False))


def is_written_out(func: tirx.PrimFunc) -> bool:
    return func.attrs is not None and WRITTEN_OUT in func.attrs


def default_schedule(func: tirx.PrimFunc, machine: CpuMachine) -> tirx.PrimFunc:
    """``func`` scheduled for ``machine`` and marked; one of unusual form runs as it is."""
    return schedule_with_constants(func, machine, ())[0]


def schedule_with_constants(
    func: tirx.PrimFunc, machine: CpuMachine, constants: Collection[int]
) -> tuple[tirx.PrimFunc, Packings]:
    """As ``default_schedule``, where the parameters at the positions ``constants`` are constants.

    With what those have to be packed by that the scheduled function takes in another order.
    """
    if is_recurrence(func):
        scheduled, weights = schedule_recurrence(func, machine, constants)
        return finished(scheduled, machine), weights
    if is_written_out(func):
        return finished(for_llvm(func), machine), {}
    func = with_true_identities(func)
    scheduled, packings = schedule_function(func, machine, constants)
    if scheduled is None:
        return with_nan_kept(with_whole_periods(func), machine.keeps_nan), {}
    return finished(scheduled, machine), packings


def schedule_function(
    func: tirx.PrimFunc, machine: CpuMachine, constants: Collection[int] = ()
) -> tuple[tirx.PrimFunc | None, Packings]:
    """``func`` scheduled for ``machine``; None where its form is not one that we understand."""
    understood = with_its_stages(func)
    if understood is None:
        return None, {}
    func, stages = understood
    product = schedule_product(func, stages, machine, constants)
    if product is not None:
        return for_llvm(product[0]), product[1]
    interleaving = interleaving_of(stages, machine)
    if interleaving is not None:
        return for_llvm(write_interleaving(func, interleaving)), {}
    transposition = transposition_of(stages, machine)
    if transposition is not None:
        return for_llvm(write_transposition(func, transposition)), {}
    for rules in (_row_rules, _all_rules, _simple_rules):
        try:
            return _scheduled(func, rules(func, stages, machine), machine), {}
        except (s_tir.ScheduleError, tvm.error.InternalError) as error:
            # The latter where a size is more than TVM's arithmetic can bound (1.3 * h in float32).
            _LOG.info("%s failed: %s", rules.__name__, str(error).strip().splitlines()[-1])
    return None, {}


def with_its_stages(func: tirx.PrimFunc) -> tuple[tirx.PrimFunc, list[Stage]] | None:
    """``func`` in normal form, and its stages; None where its form is not one that we understand.

    What saves a pass over memory where it is used is computed there.
    """
    if is_written_out(func):
        return None
    func = with_own_sizes(func)
    while True:
        schedule = s_tir.Schedule(bind_repeated_reads(func))
        blocks = normalize_prim_func(schedule)
        if blocks is None:
            return None
        is_changed = len(inline_producers(schedule, blocks)) < len(blocks)
        func = schedule.mod["main"]
        stages = stages_of(func)
        if stages is None or not is_changed:
            return None if stages is None else (func, stages)
        # Two readers of a value may have become one, which reads it twice: x * sigmoid(x). Names
        # that a value binds were copied with it.
        func = with_own_names(with_names_bound_once(func))


def finished(func: tirx.PrimFunc, machine: CpuMachine) -> tirx.PrimFunc:
    """``func``, which is scheduled, marked as such."""
    if machine.fuses:
        func = with_known_quotients(func)
    return with_nan_kept(func, machine.keeps_nan).with_attr(SCHEDULED, True)


def _scheduled(func: tirx.PrimFunc, parts: list[Part], machine: CpuMachine) -> tirx.PrimFunc:
    stages: list[Stage] = []
    for part in parts:
        stages += [part] if isinstance(part, Stage) else part.stages
    schedule = s_tir.Schedule(with_stages(func, stages))
    for part in parts:
        if isinstance(part, Contraction):
            schedule_contraction(schedule, part, machine)
        elif isinstance(part, LaneReduction):
            schedule_lanes(schedule, part, machine)
        elif isinstance(part, RowGroup):
            schedule_rows(schedule, part, machine)
        elif is_injective(part):
            schedule_injective(schedule, part, machine)
        else:
            schedule_reduction(schedule, part, machine)
    scheduled = schedule.mod["main"]
    for part in parts:
        if isinstance(part, RowGroup):
            over = overwritten_by_result(part, _inputs(func, part))
            scheduled = with_results_in_place(scheduled, part)
            if over is not None:
                scheduled = scheduled.with_attr(OVERWRITES, over)
    stores = {part.store.name for part in parts if isinstance(part, Contraction)}
    return for_llvm(cut_rows(with_exact_bounds(scheduled, stores)))


def _inputs(func: tirx.PrimFunc, group: RowGroup) -> list[Var]:
    """The parameters in front of the result, if that is the last one and the only one.

    None of a function that has sizes for parameters, which only the run time knows.
    """
    *inputs, result = func.params
    (store,) = group.last.stores()
    is_only = result.same_as(store.buffer) and all(hasattr(given, "shape") for given in inputs)
    return inputs if is_only else []


def _simple_rules(_func: tirx.PrimFunc, stages: list[Stage], _machine: CpuMachine) -> list[Part]:
    """Every stage as it is: rows of vectors where it is injective, else parallel outer loops."""
    return list(stages)


def _row_rules(func: tirx.PrimFunc, stages: list[Stage], machine: CpuMachine) -> list[Part]:
    """All stages row by row, where they share rows."""
    parts = _all_rules(func, stages, machine)
    group = row_group_of(parts, set(func.params), machine)
    return parts if group is None else [group]


def _all_rules(_func: tirx.PrimFunc, stages: list[Stage], machine: CpuMachine) -> list[Part]:
    """The stages in order, reductions replaced by contractions together with what they absorb."""
    readers: dict[Var, list[Stage]] = {}
    writer: dict[Var, Stage] = {}
    for stage in stages:
        for load in loads_of(stage.body):
            known = readers.setdefault(load.source, [])
            if stage not in known:
                known.append(stage)
        for store in stage.stores():
            writer[store.buffer] = stage
    parts: dict[Stage, Part | None] = {stage: stage for stage in stages}
    for stage in stages:
        if stage.init is None:
            continue
        producers = {
            load.source: writer[load.source]
            for load in loads_of(stage.body)
            if load.source in writer
            and readers[load.source] == [stage]
            and writer[load.source] is not stage
            and is_injective(writer[load.source])
        }
        epilogue = None
        result = stage.stores()[0].buffer
        after = [reader for reader in readers.get(result, []) if reader is not stage]
        if len(after) == 1 and is_injective(after[0]) and epilogue_positions(after[0], result):
            epilogue = after[0]
        lanes = lane_reduction_of(stage, machine)
        contraction = None
        if lanes is None or not lanes.is_best:
            contraction = contraction_of(stage, producers, epilogue, machine)
        if contraction is None:
            parts[stage] = lanes or stage
            continue
        for producer in producers.values():
            parts[producer] = None
        parts[stage] = None
        parts[epilogue or stage] = contraction
    return [part for part in parts.values() if part is not None]
