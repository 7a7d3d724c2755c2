"""Resize: one bad condition per row, with the reason that the report must give."""

from __future__ import annotations

import numpy as np
import pytest
from refusal_reasons import RESIZE
from relax_helpers import assert_refused, constant, conv, module
from tvm import relax

from tvm_deconv.transform import explain, rewrite_upsampling

SHAPE = (1, 4, 6, 5)


def resized(b, x, size=(12, 10), **attributes):
    attributes = {"method": "nearest_neighbor", "rounding_method": "round", **attributes}
    return b.emit(relax.op.image.resize2d(x, relax.ShapeExpr(size), **attributes))


def padding(b, x, widths, mode, value=0.0):
    return b.emit(relax.op.nn.pad(x, [0, 0, 0, 0, *widths], mode, value))


def cubic(b, x):
    return conv(b, resized(b, x, method="cubic"))


def fractional(b, x):
    return conv(b, resized(b, x, size=(15, 10)))


def shrinking(b, x):
    return conv(b, resized(b, x, size=(3, 5)))


def asymmetric_round(b, x):
    return conv(b, resized(b, x, coordinate_transformation_mode="asymmetric"))


def half_pixel_floor(b, x):
    return conv(b, resized(b, x, rounding_method="floor"))


def aligned_corners_by_three(b, x):
    mode = {"coordinate_transformation_mode": "align_corners"}
    return conv(b, resized(b, x, size=(18, 15), **mode))


def a_billion_rows(b, x):
    return conv(b, resized(b, x, size=(6 * 10**9, 10)))


def many_aligned_corners(b, x):
    tall = b.emit(relax.op.reshape(x, (1, 4, 30, 1)))
    tall = b.emit(relax.op.repeat(tall, 2000, 2))
    mode = {"coordinate_transformation_mode": "align_corners"}
    return conv(b, resized(b, tall, size=(120_000, 2), **mode))


def resize_then_stride(b, x):
    return conv(b, resized(b, x), strides=[1, 2])


def resize_alone(b, x):
    return b.emit(relax.op.nn.relu(resized(b, x)))


def resize_then_concat(b, x):
    up = resized(b, x)
    return b.emit(relax.op.nn.relu(b.emit(relax.op.concat([up, up], axis=1))))


def resize_then_add(b, x):
    up, other = b.emit(relax.op.nn.relu(resized(b, x))), b.emit(relax.op.exp(x))
    return conv(b, b.emit(relax.op.add(up, resized(b, other, method="linear"))))


def padded_with_ones(b, x):
    return conv(b, padding(b, resized(b, x), (1, 1, 1, 1), "constant", 1.0), padding=0)


def wide_reflection(b, x):
    return conv(b, padding(b, resized(b, x), (2, 2, 2, 2), "reflect"), k=5, padding=0)


def circular(b, x):
    return conv(b, padding(b, resized(b, x), (1, 1, 1, 1), "circular"), padding=0)


def crop_of_a_whole_sample(b, x):
    return conv(b, b.emit(relax.op.strided_slice(resized(b, x), [2, 3], [0, 0], [10, 9])))


def zeros_beyond_the_kernel(b, x):
    return conv(b, padding(b, resized(b, x), (2, 0, 0, 0), "constant"))


def padded_channels(b, x):
    y = b.emit(relax.op.nn.pad(resized(b, x), [0, 0, 1, 0, 0, 0, 0, 0]))
    return conv(b, y)


def sigmoid_after_zeros(b, x):
    y = padding(b, resized(b, x), (1, 1, 1, 1), "constant")
    return conv(b, b.emit(relax.op.sigmoid(y)), padding=0)


def reversed_samples(b, x):
    up = resized(b, x)
    index = constant(np.arange(12)[::-1].copy())
    return conv(b, b.emit(relax.op.take(up, index, axis=2)))


def resize_in_another_layout(b, x):
    return conv(b, resized(b, x, size=(8, 12), layout="NHWC"))


def resize_to_another_type(b, x):
    return conv(b, resized(b, x, out_dtype="float16"))


def asymmetric_ceil(b, x):
    mode = {"coordinate_transformation_mode": "asymmetric", "rounding_method": "ceil"}
    return conv(b, resized(b, x, **mode))


def unknown_rounding(b, x):
    return conv(b, resized(b, x, rounding_method="stochastic"))


def resize_of_a_crop(b, x):
    mode = {"coordinate_transformation_mode": "tf_crop_and_resize"}
    return conv(b, resized(b, x, roi=(0.0, 0.0, 0.5, 0.5), **mode))


def resize_from_outside(b, x):
    mode = {"coordinate_transformation_mode": "tf_crop_and_resize"}
    return conv(b, resized(b, x, roi=(0.0, 0.0, 1.5, 1.5), **mode))


@pytest.mark.parametrize("layer", RESIZE)
def test_a_refusal_names_its_reason_and_leaves_the_graph_alone(layer):
    assert_refused(module(globals()[layer], SHAPE), RESIZE[layer])


@pytest.mark.parametrize("way", ["repeat", "take", "repeat all", "take all", "broadcast"])
def test_copies_along_other_axes_are_not_candidates(way):
    def body(b, x):
        if way == "repeat":
            return conv(b, b.emit(relax.op.repeat(x, 2, axis=1)))
        if way == "repeat all":
            return b.emit(relax.op.repeat(x, 2))
        if way == "take":
            return conv(b, b.emit(relax.op.take(x, constant(np.arange(8) // 2), axis=1)))
        if way == "take all":
            return b.emit(relax.op.take(b.emit(relax.op.flatten(x)), constant(np.arange(8) // 2)))
        y = b.emit(relax.op.expand_dims(x, [2]))
        y = b.emit(relax.op.broadcast_to(y, (1, 4, 2, 6, 5)))
        return conv(b, b.emit(relax.op.reshape(y, (1, 8, 6, 5))))

    assert explain(module(body, SHAPE)).layers == ()


def test_a_symbolic_mode_that_depends_on_the_size_is_refused():
    def body(builder, x):
        h, w = x.ty.shape.values[2:]
        y = relax.op.image.resize2d(
            x,
            relax.ShapeExpr([h * 2, w * 2]),
            method="nearest_neighbor",
            coordinate_transformation_mode="align_corners",
        )
        return conv(builder, builder.emit(y))

    (layer,) = explain(module(body, ("n", 4, "h", "w"))).refused
    assert (
        "align_corners with round rounding depends on the size, which is symbolic" in layer.reason
    )


def test_a_symbolic_size_that_is_no_provable_multiple_is_refused():
    def body(builder, x):
        h, w = x.ty.shape.values[2:]
        return conv(builder, resized(builder, x, size=(h * 2 + 1, w * 2)))

    (layer,) = explain(module(body, ("n", 4, "h", "w"))).refused
    assert "size h * 2 + 1 is not provably a multiple of h" in layer.reason


def test_one_refused_layer_does_not_keep_another_from_being_rewritten():
    def body(builder, x):
        return cubic_by_two(builder, conv(builder, resized(builder, x), o=4))

    def cubic_by_two(builder, x):
        return conv(builder, resized(builder, x, size=(24, 20), method="cubic"))

    _, report = rewrite_upsampling(module(body, SHAPE))
    assert (len(report.rewritten), len(report.refused)) == (1, 1)
