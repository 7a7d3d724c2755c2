"""The harness itself: a kernel that is wrong must not pass in it."""

import operator
import re
import subprocess
import sys

import numpy as np
import opencl
import pytest
import relax_helpers as helpers
import tvm
import tvm_ffi
from paths import TESTS
from script_kernels import on_demand
from tvm import relax, te
from tvm.s_tir import Schedule, dlight
from tvm.script import tirx as T
from tvm.target import Target

pytestmark = opencl.required

MALI = Target({"kind": "opencl", "device": "mali"})
RANDOM = np.random.default_rng(0)


def function(inputs, output):
    func = te.create_prim_func([*inputs, output], index_dtype_override="int64")
    return func.with_attr("tirx.noalias", True)


def elementwise(compute, n, dtype="float32", result=None, lanes=1):
    """``compute`` of two vectors, 32 threads of a block, neighbours as OpenCL vectors."""
    a, b = te.placeholder((n,), dtype), te.placeholder((n,), dtype)
    c = te.compute((n,), lambda i: compute(a[i], b[i]), name="c")
    schedule = Schedule(function((a, b), c))
    (i,) = schedule.get_loops("c")
    block, thread, vector = schedule.split(i, [None, 32, lanes])
    schedule.bind(block, "blockIdx.x")
    schedule.bind(thread, "threadIdx.x")
    schedule.vectorize(vector)
    return schedule.mod["main"]


def matmul(n):
    """n x 64 by 64 x 32, with shared memory and registers, as DLight schedules it."""
    a, b = te.placeholder((n, 64)), te.placeholder((64, 32))
    k = te.reduce_axis((0, 64))
    product = te.compute((n, 32), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k))
    with MALI:
        mod = tvm.IRModule({"main": function((a, b), product)})
        return dlight.ApplyDefaultSchedule(dlight.gpu.Matmul())(mod)["main"]


def test_a_kernel_of_free_size_runs_with_shared_memory_and_is_launched_for_its_size():
    built = opencl.build(matmul(te.var("n", "int64")), MALI)
    weight = RANDOM.standard_normal((64, 32)).astype("float32")
    for n in (1, 33, 100):
        x = RANDOM.standard_normal((n, 64)).astype("float32")
        (y,) = built.run([x, weight], ((n, 32), "float32"))
        np.testing.assert_allclose(y, x.astype("float64") @ weight, rtol=0, atol=1e-5)
        (launch,) = built.launches
        assert launch.grid[0] == -(-n // 32)
        assert launch.block == (8, 8, 1)
        assert launch.shared_bytes == 2 * 32 * 8 * 4


def test_several_kernels_run_in_order_with_scratch_between_them():
    n = 96
    x = te.placeholder((n,))
    total = te.compute((n,), lambda i: x[i] + x[n - 1 - i], name="total")
    y = te.compute((n,), lambda i: total[n - 1 - i] * total[i], name="y")
    schedule = Schedule(function((x,), y))
    for name in ("total", "y"):
        (i,) = schedule.get_loops(name)
        block, thread = schedule.split(i, [None, 32])
        schedule.bind(block, "blockIdx.x")
        schedule.bind(thread, "threadIdx.x")
    built = opencl.build(schedule.mod["main"], MALI)
    values = RANDOM.standard_normal(n).astype("float32")
    (got,) = built.run([values], ((n,), "float32"))
    np.testing.assert_array_equal(got, (values + values[::-1]) ** 2)
    assert [launch.grid for launch in built.launches] == [(3, 1, 1)] * 2


@pytest.mark.parametrize(
    ("lanes", "compute", "expected"),
    [(1, operator.mul, np.multiply), (4, operator.truediv, np.divide), (4, te.max, np.maximum)],
)
@opencl.half_required
def test_float16_is_rounded_as_numpy_rounds_it(lanes, compute, expected):
    n = 256
    a, b = (RANDOM.standard_normal((2, n)) * [[1], [100]]).astype("float16")
    func = elementwise(compute, n, "float16", lanes=lanes)
    (got,) = opencl.run(func, MALI, [a, b], ((n,), "float16"))
    np.testing.assert_array_equal(got, expected(a, b))


@opencl.half_required
def test_float16_is_widened_and_narrowed():
    n = 256
    a, b = RANDOM.standard_normal((2, n)).astype("float16")

    def compute(x, y):
        return (x.astype("float32") * y.astype("float32") + te.const(1, "float32")).astype(
            "float16"
        )

    func = elementwise(compute, n, "float16", lanes=4)
    (got,) = opencl.run(func, MALI, [a, b], ((n,), "float16"))
    wide = a.astype("float32") * b.astype("float32") + np.float32(1)
    np.testing.assert_allclose(got, wide, rtol=5e-4)


@opencl.half_required
@pytest.mark.parametrize("name", ["exp", "tanh"])
def test_float16_has_the_functions_of_an_activation(name):
    x = np.abs(RANDOM.standard_normal(64)).astype("float16")
    func = elementwise(lambda a, b: getattr(te, name)(a), 64, "float16")
    (got,) = opencl.run(func, MALI, [x, x], ((64,), "float16"))
    wide = tvm.runtime.tensor(x.astype("float32"))
    expected = tvm.runtime.empty((64,))
    a = te.placeholder((64,))
    same = te.compute((64,), lambda i: getattr(te, name)(a[i]))
    tvm.compile(function((a,), same), target="llvm")(wide, expected)
    np.testing.assert_allclose(got, expected.numpy(), rtol=2e-3, atol=1e-6)


@on_demand
def shifted(x: T.Buffer((64,), "float32"), y: T.Buffer((64,), "float32")):
    for i in T.thread_binding(64, thread="threadIdx.x"):
        y[i + 1] = x[i]


@on_demand
def ahead(x: T.Buffer((64,), "float32"), y: T.Buffer((64,), "float32")):
    for i in T.thread_binding(64, thread="threadIdx.x"):
        y[i] = x[i + 1]


@on_demand
def half_done(x: T.Buffer((64,), "float32"), y: T.Buffer((64,), "float32")):
    for i in T.thread_binding(32, thread="threadIdx.x"):
        y[i] = x[i]


def run_copy(func, n=64):
    x = np.arange(n, dtype="float32")
    return opencl.run(func, MALI, [x], ((n,), "float32"))[0]


def test_a_write_behind_an_array_is_noticed():
    with pytest.raises(AssertionError, match="wrote behind output 0"):
        run_copy(shifted())


def test_a_read_behind_an_array_is_not_a_number():
    got = run_copy(ahead())
    np.testing.assert_array_equal(got, [*range(1, 64), np.nan])


def test_what_was_not_written_is_not_a_number():
    np.testing.assert_array_equal(run_copy(half_done())[32:], np.full(32, np.nan))


def test_shared_memory_that_the_device_would_refuse_is_noticed():
    small = Target({**MALI.export(), "max_shared_memory_per_block": 1024})
    x, weight = np.ones((8, 64), "float32"), np.ones((64, 32), "float32")
    with pytest.raises(AssertionError, match="more shared memory than 1024 bytes"):
        opencl.run(matmul(8), small, [x, weight], ((8, 32), "float32"))


def network(channels):
    """Convolution with constant weights, reshape, and two results."""

    def body(builder, x):
        y = helpers.conv(builder, x, o=channels)
        return builder.emit(relax.Tuple([relax.op.nn.relu(y), relax.op.flatten(y)]))

    return helpers.module(body, ("n", 3, "h", "w"))


def reference_network(channels, x):
    weight = np.random.default_rng(channels).standard_normal((channels, 3, 3, 3)).astype("float32")
    _, _, h, w = x.shape
    padded = np.pad(x.astype("float64"), ((0, 0), (0, 0), (1, 1), (1, 1)))
    y = sum(
        np.einsum("nchw,oc->nohw", padded[:, :, i : i + h, j : j + w], weight[:, :, i, j])
        for i in range(3)
        for j in range(3)
    )
    return np.maximum(y, 0), y.ravel()


def test_networks_run_whole_beside_each_other_and_at_any_size():
    networks = {channels: opencl.Network(network(channels), MALI) for channels in (2, 5)}
    for shape in ((1, 3, 9, 13), (2, 3, 4, 4)):
        x = RANDOM.standard_normal(shape).astype("float32")
        for channels, compiled in networks.items():
            got = compiled.run(x)
            for one, expected in zip(got, reference_network(channels, x), strict=True):
                np.testing.assert_allclose(one, expected, rtol=0, atol=2e-5)
            assert compiled.launches


def test_nothing_of_the_harness_stays_behind():
    run_copy(half_done())
    left = tvm_ffi.registry.list_global_func_names()
    assert "ffi.Module.create.opencl" not in left
    assert not [name for name in left if name.endswith("_kernel")]


@pytest.mark.parametrize(
    ("corrected", "said"),
    [(True, ""), (False, "PoCL does not run on this machine: .*'generic' .*")],
)
def test_a_processor_newer_than_pocl_is_compiled_for_as_the_best_that_it_knows(corrected, said):
    script = f"""
from opencl import pocl, processor
correct = processor.name_known_processor
def meet_a_new_processor(device):
    processor.replace(device, processor.CPU, processor.UNKNOWN)
    if {corrected}:
        correct(device)
processor.name_known_processor = meet_a_new_processor
for looked_up in (pocl.missing, pocl.program, pocl.queue):  # when the package was imported
    looked_up.cache_clear()
print(pocl.missing())
"""
    tests = TESTS
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tests, capture_output=True, text=True, timeout=100
    )
    assert re.fullmatch(said, done.stdout.strip()), done.stdout + done.stderr
