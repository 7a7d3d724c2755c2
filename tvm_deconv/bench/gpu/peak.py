"""A kernel that only multiplies and adds in registers: how fast can the card do that?

It takes two factors and writes a number a thread, so that nothing is optimised away; the number of
threads is that of the output, so that it can fill any card.
"""

from __future__ import annotations

import tvm
from tvm.script import tirx as T

THREADS = 256
"""Of a block; eight blocks fill a multiprocessor of 2048 threads."""

# Enough independent chains to hide a latency of 4 cycles with one warp a scheduler; written out
# eight times, so that the loop itself costs under a twentieth.
_CHAINS, _UNROLLED, _STEPS = 16, 8, 512

FLOP_PER_THREAD = 2 * _CHAINS * _UNROLLED * _STEPS


def kernel() -> tvm.tirx.PrimFunc:
    """``factors`` (2,) and ``out`` (blocks, THREADS), float32."""

    @T.prim_func(s_tir=True)
    def main(a: T.handle, b: T.handle):
        blocks = T.int64()
        factors = T.match_buffer(a, (2,), "float32")
        out = T.match_buffer(b, (blocks, THREADS), "float32")
        T.func_attr({"global_symbol": "main", "tirx.noalias": True, "tirx.is_scheduled": True})
        for block in T.thread_binding(blocks, thread="blockIdx.x"):
            for thread in T.thread_binding(THREADS, thread="threadIdx.x"):
                with T.sblock("chains"):
                    acc = T.sblock_alloc_buffer((_CHAINS,), "float32", scope="local")
                    for i in T.unroll(_CHAINS):
                        acc[i] = T.Cast("float32", i + thread)
                    for _ in range(_STEPS):
                        for _ in T.unroll(_UNROLLED):
                            for i in T.unroll(_CHAINS):
                                acc[i] = acc[i] * factors[0] + factors[1]
                    out[block, thread] = T.float32(0)
                    for i in T.unroll(_CHAINS):
                        out[block, thread] = out[block, thread] + acc[i]

    return main
