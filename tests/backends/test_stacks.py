"""Vectors that a kernel keeps on the stack lie at multiples of their size."""

from __future__ import annotations

import re

import pytest
from integer_kernel import of_layer
from kernel import compile_here

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.schedules.cpu.dot import dot_of
from tvm_deconv.schedules.cpu.integer.kernel import Integer, Store
from tvm_deconv.schedules.cpu.integer.tile import Tile
from tvm_deconv.schedules.cpu.integer.write import write
from tvm_deconv.targets import resolve_target

X86 = {"kind": "llvm", "mtriple": "x86_64-linux-gnu"}
DOUBLED = ConvTranspose2d(32, 14, Axis(4, 2, 1, 1), Axis(4, 2, 1, 1))


def assembly_of(mcpu, tile, height):
    target = resolve_target({**X86, "mcpu": mcpu})
    kernel = Integer(DOUBLED, "uint8", dot_of(target), tile, Store("uint8"))
    # Of so many columns that TVM puts none of its own buffers on the stack, which it aligns less.
    func = write(kernel, (1, 32, height, 96)).with_attr("global_symbol", "main")
    return compile_here(func, target).mod.inspect_source("asm")


@pytest.mark.parametrize(("mcpu", "register"), [("cascadelake", "zmm"), ("haswell", "ymm")])
@pytest.mark.parametrize("height", [4, 8], ids=["one strip", "strips of threads"])
def test_vectors_on_the_stack_are_aligned(mcpu, register, height):
    """Of more sums than there are registers, without loops in parallel and in one of them."""
    assembly = assembly_of(mcpu, Tile(7, 3, 4), height)
    moves = re.findall(rf"\t(v\w+)\t%{register}\d+, \d*\(%rsp\)", assembly)
    assert len(moves) > 20
    # One is TVM's, which writes an error's words.
    assert sum("u" in name for name in moves) <= 1
    assert "andq\t$-64, %rsp" in assembly


def test_a_kernel_with_an_aligned_stack_computes_the_same():
    got, expected = of_layer(DOUBLED, (1, 32, 8, 16), tile=Tile(7, 3, 4), compile=compile_here)
    assert (got == expected).all()


def test_other_processors_have_the_stack_of_their_callers():
    assert "andq\t$-64, %rsp" not in assembly_of("nehalem", Tile(2, 1, 4), 8)
