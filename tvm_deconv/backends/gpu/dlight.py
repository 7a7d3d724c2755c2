"""Schedules of a GPU for what no template covers, by TVM's DLight.

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

from tvm_deconv.errors import ModelError
from tvm_deconv.schedules.gpu.machine import GpuMachine
from tvm_deconv.schedules.rest.default import SCHEDULED

from .limits import refusal

_LOG = logging.getLogger(__name__)

# In the order of TVM's own pipelines: the last one schedules everything, a thread per element.
_RULES = (gpu.Matmul(), gpu.GEMV(), gpu.Reduction(), gpu.GeneralReduction(), gpu.Fallback())


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
            return result.with_attr(SCHEDULED, True)
        reasons.append(f"{said} takes {reason}")
        _LOG.info("%s: %s", name, reasons[-1])
    raise ModelError(
        f"no GPU schedule for {name}: {'; '.join(reasons) or 'no rule knows its form'}"
    )
