"""Copies between rows and one row in which they take turns: by whole vectors, of whatever sizes."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from default_schedules import arrays_of, built, functions_of, module_of_all
from quick_network import unoptimised
from tvm import relax, tirx
from tvm.relax.op import permute_dims, reshape

from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.rest.digits import with_digits
from tvm_deconv.schedules.rest.interleaving import interleaving_of
from tvm_deconv.schedules.rest.stage import Stage, StageAxis, stages_of
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform import LowerShuffles

SSE = resolve_target({"kind": "llvm", "mcpu": "nehalem", "mtriple": "x86_64-linux-gnu"})
HASWELL = resolve_target({"kind": "llvm", "mcpu": "haswell", "mtriple": "x86_64-linux-gnu"})

# Shape, the sizes that its axes are split into, their order, the result: ends that overlap, several
# pieces of a row, and rows that are too short.
SHUFFLES = [
    ((2, 3, 8, 34), (2, 3, 4, 2, 17, 2), (0, 3, 5, 1, 2, 4), (2, 12, 4, 17)),
    ((2, 3, 8, 34), (2, 3, 4, 2, 17, 2), (0, 1, 3, 5, 2, 4), (2, 12, 4, 17)),
    ((1, 2, 6, 63), (1, 2, 2, 3, 21, 3), (0, 1, 3, 5, 2, 4), (1, 18, 2, 21)),
    ((1, 8, 5, 19), (1, 2, 2, 2, 5, 19), (0, 1, 4, 2, 5, 3), (1, 2, 10, 38)),
    ((1, 8, 5, 19), (1, 2, 2, 2, 5, 19), (0, 3, 4, 1, 5, 2), (1, 2, 10, 38)),
    ((1, 27, 4, 33), (1, 3, 3, 3, 4, 33), (0, 1, 4, 2, 5, 3), (1, 3, 12, 99)),
    ((2, 16, 3, 18), (2, 1, 4, 4, 3, 18), (0, 1, 4, 2, 5, 3), (2, 1, 12, 72)),
    ((2, 3, 7, 23), (2, 3, 7, 23), (0, 2, 3, 1), (2, 7, 23, 3)),
    ((2, 7, 23, 3), (2, 7, 23, 3), (0, 3, 1, 2), (2, 3, 7, 23)),
    ((2, 2100), (2, 2100), (1, 0), (2100, 2)),
    ((1, 4, 5, 3), (1, 1, 2, 2, 5, 3), (0, 1, 4, 2, 5, 3), (1, 1, 10, 6)),
]


def shuffled(sizes, order, result):
    def emit(builder, x):
        parts = builder.emit(reshape(x, sizes))
        return reshape(builder.emit(permute_dims(parts, list(order))), result)

    return emit, lambda x: x.reshape(sizes).transpose(order).reshape(result)


@pytest.mark.parametrize("target", [None, SSE], ids=["host", "sse"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_number_arrives_at_its_place(target, dtype):
    emits, references = zip(*[shuffled(*how) for _, *how in SHUFFLES], strict=True)
    mod = LowerShuffles()(module_of_all(emits, [[shape] for shape, *_ in SHUFFLES], dtype))
    _, call = built(mod, target or unoptimised())
    arrays = arrays_of([shape for shape, *_ in SHUFFLES], dtype)
    results = call(*[tvm.runtime.tensor(array) for array in arrays])
    for result, reference, array in zip(results, references, arrays, strict=True):
        np.testing.assert_array_equal(result.numpy(), reference(array), str(array.shape))


def found_for(shape, *how):
    emit, _ = shuffled(*how)
    mod = relax.transform.LegalizeOps()(LowerShuffles()(module_of_all([emit], [[shape]])))
    func = next(func for func in functions_of(mod) if len(stages_of(func)[0].axes) == len(shape))
    return interleaving_of(stages_of(func), cpu_machine(HASWELL))


@pytest.mark.parametrize(
    ("case", "rows", "takes_apart", "lanes"),
    [
        (0, 2, True, 8),
        (1, 2, True, 8),
        (2, 3, True, 8),
        (3, 2, False, 8),
        (4, 2, False, 8),
        (5, 3, False, 8),
        (6, 4, False, 8),
        # Colours of pixels: rows and columns of the picture are one row.
        (7, 3, False, 8),
        (8, 3, True, 8),
        (9, 2, False, 8),
    ],
)
def test_rows_take_turns_in_what_is_read_or_written(case, rows, takes_apart, lanes):
    found = found_for(*SHUFFLES[case])
    assert (found.rows.size, found.takes_apart, found.lanes) == (rows, takes_apart, lanes)


def test_rows_of_less_than_a_vector_are_left_to_loops():
    assert found_for(*SHUFFLES[-1]) is None


def test_an_axis_is_split_by_divisors_that_divide_one_another_only():
    k, i = (StageAxis(tirx.Var(name, "int64"), tirx.IntImm("int64", 24)) for name in "ki")
    x, y = (tirx.decl_buffer((24, 24), "float32", name) for name in "xy")

    def digits(*places):
        body = tirx.BufferStore(y, tirx.BufferLoad(x, list(places)), [k.var, i.var])
        return [axis.size for axis in with_digits(Stage("copy", (k, i), body)).axes]

    assert digits(k.var // 8, k.var // 4 % 2) == [3, 2, 4, 24]
    assert digits(k.var // 8, i.var % 3) == [3, 8, 8, 3]
    assert digits(k.var // 8, k.var % 12) == [24, 24]
    assert digits(k.var // 5, i.var) == [24, 24]
