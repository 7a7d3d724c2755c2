"""TVM's lowering of TensorIR to machine code, less what only takes time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import tvm
from tvm import tirx
from tvm.ir.transform import PassContext
from tvm.target import Target

from tvm_deconv.schedules.tir.edit import blocks_allocate
from tvm_deconv.schedules.tir.last_steps import OPT_LEVEL
from tvm_deconv.schedules.tir.names import with_names_bound_once

from .extremes import with_extremes
from .registers import in_registers
from .stacks import with_aligned_stacks
from .trusted import unchecked

# Passes of TVM's lowering that find nothing to do in functions for processors, but look for long:
# most are for threads, memory and instructions of GPUs and other devices, and for float8 (of 606
# kernels of floats, of fixed and free sizes, all are lowered to the same without). What the others
# move out of loops or leave away LLVM does, too. (Of 330 kernels, for three processors and of fixed
# and free sizes, floats and bytes, all have the same machine code without ``RemoveNoOp``.)
_IDLE_ON_CPUS = (
    "s_tir.HoistIfThenElse",
    "s_tir.InferFragment",
    "s_tir.InjectDoubleBuffer",
    "s_tir.InjectPermutedLayout",
    "s_tir.InjectSoftwarePipeline",
    "s_tir.InjectVirtualThread",
    "s_tir.LiftThreadBinding",
    "s_tir.LowerAutoCopy",
    "s_tir.LowerCrossThreadReduction",
    "s_tir.LowerThreadAllreduce",
    "s_tir.LowerVtcmAlloc",
    "s_tir.ManifestSharedMemoryLocalStage",
    "s_tir.MergeSharedMemoryAllocations",
    "s_tir.ThreadSync",
    "s_tir.TransformMmaBufferLayout",
    "s_tir.UnifyThreadBinding",
    "tirx.FP8ComputeLegalize",
    "tirx.FP8StorageLegalize",
    "tirx.RemoveNoOp",
)
# Makes buffers as small as what is used of them.
_COMPACTION = "s_tir.CompactBufferAllocation"

# LLVM's level where a target says nothing.
_MOST_OPTIMIZED = 3

# The name of TVM's lowering for the kernels of a network (``tirx.build``).
PIPELINE = "tvm_deconv"


def _pipeline() -> tuple[tvm.transform.Pass, Any, Any]:
    """TVM's own, for each function less what finds nothing to do there, and checks that hold.

    What the code generator would put back is in registers, and what it makes several instructions
    of is one.
    """
    lower, finalize_host, finalize_device = tirx.get_tir_pipeline("s_tir")

    @tvm.transform.module_pass(opt_level=0, name="tvm_deconv.lower")
    def lowered(mod: tvm.IRModule, _context: PassContext) -> tvm.IRModule:
        kinds: dict[bool, dict[tvm.ir.GlobalVar, tirx.PrimFunc]] = {}
        for name, func in mod.functions.items():
            kinds.setdefault(blocks_allocate(func), {})[name] = with_names_bound_once(func)
        done = tvm.IRModule({}, attrs=mod.attrs)
        for functions in kinds.values():
            with lean_for(functions.values()):
                done.update(lower(tvm.IRModule(functions, attrs=mod.attrs)))
        return with_aligned_stacks(unchecked(done))

    @tvm.transform.module_pass(opt_level=0, name="tvm_deconv.finalize")
    def finalized(mod: tvm.IRModule, _context: PassContext) -> tvm.IRModule:
        return in_registers(with_extremes(finalize_host()(mod)))

    return lowered, lambda: finalized, finalize_device


tirx.register_tir_pipeline(PIPELINE, _pipeline)


def target_of(func: tirx.PrimFunc, target: Target) -> Target:
    """``target``, of no more of LLVM's optimizations than the schedule of ``func`` wants."""
    level = int(func.attrs.get(OPT_LEVEL, _MOST_OPTIMIZED))
    if target.kind.name != "llvm" or level >= int(target.attrs.get("opt-level", _MOST_OPTIMIZED)):
        return target
    return _with_level(target, level)


@lru_cache(maxsize=8)
def _with_level(target: Target, level: int) -> Target:
    # Two targets that say the same are not equal: kernels of one level share this one.
    return Target({**target.export(), "opt-level": level})


def lean_lowering(target: Target) -> PassContext:
    """The current pass context less what only takes time in TVM's lowering of TensorIR.

    The elimination of common subexpressions fails on linear and cubic resizes of free sizes
    ("IntImm supports only int"), takes half of the time of compiling for free sizes, and LLVM does
    the same work again.
    """
    idle = _IDLE_ON_CPUS if target.kind.name == "llvm" else ()
    return _changed(PassContext.current(), idle, {"tirx.disable_cse_tir": True})


def lean_for(functions: Iterable[tirx.PrimFunc]) -> PassContext:
    """The current context less what finds nothing to do in ``functions``.

    It is the compaction of buffers, where each allocates its own by statements, as what is written
    statement by statement does, and as large as they are used: a schedule leaves them to blocks,
    of the size of a whole map. To bound what each of a thousand statements reads takes up to half
    of TVM's lowering.
    """
    idle = () if any(map(blocks_allocate, functions)) else (_COMPACTION,)
    return _changed(PassContext.current(), idle, {})


def for_thread(context: PassContext) -> PassContext:
    """``context`` for another thread than that in which it was made."""
    return _changed(context, (), {})


def _changed(context: PassContext, disabled: Sequence[str], config: dict[str, Any]) -> PassContext:
    return PassContext(
        opt_level=context.opt_level,
        required_pass=context.required_pass,
        disabled_pass=[*context.disabled_pass, *disabled],
        instruments=context.instruments,
        config={**context.config, **config},
    )
