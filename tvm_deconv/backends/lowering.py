"""TVM's lowering of TensorIR to machine code, less what only takes time."""

from __future__ import annotations

import tvm
from tvm.target import Target

# Passes of TVM's lowering that find nothing to do in functions for processors, but look for long:
# two are for GPUs, and what the first moves out of loops LLVM moves, too.
_IDLE_ON_CPUS = ("s_tir.HoistIfThenElse", "s_tir.InjectPermutedLayout", "s_tir.InjectVirtualThread")


def lean_lowering(target: Target) -> tvm.transform.PassContext:
    """The current pass context less what only takes time in TVM's lowering of TensorIR.

    The elimination of common subexpressions fails on linear and cubic resizes of free sizes
    ("IntImm supports only int"), takes half of the time of compiling for free sizes, and LLVM does
    the same work again.
    """
    current = tvm.transform.PassContext.current()
    idle = _IDLE_ON_CPUS if target.kind.name == "llvm" else ()
    return tvm.transform.PassContext(
        opt_level=current.opt_level,
        required_pass=current.required_pass,
        disabled_pass=[*current.disabled_pass, *idle],
        instruments=current.instruments,
        config={**current.config, "tirx.disable_cse_tir": True},
    )
