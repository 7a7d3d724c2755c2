"""softmax(q k^T) v is one kernel, by strips of rows, wherever nobody else reads its scores."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from default_schedules import HOST, arrays_of, called, module_of
from quick_network import built, unoptimised
from tvm import relax
from tvm.relax import op as ops

from tvm_deconv.backends.attention import MergeAttention
from tvm_deconv.compiler import pipeline
from tvm_deconv.schedules.rest.attention import schedule, write
from tvm_deconv.transform.legalize import legalize_passes
from tvm_deconv.transform.transposed_products import ReadTransposed


def emit(value):
    return relax.BlockBuilder.current().emit(value)


def const(value):
    return relax.const(np.float32(value))


def of_softmax(scores):
    return emit(ops.nn.softmax(emit(scores), axis=-1))


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def turned(x):
    axes = [*range(len(x.ty.shape) - 2), len(x.ty.shape) - 1, len(x.ty.shape) - 2]
    return emit(ops.permute_dims(x, axes))


def plain(q, k, v):
    return ops.matmul(of_softmax(ops.matmul(q, k)), v)


def as_exported(q, k, v, mask):
    """Keys as they lie, a scale, a mask, and heads behind tokens."""
    scores = emit(ops.multiply(emit(ops.matmul(q, turned(k))), const(0.3)))
    y = emit(ops.matmul(of_softmax(ops.add(scores, mask)), v))
    return ops.reshape(
        emit(ops.permute_dims(y, [0, 2, 1, 3])),
        (q.ty.shape[0], q.ty.shape[2], q.ty.shape[1] * v.ty.shape[3]),
    )


def reference_as_exported(q, k, v, mask):
    y = softmax(q @ k.swapaxes(-1, -2) * 0.3 + mask) @ v
    return y.swapaxes(1, 2).reshape(len(q), q.shape[2], -1)


def weights_on_the_right(q, k, v):
    """Channels before pixels, as in a decoder of pictures."""
    weights = of_softmax(ops.matmul(turned(q), k))
    return ops.add(emit(ops.matmul(v, turned(weights))), q)


def reference_on_the_right(q, k, v):
    return v @ softmax(q.swapaxes(-1, -2) @ k).swapaxes(-1, -2) + q


PLAIN = (plain, lambda q, k, v: softmax(q @ k) @ v)
EXPORTED = (as_exported, reference_as_exported)
CASES = {
    "one head": (*PLAIN, [(48, 24), (24, 64), (64, 32)]),
    "two products that are one function": (*PLAIN, [(40, 40)] * 3),
    "odd sizes": (*PLAIN, [(3, 37, 11), (3, 11, 61), (3, 61, 19)]),
    "few columns of values": (*PLAIN, [(2, 40, 16), (2, 16, 48), (2, 48, 5)]),
    "more scores than rows": (*PLAIN, [(2, 9, 16), (2, 16, 333), (2, 333, 16)]),
    "more rows than a strip": (*PLAIN, [(2, 1517, 8), (2, 8, 1031), (2, 1031, 24)]),
    "heads": (*EXPORTED, [(2, 3, 50, 20), (2, 3, 70, 20), (2, 3, 70, 12), (70,)]),
    "a mask for each": (*EXPORTED, [*[(2, 2, 33, 16)] * 3, (2, 1, 33, 33)]),
    "a single head": (*EXPORTED, [*[(1, 1, 64, 32)] * 3, (64,)]),
    "weights on the right": (weights_on_the_right, reference_on_the_right, [(1, 16, 80)] * 3),
}


def kernels(emitted, shapes) -> list[str]:
    """Names of the functions that are called, when attention is merged."""
    passes = [ReadTransposed(HOST), *legalize_passes(HOST), MergeAttention(HOST)]
    with HOST:
        mod = tvm.transform.Sequential(passes)(module_of(emitted, shapes))
    return sorted(name.name_hint for name in mod.functions if name.name_hint != "main")


def results(emitted, arrays) -> np.ndarray:
    mod, target = module_of(emitted, [array.shape for array in arrays]), unoptimised()
    return called(built(mod, pipeline(target), target), arrays)


@pytest.mark.parametrize("name", CASES)
def test_attention_is_one_kernel_and_right(name):
    emitted, reference, shapes = CASES[name]
    names = kernels(emitted, shapes)
    assert "attention" in names and "softmax" not in names
    arrays = arrays_of(shapes, seed=7)
    expected = reference(*[array.astype("float64") for array in arrays])
    np.testing.assert_allclose(results(emitted, arrays), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("rows", [1, 2, 7, 8, 40])
def test_strips_of_any_height_are_right(rows, monkeypatch):
    """The last strip begins early, and so do the last tiles of each."""
    shapes = [(2, 41, 10), (2, 10, 53), (2, 53, 18)]
    monkeypatch.setattr(schedule, "most_rows", lambda found, machine: rows)
    monkeypatch.setattr(schedule, "_FEWEST_ROWS", 1)
    assert "attention" in kernels(plain, shapes)
    arrays = arrays_of(shapes, seed=rows)
    expected = PLAIN[1](*[array.astype("float64") for array in arrays])
    np.testing.assert_allclose(results(plain, arrays), expected, rtol=0, atol=2e-5)


def test_masked_scores_and_rows_without_a_number_are_those_of_softmax():
    shapes = [(1, 2, 24, 16), (1, 2, 32, 16), (1, 2, 32, 16), (1, 1, 24, 32)]
    arrays = arrays_of(shapes, seed=3)
    mask = np.where(np.arange(32) > np.arange(24)[:, None], -np.inf, 0).astype("float32")
    mask[5], mask[6, 3], mask[7, 0] = -np.inf, np.nan, np.inf
    arrays[3][0, 0] = mask
    with np.errstate(invalid="ignore"):
        expected = reference_as_exported(*[array.astype("float64") for array in arrays])
    found = results(as_exported, arrays)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
    assert np.isnan(found).any(axis=-1).tolist() == [[row in (5, 6, 7) for row in range(24)]]


@pytest.mark.parametrize("size", [1e2, 1e4])
@pytest.mark.parametrize("width", [32, 77])
def test_large_scores_are_right(size, width):
    """Apart by more than exp can span, and all of them far from 0."""
    shapes = [(2, 40, 8), (2, 8, width), (2, width, 16)]
    q, k, v = arrays_of(shapes, seed=width)
    # Eighths of integers, so that float32 holds the scores exactly.
    q, k = np.rint(q * size).astype("float32") / 8, np.rint(2 * k).astype("float32")
    q[1, :, 0], k[1, 0] = -size, np.abs(k[1, 0]) + 1
    exact = softmax((q @ k).astype("float64")) @ v.astype("float64")
    np.testing.assert_allclose(results(plain, [q, k, v]), exact, rtol=0, atol=2e-5)


OTHERS = {
    "scores are read elsewhere": (
        lambda q, k, v: ops.add(
            ops.matmul(of_softmax(s := emit(ops.matmul(q, k))), v), ops.matmul(s, v)
        ),
        [(32, 32)] * 3,
    ),
    "weights are given back": (
        lambda q, k, v: relax.Tuple([w := of_softmax(ops.matmul(q, k)), ops.matmul(w, v)]),
        [(32, 32)] * 3,
    ),
    "softmax along the rows": (
        lambda q, k, v: ops.matmul(emit(ops.nn.softmax(emit(ops.matmul(q, k)), axis=0)), v),
        [(32, 32)] * 3,
    ),
    "rows too long for the cache": (plain, [(16, 16), (16, 1 << 18), (1 << 18, 16)]),
    "weights are the right operand": (
        lambda q, k, v: ops.matmul(v, of_softmax(ops.matmul(q, k))),
        [(32, 32)] * 3,
    ),
    "weights times themselves": (
        lambda q, k: ops.matmul(w := of_softmax(ops.matmul(q, k)), w),
        [(32, 32)] * 2,
    ),
    "no exponentials between": (
        lambda q, k, v: ops.matmul(emit(ops.nn.relu(emit(ops.matmul(q, k)))), v),
        [(32, 32)] * 3,
    ),
    "other rows": (
        lambda q, k, v: ops.matmul(emit(ops.reshape(of_softmax(ops.matmul(q, k)), (2, 24, 24))), v),
        [(1, 48, 16), (1, 16, 24), (2, 24, 16)],
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_attention_stays(name):
    emitted, shapes = OTHERS[name]
    assert "attention" not in kernels(emitted, shapes)


def test_functions_that_are_scheduled_are_left():
    """Of such a kernel of three in a row no schedule can be made again."""
    mod = module_of(plain, [(3, 37, 11), (3, 11, 61), (3, 61, 19)])
    with HOST:
        mod = tvm.transform.Sequential(legalize_passes(HOST))(mod)
    for var, func in mod.functions_items():
        if isinstance(func, tvm.tirx.PrimFunc):
            mod[var] = func.with_attr("tirx.is_scheduled", True)
    assert MergeAttention(HOST)(mod).same_as(mod)


@pytest.mark.parametrize("width", [16, 61, 64, 77, 1024, 1040, 4096, 5120, 5121])
def test_rows_of_a_strip_are_in_sets_of_their_own(width):
    """64 rows, or as many as a level-1 cache has sets, begin in 64 different ones."""
    pitch = write.pitch_of(width)
    assert pitch >= width
    assert len({row * pitch * 4 // 64 % 64 for row in range(64)}) == 64
