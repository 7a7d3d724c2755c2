"""The memory that a compiled network plans, against sizes worked out by hand."""

from __future__ import annotations

import pytest
import tvm
from onnx_net import Net
from tvm import te, tirx

import tvm_deconv
from tvm_deconv.bench.memory import PlannedMemory


def planned(model, **options) -> PlannedMemory:
    memory = PlannedMemory(threads=1)
    with tvm.transform.PassContext(instruments=[memory]):
        tvm_deconv.compile(model, **options)
    return memory


def subpixel():
    net = Net((1, 4, 16, 20))
    return net.model(net("DepthToSpace", net.conv("x", 4, 12), blocksize=2, mode="CRD"))


def test_the_tensor_between_convolution_and_shuffle_is_what_the_rewrite_saves():
    between = 4 * 12 * 16 * 20
    assert planned(subpixel(), rewrite=False).intermediates == between
    assert planned(subpixel()).intermediates == 0


def test_tensors_that_share_storage_are_counted_once():
    net, y = Net((1, 4, 16, 20)), "x"
    for _ in range(5):
        y = net.conv(y, 4, 4)
    assert planned(net.model(y)).intermediates == 2 * 4 * 4 * 16 * 20


def test_the_scratch_of_a_kernel_is_counted_for_every_thread():
    def scratch(threads):
        x = te.placeholder((8, 4096), name="x")
        copy = te.compute(x.shape, lambda i, j: x[i, j] + 1, name="copy")
        y = te.compute(x.shape, lambda i, j: copy[i, 4095 - j], name="y")
        schedule = tvm.s_tir.Schedule(te.create_prim_func([x, y]))
        row, _ = schedule.get_loops(schedule.get_sblock("y"))
        schedule.compute_at(schedule.get_sblock("copy"), row)
        schedule.parallel(row)
        memory = PlannedMemory(threads)
        with tvm.transform.PassContext(instruments=[memory]):
            tvm.compile(schedule.mod, tvm_deconv.targets.resolve_target("host"))
        return memory.workspace

    row = 4 * 4096
    assert [scratch(threads) for threads in (1, 2, 4)] == [row, 2 * row, 4 * row]


def test_kernels_that_are_compiled_on_other_threads_count():
    net = Net((1, 8, 16, 20))
    wide = net.conv("x", 8, 8)
    alone = planned(net.model(wide)).workspace
    # The smallest kernel is compiled on this thread.
    pooled = net("MaxPool", wide, kernel_shape=[2, 2])
    assert planned(net.model(pooled)).workspace == alone > 0


def test_kernels_that_only_fold_constants_do_not_count():
    memory = planned(subpixel())
    assert memory.total == memory.workspace < 4 * 4 * 18 * 22 * 4


@pytest.mark.parametrize("rewrite", [True, False])
def test_sizes_that_only_the_run_time_knows_count_as_nothing(rewrite):
    net = Net((1, 4, 16, 20), dims=("n", 4, "h", "w"))
    y = net("DepthToSpace", net.conv("x", 4, 12), blocksize=2, mode="CRD")
    assert planned(net.model(y), rewrite=rewrite).intermediates == 0


def test_a_function_without_scratch_needs_none():
    x = te.placeholder((8,), name="x")
    func = te.create_prim_func([x, te.compute((8,), lambda i: x[i] * 2, name="y")])
    memory = PlannedMemory(threads=2)
    with tvm.transform.PassContext(instruments=[memory]):
        tvm.compile(func, tvm_deconv.targets.resolve_target("host"))
    assert isinstance(func, tirx.PrimFunc)
    assert memory.total == 0
