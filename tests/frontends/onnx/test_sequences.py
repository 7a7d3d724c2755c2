"""Sequences of tensors, as ONNX Runtime splits and indexes them."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime

from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load


def parts_of(size, split, count, dims=None, **attributes):
    """Every tensor of a sequence, each counted from the end."""
    shape = (1, size, 3, 4)
    net = Net(shape=shape, dims=dims or shape)
    given = [] if split is None else [net.given(np.array(split, "int64"))]
    sequence = net("SplitToSequence", "x", *given, axis=-3, **attributes)
    at = [net.given(np.array(i - count, "int64")) for i in range(count)]
    return net.model(*[net("Neg", net("SequenceAt", sequence, place)) for place in at])


@pytest.mark.parametrize(
    ("size", "split", "count", "attributes"),
    [
        (9, 4, 3, {}),  # 4, 4 and 1, not 3 of 3
        (10, 4, 3, {}),
        (4, 9, 1, {}),
        (9, [2, 7], 2, {}),
        (9, [9], 1, {}),
        (3, None, 3, {}),
        (3, None, 3, {"keepdims": 0}),
    ],
)
def test_a_tensor_is_split_as_onnx_runtime_does(size, split, count, attributes):
    assert_same_as_onnx_runtime(parts_of(size, split, count, **attributes), (1, size, 3, 4))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (parts_of(9, 4, 4), "position is -4, and its sequence has 3 tensors"),
        (parts_of(9, [4, 4], 2), "dim size=9 sum of split values=8"),
        (parts_of(9, 0, 1), "'split' must be greater than zero"),
        (parts_of(9, 4, 1, dims=(1, "c", 3, 4)), "axis 1 of its input has a free size"),
    ],
)
def test_what_does_not_fit_is_refused(model, reason):
    with pytest.raises(ModelError, match=reason):
        load(model)
