"""Convolution, pointwise operators and shuffle: the rewritten module equals the original."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from relax_helpers import (
    assert_close,
    assert_compiles_to_the_same,
    assert_rewritten_exactly,
    assert_rewritten_in_nhwc,
    compiled,
    constant,
    evaluate,
    module,
    operators,
    shuffle,
)
from tvm import relax
from upsampling_cases import subpixel_cases

from tvm_deconv.transform import rewrite_upsampling


def pointwise(builder, x, kind, rng, dtype, layout="NCHW"):
    """One of the operators that may stand between the convolution and the shuffle."""
    axis = layout.index("C")
    c = int(x.ty.shape.values[axis].value)
    shape = [1, 1, 1, 1]
    shape[axis] = c

    def per_channel(low=-1.0):
        return constant(rng.uniform(low, 1.0, shape).astype(dtype))

    def vector(low):
        return constant(rng.uniform(low, 1.0, c).astype(dtype))

    if kind == "bias":
        hidden = builder.emit(relax.op.reshape(vector(-1.0), shape))
        return builder.emit(relax.op.add(x, hidden))
    if kind == "one bias for all":
        return builder.emit(relax.op.add(x, constant(np.asarray(0.25, dtype))))
    if kind == "reversed subtraction":
        return builder.emit(relax.op.subtract(per_channel(), x))
    if kind == "scale":
        return builder.emit(relax.op.multiply(per_channel(), x))
    if kind == "quotient":
        return builder.emit(relax.op.divide(x, per_channel(0.5)))
    if kind == "batch norm":
        values = (vector(0.5), vector(-1.0), vector(-1.0), vector(0.5))
        norm = builder.emit(relax.op.nn.batch_norm(x, *values, axis=axis, training=False))
        return builder.emit(relax.TupleGetItem(norm, 0))
    if kind == "prelu":
        return builder.emit(relax.op.nn.prelu(x, vector(0.0), axis=axis))
    if kind == "decomposed prelu":
        zero = constant(np.asarray(0, dtype))
        scaled = builder.emit(relax.op.multiply(per_channel(0.0), x))
        positive = builder.emit(relax.op.greater(x, zero))
        return builder.emit(relax.op.where(positive, x, scaled))
    if kind == "silu in two":
        return builder.emit(relax.op.multiply(x, builder.emit(relax.op.sigmoid(x))))
    if kind == "clip":
        return builder.emit(relax.op.clip(x, -0.5, 0.75))
    assert kind == "relu"
    return builder.emit(relax.op.nn.relu(x))


def build(c):
    """(module, input) of a case."""
    rng = np.random.default_rng(c["seed"])
    (ci, o), (rh, rw), layout, dtype = c["channels"], c["factor"], c["layout"], c["dtype"]
    w = rng.standard_normal((o * rh * rw, ci // c["groups"], *c["kernel"])).astype(dtype)
    sizes = dict(zip("NCHW", (c["batch"], ci, *c["size"]), strict=True))

    def body(builder, x):
        kernel_layout = "OIHW" if layout == "NCHW" else "HWIO"
        weight = w.transpose(["OIHW".index(name) for name in kernel_layout])
        y = builder.emit(
            relax.op.nn.conv2d(
                x,
                constant(weight),
                padding=c["padding"],
                dilation=c["dilation"],
                groups=c["groups"],
                data_layout=layout,
                kernel_layout=kernel_layout,
            )
        )
        for kind in c["kinds"]:
            y = pointwise(builder, y, kind, rng, dtype, layout)
        return shuffle(builder, y, c["factor"], c["order"], layout)

    shape = [sizes[name] for name in layout]
    return module(body, tuple(shape), dtype), rng.standard_normal(shape).astype(dtype)


@settings(max_examples=120)
@given(subpixel_cases())
def test_the_rewritten_module_equals_the_original_in_float64(c):
    mod, x = build(c)
    assert_rewritten_exactly(mod, x, c["dtype"], gone={"nn.conv2d"})


@settings(max_examples=12)
@given(subpixel_cases())
def test_the_rewritten_module_compiles_and_gives_the_same(c):
    c = {**c, "layout": "NCHW"}
    mod, x = build(c)
    assert_compiles_to_the_same(mod, x, c["dtype"])


def _conv(builder, x, out_channels, kernel=3, seed=0):
    c = int(x.ty.shape.values[1].value)
    w = np.random.default_rng(seed).standard_normal((out_channels, c, kernel, kernel))
    weight = constant(w.astype(str(x.ty.dtype)))
    return builder.emit(relax.op.nn.conv2d(x, weight, padding=kernel // 2))


def test_symbolic_batch_height_and_width_are_rewritten():
    def body(builder, x):
        y = _conv(builder, x, 8)
        y = pointwise(builder, y, "bias", np.random.default_rng(1), "float32")
        return builder.emit(relax.op.nn.pixel_shuffle(y, 2))

    mod = module(body, ("n", 3, "h", "w"))
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 1
    assert "nn.conv2d_transpose" in operators(new)
    for shape in ((1, 3, 4, 5), (2, 3, 7, 3)):
        x = np.random.default_rng(2).standard_normal(shape).astype("float32")
        np.testing.assert_allclose(compiled(new, x), compiled(mod, x), rtol=0, atol=2e-5)


def test_a_bias_per_phase_costs_one_view_and_no_constant_of_image_size():
    def body(builder, x):
        y = _conv(builder, x, 8)
        y = pointwise(builder, y, "bias", np.random.default_rng(1), "float32")
        return shuffle(builder, builder.emit(relax.op.nn.relu(y)), (2, 2))

    new, _ = rewrite_upsampling(module(body, (1, 3, 32, 32)))
    assert operators(new) == ["nn.conv2d_transpose", "reshape", "add", "nn.relu", "reshape"]
    add = new["main"].body.blocks[0].bindings[2].value
    assert add.args[1].value.numpy().shape == (1, 2, 1, 2, 1, 2)


def test_a_bias_whose_phases_agree_stays_a_bias_per_channel():
    def body(builder, x):
        bias = np.repeat(np.float32([1, 2]), 4).reshape(1, 8, 1, 1)
        y = builder.emit(relax.op.add(_conv(builder, x, 8), relax.const(bias)))
        return shuffle(builder, y, (2, 2))

    new, _ = rewrite_upsampling(module(body, (1, 3, 6, 6)))
    assert operators(new) == ["nn.conv2d_transpose", "add"]


def test_batch_norm_after_the_bias_disappears_into_the_weights():
    def body(builder, x):
        rng = np.random.default_rng(3)
        y = pointwise(builder, _conv(builder, x, 4), "bias", rng, "float32")
        y = pointwise(builder, y, "batch norm", rng, "float32")
        return shuffle(builder, y, (2, 2))

    new, _ = rewrite_upsampling(module(body, (1, 3, 6, 6)))
    assert operators(new) == ["nn.conv2d_transpose", "reshape", "add", "reshape"]


def test_a_depthwise_convolution_stays_grouped():
    def body(builder, x):
        w = np.random.default_rng(0).standard_normal((12, 1, 3, 3)).astype("float32")
        y = builder.emit(relax.op.nn.conv2d(x, relax.const(w), padding=1, groups=3))
        return builder.emit(relax.op.nn.pixel_shuffle(y, 2))

    mod = module(body, (1, 3, 5, 4))
    new, _ = rewrite_upsampling(mod)
    call = new["main"].body.blocks[0].bindings[0].value
    assert (call.op.name, int(call.attrs.groups)) == ("relax.nn.conv2d_transpose", 3)
    x = np.random.default_rng(1).standard_normal((1, 3, 5, 4))
    assert_close(evaluate(new, x), evaluate(mod, x), "float64")


def test_two_stages_in_a_row_are_both_rewritten():
    def body(builder, x):
        for seed in (0, 1):
            x = shuffle(builder, _conv(builder, x, 8, seed=seed), (2, 2))
        return x

    mod = module(body, (1, 2, 4, 4))
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 2
    assert operators(new) == ["nn.conv2d_transpose"] * 2
    x = np.random.default_rng(1).standard_normal((1, 2, 4, 4))
    assert_close(evaluate(new, x), evaluate(mod, x), "float32")


@pytest.mark.parametrize("swap", [False, True], ids=["r,c", "c,r"])
def test_phases_in_an_unusual_order_are_followed(swap):
    """Old exporters write (phase_h, channel, phase_w) or swap the two phases."""

    def body(builder, x):
        y = _conv(builder, x, 12)
        split, axes = (
            ((1, 2, 3, 2, 4, 4), [0, 3, 4, 1, 5, 2])
            if swap
            else (
                (1, 2, 3, 2, 4, 4),
                [0, 2, 4, 1, 5, 3],
            )
        )
        y = builder.emit(relax.op.reshape(y, split))
        y = builder.emit(relax.op.permute_dims(y, axes))
        shape = [int(d.value) for d in y.ty.shape.values]
        return builder.emit(
            relax.op.reshape(y, (1, shape[1], shape[2] * shape[3], shape[4] * shape[5]))
        )

    mod = module(body, (1, 3, 4, 4))
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 1, report
    x = np.random.default_rng(1).standard_normal((1, 3, 4, 4))
    assert_close(evaluate(new, x), evaluate(mod, x), "float32")


def test_a_single_output_channel_may_be_left_out_of_the_reshape():
    def body(builder, x):
        y = builder.emit(relax.op.reshape(_conv(builder, x, 9), (2, 3, 3, 4, 4)))
        y = builder.emit(relax.op.permute_dims(y, [0, 3, 1, 4, 2]))
        return builder.emit(relax.op.reshape(y, (2, 1, 12, 12)))

    mod = module(body, (2, 3, 4, 4))
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 1, report
    x = np.random.default_rng(1).standard_normal((2, 3, 4, 4))
    assert_close(evaluate(new, x), evaluate(mod, x), "float32")


def test_layouts_that_convert_layout_leaves_are_seen_through():
    def body(builder, x):
        y = _conv(builder, x, 8)
        y = pointwise(builder, y, "bias", np.random.default_rng(1), "float32")
        return builder.emit(relax.op.nn.pixel_shuffle(builder.emit(relax.op.nn.relu(y)), 2))

    assert_rewritten_in_nhwc(module(body, (1, 3, 5, 4)), (1, 3, 5, 4))


def test_other_outputs_of_the_function_are_kept():
    x = relax.Var("x", relax.TensorType((1, 3, 4, 4), "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            up = shuffle(builder, _conv(builder, x, 8), (2, 2))
            both = builder.emit_output(relax.Tuple([up, builder.emit(relax.op.nn.relu(x))]))
        builder.emit_func_output(both)
    mod = builder.finalize()
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 1
    relax.analysis.well_formed(new)
    value = np.random.default_rng(2).standard_normal((1, 3, 4, 4))
    for got, expected in zip(evaluate(new, value), evaluate(mod, value), strict=True):
        assert_close(got, expected, "float32")
