"""One bad condition per row: the reasons are those of the Relax pass, in Relay's names."""

from __future__ import annotations

import numpy as np
import pytest
from refusal_reasons import LINEAR, RESIZE, SUBPIXEL
from relay_helpers import assert_refused, constant, conv, module, operators, padding, plain, shuffle
from relay_helpers import resize as resize_to
from tvm import relay

from tvm_deconv.relay import explain, rewrite_upsampling

SHAPE = (1, 4, 6, 5)
SILENT_IN_RELAY = {
    "training_batch_norm": "batch_norm has no such attribute",
    "a_billion_rows": "sizes are of 32 bits",
    "circular": "no padding is circular",
    "packed_weights": "type inference refuses packed weights for data in NCHW",
}


def resized(x, size=(12, 10), **attributes):
    return resize_to(x, size, **attributes)


def linear(x, size=(12, 10), **attributes):
    return resized(x, size, **{"method": "linear", **attributes})


LAYERS = {
    "strided": lambda x: shuffle(conv(x, strides=2), (2, 2)),
    "padded_too_far": lambda x: shuffle(conv(x, padding=3), (2, 2)),
    "mixed_groups": lambda x: shuffle(conv(x, o=8, groups=4), (2, 2)),
    "mixed_groups_dcr": lambda x: relay.nn.depth_to_space(conv(x, o=8, groups=2), 2),
    "no_convolution": lambda x: shuffle(relay.nn.relu(x), (2, 2)),
    "pooled": lambda x: shuffle(relay.nn.max_pool2d(conv(x)), (2, 2)),
    "residual": lambda x: shuffle(relay.add(conv(x, o=4), x), (2, 2)),
    "permuted_columns": lambda x: shuffle(relay.transpose(conv(x), (0, 1, 3, 2)), (2, 2)),
    "wider_output": lambda x: shuffle(conv(x, out_dtype="float64"), (2, 2)),
    "prelu_over_rows": lambda x: shuffle(
        relay.nn.prelu(conv(x), constant(np.arange(6, dtype="float32")), 2), (2, 2)
    ),
    "varying_constant": lambda x: shuffle(
        relay.add(conv(x), constant(np.arange(240, dtype="float32").reshape(1, 8, 6, 5))), (2, 2)
    ),
    "broadcasting_constant": lambda x: shuffle(
        relay.add(conv(x, o=1), constant(np.arange(8, dtype="float32").reshape(1, 8, 1, 1))), (2, 2)
    ),
    "cubic": lambda x: conv(resized(x, method="cubic")),
    "fractional": lambda x: conv(resized(x, (15, 10))),
    "shrinking": lambda x: conv(resized(x, (3, 5))),
    "asymmetric_round": lambda x: conv(resized(x, mode="asymmetric")),
    "asymmetric_ceil": lambda x: conv(resized(x, mode="asymmetric", rounding="ceil")),
    "unknown_rounding": lambda x: conv(resized(x, rounding="stochastic")),
    "half_pixel_floor": lambda x: conv(resized(x, rounding="floor")),
    "aligned_corners_by_three": lambda x: conv(resized(x, (18, 15), mode="align_corners")),
    "resize_in_another_layout": lambda x: conv(resized(x, (8, 12), layout="NHWC")),
    "resize_to_another_type": lambda x: relay.nn.conv2d(
        resized(x, out_dtype="float16"), constant(np.ones((8, 4, 3, 3), "float16"))
    ),
    "resize_of_a_crop": lambda x: conv(
        resized(x, mode="tf_crop_and_resize", roi=(0.0, 0.0, 0.5, 0.5))
    ),
    "resize_from_outside": lambda x: conv(
        resized(x, mode="tf_crop_and_resize", roi=(0.0, 0.0, 1.5, 1.5))
    ),
    "resize_then_stride": lambda x: conv(resized(x), strides=[1, 2]),
    "resize_alone": lambda x: relay.nn.relu(resized(x)),
    "padded_with_ones": lambda x: conv(
        padding(resized(x), (1, 1, 1, 1), "constant", 1.0), padding=0
    ),
    "wide_reflection": lambda x: conv(padding(resized(x), (2, 2, 2, 2), "reflect"), k=5, padding=0),
    "crop_of_a_whole_sample": lambda x: conv(
        relay.strided_slice(resized(x), [0, 0], [10, 9], [1, 1], [2, 3])
    ),
    "zeros_beyond_the_kernel": lambda x: conv(padding(resized(x), (2, 0, 0, 0), "constant")),
    "padded_channels": lambda x: conv(relay.nn.pad(resized(x), ((0, 0), (1, 0), (0, 0), (0, 0)))),
    "sigmoid_after_zeros": lambda x: conv(
        relay.sigmoid(padding(resized(x), (1, 1, 1, 1), "constant")), padding=0
    ),
    "reversed_samples": lambda x: conv(
        relay.take(resized(x), constant(np.arange(12)[::-1].copy()), 2)
    ),
}


def layer(function):
    LAYERS[function.__name__] = function
    return function


@layer
def batch_norm_over_rows(x):
    v = constant(np.ones(6, "float32"))
    return shuffle(relay.nn.batch_norm(conv(x), v, v, v, v, axis=2)[0], (2, 2))


@layer
def convolution_read_twice(x):
    y = conv(x)
    return relay.Tuple([shuffle(relay.nn.relu(y), (2, 2)), y])


@layer
def activation_read_twice(x):
    y = relay.nn.relu(conv(x))
    return relay.add(shuffle(y, (2, 2)), relay.sum(y))


@layer
def overflowing_scale(x):
    big = constant(np.full((1, 8, 1, 1), 1e38, "float32"))
    return shuffle(relay.multiply(relay.multiply(conv(x), big), big), (2, 2))


@layer
def many_aligned_corners(x):
    tall = relay.repeat(relay.reshape(x, (1, 4, 30, 1)), 2000, 2)
    return conv(resized(tall, (120_000, 2), mode="align_corners"))


@layer
def resize_then_concat(x):
    up = resized(x)
    return relay.nn.relu(relay.concatenate([up, up], 1))


@layer
def resize_then_add(x):
    return conv(relay.add(relay.nn.relu(resized(x)), resized(relay.exp(x), method="linear")))


LAYERS |= {
    "linear_with_aligned_corners": lambda x: conv(linear(x, mode="align_corners")),
    "linear_asymmetric": lambda x: conv(linear(x, mode="asymmetric")),
    "not_linear_but_cubic": lambda x: conv(linear(x, method="cubic")),
    "linear_fractional": lambda x: conv(linear(x, (15, 10))),
    "linear_shrinking": lambda x: conv(linear(x, (3, 5))),
    "linear_to_another_type": lambda x: relay.nn.conv2d(
        linear(x, out_dtype="float16"), constant(np.ones((8, 4, 3, 3), "float16"))
    ),
    "linear_of_channels": lambda x: conv(linear(x, (8, 12), layout="NHWC")),
    "linear_then_stride": lambda x: conv(linear(x), strides=2),
    "linear_then_relu": lambda x: conv(relay.nn.relu(linear(x))),
    "linear_shifted_after_zeros": lambda x: conv(
        relay.add(padding(linear(x), (1, 1, 1, 1), "constant"), relay.const(1.0)), padding=0
    ),
    "linear_reflected": lambda x: conv(padding(linear(x), (1, 1, 1, 1), "reflect"), padding=0),
    "linear_padded_with_ones": lambda x: conv(
        padding(linear(x), (1, 1, 1, 1), "constant", 1.0), padding=0
    ),
    "linear_zeros_beyond_the_kernel": lambda x: conv(linear(x), padding=3),
    "linear_alone": lambda x: relay.nn.relu(linear(x)),
    "linear_and_a_kernel_of_two": lambda x: conv(linear(x), k=2),
    "linear_and_weights_that_outgrow_the_map": lambda x: conv(linear(x), o=64),
}


@layer
def linear_read_twice(x):
    up = linear(x)
    return relay.add(conv(up), relay.sum(up))


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_a_refusal_gives_the_reason_of_the_relax_pass_and_leaves_the_module_alone(name):
    mod = module(LAYERS[name], SHAPE)
    new, report = rewrite_upsampling(mod)
    assert not report.rewritten
    assert new.same_as(mod)
    told = " / ".join(plain(layer.reason) for layer in report.refused)
    assert plain((SUBPIXEL | RESIZE | LINEAR)[name]) in told


def test_every_refusal_of_relax_has_its_layer_here_or_a_reason_why_not():
    assert set(LAYERS) | set(SILENT_IN_RELAY) == set(SUBPIXEL) | set(RESIZE) | set(LINEAR)
    assert not set(LAYERS) & set(SILENT_IN_RELAY)


@pytest.mark.parametrize("operator", ["batch_norm", "prelu", "bias_add"])
def test_normalisation_by_parameters_is_refused(operator):
    def body(x, p):
        y = conv(x)
        made = {
            "prelu": lambda: relay.nn.prelu(y, p),
            "bias_add": lambda: relay.nn.bias_add(y, p),
            "batch_norm": lambda: relay.nn.batch_norm(y, p, p, p, p)[0],
        }
        return shuffle(made[operator](), (2, 2))

    (line,) = explain(module(body, SHAPE, p=(8,))).refused
    assert "constant" in line.reason
    assert f"nn.{operator}" in line.reason


def test_weights_that_are_parameters_are_refused_by_name():
    def body(x, w):
        return shuffle(relay.nn.conv2d(x, w, padding=1), (2, 2))

    mod = module(body, SHAPE, w=(8, 4, 3, 3))
    assert_refused(mod, "weights of nn.conv2d (conv2d_1) are not constant: parameter w")
    assert_refused(mod, "bind_params_by_name")
    weights = {"w": np.ones((8, 4, 3, 3), "float32")}
    mod["main"] = relay.build_module.bind_params_by_name(mod["main"], weights)
    assert len(explain(mod).rewritten) == 1


def test_a_bias_over_rows_is_refused():
    def body(x):
        return shuffle(relay.nn.bias_add(conv(x), constant(np.ones(6, "float32")), 2), (2, 2))

    assert_refused(module(body, SHAPE), "nn.bias_add (bias_add_1) has axis 2, not the channels")


def test_integer_convolutions_are_refused_with_their_types():
    def body(x):
        w = constant(np.ones((8, 4, 3, 3), "int8"))
        y = relay.nn.conv2d(x, w, padding=1, out_dtype="int32")
        return relay.nn.depth_to_space(y, 2)

    mod = module(body, SHAPE, "int8")
    assert_refused(mod, "has data int8, weights int8 and output int32")


def test_upsampling_in_another_way_is_refused():
    mod = module(lambda x: conv(relay.nn.upsampling(x, 2.0, 2.0, method="bilinear")), SHAPE)
    assert_refused(mod, "upsampling_1 is a linear resize with asymmetric, of which only half_pixel")
    mod = module(lambda x: conv(relay.nn.upsampling(x, 2.0, 2.0, method="bicubic")), SHAPE)
    assert_refused(mod, "nn.upsampling (upsampling_1): method is cubic, not nearest_neighbor")
    mod = module(lambda x: conv(relay.nn.upsampling(x, 1.5, 2.0)), SHAPE)
    assert_refused(mod, "axis H: factor 9/6 = 1.5 is not whole")


def test_a_shuffle_that_the_channels_do_not_divide_into_is_refused():
    mod = module(lambda x: relay.nn.depth_to_space(conv(x, 9), 2), SHAPE)
    assert_refused(mod, "out_channels 9 is not divisible by r_h*r_w = 4")


def test_padding_by_a_value_that_is_computed_is_left_alone():
    def body(x):
        return conv(padding(resized(x), (1, 1, 1, 1), "constant", relay.sum(x)), padding=0)

    mod = module(body, SHAPE)
    new, report = rewrite_upsampling(mod)
    assert not report.rewritten
    assert new.same_as(mod)


@pytest.mark.parametrize("order", ["space to depth", "channel shuffle", "transpose"])
def test_reshapes_that_are_no_pixel_shuffle_are_not_candidates(order):
    split, axes, merged = {
        "channel shuffle": ((1, 2, 4, 6, 5), (0, 2, 1, 3, 4), (1, 8, 6, 5)),
        "space to depth": ((1, 8, 3, 2, 5, 1), (0, 1, 3, 5, 2, 4), (1, 16, 3, 5)),
        "transpose": ((1, 2, 2, 2, 6, 5), (0, 1, 5, 2, 4, 3), (1, 2, 10, 12)),
    }[order]

    def body(x):
        return relay.reshape(relay.transpose(relay.reshape(conv(x), split), axes), merged)

    mod = module(body, SHAPE)
    assert explain(mod).layers == ()
    assert "nn.conv2d" in operators(mod)
