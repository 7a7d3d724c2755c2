"""Importers' detours: what they stand for is recognised, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from relay_helpers import assert_refused, assert_rewritten_exactly, constant, conv, module
from tvm import relay

from tvm_deconv.relay.vocabulary import translate

SHAPE = (2, 3, 4, 5)
LAYERS = (2, 8, 4, 5)


def flat_prelu(x, slopes, alike=False):
    """PReLU as the importers of TFLite and (``alike``) ONNX write it: a slope for every element."""
    slope = constant(slopes.astype("float32"))
    full = relay.broadcast_to_like(slope, x) if alike else relay.broadcast_to(slope, LAYERS)
    y = relay.nn.prelu(relay.reshape(x, [-1]), relay.reshape(full, [-1]), axis=0)
    return relay.reshape(y, LAYERS)


def layer(slopes, alike=False):
    return lambda x: relay.nn.depth_to_space(flat_prelu(conv(x), slopes, alike), 2)


@pytest.mark.parametrize(
    "slopes",
    [np.full((1, 1, 1, 1), 0.25), np.linspace(0, 1, 8).reshape(1, 8, 1, 1)],
    ids=["one slope", "one for each channel"],
)
@pytest.mark.parametrize("alike", [False, True])
def test_a_prelu_of_the_flattened_map_is_one_of_channels(slopes, alike):
    mod = module(layer(slopes, alike), SHAPE)
    x = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")
    new = assert_rewritten_exactly(mod, x, {"nn.conv2d", "nn.prelu"})
    assert len(new["main"].params) == 1


@pytest.mark.parametrize("axis", [0, 2, 3])
def test_a_prelu_with_slopes_along_another_axis_is_refused(axis):
    shape = [1, 1, 1, 1]
    shape[axis] = LAYERS[axis]
    slopes = np.linspace(0, 1, LAYERS[axis]).reshape(shape)
    words = f"nn.prelu (prelu_1) has axis {axis}, not the channels"
    assert_refused(module(layer(slopes), SHAPE), words)


def test_a_prelu_with_a_slope_for_each_pixel_is_refused():
    slopes = np.linspace(0, 1, 20).reshape(1, 1, 4, 5)
    assert_refused(module(layer(slopes), SHAPE), "input is not a convolution: reshape (reshape_3)")


def test_statistics_of_a_batch_norm_are_not_its_result():
    def body(x):
        v = constant(np.ones(3, "float32"))
        return relay.Tuple(list(relay.nn.batch_norm(x, v, v, v, v)))

    items = module(body, SHAPE)["main"].body.fields
    assert [translate(item) is not None for item in items] == [True, False, False]


@pytest.mark.parametrize("layouts", [("NCHW", "NCHW4c"), ("NCHW4c", "NCHW")])
def test_a_layout_that_splits_an_axis_is_not_understood(layouts):
    x = relay.var("x", shape=(1, 8, 4, 4) if layouts[0] == "NCHW" else (1, 2, 4, 4, 4))
    assert translate(relay.layout_transform(x, *layouts)) is None
