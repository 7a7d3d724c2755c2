"""Schedules of a GPU for what no template covers, by TVM's DLight.

DLight's rules are tried in its own order; the first whose result fits the device's limits is taken.
Buffers stay plain on every GPU: TVM's pipeline for Adreno also has layouts in textures, but our
kernels read and write NCHW buffers, and every change between the two would be a copy.

Maxima begin at -inf, minima at inf, where one thread computes a result. TVM splits others among
threads by what they begin with, and knows the smallest finite number only: there it is that, of
nothing but -inf. (It can be told of others, but a process that has told it ends in an abort.)
"""

from __future__ import annotations

import logging
from itertools import product

import tvm
from tvm import s_tir, tirx
from tvm.s_tir.dlight import gpu
from tvm.target import Target

from tvm_deconv.annotations import WRITTEN_OUT
from tvm_deconv.errors import ModelError
from tvm_deconv.schedules.gpu.machine import GpuMachine
from tvm_deconv.schedules.rest.default import SCHEDULED, is_written_out
from tvm_deconv.schedules.tir.identities import finds_places, with_true_identities

from .limits import refusal

_LOG = logging.getLogger(__name__)

# In the order of TVM's own pipelines: the last one schedules everything, a thread per element.
_RULES = (gpu.Matmul(), gpu.GEMV(), gpu.Reduction(), gpu.GeneralReduction(), gpu.Fallback())

# ValueError: TVM has split a reduction that it then cannot put together.
_FAILURES = (s_tir.ScheduleError, tvm.error.InternalError, AssertionError, ValueError)


def schedule_function(
    func: tirx.PrimFunc, target: Target, machine: GpuMachine, name: str
) -> tirx.PrimFunc:
    """``func`` by the first rule whose result fits the device; ``name`` stands in the message.

    Raises ModelError where there is none.
    """
    if is_written_out(func):
        operator = func.attrs[WRITTEN_OUT]
        raise ModelError(f"{operator} is computed on processors only: choose one as the target")
    reasons = []
    for rule, form in product(_RULES, _forms(func)):
        said = type(rule).__name__
        try:
            with target:
                schedule = rule.apply(form, target, False)
            result = None if schedule is None else schedule.mod["main"]
            reason = None if result is None else refusal(result, target, machine)
        except _FAILURES as error:
            reasons.append(f"{said} fails ({(str(error).strip() or 'assertion').splitlines()[-1]})")
            continue
        if result is None:
            continue
        if reason is None:
            return result.with_attr(SCHEDULED, True)
        reasons.append(f"{said} takes {reason}")
        _LOG.info("%s: %s", name, reasons[-1])
    raise ModelError(
        f"no GPU schedule for {name}: {'; '.join(reasons) or 'no rule knows its form'}"
    )


def _forms(func: tirx.PrimFunc) -> list[tirx.PrimFunc]:
    """``func`` with true identities, then as TVM may split it: not where a place would be -1."""
    found = with_true_identities(func)
    return [found] if found is func or finds_places(func) else [found, func]
