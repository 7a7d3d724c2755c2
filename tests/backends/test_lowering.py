"""What is left out of TVM's lowering is what would have found nothing to do."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import tvm
import tvm_ffi
from integer_kernel import SUB_PIXEL
from kernel import HOST, function
from tvm import tirx
from tvm.ir.transform import PassContext

from tvm_deconv.backends.lowering import lean_for, lean_lowering, target_of
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.tir import edit

SHAPE = (1, 9, 18)


def kernel_of(variant):
    return function(variant, SUB_PIXEL, SHAPE)[0]


def of_blocks(func):
    """``func``, with memory that a block allocates."""
    scratch = tirx.decl_buffer((4,), "float32")
    return func.with_body(edit.with_block(edit.in_root(func.body), alloc_buffers=[scratch]))


def compacts(*functions):
    return "s_tir.CompactBufferAllocation" not in lean_for(functions).disabled_pass


def test_buffers_are_compacted_where_a_schedule_left_them_to_blocks():
    kernel = kernel_of("channels")
    assert compacts(of_blocks(kernel))
    assert compacts(kernel, of_blocks(kernel))
    assert not compacts(kernel)


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_kernel_of_a_layer_leaves_its_buffers_to_blocks(variant):
    """To bound what each statement touches took TVM half of the time of lowering a kernel."""
    depthwise = replace(SUB_PIXEL, out_channels=5, groups=5)
    conv = depthwise if VARIANTS[variant].of_groups else SUB_PIXEL
    assert not compacts(function(variant, conv, SHAPE, symbolic="hw")[0])


def test_a_kernel_that_allocates_by_statements_is_the_same_without_compaction():
    """But for the bytes of its scratch, of which it may take some more."""
    func = kernel_of("channels")
    mod = tvm.IRModule({"main": func})

    def instructions():
        return re.sub(r"\$\d+", "$n", tvm.compile(mod, HOST).mod.inspect_source("asm"))

    with lean_lowering(HOST):
        compacted = instructions()
        with lean_for([func]):
            assert instructions() == compacted


@pytest.mark.parametrize("variant", ["revd2", "winograd", "channels"])
def test_a_kernel_has_the_same_machine_code_where_nothing_is_removed(variant):
    mod = tvm.IRModule({"main": kernel_of(variant)})
    lean = lean_lowering(HOST)
    removing = [name for name in lean.disabled_pass if name != "tirx.RemoveNoOp"]
    assert len(removing) < len(lean.disabled_pass)

    def code(disabled):
        with PassContext(disabled_pass=disabled, config=dict(lean.config)):
            return tvm.compile(mod, HOST).mod.inspect_source("asm")

    assert code(lean.disabled_pass) == code(removing)


@pytest.mark.parametrize("symbolic", ["", "hw"])
@pytest.mark.parametrize("variant", ["revd2", "winograd", "channels"])
def test_a_kernel_is_lowered_to_the_same_where_passes_for_other_devices_run(variant, symbolic):
    func = function(variant, SUB_PIXEL, SHAPE, symbolic=symbolic)[0]
    lower, _, _ = tirx.get_tir_pipeline("s_tir")
    mod = tirx.transform.BindTarget(HOST.with_host(HOST))(tvm.IRModule({"main": func}))
    lean = lean_lowering(HOST)
    for_processors = ["s_tir.HoistIfThenElse", "tirx.RemoveNoOp"]
    assert {*for_processors} < {*lean.disabled_pass}

    def lowered(disabled):
        with PassContext(disabled_pass=disabled, config=dict(lean.config)):
            return lower(mod)

    assert tvm_ffi.structural_equal(lowered(lean.disabled_pass), lowered(for_processors))


def test_what_was_left_out_before_still_is():
    with lean_lowering(HOST) as lean:
        assert set(lean.disabled_pass) < set(lean_for([kernel_of("channels")]).disabled_pass)
        assert lean_for([of_blocks(kernel_of("revd2"))]).config.keys() == lean.config.keys()


def test_a_schedule_may_want_fewer_optimizations_than_the_target():
    winograd, revd2 = kernel_of("winograd"), kernel_of("revd2")
    fewer = target_of(winograd, HOST)
    assert int(fewer.attrs["opt-level"]) == 2
    assert {**fewer.export(), "opt-level": None} == {**HOST.export(), "opt-level": None}
    assert target_of(winograd, HOST).same_as(fewer)
    assert target_of(revd2, HOST).same_as(HOST)
    quick = tvm.target.Target({**HOST.export(), "opt-level": 0})
    assert target_of(winograd, quick).same_as(quick)
    gpu = tvm.target.Target("nvidia/jetson-orin-nano")
    assert target_of(winograd, gpu).same_as(gpu)
