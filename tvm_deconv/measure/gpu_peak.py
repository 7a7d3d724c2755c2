"""The multiply-add peak of a GPU: a kernel that multiplies and adds in registers, on all threads.

The number of blocks is that of the output, so that the same kernel fills any card.
"""

from __future__ import annotations

import tvm
from tvm.script import tirx as T

from tvm_deconv.schedules.gpu.machine import GpuMachine

# Independent sums of a thread, which hide the latency of each other, and are few enough for as many
# threads as a GPU has room for; written out eight times, so that the loop costs under a twentieth.
_SUMS, _UNROLLED, _STEPS = 16, 8, 512
_THREADS = 128
# More blocks than any of the GPUs can hold at a time, as far as we know its size.
_BLOCKS_PER_UNIT = 32


def blocks(machine: GpuMachine) -> int:
    """Blocks that keep the whole GPU busy, by what is known of its size."""
    return _BLOCKS_PER_UNIT * machine.units


def shapes(machine: GpuMachine, blocks: int) -> list[tuple[int, ...]]:
    """Of the arguments: factor and summand for each lane, and what comes out."""
    return [(2, machine.lanes), (blocks, _threads(machine), machine.lanes)]


def flop(machine: GpuMachine, blocks: int) -> int:
    """Floating-point operations of a call of ``kernel``."""
    return 2 * blocks * _threads(machine) * _SUMS * _UNROLLED * _STEPS


def _threads(machine: GpuMachine) -> int:
    return min(_THREADS, machine.max_threads)


def kernel(machine: GpuMachine) -> tvm.tirx.PrimFunc:
    """Chains of multiply-adds, of vectors where the machine has any."""
    threads, lanes = _threads(machine), machine.lanes
    chains = _SUMS // lanes

    @T.prim_func(s_tir=True)
    def main(a: T.handle, b: T.handle):
        blocks = T.int64()
        factors = T.match_buffer(a, (2, lanes), "float32")
        out = T.match_buffer(b, (blocks, threads, lanes), "float32")
        T.func_attr({"global_symbol": "main", "tirx.noalias": True, "tirx.is_scheduled": True})
        for block in T.thread_binding(blocks, "blockIdx.x"):
            for thread in T.thread_binding(threads, "threadIdx.x"):
                with T.sblock("chains"):
                    acc = T.sblock_alloc_buffer((chains, lanes), "float32", scope="local")
                    by = T.sblock_alloc_buffer((2, lanes), "float32", scope="local")
                    for i in T.unroll(2):
                        for j in T.vectorized(lanes):
                            by[i, j] = factors[i, j]
                    for i in T.unroll(chains):
                        for j in T.vectorized(lanes):
                            acc[i, j] = T.Cast("float32", i + 1)
                    for _ in range(_STEPS):
                        for _ in T.unroll(_UNROLLED):
                            for i in T.unroll(chains):
                                for j in T.vectorized(lanes):
                                    acc[i, j] = acc[i, j] * by[0, j] + by[1, j]
                    for i in T.unroll(chains - 1):
                        for j in T.vectorized(lanes):
                            acc[0, j] = acc[0, j] + acc[i + 1, j]
                    for j in T.vectorized(lanes):
                        out[block, thread, j] = acc[0, j]

    return main
