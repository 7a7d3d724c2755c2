"""Linear resize: one bad condition per row, with the reason that the report must give."""

from __future__ import annotations

import pytest
from refusal_reasons import LINEAR
from relax_helpers import assert_refused, conv, module
from tvm import relax

SHAPE = (1, 4, 6, 5)


def resized(b, x, size=(12, 10), mode="half_pixel", **attributes):
    attributes = {"method": "linear", "coordinate_transformation_mode": mode, **attributes}
    return b.emit(relax.op.image.resize2d(x, relax.ShapeExpr(size), **attributes))


def padded(b, x, mode, value=0.0):
    return b.emit(relax.op.nn.pad(x, [0, 0, 0, 0, 1, 1, 1, 1], mode, value))


def relu_between(b, x):
    return conv(b, b.emit(relax.op.nn.relu(resized(b, x))))


def shift_after_zeros(b, x):
    y = b.emit(relax.op.add(padded(b, resized(b, x), "constant"), relax.const(1.0)))
    return conv(b, y, padding=0)


def read_twice(b, x):
    up = resized(b, x)
    wide = b.emit(relax.op.sum(up, [2, 3], keepdims=True))
    return b.emit(relax.op.add(conv(b, up), b.emit(relax.op.mean(wide))))


def returned(b, x):
    return b.emit(relax.op.nn.relu(resized(b, x)))


LAYERS = {
    "linear_with_aligned_corners": lambda b, x: conv(b, resized(b, x, mode="align_corners")),
    "linear_asymmetric": lambda b, x: conv(b, resized(b, x, mode="asymmetric")),
    "not_linear_but_cubic": lambda b, x: conv(b, resized(b, x, method="cubic")),
    "linear_fractional": lambda b, x: conv(b, resized(b, x, (15, 10))),
    "linear_shrinking": lambda b, x: conv(b, resized(b, x, (3, 5))),
    "linear_to_another_type": lambda b, x: conv(b, resized(b, x, out_dtype="float16")),
    "linear_of_channels": lambda b, x: conv(b, resized(b, x, (8, 12), layout="NHWC")),
    "linear_then_stride": lambda b, x: conv(b, resized(b, x), strides=2),
    "linear_then_relu": relu_between,
    "linear_shifted_after_zeros": shift_after_zeros,
    "linear_reflected": lambda b, x: conv(b, padded(b, resized(b, x), "reflect"), padding=0),
    "linear_padded_with_ones": lambda b, x: conv(
        b, padded(b, resized(b, x), "constant", 1.0), padding=0
    ),
    "linear_zeros_beyond_the_kernel": lambda b, x: conv(b, resized(b, x), padding=3),
    "linear_read_twice": read_twice,
    "linear_alone": returned,
    "linear_and_a_kernel_of_two": lambda b, x: conv(b, resized(b, x), k=2),
    "linear_and_weights_that_outgrow_the_map": lambda b, x: conv(b, resized(b, x), o=64),
}


@pytest.mark.parametrize("name", LINEAR)
def test_a_refusal_names_its_reason_and_leaves_the_graph_alone(name):
    assert_refused(module(LAYERS[name], SHAPE), LINEAR[name])
