"""The multiply-add peak of a processor: a kernel that multiplies and adds in registers alone."""

from __future__ import annotations

import tvm
from tvm.script import tirx as T

# A latency of 4 cycles at 2 multiply-adds in a cycle needs 8 chains; 12 fit any register file.
_CHAINS = 12
_STEPS = 200_000


def shapes(threads: int, lanes: int) -> list[tuple[int, ...]]:
    """Of the arguments: factor and summand for each lane, and what comes out."""
    return [(2, lanes), (threads, lanes)]


def flop(threads: int, lanes: int) -> int:
    """Floating-point operations of a call of ``kernel``."""
    return 2 * threads * _STEPS * _CHAINS * lanes


def kernel(threads: int, lanes: int) -> tvm.tirx.PrimFunc:
    """``threads`` times ``_CHAINS`` independent chains of vector multiply-adds."""

    @T.prim_func(s_tir=True)
    def main(a: T.handle, b: T.handle):
        factors = T.match_buffer(a, (2, lanes), "float32")
        out = T.match_buffer(b, (threads, lanes), "float32")
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

    return main
