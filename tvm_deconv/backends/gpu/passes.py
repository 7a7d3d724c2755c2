"""Schedules of a GPU for what no template covers, by TVM's DLight, and a check of all.

DLight's rules are tried in its own order; the first whose result fits the device's limits is taken.
Buffers stay plain on every GPU: TVM's pipeline for Adreno also has layouts in textures, but our
kernels read and write NCHW buffers, and every change between the two would be a copy.
"""

from __future__ import annotations

import logging

import tvm
from tvm import s_tir, tirx
from tvm.s_tir.dlight import gpu
from tvm.target import Target

from tvm_deconv.errors import ModelError, TargetError
from tvm_deconv.schedules.gpu.machine import GpuMachine
from tvm_deconv.schedules.rest.default import SCHEDULED, is_scheduled

from .limits import refusal

_LOG = logging.getLogger(__name__)

# In the order of TVM's own pipelines: the last one schedules everything, a thread per element.
_RULES = (gpu.Matmul(), gpu.GEMV(), gpu.Reduction(), gpu.GeneralReduction(), gpu.Fallback())


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.ScheduleRemainingForGpu")
class ScheduleRemaining:
    """Schedule every PrimFunc of a module that is not marked as scheduled, for a GPU.

    To run after LegalizeOps, FuseOps and FuseTIR. Raises ModelError for a function that no rule
    schedules: on a GPU there is no way to run one without.
    """

    def __init__(self, target: Target, machine: GpuMachine) -> None:
        self._target, self._machine = target, machine

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        scheduled = {
            name: self._scheduled(func, name.name_hint).with_attr(SCHEDULED, True)
            for name, func in mod.functions_items()
            if isinstance(func, tirx.PrimFunc) and not is_scheduled(func)
        }
        for name, func in scheduled.items():
            mod[name] = func
        return mod

    def _scheduled(self, func: tirx.PrimFunc, name: str) -> tirx.PrimFunc:
        return schedule_function(func, self._target, self._machine, name)


def schedule_function(
    func: tirx.PrimFunc, target: Target, machine: GpuMachine, name: str
) -> tirx.PrimFunc:
    """``func`` by the first rule whose result fits the device; ``name`` stands in the message.

    Raises ModelError where there is none.
    """
    reasons = []
    for rule in _RULES:
        said = type(rule).__name__
        try:
            with target:
                schedule = rule.apply(func, target, False)
        except (s_tir.ScheduleError, tvm.error.InternalError, AssertionError) as error:
            reasons.append(f"{said} fails ({(str(error).strip() or 'assertion').splitlines()[-1]})")
            continue
        if schedule is None:
            continue
        result = schedule.mod["main"]
        reason = refusal(result, target, machine)
        if reason is None:
            return result
        reasons.append(f"{said} takes {reason}")
        _LOG.info("%s: %s", name, reasons[-1])
    raise ModelError(
        f"no GPU schedule for {name}: {'; '.join(reasons) or 'no rule knows its form'}"
    )


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.CheckGpuLimits")
class CheckLimits:
    """Raise TargetError for a function with a kernel that the device would refuse to start."""

    def __init__(self, target: Target, machine: GpuMachine) -> None:
        self._target, self._machine = target, machine

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        for name, func in mod.functions_items():
            if not isinstance(func, tirx.PrimFunc):
                continue
            reason = refusal(func, self._target, self._machine)
            if reason is not None:
                raise TargetError(
                    f"kernel {name.name_hint} does not fit the device: it takes {reason}"
                )
        return mod
