"""Kernels that copy 64 elements, and one that copies more: right ones and wrong ones."""

from __future__ import annotations

from script_kernels import on_demand
from tvm.script import tirx as T


@on_demand
def through_scratch(x: T.Buffer((64,), "float32"), y: T.Buffer((64,), "float32")):
    scratch = T.alloc_buffer((64,), "float32", scope="global")
    for i in T.thread_binding(32, thread="threadIdx.x"):
        scratch[i] = x[i]
    for i in T.thread_binding(64, thread="threadIdx.x"):
        y[i] = scratch[i]


@on_demand
def vandal(x: T.Buffer((64,), "float32"), y: T.Buffer((64,), "float32")):
    for i in T.thread_binding(64, thread="threadIdx.x"):
        y[i] = x[i]
        x[i] = T.float32(0)


@on_demand
def crowd(x: T.Buffer((2048,), "float32"), y: T.Buffer((2048,), "float32")):
    for i in T.thread_binding(2048, thread="threadIdx.x"):
        y[i] = x[i]
