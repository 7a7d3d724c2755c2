"""Sub-pixel: one bad condition per row, with the reason that the report must give."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from refusal_reasons import SUBPIXEL
from relax_helpers import assert_refused, compiled, constant, conv, module, operators, shuffle
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from tvm_deconv.transform import DecomposePixelShuffle, explain

SHAPE = (1, 4, 6, 5)


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


def permuted_columns(b, x):
    return shuffle(b, b.emit(relax.op.permute_dims(conv(b, x), [0, 1, 3, 2])), (2, 2))


def packed_weights(b, x):
    w = constant(np.ones((2, 4, 3, 3, 4), "float32"))
    layout = {"kernel_layout": "OIHW4o", "data_layout": "NCHW"}
    return shuffle(b, b.emit(relax.op.nn.conv2d(x, w, padding=1, **layout)), (2, 2))


@pytest.mark.parametrize("layer", SUBPIXEL)
def test_a_refusal_names_its_reason_and_leaves_the_graph_alone(layer):
    assert_refused(module(globals()[layer], SHAPE), SUBPIXEL[layer])


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


def test_weights_that_are_parameters_are_refused_by_name():
    def body(builder, x, w):
        return shuffle(builder, builder.emit(relax.op.nn.conv2d(x, w, padding=1)), (2, 2))

    mod = module(body, SHAPE, w=(8, 4, 3, 3))
    (layer,) = explain(mod).refused
    assert "weights of relax.nn.conv2d (lv) are not constant: parameter w" in layer.reason
    assert "relax.transform.BindParams" in layer.reason


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

    names = []

    def visit(expr):
        if isinstance(expr, relax.Call) and isinstance(expr.op, tvm.ir.Op):
            names.append(expr.op.name)

    relax.analysis.post_order_visit(DecomposePixelShuffle()(Branches)["main"], visit)
    assert "relax.nn.pixel_shuffle" not in names
    assert names.count("relax.permute_dims") == 2
