"""One bad condition per row, with the reason that the report must give."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
import tvm_ffi
from relax_helpers import compiled, constant, module, operators
from test_rewrite_subpixel import shuffle
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from tvm_deconv.transform import DecomposePixelShuffle, explain, rewrite_upsampling

SHAPE = (1, 4, 6, 5)


def weight(o, c, k=3, dtype="float32"):
    return constant(np.random.default_rng(o).standard_normal((o, c, k, k)).astype(dtype))


def conv(builder, x, o=8, k=3, **attributes):
    c = int(x.ty.shape.values[1].value) // attributes.get("groups", 1)
    attributes.setdefault("padding", k // 2)
    w = weight(o, c, k, str(x.ty.dtype))
    return builder.emit(relax.op.nn.conv2d(x, w, **attributes))


def strided(b, x):
    return shuffle(b, conv(b, x, strides=2), (2, 2))


def padded_too_far(b, x):
    return shuffle(b, conv(b, x, padding=3), (2, 2))


def mixed_groups(b, x):
    return shuffle(b, conv(b, x, o=8, groups=4), (2, 2))


def mixed_groups_dcr(b, x):
    return shuffle(b, conv(b, x, o=8, groups=2), (2, 2), "DCR")


def no_convolution(b, x):
    return shuffle(b, b.emit(relax.op.nn.relu(x)), (2, 2))


def pooled(b, x):
    return shuffle(b, b.emit(relax.op.nn.max_pool2d(conv(b, x))), (2, 2))


def residual(b, x):
    return shuffle(b, b.emit(relax.op.add(conv(b, x, o=4), x)), (2, 2))


def varying_constant(b, x):
    grid = constant(np.arange(8 * 30, dtype="float32").reshape(1, 8, 6, 5))
    return shuffle(b, b.emit(relax.op.add(conv(b, x), grid)), (2, 2))


def broadcasting_constant(b, x):
    one = conv(b, x, o=1)
    bias = constant(np.arange(8, dtype="float32").reshape(1, 8, 1, 1))
    return shuffle(b, b.emit(relax.op.add(one, bias)), (2, 2))


def prelu_over_rows(b, x):
    slope = constant(np.arange(6, dtype="float32"))
    return shuffle(b, b.emit(relax.op.nn.prelu(conv(b, x), slope, axis=2)), (2, 2))


def training_batch_norm(b, x):
    v = constant(np.ones(8, "float32"))
    norm = b.emit(relax.op.nn.batch_norm(conv(b, x), v, v, v, v, axis=1, training=True))
    return shuffle(b, b.emit(relax.TupleGetItem(norm, 0)), (2, 2))


def batch_norm_over_rows(b, x):
    v = constant(np.ones(6, "float32"))
    norm = b.emit(relax.op.nn.batch_norm(conv(b, x), v, v, v, v, axis=2, training=False))
    return shuffle(b, b.emit(relax.TupleGetItem(norm, 0)), (2, 2))


def convolution_read_twice(b, x):
    y = conv(b, x)
    up = shuffle(b, b.emit(relax.op.nn.relu(y)), (2, 2))
    return b.emit(relax.Tuple([up, y]))


def activation_read_twice(b, x):
    y = b.emit(relax.op.nn.relu(conv(b, x)))
    total = b.emit(relax.op.sum(y))
    return b.emit(relax.op.add(shuffle(b, y, (2, 2)), total))


def overflowing_scale(b, x):
    big = constant(np.full((1, 8, 1, 1), 1e38, "float32"))
    y = b.emit(relax.op.multiply(b.emit(relax.op.multiply(conv(b, x), big)), big))
    return shuffle(b, y, (2, 2))


def wider_output(b, x):
    return shuffle(b, conv(b, x, out_dtype="float64"), (2, 2))


def other_layout(b, x):
    return shuffle(b, conv(b, x, out_layout="NHWC"), (2, 2), layout="NHWC")


def permuted_columns(b, x):
    return shuffle(b, b.emit(relax.op.permute_dims(conv(b, x), [0, 1, 3, 2])), (2, 2))


def packed_weights(b, x):
    w = constant(np.ones((2, 4, 3, 3, 4), "float32"))
    layout = {"kernel_layout": "OIHW4o", "data_layout": "NCHW"}
    return shuffle(b, b.emit(relax.op.nn.conv2d(x, w, padding=1, **layout)), (2, 2))


SUBPIXEL = [
    (permuted_columns, "input is not a convolution: relax.permute_dims (lv1)"),
    (packed_weights, "relax.nn.conv2d (lv) has layouts NCHW and OIHW4o"),
    (strided, "stride of relax.nn.conv2d (lv) is [2, 2], not 1"),
    (padded_too_far, "begin padding 3 is larger than the reach 2 of the kernel"),
    (mixed_groups, "groups=4 does not divide the 2 channels after the shuffle"),
    (mixed_groups_dcr, "groups=2: the channel order takes the phases of one output channel"),
    (no_convolution, "input is not a convolution: parameter x"),
    (pooled, "input is not a convolution: relax.nn.max_pool2d (lv1)"),
    (residual, "pointwise operators join parameter x and relax.nn.conv2d (lv)"),
    (varying_constant, "operand of relax.add (lv1) has shape (1, 8, 6, 5): it varies over pixels"),
    (broadcasting_constant, "relax.add (lv1) broadcasts [1, 1, 6, 5] to [1, 8, 6, 5]"),
    (prelu_over_rows, "relax.nn.prelu (lv1) has axis 2, not the channels"),
    (training_batch_norm, "relax.nn.batch_norm (lv2) has training=True"),
    (batch_norm_over_rows, "relax.nn.batch_norm (lv2) has axis 2, which is not the channels"),
    (convolution_read_twice, "relax.nn.conv2d (lv) is also read by"),
    (activation_read_twice, "relax.nn.relu (lv1) is also read by relax.sum (lv2)"),
    (overflowing_scale, "weights of relax.nn.conv2d (lv) are not finite in float32"),
    (wider_output, "data float32, weights float32 and output float64"),
]


def resized(b, x, size=(12, 10), **attributes):
    attributes = {"method": "nearest_neighbor", "rounding_method": "round", **attributes}
    return b.emit(relax.op.image.resize2d(x, relax.ShapeExpr(size), **attributes))


def padding(b, x, widths, mode, value=0.0):
    return b.emit(relax.op.nn.pad(x, [0, 0, 0, 0, *widths], mode, value))


def bilinear(b, x):
    return conv(b, resized(b, x, method="linear"))


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


def resize_then_stride(b, x):
    return conv(b, resized(b, x), strides=[1, 2])


def resize_alone(b, x):
    return b.emit(relax.op.nn.relu(resized(b, x)))


def resize_then_concat(b, x):
    up = resized(b, x)
    return conv(b, b.emit(relax.op.concat([up, up], axis=1)))


def resize_then_add(b, x):
    up, other = b.emit(relax.op.nn.relu(resized(b, x))), b.emit(relax.op.exp(x))
    return conv(b, b.emit(relax.op.add(up, resized(b, other, method="linear"))))


def padded_with_ones(b, x):
    return conv(b, padding(b, resized(b, x), (1, 1, 1, 1), "constant", 1.0), padding=0)


def wide_reflection(b, x):
    return conv(b, padding(b, resized(b, x), (2, 2, 2, 2), "reflect"), k=5, padding=0)


def circular(b, x):
    return conv(b, padding(b, resized(b, x), (1, 1, 1, 1), "circular"), padding=0)


def zeros_outside_half_an_edge_sample(b, x):
    return conv(b, padding(b, resized(b, x), (1, 0, 0, 0), "replicate"))


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


RESIZE = [
    (resize_in_another_layout, "relax.image.resize2d (lv) has layout NHWC, its reader NCHW"),
    (resize_to_another_type, "changes the dtype from float32 to float16"),
    (asymmetric_ceil, "asymmetric with ceil rounding is not nearest x2: output 1 reads input 1"),
    (unknown_rounding, "half_pixel with stochastic rounding is not nearest x2"),
    (resize_of_a_crop, "tf_crop_and_resize with round rounding is not nearest x2"),
    (resize_from_outside, "tf_crop_and_resize with round rounding is not nearest x2"),
    (bilinear, "relax.image.resize2d (lv): method is linear, not nearest_neighbor"),
    (cubic, "relax.image.resize2d (lv): method is cubic, not nearest_neighbor"),
    (fractional, "axis H: factor 15/6 = 2.5 is not whole"),
    (shrinking, "axis H: factor 3/6 = 0.5 is not whole"),
    (asymmetric_round, "asymmetric with round rounding is not nearest x2: output 1 reads a tie"),
    (half_pixel_floor, "half_pixel with floor rounding is not nearest x2: output 2 reads input 0"),
    (aligned_corners_by_three, "align_corners with round rounding is not nearest x3"),
    (resize_then_stride, "stride of relax.nn.conv2d (gv) is [1, 2], not 1"),
    (resize_alone, "relax.image.resize2d (lv) is read by the function's output, not by a"),
    (resize_then_concat, "relax.image.resize2d (lv) is read by relax.concat (lv1), not by a"),
    (resize_then_add, "relax.image.resize2d (lv) is read by relax.add"),
    (padded_with_ones, "relax.nn.pad (lv1): pad_value is 1, not 0"),
    (wide_reflection, "padding at the begin of axis H reads input samples [1, 0]"),
    (circular, "circular padding [0, 0, 0, 0, 1, 1, 1, 1] reaches across the tensor"),
    (zeros_outside_half_an_edge_sample, "zero padding 1 outside 1 edge pixels at the begin of"),
    (zeros_beyond_the_kernel, "axis H: begin padding 3 is larger than the reach 2 of the kernel"),
    (padded_channels, "relax.nn.pad (lv1) pads batch or channels"),
    (sigmoid_after_zeros, "relax.sigmoid follows the zero padding relax.nn.pad (lv1)"),
    (reversed_samples, "takes samples in no upsampling order"),
]


def _name(row):
    return row.__name__ if callable(row) else None


@pytest.mark.parametrize(("body", "reason"), SUBPIXEL + RESIZE, ids=_name)
def test_a_refusal_names_its_reason_and_leaves_the_graph_alone(body, reason):
    mod = module(body, SHAPE)
    new, report = rewrite_upsampling(mod)
    assert not report.rewritten
    assert reason in " / ".join(layer.reason for layer in report.refused), report
    assert tvm_ffi.structural_equal(new, mod)


@pytest.mark.parametrize("operator", ["batch_norm", "prelu"])
def test_normalisation_by_parameters_is_refused(operator):
    def body(b, x, p):
        y = conv(b, x)
        if operator == "prelu":
            return shuffle(b, b.emit(relax.op.nn.prelu(y, p, axis=1)), (2, 2))
        norm = b.emit(relax.op.nn.batch_norm(y, p, p, p, p, axis=1, training=False))
        return shuffle(b, b.emit(relax.TupleGetItem(norm, 0)), (2, 2))

    (layer,) = explain(module(body, SHAPE, p=(8,))).refused
    assert "constant" in layer.reason
    assert f"relax.nn.{operator}" in layer.reason


def test_a_shuffle_that_takes_columns_for_channels_is_refused():
    (layer,) = explain(
        module(lambda b, x: shuffle(b, conv(b, x), (2, 2), layout="NHWC"), (1, 4, 6, 8))
    ).refused
    assert "relax.nn.conv2d (lv) gives NCHW, the shuffle reads NHWC" in layer.reason


def test_a_tensor_that_is_read_in_two_layouts_is_refused():
    def body(b, x):
        y = conv(b, x)
        turned = b.emit(relax.op.permute_dims(y, [0, 3, 1, 2]))
        return shuffle(b, b.emit(relax.op.add(y, turned)), (2, 2))

    (layer,) = explain(module(body, (1, 4, 8, 8))).refused
    assert "relax.nn.conv2d (lv) is read both as" in layer.reason


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


def test_weights_that_are_parameters_are_refused_by_name():
    def body(builder, x, w):
        return shuffle(builder, builder.emit(relax.op.nn.conv2d(x, w, padding=1)), (2, 2))

    mod = module(body, SHAPE, w=(8, 4, 3, 3))
    (layer,) = explain(mod).refused
    assert "weights of relax.nn.conv2d (lv) are not constant: parameter w" in layer.reason
    assert "relax.transform.BindParams" in layer.reason


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


@I.ir_module
class Branches:
    @R.function
    def main(x: R.Tensor((1, 4, 4, 4), "float32"), c: R.Tensor((), "bool")) -> R.Tensor(
        (1, 1, 8, 8), "float32"
    ):
        if c:
            y = R.nn.pixel_shuffle(x, 2)
        else:
            z = R.nn.relu(x)
            y = R.nn.pixel_shuffle(z, 2)
        return y


@pytest.mark.parametrize("order", ["space to depth", "channel shuffle", "transpose"])
def test_reshapes_that_are_no_pixel_shuffle_are_not_candidates(order):
    def body(b, x):
        y = conv(b, x)
        if order == "channel shuffle":
            y = b.emit(relax.op.reshape(y, (1, 2, 4, 6, 5)))
            y = b.emit(relax.op.permute_dims(y, [0, 2, 1, 3, 4]))
            return b.emit(relax.op.reshape(y, (1, 8, 6, 5)))
        if order == "space to depth":
            y = b.emit(relax.op.reshape(y, (1, 8, 3, 2, 5, 1)))
            y = b.emit(relax.op.permute_dims(y, [0, 1, 3, 5, 2, 4]))
            return b.emit(relax.op.reshape(y, (1, 16, 3, 5)))
        y = b.emit(relax.op.reshape(y, (1, 2, 2, 2, 6, 5)))
        y = b.emit(relax.op.permute_dims(y, [0, 1, 5, 2, 4, 3]))
        return b.emit(relax.op.reshape(y, (1, 2, 10, 12)))

    assert explain(module(body, SHAPE)).layers == ()


def test_a_shuffle_that_stays_compiles():
    def body(builder, x):
        return builder.emit(relax.op.nn.pixel_shuffle(builder.emit(relax.op.nn.relu(x)), 2))

    mod = module(body, ("n", 4, "h", "w"))
    x = np.random.default_rng(0).standard_normal((2, 4, 3, 5)).astype("float32")
    expected = np.maximum(x, 0).reshape(2, 1, 2, 2, 3, 5).transpose(0, 1, 4, 2, 5, 3)
    np.testing.assert_array_equal(compiled(mod, x), expected.reshape(2, 1, 6, 10))


def test_one_refused_layer_does_not_keep_another_from_being_rewritten():
    def body(builder, x):
        return bilinear_by_two(builder, conv(builder, resized(builder, x), o=4))

    def bilinear_by_two(builder, x):
        return conv(builder, resized(builder, x, size=(24, 20), method="linear"))

    _, report = rewrite_upsampling(module(body, SHAPE))
    assert (len(report.rewritten), len(report.refused)) == (1, 1)


def test_a_shuffle_of_unknown_shape_is_refused_and_left_alone():
    x = relax.Var("x", relax.TensorType(dtype="float32", ndim=4))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        builder.emit_func_output(builder.emit(relax.op.nn.pixel_shuffle(x, 2)))
    mod = builder.finalize()
    (layer,) = explain(mod).refused
    assert "the shape of parameter x is not known" in layer.reason
    assert operators(DecomposePixelShuffle()(mod)) == ["nn.pixel_shuffle"]


def test_integer_convolutions_are_refused_with_their_types():
    def body(builder, x):
        w = constant(np.ones((8, 4, 3, 3), "int8"))
        y = builder.emit(relax.op.nn.conv2d(x, w, padding=1, out_dtype="int32"))
        return builder.emit(relax.op.nn.pixel_shuffle(y, 2))

    (layer,) = explain(module(body, SHAPE, "int8")).refused
    assert "has data int8, weights int8 and output int32" in layer.reason


def test_a_shuffle_inside_a_branch_is_decomposed_too():
    # Compared as a graph: the virtual machine of TVM 0.27 crashes on branches that allocate.
    names = []

    def visit(expr):
        if isinstance(expr, relax.Call) and isinstance(expr.op, tvm.ir.Op):
            names.append(expr.op.name)

    relax.analysis.post_order_visit(DecomposePixelShuffle()(Branches)["main"], visit)
    assert "relax.nn.pixel_shuffle" not in names
    assert names.count("relax.permute_dims") == 2
