"""Copies that exchange rows and columns: by squares, whatever the sizes; others as before."""

from __future__ import annotations

import pytest
from default_schedules import compare_all, functions_of, module_of
from tvm import relax
from tvm.relax.op import permute_dims, reshape, strided_slice

from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.rest.stage import stages_of
from tvm_deconv.schedules.rest.transposition import transposition_of
from tvm_deconv.targets import resolve_target

SSE = resolve_target({"kind": "llvm", "mcpu": "nehalem", "mtriple": "x86_64-linux-gnu"})

# Shape, order of axes: squares of 4, 8 and 16 that fit, overlap, and do not fit at all.
MOVED = [
    ((16, 16), (1, 0)),
    ((17, 33), (1, 0)),
    ((5, 40), (1, 0)),
    ((40, 3), (1, 0)),
    ((2, 19, 7, 9), (0, 2, 3, 1)),
    ((2, 7, 9, 19), (0, 3, 1, 2)),
    ((3, 18, 2, 21), (3, 2, 0, 1)),
    ((2, 5, 6, 70), (3, 1, 0, 2)),
    ((2, 5, 6, 70), (0, 2, 1, 3)),
]


def permuted(axes):
    return lambda _b, x: permute_dims(x, list(axes)), lambda x: x.transpose(axes)


@pytest.mark.parametrize("target", [None, SSE], ids=["host", "sse"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_number_arrives_at_its_place(target, dtype):
    emits, references = zip(*[permuted(axes) for _, axes in MOVED], strict=True)
    compare_all(emits, references, [[shape] for shape, _ in MOVED], target, dtype)


def test_a_part_is_transposed_where_it_begins():
    def emit(builder, x):
        part = builder.emit(strided_slice(x, [1, 2], [3, 1], [40, 30]))
        moved = builder.emit(permute_dims(part, [0, 2, 1]))
        return reshape(moved, (2 * 29, 37))

    def reference(x):
        return x[:, 3:40, 1:30].transpose(0, 2, 1).reshape(58, 37)

    compare_all([emit], [reference], [[(2, 41, 31)]])


@pytest.mark.parametrize(
    "shape, axes, lanes",
    [
        ((64, 64), (1, 0), 8),
        ((1, 64, 5, 5), (0, 2, 3, 1), 8),
        ((5, 64), (1, 0), 4),
        ((3, 64), (1, 0), None),
        ((4, 5, 64), (1, 0, 2), None),
        # Squares beside the empty result would be written to memory of others.
        ((0, 32, 48), (0, 2, 1), None),
    ],
)
def test_squares_are_as_large_as_both_sides_allow(shape, axes, lanes):
    haswell = resolve_target({"kind": "llvm", "mcpu": "haswell", "mtriple": "x86_64-linux-gnu"})
    mod = module_of(lambda x: permute_dims(x, list(axes)), [shape])
    (func,) = functions_of(relax.transform.LegalizeOps()(mod))
    found = transposition_of(stages_of(func), cpu_machine(haswell))
    assert (found.lanes if found else None) == lanes
