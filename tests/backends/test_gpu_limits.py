"""What a scheduled function demands of a GPU."""

from __future__ import annotations

from tvm.script import tirx as T
from tvm.target import Target

from tvm_deconv.backends import machine_of
from tvm_deconv.backends.gpu.limits import refusal


@T.prim_func(s_tir=True)
def through_shared_memory(x: T.handle, y: T.handle):
    n = T.int64()
    a = T.match_buffer(x, (n,), "float32")
    b = T.match_buffer(y, (n,), "float32")
    held = T.sblock_alloc_buffer((n,), "float32", scope="shared")
    for _i in T.thread_binding(32, thread="threadIdx.x"):
        for j in range(n):
            with T.sblock("hold"):
                v = T.axis.spatial(n, j)
                held[v] = a[v]
        for j in range(n):
            with T.sblock("copy"):
                v = T.axis.spatial(n, j)
                b[v] = held[v]


def test_shared_memory_of_a_free_size_is_refused():
    target = Target("arm/mali-g52")
    said = refusal(through_shared_memory, target, machine_of(target))
    assert said is not None and said.startswith("shared memory of a free size")
