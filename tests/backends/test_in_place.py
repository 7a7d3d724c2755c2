"""Results are written over what they are computed of where that is seen by nobody."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from default_schedules import HOST, arrays_of, module_of
from tvm import relax
from tvm.relax import op as ops

from tvm_deconv.backends.in_place import OverwriteInputs
from tvm_deconv.backends.passes import ScheduleRemaining
from tvm_deconv.backends.views import ViewReshapes
from tvm_deconv.compiler import pipeline
from tvm_deconv.transform.legalize import legalize_passes

N = 72
SHAPES = [(N, N)] * 3


def emit(value):
    return relax.BlockBuilder.current().emit(value)


def softmax(x):
    x = x - x.max(-1, keepdims=True)
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


def attention(q, k, v):
    return ops.matmul(emit(ops.nn.softmax(emit(ops.matmul(q, k)))), v)


def scores_too(q, k, v):
    scores = emit(ops.matmul(q, k))
    return ops.add(ops.matmul(emit(ops.nn.softmax(scores)), v), scores)


def scores_twice(q, k, v):
    """Rows of what is given back, from a tensor that a second softmax reads."""
    scores = emit(ops.matmul(q, k))
    first, second = (emit(ops.nn.softmax(scores, axis=axis)) for axis in (1, 0))
    return ops.add(ops.matmul(first, v), second)


CASES = {
    "attention": (attention, lambda q, k, v: softmax(q @ k) @ v, 1),
    "a result that is given back": (
        lambda q, k, v: ops.nn.softmax(emit(ops.matmul(q, k))),
        lambda q, k, v: softmax(q @ k),
        1,
    ),
    "rows normalised in place": (
        lambda q, k, v: ops.matmul(
            emit(ops.nn.layer_norm(emit(ops.matmul(q, k)), *_ones(), axes=[1])), v
        ),
        lambda q, k, v: _normalised(q @ k) @ v,
        1,
    ),
    "of a parameter": (
        lambda q, k, v: ops.matmul(emit(ops.nn.softmax(q)), v),
        lambda q, k, v: softmax(q) @ v,
        0,
    ),
    "of a parameter's view": (
        lambda q, k, v: ops.nn.softmax(emit(ops.reshape(q, (2, N // 2, N)))),
        lambda q, k, v: softmax(q.reshape(2, N // 2, N)),
        0,
    ),
    "of what is read again": (scores_too, lambda q, k, v: softmax(q @ k) @ v + q @ k, 0),
    "of what another softmax reads": (
        scores_twice,
        lambda q, k, v: softmax(q @ k) @ v + softmax((q @ k).T).T,
        0,
    ),
}


def _ones():
    return relax.const(np.ones(N, "float32")), relax.const(np.zeros(N, "float32"))


def _normalised(x):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)


@pytest.fixture(scope="module", params=CASES)
def case(request):
    return CASES[request.param]


def test_a_result_takes_the_place_of_what_nobody_else_reads(case):
    emitted, _, count = case
    passes = [ViewReshapes(), ScheduleRemaining(HOST), OverwriteInputs()]
    with HOST:
        passes = tvm.transform.Sequential([*legalize_passes(HOST), *passes])
        assert passes(module_of(emitted, SHAPES)).script().count("call_tir_inplace(") == count


def test_results_are_right_and_what_is_given_stays_as_it_is(case):
    """Also those of a call before: nobody writes over what was given back."""
    emitted, reference, _ = case
    library = relax.build(module_of(emitted, SHAPES), HOST, relax_pipeline=pipeline(HOST))
    vm = relax.VirtualMachine(library, tvm.cpu())
    runs = [arrays_of(SHAPES, seed=seed) for seed in (1, 2)]
    tensors = [[tvm.runtime.tensor(array) for array in given] for given in runs]
    results = [vm["main"](*given) for given in tensors]
    for arrays, given, result in zip(runs, tensors, results, strict=True):
        expected = reference(*[a.astype("float64") for a in arrays])
        np.testing.assert_allclose(result.numpy(), expected, rtol=0, atol=2e-6 * N)
        for tensor, array in zip(given, arrays, strict=True):
            np.testing.assert_array_equal(tensor.numpy(), array)
