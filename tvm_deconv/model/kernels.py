"""Kernels that calibration measures: reads of a working set, over and over.

The multiply-add peak has its kernel in ``tvm_deconv.measure.cpu_peak``.
"""

from __future__ import annotations

import tvm
from tvm.script import tirx as T

# Sums that do not wait for each other: loads are what a pass waits for, not the additions, whose
# latency of 4 cycles at two in a cycle takes 8.
_CHAINS = 8


def chunks_of(working_set: int, threads: int, lanes: int) -> int:
    """Groups of ``_CHAINS`` vectors that each thread reads of so many bytes, at least one."""
    return max(1, working_set // (threads * 4 * lanes * _CHAINS))


def shape_of(chunks: int, threads: int, lanes: int) -> tuple[int, int]:
    """Shape of the float32 working set: each thread reads a row of it."""
    return threads, chunks * _CHAINS * lanes


def read_kernel(passes: int, chunks: int, threads: int, lanes: int) -> tvm.tirx.PrimFunc:
    """Every thread sums its row of x in vectors, ``passes`` times, into its row of out.

    x is float32 of ``shape_of(chunks, threads, lanes)``, out (threads, lanes). Floating-point sums
    keep their order, so that no compiler may read less.
    """
    row = chunks * _CHAINS * lanes

    @T.prim_func(s_tir=True)
    def main(a: T.handle, b: T.handle):
        x = T.match_buffer(a, (threads, row), "float32")
        out = T.match_buffer(b, (threads, lanes), "float32")
        T.func_attr({"global_symbol": "main", "tirx.noalias": True})
        for thread in T.parallel(threads):
            with T.sblock("chains"):
                acc = T.sblock_alloc_buffer((_CHAINS, lanes), "float32", scope="local")
                for i in T.unroll(_CHAINS):
                    for j in T.vectorized(lanes):
                        acc[i, j] = T.float32(0)
                for _ in range(passes):
                    for chunk in range(chunks):
                        for i in T.unroll(_CHAINS):
                            for j in T.vectorized(lanes):
                                acc[i, j] = acc[i, j] + x[thread, (chunk * _CHAINS + i) * lanes + j]
                for j in T.vectorized(lanes):
                    out[thread, j] = T.float32(0)
                for i in T.unroll(_CHAINS):
                    for j in T.vectorized(lanes):
                        out[thread, j] = out[thread, j] + acc[i, j]

    return main
