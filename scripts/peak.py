"""The multiply-add peak of this machine: a kernel that works in registers only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tvm
from tvm.script import tirx as T

from tvm_deconv.schedules.machine import cpu_machine
from tvm_deconv.targets import resolve_target

# A latency of 4 cycles at 2 multiply-adds in a cycle needs 8 chains; 12 fit any register file.
_CHAINS = 12
_STEPS = 200_000


def peak_kernel(threads: int) -> tuple[Callable[[], object], int]:
    """A call that keeps ``threads`` cores at their peak, and its floating-point operations."""
    target = resolve_target("host")
    lanes = cpu_machine(target).lanes

    @T.prim_func(s_tir=True)
    def main(factors: T.Buffer((2, lanes), "float32"), out: T.Buffer((threads, lanes), "float32")):
        T.func_attr({"global_symbol": "main", "tirx.noalias": True})
        for thread in T.parallel(threads):
            with T.sblock("chains"):
                acc = T.sblock_alloc_buffer((_CHAINS, lanes), "float32", scope="local")
                for i in T.unroll(_CHAINS):
                    for j in T.vectorized(lanes):
                        acc[i, j] = T.Cast("float32", i + 1)
                for _ in range(_STEPS):
                    for i in T.unroll(_CHAINS):
                        for j in T.vectorized(lanes):
                            acc[i, j] = acc[i, j] * factors[0, j] + factors[1, j]
                for j in T.vectorized(lanes):
                    out[thread, j] = T.float32(0)
                for i in T.unroll(_CHAINS):
                    for j in T.vectorized(lanes):
                        out[thread, j] = out[thread, j] + acc[i, j]

    built = tvm.compile(tvm.IRModule({"main": main}), target=target)
    factors = tvm.runtime.tensor(np.full((2, lanes), 0.5, "float32"))
    out = tvm.runtime.empty((threads, lanes), "float32")
    call = built["main"]
    return lambda: call(factors, out), 2 * threads * _STEPS * _CHAINS * lanes
