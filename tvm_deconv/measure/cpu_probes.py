"""Probes of a processor: multiply-adds in registers, and reads of a working set."""

from __future__ import annotations

from tvm import tirx
from tvm.script import tirx as T
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as builder

from tvm_deconv.schedules.cpu.dot import Dot
from tvm_deconv.schedules.cpu.integer.products import add_products
from tvm_deconv.schedules.cpu.machine import CpuMachine

from .probe import Probe

# A latency of 4 cycles at 2 multiply-adds in a cycle needs 8 chains; 12 fit any register file.
_CHAINS = 12
_STEPS = 200_000
# Of reads: loads are what a pass waits for, not the additions, whose latency of 4 cycles at two in
# a cycle takes 8.
_SUMS = 8


def multiply_adds(machine: CpuMachine) -> Probe:
    """Independent chains of vector multiply-adds in registers, on every thread."""
    threads, lanes = machine.threads, machine.lanes

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

    work = 2 * threads * _STEPS * _CHAINS * lanes
    return Probe(main, ((2, lanes), (threads, lanes)), work)


def integer_multiply_adds(machine: CpuMachine, dot: Dot) -> Probe:
    """Independent chains of ``dot`` in registers, on every thread; arguments are int32 words."""
    threads, lanes = machine.threads, dot.lanes

    def place(row: int) -> tirx.Ramp:
        return tirx.Ramp(tirx.const(row * lanes, "int64"), tirx.const(1, "int64"), lanes)

    with IRBuilder() as made, builder.prim_func(s_tir=True):
        builder.func_attr({"global_symbol": "main", "tirx.noalias": True})
        shapes = (2 * lanes,), (threads, lanes)
        factors, out = (
            builder.match_buffer(builder.arg(name, builder.handle()), shape, "int32")
            for name, shape in zip(("factors", "out"), shapes, strict=True)
        )
        with builder.parallel(0, threads) as thread:
            sums = builder.alloc_buffer((_CHAINS * lanes,), "int32", scope="local")
            x, w = (builder.bind(factors[place(row)]) for row in range(2))
            for i in range(_CHAINS):
                builder.buffer_store(sums, x + tirx.Broadcast(i, lanes), [place(i)])
            with builder.serial(0, _STEPS):
                for i in range(_CHAINS):
                    total = sums[place(i)]
                    # Where products are added apart, one of the same two would be computed once.
                    value = add_products(dot, total, x if dot.adds else total, w)
                    builder.buffer_store(sums, value, [place(i)])
            total = sums[place(0)]
            for i in range(1, _CHAINS):
                total = total + sums[place(i)]
            row = tirx.Ramp(tirx.const(0, "int64"), tirx.const(1, "int64"), lanes)
            builder.buffer_store(out, total, [thread, row])
    work = 2 * threads * _STEPS * _CHAINS * lanes * dot.group
    return Probe(made.get(), shapes, work, "int32")


def reads(machine: CpuMachine, working_set: int, passes: int) -> Probe:
    """Every thread sums its part of a working set of so many bytes in vectors, ``passes`` times.

    That is at least one vector for each sum. Floating-point sums keep their order, so that no
    compiler may read less.
    """
    threads, lanes = machine.threads, machine.lanes
    chunks = max(1, working_set // (threads * 4 * lanes * _SUMS))
    row = chunks * _SUMS * lanes

    @T.prim_func(s_tir=True)
    def main(a: T.handle, b: T.handle):
        x = T.match_buffer(a, (threads, row), "float32")
        out = T.match_buffer(b, (threads, lanes), "float32")
        T.func_attr({"global_symbol": "main", "tirx.noalias": True})
        for thread in T.parallel(threads):
            with T.sblock("chains"):
                acc = T.sblock_alloc_buffer((_SUMS, lanes), "float32", scope="local")
                for i in T.unroll(_SUMS):
                    for j in T.vectorized(lanes):
                        acc[i, j] = T.float32(0)
                for _ in range(passes):
                    for chunk in range(chunks):
                        for i in T.unroll(_SUMS):
                            for j in T.vectorized(lanes):
                                acc[i, j] = acc[i, j] + x[thread, (chunk * _SUMS + i) * lanes + j]
                for j in T.vectorized(lanes):
                    out[thread, j] = T.float32(0)
                for i in T.unroll(_SUMS):
                    for j in T.vectorized(lanes):
                        out[thread, j] = out[thread, j] + acc[i, j]

    return Probe(main, ((threads, row), (threads, lanes)), 4 * threads * row * passes)
