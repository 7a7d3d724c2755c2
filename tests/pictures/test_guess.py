"""The range that nobody named is found by what the network makes of flat pictures."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from image_networks import demo, for_range

from tvm_deconv.pictures.guess import GUESSED, decide, guess_range, guess_result
from tvm_deconv.pixels import RANGES, Pixels


@pytest.mark.parametrize("name", ["espcn_x3", "resize_x3"])
@pytest.mark.parametrize("wanted", GUESSED)
def test_the_range_of_a_trained_network_is_found(name, wanted):
    model = for_range(demo(name), *RANGES[wanted])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    guess = guess_range(lambda x: session.run(None, {"luma": x})[0], Pixels(), (1, 24, 20))
    assert guess.range == wanted, guess.reason


@pytest.mark.parametrize(
    ("deviations", "range_", "reason"),
    [
        ((0.001, 0.2, 0.4), "0..1", "surely"),
        ((1.5, 0.004, 0.7), "0..255", "surely"),
        ((0.08, 0.001, 0.7), "0..255", "surely"),
        ((0.001, 0.006, 0.4), "0..1", "probably"),
        ((0.004, 0.037, 0.001), "-1..1", "probably, as what is below 0 is kept"),
        ((0.004, 0.004, 0.004), "0..1", "for want of a better guess, several ranges fit alike"),
        ((0.0, 0.0, 0.0), "0..1", "for want of a better guess, several ranges fit alike"),
        ((0.3, 0.4, np.inf), "0..1", "for want of a better guess, no range fits"),
    ],
)
def test_the_range_that_keeps_greys_is_taken(deviations, range_, reason):
    guess = decide(dict(zip(("0..1", "0..255", "-1..1"), deviations, strict=True)))
    assert guess.range == range_
    assert guess.reason.startswith(f"{reason}: flat greys come back off by ")


@pytest.mark.parametrize("wanted", GUESSED)
def test_the_range_of_a_result_of_bytes_is_found(wanted):
    black, white = RANGES[wanted]
    guess = guess_result(
        lambda x: (x + 128) / 255 * (white - black) + black, Pixels("-128..127"), (1, 4, 4)
    )
    assert guess.range == wanted
    assert str(guess).startswith(f"the result is taken to be {wanted}, surely: flat greys ")


def test_a_result_that_is_no_picture_of_the_same_grey_is_read_like_the_input():
    guess = guess_result(lambda x: 1 - x / 255, Pixels("0..255"), (1, 4, 4))
    assert (guess.range, guess.reason[:27]) == ("0..255", "for want of a better guess,")


def test_mean_and_scale_hold_in_the_guess():
    pixels = Pixels(mean=(100,), scale=(2,))
    guess = guess_range(lambda x: np.clip(x, -40, 70), pixels, (1, 4, 4))
    assert guess.range == "0..255"


def test_a_range_that_is_out_of_question_is_not_tried_further():
    """60 is nearly a quarter of 0..255, and many times the others: those are run once."""
    runs = []

    def network(x):
        runs.append(x.max())
        return x + 60

    guess = guess_range(network, Pixels(), (1, 4, 4))
    assert guess.reason.startswith("for want of a better guess, no range fits")
    assert len(runs) == 4 + 1 + 1
