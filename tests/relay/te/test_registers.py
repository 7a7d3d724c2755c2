"""Sums stay in registers, and shuffles are shuffles: read in the assembly, for each family."""

from __future__ import annotations

import re

import pytest
import tvm
from drawn import square
from te_kernel import compile_here, kernel

from tvm_deconv.algebra.geometry import ConvAxis, ConvTranspose2d, axis_of_resize
from tvm_deconv.schedules.te.variants import TE_VARIANTS

TARGETS = {
    "avx512": ("llvm -mtriple=x86_64-linux-gnu -mcpu=skylake-avx512", r"\tvfmadd", r"\(%rsp\)"),
    "avx2": ("llvm -mtriple=x86_64-linux-gnu -mcpu=haswell", r"\tvfmadd", r"\(%rsp\)"),
    "neon": (
        "llvm -mtriple=aarch64-linux-gnu -mcpu=cortex-a72 -mattr=+neon",
        r"\tfmla",
        r"\[sp",
    ),
}


# LLVM spills a few of the 13 sums that TDC has on AVX2.
@pytest.mark.parametrize(
    ("variant", "family"),
    [("revd2", "avx512"), ("revd2", "avx2"), ("revd2", "neon"), ("tdc", "avx512"), ("tdc", "neon")],
)
@pytest.mark.parametrize("width", [128, 101])
def test_the_inner_loop_touches_no_stack(variant, family, width):
    text, multiply_add, stack = TARGETS[family]
    target = tvm.target.Target(text + " -num-cores=4")
    conv = ConvTranspose2d(64, 64, *square(axis_of_resize, ConvAxis(3, 1, 1), 2))
    schedule, arguments, _ = kernel(variant, conv, (1, 32, width), target)
    assembly = compile_here(schedule, arguments, target).get_source("asm")
    loops = [block for block in basic_blocks(assembly) if len(re.findall(multiply_add, block)) > 15]
    assert loops
    if family == "neon":
        # One load for four weights or more, and few of inputs.
        for loop in loops:
            assert 3 * len(re.findall(r"\tld", loop)) < len(re.findall(multiply_add, loop))
    assert not any(re.search(stack, loop) for loop in loops)


def basic_blocks(assembly):
    """What stands between labels, up to a jump."""
    return re.split(r"\n\.L\w+:|\n\tj\w+\t|\n\tb\.\w+\t", assembly)


@pytest.mark.parametrize("width", [128, 101])
@pytest.mark.parametrize("variant", sorted(TE_VARIANTS))
def test_no_vector_is_computed_lane_by_lane(variant, width):
    # TVM does so where a vector may cross an edge, and calls the loop after the lane's, with ".s".
    conv = ConvTranspose2d(6, 5, *square(axis_of_resize, ConvAxis(3, 1, 1), 2))
    schedule, arguments, _ = kernel(variant, conv, (1, 32, width))
    loops = []

    def visit(statement):
        if isinstance(statement, tvm.tir.For):
            loops.append(statement.loop_var.name)

    tvm.tir.stmt_functor.post_order_visit(tvm.lower(schedule, arguments)["main"].body, visit)
    assert loops and not [name for name in loops if name.endswith(".s")]
