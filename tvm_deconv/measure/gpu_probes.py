"""A probe of a GPU: multiply-adds in registers, on all threads."""

from __future__ import annotations

from tvm.script import tirx as T

from tvm_deconv.schedules.gpu.machine import GpuMachine

from .probe import Probe

# Independent sums of a thread, which hide the latency of each other, and are few enough for as many
# threads as a GPU has room for; written out eight times, so that the loop costs under a twentieth.
_SUMS, _UNROLLED, _STEPS = 16, 8, 512
_THREADS = 128
# More blocks than any of the GPUs can hold at a time, as far as we know its size.
_BLOCKS_PER_UNIT = 32


def multiply_adds(machine: GpuMachine, blocks: int | None = None) -> Probe:
    """Chains of multiply-adds, of vectors where the machine has any.

    ``blocks`` is by default what fills the machine. The kernel is the same for any number: it takes
    that of its output.
    """
    if blocks is None:
        blocks = _BLOCKS_PER_UNIT * machine.units
    threads, lanes = min(_THREADS, machine.max_threads), machine.lanes
    chains = _SUMS // lanes

    @T.prim_func(s_tir=True)
    def main(a: T.handle, b: T.handle):
        count = T.int64()
        factors = T.match_buffer(a, (2, lanes), "float32")
        out = T.match_buffer(b, (count, threads, lanes), "float32")
        T.func_attr({"global_symbol": "main", "tirx.noalias": True, "tirx.is_scheduled": True})
        for block in T.thread_binding(count, "blockIdx.x"):
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

    work = 2 * blocks * threads * _SUMS * _UNROLLED * _STEPS
    return Probe(main, ((2, lanes), (blocks, threads, lanes)), work)
