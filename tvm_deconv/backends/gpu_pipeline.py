"""What follows the lowering of convolutions on a GPU: schedules for the rest, by TVM's DLight.

DLight's rules are tried in its own order; the first whose result fits the device's limits is taken.
Buffers stay plain on every GPU: TVM's pipeline for Adreno also has layouts in textures, but our
kernels read and write NCHW buffers, and every change between the two would be a copy.
"""

from __future__ import annotations

import logging

import tvm
import tvm_ffi
from tvm import s_tir, tirx
from tvm.relax.backend.cuda import pipeline as cuda
from tvm.relax.backend.gpu_generic import pipeline as generic
from tvm.s_tir.dlight import gpu
from tvm.target import Target

from tvm_deconv.errors import ModelError, TargetError
from tvm_deconv.schedules.rest.default import SCHEDULED, is_scheduled

from .gpu_limits import misfit
from .gpu_targets import CUDA

_LOG = logging.getLogger(__name__)

# In the order of TVM's own pipelines: the last one schedules everything, a thread per element.
_RULES = (gpu.Matmul(), gpu.GEMV(), gpu.Reduction(), gpu.GeneralReduction(), gpu.Fallback())


def library_dispatch_passes(target: Target) -> list[tvm.transform.Pass]:
    """TVM's passes before its legalization: sorting and sampling."""
    return generic.library_dispatch_passes(target)


def schedule_passes(target: Target) -> list[tvm.transform.Pass]:
    """Every function that is not scheduled by then, and a check of all."""
    # So that TVM's pass manager, which is C++, hands them on as what they are.
    for error in (ModelError, TargetError):
        tvm_ffi.register_error(error.__name__, error)
    return [ScheduleRemaining(target), CheckLimits(target)]


def lower_passes(target: Target) -> list[tvm.transform.Pass]:
    """From scheduled functions to the calls of the virtual machine: TVM's own."""
    own = cuda if target.kind.name == CUDA else generic
    return [*own.dataflow_lower_passes(target), *own.finalize_passes(target)]


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.ScheduleRemainingForGpu")
class ScheduleRemaining:
    """Schedule every PrimFunc of a module that is not marked as scheduled, for a GPU.

    To run after LegalizeOps, FuseOps and FuseTIR. Raises ModelError for a function that no rule
    schedules: on a GPU there is no way to run one without.
    """

    def __init__(self, target: Target) -> None:
        self._target = target

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        scheduled = {
            name: schedule_function(func, self._target, name.name_hint).with_attr(SCHEDULED, True)
            for name, func in mod.functions_items()
            if isinstance(func, tirx.PrimFunc) and not is_scheduled(func)
        }
        for name, func in scheduled.items():
            mod[name] = func
        return mod


def schedule_function(func: tirx.PrimFunc, target: Target, name: str) -> tirx.PrimFunc:
    """``func`` by the first rule whose result fits ``target``; ``name`` stands in the message."""
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
        reason = misfit(result, target)
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

    def __init__(self, target: Target) -> None:
        self._target = target

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        for name, func in mod.functions_items():
            reason = misfit(func, self._target) if isinstance(func, tirx.PrimFunc) else None
            if reason is not None:
                raise TargetError(
                    f"kernel {name.name_hint} does not fit the device: it takes {reason}"
                )
        return mod
