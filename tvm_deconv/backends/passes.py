"""What follows fusion: schedules for the functions that no template covers, and a check."""

from __future__ import annotations

import tvm
import tvm_ffi
from tvm import tirx
from tvm.target import Target

from tvm_deconv.errors import ModelError, TargetError
from tvm_deconv.schedules.rest.default import is_scheduled

from .alignment import AcceptUnaligned
from .attention import MergeAttention
from .in_place import OverwriteInputs
from .joins import WriteParts
from .packed import Packed, constant_parameters, with_packed
from .parts import ReadParts
from .registry import backend_of
from .shared import ShareFunctions
from .trusted import TrustCalls
from .views import ViewReshapes

# So that TVM's pass manager, which is C++, hands them on as what they are.
for _error in (ModelError, TargetError):
    tvm_ffi.register_error(_error.__name__, _error)


def passes_after_fusion(target: Target) -> list[tvm.transform.Pass]:
    """From fused functions to the calls of the virtual machine."""
    stock = backend_of(target).stock
    return [
        ViewReshapes(),
        ReadParts(),
        WriteParts(),
        ShareFunctions(),
        MergeAttention(target),
        ScheduleRemaining(target),
        ShareFunctions(),
        CheckLimits(target),
        OverwriteInputs(),
        *([AcceptUnaligned(), TrustCalls()] if backend_of(target).device_kind == "cpu" else []),
        *stock.dataflow_lower_passes(target),
        *stock.finalize_passes(target),
    ]


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.ScheduleRemaining")
class ScheduleRemaining:
    """Give every PrimFunc that is not marked as scheduled the default schedule of its backend.

    Constants are packed as schedules want them.
    To run after LegalizeOps, FuseOps and FuseTIR. Raises ModelError for a function that a GPU has
    no schedule for, which there cannot run without; a processor runs it as it is.
    """

    def __init__(self, target: Target) -> None:
        self._target = target

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        schedule = backend_of(self._target).schedule_with_constants
        constants = constant_parameters(mod)
        packed: dict[str, Packed] = {}
        for name, func in list(mod.functions_items()):
            if isinstance(func, tirx.PrimFunc) and not is_scheduled(func):
                given = constants.get(name.name_hint, ())
                scheduled, packings = schedule(func, self._target, name.name_hint, given)
                if packings:
                    packed[name.name_hint] = scheduled, packings
                else:
                    mod[name] = scheduled
        return with_packed(mod, packed)


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.CheckLimits")
class CheckLimits:
    """Raise TargetError for a function with a kernel that the device would refuse to start."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        refusal = backend_of(self._target).refusal
        for name, func in mod.functions_items():
            reason = refusal(func, self._target) if isinstance(func, tirx.PrimFunc) else None
            if reason is not None:
                raise TargetError(
                    f"kernel {name.name_hint} does not fit the device: it takes {reason}"
                )
        return mod
