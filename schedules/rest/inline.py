"""Which stages of a function are computed where they are used instead of stored."""

from __future__ import annotations

from collections import Counter

import tvm
import tvm_ffi
from tvm import s_tir, tirx
from tvm.ir import Var
from tvm.s_tir.dlight.analysis import SBlockInfo

from tvm_deconv.schedules.tir.expansion import LARGEST, size_of

# Intrinsics that cost as much as a division or more: never computed twice.
_CHEAP_CALLS = {"prim.if_then_else", "tirx.fabs", "tirx.sqrt", "tirx.rsqrt"}


def inline_producers(schedule: s_tir.Schedule, blocks: list[SBlockInfo]) -> list[SBlockInfo]:
    """Inline every block that is elementwise or moves data, where that saves a pass over memory.

    Kept are: outputs; blocks with several consumers that are not cheap to repeat; what a reduction
    reads through a condition (the padding of a convolution), which would be evaluated again for
    every tap; what another block writes, too, as a loop does that was written out; and what would
    make an expression too large.
    """
    kept = []
    writers = _writers(schedule.mod["main"])
    sizes: dict[Var, int] = {}
    outputs = {schedule.get(block).name_hint for block in _outputs(schedule)}
    for info in blocks:
        if info.name in outputs or not info.is_injective() or info.is_reduction():
            kept.append(info)
            continue
        consumers = [schedule.get(block) for block in schedule.get_consumers(info.block_rv)]
        block = schedule.get(info.block_rv)
        feeds_reduction = any(consumer.init is not None for consumer in consumers)
        is_repeated = len(consumers) > 1 or feeds_reduction
        if (feeds_reduction and _has_condition(block)) or (is_repeated and not _is_cheap(block)):
            kept.append(info)
            continue
        if len(block.writes) != 1:
            # None where a call writes through a handle; the schedule language cannot move it.
            kept.append(info)
            continue
        written = block.writes[0].source
        if writers[written] > 1:
            kept.append(info)
            continue
        sizes[written] = _size(block, sizes)
        if any(_size(consumer, sizes) > LARGEST for consumer in consumers):
            del sizes[written]
            kept.append(info)
            continue
        try:
            schedule.compute_inline(info.block_rv)
        except s_tir.ScheduleError:
            del sizes[written]
            kept.append(info)
    return kept


def _writers(func: tirx.PrimFunc) -> Counter[Var]:
    """How many blocks store to each tensor, said among their writes or not."""
    found: Counter[Var] = Counter()

    def note(block: s_tir.SBlock) -> None:
        stored: set[Var] = set()
        tvm_ffi.structural_walk(block.body, (tirx.BufferStore, lambda s: stored.add(s.buffer)))
        found.update(stored)

    # The function's own block holds all others.
    tvm_ffi.structural_walk(func.body.block.body, (s_tir.SBlock, note))
    return found


def _size(block: s_tir.SBlock, sizes: dict[Var, int]) -> int:
    """Names in what a block computes, blocks of ``sizes`` inlined."""
    if not isinstance(block.body, tirx.BufferStore):
        return 1
    return size_of(block.body.value, lambda load: sizes.get(load.source, 1))


def _outputs(schedule: s_tir.Schedule):
    root = schedule.get_sblock(schedule.mod["main"].body.block.name_hint)
    return schedule.get_output_blocks(root)


def _has_condition(block: s_tir.SBlock) -> bool:
    return bool(tvm_ffi.get_global_func("s_tir.schedule.HasIfThenElse")(block))


def _is_cheap(block: s_tir.SBlock) -> bool:
    calls: list[str] = []

    def note(call: tvm.ir.Call) -> None:
        calls.append(str(getattr(call.op, "name", "")))

    tvm_ffi.structural_walk(block.body, (tvm.ir.Call, note))
    divisions: list[tirx.Div] = []
    tvm_ffi.structural_walk(block.body, (tirx.Div, divisions.append))
    return not divisions and all(call in _CHEAP_CALLS for call in calls)
