"""A convolution of a Concat of resized maps: the rewritten module equals the original."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
import relay_reference
from hypothesis import given, settings
from refusal_reasons import CONCAT
from relay_helpers import (
    assert_close,
    assert_rewritten_exactly,
    compiled,
    constant,
    conv,
    module,
    operators,
    padding,
    plain,
    shape_of,
    upsample,
)
from tvm import relay
from upsampling_cases import concat_cases

from tvm_deconv.relay import rewrite_upsampling

SHAPE = (1, 3, 10, 14)
SIZE = (6, 12)


def pooled(x, factor, layout="NCHW"):
    """A map that is smaller than ``x`` by ``factor``, made of its first pixels."""
    for name, r in zip("HW", factor, strict=True):
        axis = layout.index(name)
        if r > 1:
            x = relay.take(x, constant(np.arange(shape_of(x)[axis] // r)), axis)
    return x


def pointwise(x, kind, layout, rng, dtype):
    axis = layout.index("C")
    values = constant(rng.standard_normal(shape_of(x)[axis]).astype(dtype))
    if kind == "relu":
        return relay.nn.relu(x)
    if kind == "prelu":
        return relay.nn.prelu(x, values, axis)
    return relay.tanh(relay.nn.bias_add(x, values, axis)) if kind == "bias and tanh" else x


def build(c):
    """(module, input) of a case; every input of the Concat is a multiple of the one parameter."""
    rng = np.random.default_rng(c["seed"])
    layout, dtype, inputs = c["layout"], c["dtype"], c["inputs"]
    axis = layout.index("C")
    # Groups of one channel: no two inputs meet in one.
    total = sum(each["channels"] * (1 + each["nested"]) for each in inputs)
    groups = total if c["grouped"] else 1

    def body(x):
        def one(each, between):
            y = pooled(x, each["factor"], layout)
            y = relay.take(y, constant(rng.integers(0, 3, each["channels"])), axis)
            if each["factor"] != (1, 1):
                y = upsample(y, each["factor"], c["way"], layout)
            return pointwise(y, between, layout, rng, dtype)

        parts = []
        for each in inputs:
            part = one(each, each["between"])
            if each["nested"]:
                whole = one({**each, "factor": (1, 1)}, "nothing")
                part = relay.concatenate([whole, part], axis)
                part = pointwise(part, each["between"], layout, rng, dtype)
            parts.append(part)
        y = pointwise(relay.concatenate(parts, axis), c["after"], layout, rng, dtype)
        width = c["padding"]
        if c["mode"] != "none" and c["after"] != "bias and tanh":
            # One reflected or copied pixel is what every factor over 1 can have at an edge.
            wide = width if c["mode"] == "constant" else (1, 1, 1, 1)
            mode = {"replicate": "edge"}.get(c["mode"], c["mode"])
            y, width = padding(y, wide, mode, layout=layout), (0, 0, 0, 0)
        o = groups if c["grouped"] else c["outputs"]
        weight = rng.standard_normal((o, total // groups, *c["kernel"])).astype(dtype)
        kernel_layout = "OIHW" if layout == "NCHW" else "HWIO"
        return relay.nn.conv2d(
            y,
            constant(weight.transpose(["OIHW".index(name) for name in kernel_layout])),
            padding=width,
            groups=groups,
            channels=o,
            kernel_size=c["kernel"],
            data_layout=layout,
            kernel_layout=kernel_layout,
        )

    sizes = dict(zip("NCHW", (c["batch"], 3, *SIZE), strict=True))
    shape = tuple(sizes[name] for name in layout)
    return module(body, shape, dtype), rng.standard_normal(shape).astype(dtype)


@settings(max_examples=20)
@given(concat_cases())
def test_any_rewritten_module_equals_the_original_in_float64(c):
    mod, x = build(c)
    # Layers of a few channels would be left as they are.
    with patch("tvm_deconv.patterns.concat.pays", return_value=None):
        new, report = rewrite_upsampling(mod)
    values = x.astype(np.float64)
    expected = relay_reference.evaluate(mod, values)
    assert_close(relay_reference.evaluate(new, values), expected, c["dtype"])
    # A reflection at an edge that is not resized is no edge copy: such a map stays resized.
    if c["mode"] != "reflect":
        assert [layer.status for layer in report.layers] == ["rewritten"], report
        assert not {"image.resize2d", "repeat", "broadcast_to"} & set(operators(new))


def low(x, channels=8):
    """A map of half the size."""
    return relay.nn.relu(conv(pooled(x, (2, 2)), channels))


def skip(x):
    return conv(relay.concatenate([upsample(low(x), (2, 2), "upsampling"), x], 1), 4)


def nested(x):
    up = upsample(low(x, 5), (2, 2), "repeat")
    inner = relay.nn.relu(relay.concatenate([x, up], 1))
    slopes = constant(np.linspace(0, 1, 11).astype("float32"))
    y = relay.nn.prelu(relay.concatenate([inner, x], 1), slopes)
    return conv(padding(y, (1, 1, 1, 1), "reflect"), 4, padding=0)


def groups(x):
    up = upsample(low(x, 4), (2, 2), "half_pixel")
    return conv(relay.concatenate([x, up, x], 1), 10, groups=10)


# The operators of each that only the rewrite writes, or that it must not write twice.
BODIES = {
    skip: {"nn.conv2d_transpose": 1, "nn.conv2d": 2, "add": 1},
    nested: {"nn.conv2d_transpose": 1, "nn.conv2d": 2, "nn.pad": 2, "add": 1},
    groups: {"nn.conv2d_transpose": 1, "nn.conv2d": 3, "concatenate": 1},
}


@pytest.mark.parametrize("body", BODIES)
def test_the_rewritten_module_equals_the_original_in_float64(body):
    x = np.random.default_rng(5).standard_normal(SHAPE).astype("float32")
    new = assert_rewritten_exactly(module(body, SHAPE), x, {"image.resize2d", "nn.upsampling"})
    names = operators(new)
    assert {name: names.count(name) for name in BODIES[body]} == BODIES[body]


@pytest.mark.parametrize("way", ["concatenate", "tile", "repeat", "broadcast"])
def test_channels_that_repeat_the_input_before_a_shuffle_are_resized_after_it(way):
    def body(x):
        order = "CRD" if way == "repeat" else "DCR"
        if way == "concatenate":
            copies = relay.concatenate([x] * 9, 1)
        elif way == "tile":
            copies = relay.tile(x, (1, 9, 1, 1))
        elif way == "repeat":
            copies = relay.repeat(x, 9, 1)
        else:
            wide = relay.broadcast_to(relay.expand_dims(x, 1), (1, 9, 3, 10, 14))
            copies = relay.reshape(wide, (1, 27, 10, 14))
        return relay.nn.depth_to_space(relay.add(copies, conv(x, 27)), 3, mode=order)

    mod = module(body, SHAPE)
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 1, report
    assert operators(new) == ["nn.upsampling", "nn.conv2d_transpose", "add"]
    x = np.random.default_rng(5).standard_normal(SHAPE)
    assert_close(relay_reference.evaluate(new, x), relay_reference.evaluate(mod, x))


def repeated(x):
    return relay.nn.depth_to_space(relay.add(relay.tile(x, (1, 9, 1, 1)), conv(x, 27)), 3)


@pytest.mark.parametrize("body", [skip, repeated])
def test_it_compiles_and_gives_the_same(body):
    mod = module(body, SHAPE)
    x = np.random.default_rng(5).standard_normal(SHAPE).astype("float32")
    expected = relay_reference.evaluate(mod, x.astype(np.float64))
    assert_close(compiled(rewrite_upsampling(mod)[0], x), expected)


def up(x, channels=8):
    return upsample(conv(pooled(x, (2, 2)), channels), (2, 2), "asymmetric")


def sigmoid_after_zeros(x):
    padded = padding(relay.concatenate([up(x), x], 1), (1, 1, 1, 1), "constant")
    return conv(relay.sigmoid(padded), 4, padding=0)


REFUSED = {
    "groups_across_two_inputs": lambda x: conv(
        relay.concatenate([up(x, 4), relay.concatenate([x, x], 1)], 1), 4, groups=2
    ),
    "many_outputs": lambda x: conv(relay.concatenate([up(x, 2), x], 1), 256),
    "concat_then_stride": lambda x: conv(relay.concatenate([up(x), x], 1), 4, strides=2),
    "cropped_concat": lambda x: conv(
        relay.strided_slice(relay.concatenate([up(x), x], 1), [0], [9], axes=[2]), 4
    ),
    "concat_along_rows": lambda x: conv(relay.concatenate([up(x, 3), x], 2), 4),
    "concat_then_sigmoid_after_zeros": sigmoid_after_zeros,
}


@pytest.mark.parametrize("name", CONCAT)
def test_a_refusal_gives_the_reason_of_the_relax_pass_and_leaves_the_module_alone(name):
    mod = module(REFUSED[name], SHAPE)
    new, report = rewrite_upsampling(mod)
    assert new.same_as(mod)
    told = " / ".join(plain(layer.reason) for layer in report.refused)
    assert plain(CONCAT[name]) in told
