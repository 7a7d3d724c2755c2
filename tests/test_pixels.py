"""Pixels become the numbers that a network wants, and its numbers pixels again."""

from __future__ import annotations

import numpy as np
import pytest

from tvm_deconv import Pixels
from tvm_deconv.errors import PixelsError

PLANES = np.random.default_rng(0).random((1, 3, 5, 7), np.float32)

# What is said, and the red, green and blue of the network for white: (w, m, s in float64).
WHITE = [
    (Pixels(), (1, 1, 1)),
    (Pixels(range="0..255"), (255, 255, 255)),
    (Pixels(range="-1..1"), (1, 1, 1)),
    (Pixels(range="0..255", mean=(127.5,), scale=(127.5,)), (1, 1, 1)),
    (Pixels(mean=(0.5, 0.4, 0.2), scale=(0.5, 0.2, 0.1)), (1, 3, 8)),
    (Pixels(range="0..255", mean=(5, 15, 25), bgr=True), (250, 240, 230)),
]


@pytest.mark.parametrize(("pixels", "white"), WHITE)
def test_white_is_what_the_network_calls_white(pixels, white):
    given = pixels.encode(np.ones((1, 3, 1, 1), np.float32))
    np.testing.assert_allclose(given.ravel(), white, rtol=1e-6)


@pytest.mark.parametrize("pixels", [pixels for pixels, _ in WHITE])
def test_what_is_encoded_is_decoded_again(pixels):
    np.testing.assert_allclose(pixels.decode(pixels.encode(PLANES)), PLANES, atol=1e-6)


def test_bgr_turns_the_order_of_the_channels_around():
    np.testing.assert_array_equal(Pixels(bgr=True).encode(PLANES)[0, 0], PLANES[0, 2])


def test_mean_and_scale_are_those_of_the_networks_own_order_of_channels():
    given = Pixels(mean=(1, 0, 0), bgr=True).encode(PLANES)
    np.testing.assert_allclose(given[0, 0], PLANES[0, 2] - 1)


def test_a_result_of_another_range_is_neither_scaled_nor_moved():
    pixels = Pixels(mean=(0.5,), scale=(0.1,), result_range="0..255")
    np.testing.assert_allclose(pixels.decode(PLANES * 255), PLANES, atol=1e-6)


def test_what_is_said_later_replaces_what_was_said_and_nothing_else():
    first = Pixels(range="0..255", mean=(1,), bgr=True)
    assert first.overridden_by(Pixels(range="0..1", bgr=False)) == Pixels("0..1", (1,), None, False)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"range": "0..2"}, r"range of pixels '0\.\.2' is not known: give one of 0\.\.1, "),
        ({"result_range": "0-1"}, r"result_range of pixels '0-1' is not known"),
        ({"mean": ("red",)}, "mean .* is not a number for each channel"),
        ({"mean": ()}, r"mean \(\) is not a finite number"),
        ({"scale": (1, float("nan"))}, "scale .* is not a finite number"),
        ({"mean": "123"}, "mean '123' is not a number for each channel"),
        ({"range": ["0..1"]}, "range of pixels .'0..1'. is not known"),
        ({"scale": (1, 0, 2)}, "cannot be divided by scale 1,0,2: give no 0"),
    ],
)
def test_pixels_that_cannot_be_are_refused(values, message):
    with pytest.raises(PixelsError, match=message):
        Pixels(**values)


@pytest.mark.parametrize(
    ("pixels", "channels", "message"),
    [
        (Pixels(mean=(1, 2)), 3, "mean has 2 numbers, 1,2, but the network has 3 channels"),
        (Pixels(scale=(1, 2, 3)), 1, "scale has 3 numbers, 1,2,3, but the network has 1 channel:"),
        (Pixels(bgr=True), 1, "a network of 1 channel has no order of colours: leave bgr away"),
    ],
)
def test_pixels_of_another_number_of_channels_are_refused(pixels, channels, message):
    with pytest.raises(PixelsError, match=message):
        pixels.check_channels(channels)
