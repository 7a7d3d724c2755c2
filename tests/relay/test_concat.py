"""A convolution of a Concat of resized maps: the rewritten module equals the original."""

from __future__ import annotations

import numpy as np
import pytest
import relay_reference
from relay_helpers import (
    assert_close,
    assert_rewritten_exactly,
    compiled,
    constant,
    conv,
    module,
    operators,
    padding,
    upsample,
)
from tvm import relay

from tvm_deconv.relay import rewrite_upsampling

SHAPE = (1, 3, 10, 14)


def low(x, channels=8):
    """A map of half the size."""
    rows, columns = (constant(np.arange(n, dtype="int64")) for n in (5, 7))
    return relay.nn.relu(conv(relay.take(relay.take(x, rows, 2), columns, 3), channels))


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
