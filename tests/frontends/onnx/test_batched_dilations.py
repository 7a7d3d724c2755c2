"""A dilated convolution of Keras as tf2onnx writes it, its phases a batch, at free sizes."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime

from tvm_deconv.importer import load

FAR = 2**31 - 1


def rest(n, value, divisor):
    """TensorFlow's remainder, as quotients are truncated."""
    return n("Sub", value, n("Mul", n("Div", value, divisor), divisor))


def dilated(n, x, channels):
    """Kernel 3x3, dilation 2, padding 2: with as many rows more as phases want, cropped after."""
    two = n.integers(2, 2)
    total = n("Add", n("Gather", n("Shape", x), n.integers(2, 3)), n.integers(4, 4))
    crop = rest(n, n("Sub", two, rest(n, total, two)), two)
    pads = n("Concat", n.integers(0, 0, 2, 2, 0, 0), n("Add", two, crop), axis=0)
    y = n("Transpose", n("Pad", x, pads), perm=[1, 0, 2, 3])
    y = n("Transpose", n("SpaceToDepth", y, blocksize=2), perm=[1, 0, 2, 3])
    y = n("Transpose", n.conv(y, channels, channels, pads=[0] * 4), perm=[1, 0, 2, 3])
    y = n("Transpose", n("DepthToSpace", y, blocksize=2), perm=[1, 0, 2, 3])
    is_none = n("Equal", crop, n.integers(0, 0))
    number = {"to": TensorProto.INT64}
    all_left = n("Mul", n.integers(FAR, FAR), n("Cast", is_none, **number))
    less = n("Mul", crop, n("Neg", n("Cast", n("Not", is_none), **number)))
    return n("Slice", y, n.integers(0, 0), n("Add", less, all_left), n.integers(2, 3))


@pytest.fixture(scope="module")
def model():
    n = Net((1, 4, 8, 8), dims=(1, 4, "h", "w"))
    y = dilated(n, n.conv("x", 4, 4, strides=[2, 2]), 4)
    scales = n.given(np.array([1, 1, 2, 2], "float32"))
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return n.model(n.conv(n("Resize", y, "", scales, mode="nearest", **how), 4, 3))


def test_its_size_is_a_short_formula(model):
    """One of seven choices kept TVM busy for minutes."""
    (result,) = load(model)["main"].ret_ty.shape.values[2:3]
    assert str(result).count("Select") <= 1


def test_it_is_that_of_onnx_runtime(model):
    shapes = [(1, 4, *size) for size in ((8, 9), (10, 11), (13, 7), (3, 4))]
    assert_same_as_onnx_runtime(model, *shapes, rtol=1e-7, atol=1e-5)
