"""What is left out of TVM's lowering is what would have found nothing to do."""

from __future__ import annotations

import re

import pytest
import tvm
from integer_kernel import SUB_PIXEL
from kernel import HOST, function
from tvm.ir.transform import PassContext

from tvm_deconv.backends.lowering import lean_for, lean_lowering, target_of

SHAPE = (1, 9, 18)


def kernel_of(variant):
    return function(variant, SUB_PIXEL, SHAPE)[0]


def compacts(*variants):
    context = lean_for(map(kernel_of, variants))
    return "s_tir.CompactBufferAllocation" not in context.disabled_pass


def test_buffers_are_compacted_where_a_schedule_left_them_to_blocks():
    assert compacts("revd2")
    assert compacts("channels", "revd2")
    assert not compacts("channels")


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


def test_what_was_left_out_before_still_is():
    with lean_lowering(HOST) as lean:
        assert set(lean.disabled_pass) < set(lean_for([kernel_of("channels")]).disabled_pass)
        assert lean_for([kernel_of("revd2")]).config.keys() == lean.config.keys()


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
