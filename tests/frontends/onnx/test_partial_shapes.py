"""Sizes that are known of a result whose shape is computed from free sizes."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import numpy_helper
from onnx_net import Net

from tvm_deconv.frontends.onnx.facts import Facts

SIZES = [(1, 4, 6, 14), (2, 4, 5, 7)]


def shape_of(n, *axes, factor=1):
    sizes = n("Gather", n("Shape", "x"), n.integers(*axes), axis=0)
    return sizes if factor == 1 else n("Mul", sizes, n.integers(factor))


def joined(n, *parts):
    return n("Concat", *parts, axis=0)


def reshape(n):
    return n("Reshape", "x", joined(n, n.integers(-1, 2), shape_of(n, 2), n.integers(7)))


def reshape_of_zeros(n):
    return n("Reshape", "x", joined(n, n.integers(0, 0), shape_of(n, 3, 2)))


def expand(n):
    return n(
        "Expand", n("GlobalAveragePool", "x"), joined(n, n.integers(5, 1, 1), shape_of(n, 2, 3))
    )


def constant(n):
    return n("ConstantOfShape", joined(n, n.integers(7), shape_of(n, 1, 2)))


def resize(n):
    sizes = joined(n, shape_of(n, 0, 1), shape_of(n, 2, factor=2), n.integers(9))
    return n("Resize", "x", "", "", sizes, mode="nearest")


def tile(n):
    return n("Tile", "x", joined(n, n.integers(1, 3), shape_of(n, 2), n.integers(1)))


def pad(n):
    end = joined(n, n.integers(0, 3), shape_of(n, 2, 3))
    return n("Pad", "x", joined(n, n.integers(0, 1, 0, 0), end))


def sliced(n):
    begin, end = joined(n, n.integers(1), shape_of(n, 0)), joined(n, n.integers(-1), shape_of(n, 2))
    return n("Slice", "x", begin, end, n.integers(1, -2))


def sliced_backwards(n):
    begin, end = joined(n, n.integers(-1, 2)), joined(n, n.integers(-(2**63)), shape_of(n, 2))
    return n("Slice", "x", begin, end, n.integers(1, 3), n.integers(-2, 1))


@pytest.mark.parametrize(
    ("build", "wanted"),
    [
        (reshape, [None, 2, None, 7]),
        (reshape_of_zeros, [None, 4, None, None]),
        (expand, [5, None, 4, None, None]),
        (constant, [7, 4, None]),
        (resize, [None, 4, None, 9]),
        (tile, [None, 12, None, None]),
        (pad, [None, 8, None, None]),
        (sliced, [None, 2, None, None]),
        (sliced_backwards, [None, 2, None, None]),
    ],
    ids=lambda value: getattr(value, "__name__", "is"),
)
def test_what_is_known_of_a_shape_is_known_of_the_result(build, wanted):
    n = Net(dims=("n", 4, "h", "w"))
    y = build(n)
    model = n.model(y)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    facts = Facts("net", 17, values, {"x": model.graph.input[0].type})

    for node in model.graph.node:
        facts.visit(node)

    assert facts.shape(y) == wanted
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for size in SIZES:
        (found,) = session.run(None, {"x": np.ones(size, "float32")})
        assert len(found.shape) == len(wanted)
        assert all(w in (None, f) for w, f in zip(wanted, found.shape, strict=True))
