"""Linear resize: one bad condition per row, with the reason that the report must give."""

from __future__ import annotations

import pytest
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


ROWS = {
    "align_corners": (
        lambda b, x: conv(b, resized(b, x, mode="align_corners")),
        "a linear resize with align_corners, of which only half_pixel is folded",
    ),
    "asymmetric": (
        lambda b, x: conv(b, resized(b, x, mode="asymmetric")),
        "a linear resize with asymmetric, of which only half_pixel is folded",
    ),
    "cubic": (
        lambda b, x: conv(b, resized(b, x, method="cubic")),
        "method is cubic, not nearest_neighbor",
    ),
    "fractional": (
        lambda b, x: conv(b, resized(b, x, (15, 10))),
        "a linear resize, of which the factor 15/6 = 2.5 is not whole",
    ),
    "shrinking": (
        lambda b, x: conv(b, resized(b, x, (3, 5))),
        "a linear resize, of which the factor 3/6 = 0.5 is not whole",
    ),
    "another type": (
        lambda b, x: conv(b, resized(b, x, out_dtype="float16")),
        "a linear resize from float32 to float16",
    ),
    "channels": (
        lambda b, x: conv(b, resized(b, x, (8, 12), layout="NHWC")),
        "lv enlarges (1, 2, 2, 1), not height and width only",
    ),
    "strided": (
        lambda b, x: conv(b, resized(b, x), strides=2),
        "stride of relax.nn.conv2d (gv) is [2, 2], not 1",
    ),
    "relu between": (
        relu_between,
        "relax.nn.relu stands between the linear resize and the convolution: only a scale and a "
        "shift per channel commute with it",
    ),
    "shift after zeros": (
        shift_after_zeros,
        "relax.add follows the zero padding relax.nn.pad (lv1) and does not map 0 to 0",
    ),
    "reflection": (
        lambda b, x: conv(b, padded(b, resized(b, x), "reflect"), padding=0),
        "padding at the begin of axis H reads input samples [1], which is no edge padding",
    ),
    "ones": (
        lambda b, x: conv(b, padded(b, resized(b, x), "constant", 1.0), padding=0),
        "pad_value is 1, not 0",
    ),
    "zeros beyond the kernel": (
        lambda b, x: conv(b, resized(b, x), padding=3),
        "axis H: begin padding 3 is larger than the reach 2 of the kernel",
    ),
    "read by others": (
        read_twice,
        "the map of lv is also read by relax.sum (lv1), so it would stay",
    ),
    "no convolution": (
        returned,
        "the linear resize lv is read by the function's output, not by a convolution",
    ),
    "kernel of two": (
        lambda b, x: conv(b, resized(b, x), k=2),
        "folded it would take 6.25 products for each output and channel, the convolution of the "
        "enlarged map takes 4: it does not pay",
    ),
    "weights that outgrow the map": (
        lambda b, x: conv(b, resized(b, x), o=64),
        "folded it would read 6912 weights more, to save an enlarged map of 480 elements: it does "
        "not pay",
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_refusal_names_its_reason_and_leaves_the_graph_alone(row):
    layer, reason = ROWS[row]
    assert_refused(module(layer, SHAPE), reason)
