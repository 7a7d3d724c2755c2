"""Softmax and normalisations are computed row by row, and equal torch in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as tf
import tvm_ffi
from default_schedules import (
    arrays_of,
    called,
    check,
    check_each,
    compiled,
    functions_of,
    loops_of,
    module_of,
    scheduled,
)
from tvm import relax, te, tirx
from tvm.relax import op as ops
from tvm.s_tir import SBlock

from tvm_deconv.targets import resolve_target

AVX512 = resolve_target({"kind": "llvm", "mcpu": "skylake-avx512", "mtriple": "x86_64-linux-gnu"})


def layer_norm(axes):
    return lambda x, g, b: ops.nn.layer_norm(x, g, b, axes=axes)


def number_like(x, value):
    return relax.const(value, x.ty.dtype.dtype)


def quotient(x):
    """Of the values of a row by the sum of their sizes, in one function."""

    def compute(x):
        *rows, length = x.shape
        k = te.reduce_axis((0, length))
        total = te.compute(rows, lambda *row: te.sum(tirx.abs(x(*row, k)), axis=k))
        return te.compute(x.shape, lambda *at: x(*at) / total(*at[:-1]))

    return relax.BlockBuilder.current().call_te(compute, x)


def silu(x):
    x = relax.BlockBuilder.current().normalize(x)
    return ops.multiply(x, ops.sigmoid(x))


def group_norm_and_silu(x, g, b):
    return silu(ops.nn.group_norm(x, g, b, num_groups=8, channel_axis=1, axes=[2, 3]))


# Emitted, torch's, shapes.
ROWS = {
    "softmax": (ops.nn.softmax, lambda x: x.softmax(-1), [(1, 5, 16, 67)]),
    "softmax of half a vector": (ops.nn.softmax, lambda x: x.softmax(-1), [(70, 5)]),
    "softmax of one vector": (ops.nn.softmax, lambda x: x.softmax(-1), [(70, 16)]),
    "log softmax": (ops.nn.log_softmax, lambda x: x.log_softmax(-1), [(3, 41, 37)]),
    "softmax of many vectors and more": (ops.nn.softmax, lambda x: x.softmax(-1), [(41, 180)]),
    "scaled softmax": (
        lambda x, bias: ops.nn.softmax(ops.add(ops.multiply(x, number_like(x, 0.3)), bias)),
        lambda x, bias: (x * 0.3 + bias).softmax(-1),
        [(2, 4, 17, 33), (4, 1, 33)],
    ),
    "layer norm": (
        layer_norm([2]),
        lambda x, g, b: tf.layer_norm(x, (67,), g, b),
        [(2, 33, 67), (67,), (67,)],
    ),
    "layer norm of two axes": (
        layer_norm([2, 3]),
        lambda x, g, b: tf.layer_norm(x, (9, 23), g, b),
        [(3, 11, 9, 23), (9, 23), (9, 23)],
    ),
    "layer norm and SiLU": (
        lambda x, g, b: silu(layer_norm([2])(x, g, b)),
        lambda x, g, b: tf.silu(tf.layer_norm(x, (67,), g, b)),
        [(2, 33, 67), (67,), (67,)],
    ),
    "group norm and SiLU": (
        group_norm_and_silu,
        lambda x, g, b: tf.silu(tf.group_norm(x, 8, g, b)),
        [(2, 24, 9, 23), (24,), (24,)],
    ),
    "quotient by a row's sum": (
        quotient,
        lambda x: x / x.abs().sum(-1, keepdim=True),
        [(33, 19)],
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("name", ROWS)
def test_rows_equal_torch(name, dtype):
    emit, reference, shapes = ROWS[name]
    check(emit, reference, shapes, dtype)


@pytest.mark.parametrize("name", ["softmax", "layer norm", "quotient by a row's sum"])
def test_rows_of_symbolic_number_serve_every_number(name):
    emit, reference, ((first, *rest), *others) = ROWS[name]
    del first
    symbolic = [(tirx.Var("n", "int64"), *rest), *others]
    check_each(emit, reference, [[(n, *rest), *others] for n in (1, 7, 33)], symbolic)


def test_rows_of_symbolic_length_serve_every_length():
    symbolic = [(40, tirx.Var("n", "int64"))]
    given = [[(40, length)] for length in (1, 15, 64, 257)]
    check_each(ops.nn.softmax, lambda x: x.softmax(-1), given, symbolic)


# Whole vectors, with a rest, half a vector with one, one vector and a value more.
@pytest.mark.parametrize("length", [64, 67, 5, 17])
@pytest.mark.parametrize(
    "name", ["softmax", "log softmax", "layer norm", "quotient by a row's sum"]
)
def test_all_stages_of_rows_stand_in_one_parallel_loop(name, length):
    emit, _, shapes = ROWS[name]
    rows = [(1 << 14, 1, length) if len(shapes[0]) > 2 else (1 << 14, length)]
    rows += [(length,)] * (len(shapes) - 1)
    (func,) = functions_of(scheduled(module_of(emit, rows)))
    assert len(loops_of(func, tirx.ForKind.PARALLEL)) == 1
    assert isinstance(func.body.block.body, tirx.For)


@pytest.mark.parametrize("batch", [1, 2])
def test_groups_and_an_activation_that_reads_them_twice_stand_in_one_parallel_loop(batch):
    shapes = [(batch, 64, 32, 32), (64,), (64,)]
    (func,) = functions_of(scheduled(module_of(group_norm_and_silu, shapes)))
    assert len(loops_of(func, tirx.ForKind.PARALLEL)) == 1
    blocks = []
    tvm_ffi.structural_walk(func.body, (SBlock, blocks.append))
    scratch = [buffer for block in blocks for buffer in block.alloc_buffers]
    assert not any(int(buffer.shape[-1]) == 32 for buffer in scratch)


def test_exponentials_are_kept_in_the_result():
    emit, _, shapes = ROWS["softmax"]
    (func,) = functions_of(scheduled(module_of(emit, shapes)))
    blocks = []
    tvm_ffi.structural_walk(func.body, (SBlock, blocks.append))
    scratch = [buffer for block in blocks for buffer in block.alloc_buffers]
    assert scratch and not any(int(buffer.shape[-1]) == shapes[0][-1] for buffer in scratch)
    result = func.params[1]
    writers = {
        block.name_hint for block in blocks for w in block.writes if w.source.same_as(result)
    }
    assert {"T_softmax_exp", "T_softmax_norm"} <= writers


def test_rows_that_are_too_few_for_the_threads_are_shared_in_each_stage():
    (func,) = functions_of(scheduled(module_of(ops.nn.softmax, [(1, 1 << 17)])))
    assert len(loops_of(func, tirx.ForKind.PARALLEL)) > 1


@pytest.fixture(scope="module")
def compiled_quotient():
    return compiled(module_of(quotient, [(40, 19)]))


@pytest.mark.parametrize(
    "scale", [1e-42, 1e-38, 2.0**-100, 1.0, 2.0**100, 1e38, np.inf, np.nan, 0.0], ids=str
)
def test_a_quotient_by_a_row_s_number_is_one_however_small_or_large(compiled_quotient, scale):
    """A reciprocal of 1e-40 is infinite, one of 1e38 no normal number."""
    (x,) = arrays_of([(40, 19)])
    x = (np.abs(x) / 19 * np.float32(scale)).astype("float32")
    with np.errstate(all="ignore"):
        expected = torch.from_numpy(x)
        expected = (expected / expected.abs().sum(-1, keepdim=True)).numpy()
    # Of numbers below the normal ones few digits are left.
    np.testing.assert_allclose(called(compiled_quotient, [x]), expected, rtol=1e-2)


def test_a_row_that_reads_another_row_is_not_split_from_it():
    """Means of the rows, and from each row the mean of the row above."""

    def emit(x):
        means = ops.mean(x, [-1], True)
        above = ops.strided_slice(means, [0], [0], [63])
        return ops.subtract(ops.strided_slice(x, [0], [1], [64]), above)

    def reference(x):
        return x[1:] - x.mean(-1, keepdim=True)[:-1]

    check(emit, reference, [(64, 33)])


@pytest.mark.parametrize("length, width", [(180, 16), (1000, 32), (2560, 64), (60, 8), (49, 16)])
def test_a_row_is_cut_so_that_little_is_left_over(length, width):
    (func,) = functions_of(scheduled(module_of(ops.nn.softmax, [(70, length)]), AVX512))
    blocks = []
    tvm_ffi.structural_walk(func.body, (SBlock, blocks.append))
    buffers = [buffer for block in blocks for buffer in block.alloc_buffers]
    partial = [b for b in buffers if "partial" in b.name]
    assert partial and {int(buffer.shape[-1]) for buffer in partial} == {width}
