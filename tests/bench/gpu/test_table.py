"""The GPU benchmark's goals and bounds, from results that are made up."""

from __future__ import annotations

import pytest

from tvm_deconv.bench.figures import rows
from tvm_deconv.bench.gpu.table import render, verdict


def result(ms, **more):
    record = {"status": "measured", "ms": ms, "notes": ["revd2"], "facts": {}}
    return {**record, **more}


def results_of(upsampling="nearest", bytes_=8_000_000, peer=4.0):
    """Ours takes 2 ms for 1e9 multiply-adds, the peak is 2 TFLOP/s, the copy 10 GB/s."""
    contestants = {
        "auto": result([2.0, 2.0, 2.0]),
        "torch NCHW": result([peer] * 3),
        "torch NHWC": result([9.0] * 3),
        "peak": result([1.0], facts={"flop": 2e9}),
        "copy": result([100.0], facts={"bytes": 1e9}),
    }
    roles = {"auto": "ours", "torch NCHW": "peer", "torch NHWC": "peer", "peak": "peak"}
    return {
        "machine": {"gpu": "a card"},
        "dtype": "float32",
        "date": "today",
        "versions": {"torch": "2.11"},
        "roles": {**roles, "copy": "copy"},
        "workloads": {
            "layer": {
                "kind": "layer",
                "upsampling": upsampling,
                "multiply_adds": 10**9,
                "bytes": bytes_,
                "contestants": contestants,
            }
        },
    }


def only_verdict(results):
    (row,) = rows(results)
    return verdict(row, results["workloads"]["layer"], "auto")


@pytest.mark.parametrize(
    ("upsampling", "peer", "goals"),
    [
        ("nearest", 4.0, (("2 x", True),)),
        ("nearest", 3.9, (("2 x", False),)),
        ("subpixel", 2.6, (("1.3 x", True),)),
        ("deconv", 2.5, (("1.3 x", False),)),
    ],
)
def test_a_goal_is_a_ratio_to_the_fastest_peer(upsampling, peer, goals):
    found = only_verdict(results_of(upsampling, peer=peer))
    assert found.goals == goals
    assert found.ratio == pytest.approx(peer / 2)
    assert found.share_of_peak == pytest.approx(0.5)


@pytest.mark.parametrize(("bytes_", "met"), [(17_000_000, True), (15_000_000, False)])
def test_a_layer_whose_bytes_take_longer_is_held_against_the_copy(bytes_, met):
    found = only_verdict(results_of(bytes_=bytes_))
    assert found.share_of_copy == pytest.approx(bytes_ / 20e6)
    assert found.goals[1] == ("80% of copy", met)


def test_a_goal_without_a_peer_or_a_copy_is_none():
    results = results_of()
    contestants = results["workloads"]["layer"]["contestants"]
    for name in ("torch NCHW", "torch NHWC", "copy"):
        contestants[name] = {"status": "failed", "reason": "no memory"}
    assert only_verdict(results).goals == ()
    assert "no goal measured" in render(results)


def test_the_table_says_what_was_missed():
    text = render(results_of(peer=3.0))
    assert "a card, float32, PyTorch 2.11, today; multiply-add peak 2.00" in text
    assert "2 x MISSED" in text and "auto: 0 of 1 goals met" in text
