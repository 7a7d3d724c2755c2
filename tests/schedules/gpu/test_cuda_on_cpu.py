"""The machine that executes CUDA on the processor: what a GPU would not forgive must not pass.

Kernels are written here as TVM writes them, about 0.3 s each to compile.
"""

from __future__ import annotations

import cuda_on_cpu
import numpy as np
import pytest
import tvm
import tvm_ffi
from copy_kernels import through_scratch
from cuda_on_cpu.program import Program
from script_kernels import on_demand
from tvm.script import tirx as T
from tvm.target import Target

pytestmark = cuda_on_cpu.required

COUNT = 64
ROOM = 256  # elements of an array, margins included; this keeps what follows aligned


def launch(body, count=COUNT, grid=(1, 1, 1), block=(32, 1, 1), dtype="float32"):
    """``y`` after a kernel with this body; it starts as NaN, and ``x`` counts from 0."""
    c_type = {"float32": "float", "float16": "half"}[dtype]
    parameters = f"{c_type}* __restrict__ x, {c_type}* __restrict__ y, int64_t n"
    kernel = f'extern "C" __global__ void __launch_bounds__(32) k({parameters})'
    x, y = np.full((2, ROOM), np.nan, dtype)[:, ROOM // 2 :][:, :count]
    x[:] = np.arange(count)
    memory = {array.ctypes.data: array.nbytes for array in (x, y)}
    program = Program(f"{kernel};\n{kernel} {{\n{body}\n}}\n", memory)
    program.launch("k", [x.ctypes.data, y.ctypes.data, np.int64(count)], grid, block)
    return y


def refused(match, body, **options):
    with pytest.raises(AssertionError, match=match):
        launch(body, **options)


def test_every_thread_of_every_block_runs_once():
    place = """
    int thread = (((int)threadIdx.z) * 4) + (((int)threadIdx.y) * 2) + ((int)threadIdx.x);
    int block = (((int)blockIdx.z) * 4) + (((int)blockIdx.y) * 2) + ((int)blockIdx.x);
    y[(block * 8) + thread] = x[(block * 8) + thread] + ((float)n);"""
    got = launch(place, grid=(2, 2, 2), block=(2, 2, 2))
    np.testing.assert_array_equal(got, np.arange(COUNT) + COUNT)


REVERSE = """
    __shared__ alignas(64) float shared[32];
    shared[((int)threadIdx.x)] = x[((int)threadIdx.x)];
    FIRST
    y[((int)threadIdx.x)] = shared[(31 - ((int)threadIdx.x))];
    SECOND
    shared[((int)threadIdx.x)] = x[(((int)threadIdx.x) + 32)];
    THIRD
    y[(((int)threadIdx.x) + 32)] = shared[(31 - ((int)threadIdx.x))];"""
BARRIERS = ("FIRST", "SECOND", "THIRD")


def with_barriers(body):
    for name in BARRIERS:
        body = body.replace(name, "__syncthreads();")
    return body


def test_threads_exchange_values_through_shared_memory():
    got = launch(with_barriers(REVERSE))
    np.testing.assert_array_equal(got, np.arange(COUNT).reshape(2, 32)[:, ::-1].ravel())


@pytest.mark.parametrize("missing", BARRIERS)
def test_a_missing_barrier_is_noticed(missing):
    body = with_barriers(REVERSE.replace(missing, ""))
    refused("of shared, and another thread .* without a barrier between", body)


def test_shared_memory_of_a_block_is_counted():
    kernels = 'extern "C" __global__ void {}(float* __restrict__ x) {{ {} }}\n'
    declared = (
        "__shared__ alignas(64) half a[3]; __shared__ alignas(64) int64_t b[5];",
        "__shared__ alignas(64) float a[7];",
    )
    source = "".join(kernels.format(name, body) for name, body in zip("fg", declared, strict=True))
    program = Program(source, {})
    assert [program.local_bytes(name) for name in "fg"] == [46, 28]


def test_a_barrier_that_some_threads_do_not_reach_is_noticed():
    refused(
        "thread 0 of it waits at a barrier and thread 7 ",
        "if (((int)threadIdx.x) < 7) {\n__syncthreads();\n}",
    )


def test_threads_that_wait_at_different_barriers_are_noticed():
    body = "if (((int)threadIdx.x) < 7) {\n__syncthreads();\n} else {\n__syncthreads();\n}"
    refused("waits at a barrier", body)


@pytest.mark.parametrize("lanes", [2, 4])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_vectors_are_moved_where_they_are_aligned(lanes, dtype):
    vector = {"float32": "float", "float16": "half"}[dtype] + str(lanes)
    at = f"(((int)threadIdx.x) * {lanes})"
    body = f"""
    *({vector}*)(y + {at}) = *({vector}*)(x + {at});"""
    got = launch(body, block=(COUNT // lanes, 1, 1), dtype=dtype)
    np.testing.assert_array_equal(got, np.arange(COUNT))
    moved = body.replace(f"(x + {at}", f"(x + {at} + 1")
    refused(
        f"reads .* at byte {np.dtype(dtype).itemsize} of x: misaligned",
        moved,
        dtype=dtype,
    )


def test_a_misaligned_store_is_noticed():
    refused(
        "writes to 16 bytes at byte 8 of y: misaligned", "*(float4*)(y + 2) = *(float4*)(x + 4);"
    )


@pytest.mark.parametrize(("index", "byte"), [("n", 256), ("(n + 2)", 264), ("-1", -4)])
def test_an_access_beyond_a_buffer_is_noticed(index, byte):
    refused(f"writes to byte {byte} of y, which has 256", f"y[{index}] = x[0];")
    refused(f"reads byte {byte} of x, which has 256", f"y[0] = x[{index}];")


def test_a_vector_that_ends_beyond_a_buffer_is_noticed():
    refused(
        "reads 16 bytes at byte 256 of x, which has 264",
        "*(float4*)(y + 0) = *(float4*)(x + 64);",
        count=66,
    )


def test_an_access_beyond_a_shared_array_is_noticed():
    body = """
    __shared__ alignas(64) float shared[33];
    __shared__ alignas(64) float other[33];
    other[((int)threadIdx.x)] = x[0];
    shared[{}] = x[0];
    y[((int)threadIdx.x)] = {};"""
    refused("element 34 of an array", body.format("(n - 30)", "x[0]"))
    refused("writes to byte 132 of shared", body.format("0", "x[0]") + "*(shared + 33) = 1.0f;")


def test_an_access_beyond_registers_is_noticed():
    refused("element 64 of an array", "float local[4]; local[n] = x[0]; y[0] = local[0];")


def test_what_was_never_written_is_no_value():
    body = "__shared__ alignas(64) float shared[32]; float local[4];\n"
    got = launch(body + "y[((int)threadIdx.x)] = shared[((int)threadIdx.x)] + local[1];")
    assert np.isnan(got).all()


def test_blocks_that_write_the_same_element_are_noticed():
    refused(
        "block \\(1, 0, 0\\).* another thread writes",
        "y[((int)threadIdx.x)] = x[0];",
        grid=(2, 1, 1),
    )


def test_scalars_pass_through_float16():
    halved = "(half)(((float)x[((int)threadIdx.x)]) * 0x1p-1f)"
    got = launch(f"y[((int)threadIdx.x)] = {halved} * max(x[1], x[0]);", dtype="float16")
    np.testing.assert_array_equal(got[:32], np.arange(32) / 2)


def test_a_pointer_to_nothing_that_is_known_is_refused():
    program = Program('extern "C" __global__ void k(float* __restrict__ x) { x[0] = 1.0f; }', {})
    with pytest.raises(AssertionError, match="x is no tensor"):
        program.launch("k", [4096], (1, 1, 1), (1, 1, 1))


ORIN = Target({"kind": "cuda", "arch": "sm_87"})


@on_demand
def beyond_scratch(x: T.Buffer((64,), "float32"), y: T.Buffer((64,), "float32")):
    scratch = T.alloc_buffer((64,), "float32", scope="global")
    for i in T.thread_binding(64, thread="threadIdx.x"):
        scratch[i + 1] = x[i]
    for i in T.thread_binding(64, thread="threadIdx.x"):
        y[i] = scratch[i]


@on_demand
def host_scratch(x: T.Buffer((4096,), "float32"), y: T.Buffer((4096,), "float32")):
    scratch = T.alloc_buffer((4096,), "float32", scope="global")
    for i in range(4096):
        scratch[i] = x[i] * T.float32(2)
    for i in range(4096):
        y[i] = scratch[i] + x[i]


def run_copy(func, n=64):
    x = np.arange(n, dtype="float32")
    return cuda_on_cpu.build(func, ORIN).run([x], ((n,), "float32"))[0]


def test_a_write_behind_scratch_is_noticed():
    with pytest.raises(AssertionError, match="writes to byte 256 of scratch_ptr, which has 256"):
        run_copy(beyond_scratch())


def test_nothing_of_the_harness_stays_behind():
    def state():
        names = tvm_ffi.registry.list_global_func_names()
        ours = ("ffi.Module.create.cuda", "device_api.cuda")
        return [name in names for name in ours], tvm.cuda(0).exist

    before, set_device = state(), tvm_ffi.get_global_func("__tvm_set_device")
    run_copy(through_scratch())
    assert state() == before
    assert set_device.same_as(tvm_ffi.get_global_func("__tvm_set_device"))
    # Host code that is built from now on has its scratch from TVM.
    on_cpu = tvm.compile(tvm.IRModule({"main": host_scratch()}), target="llvm")
    x, y = tvm.runtime.tensor(np.ones(4096, "float32")), tvm.runtime.empty((4096,))
    on_cpu["main"](x, y)
    np.testing.assert_array_equal(y.numpy(), 3)
