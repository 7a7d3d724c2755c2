"""Axes of size 1 of a compiled network: which are views, and that no result is an argument."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tvm
from relax_helpers import conv, module
from tvm import relax

import tvm_deconv

X = np.random.default_rng(0).standard_normal((1, 4, 6, 8)).astype("float32")


def of_a_layer(builder, x):
    return relax.op.expand_dims(conv(builder, x), 2)


def of_an_argument(builder, x):
    return relax.op.expand_dims(x, 2)


def of_a_view_of_an_argument(builder, x):
    return relax.op.squeeze(builder.emit(relax.op.expand_dims(x, 2)), [0])


@pytest.mark.parametrize(
    "body, copies",
    [(of_a_layer, 0), (of_an_argument, 1), (of_a_view_of_an_argument, 1)],
    ids=["of a layer", "of an argument", "of a view of an argument"],
)
def test_a_result_is_a_view_of_a_kernel_s_result_and_a_copy_of_an_argument(body, copies):
    mod = module(body, X.shape)
    executable = relax.build(mod, "llvm", relax_pipeline=tvm_deconv.pipeline(log=None))
    argument = tvm.runtime.tensor(X)
    result = relax.VirtualMachine(executable, tvm.cpu())["main"](argument)
    before = result.numpy()
    argument.copyfrom(np.zeros_like(X))
    np.testing.assert_array_equal(result.numpy(), before)
    assert before.any()
    called = re.findall(r"call  ((?:fused_)?(?:expand_dims|squeeze)\w*)", executable.as_text())
    assert len(called) == copies, executable.as_text()
