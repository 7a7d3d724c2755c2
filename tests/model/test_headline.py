"""The paper's headline: which assumptions give it, and which do not, whatever the device."""

from __future__ import annotations

import pytest

from tvm_deconv.model.headline import ASSUMPTIONS, PAPER, Assumption, balances_for, ratios

LAST_EQUAL = Assumption(whole=False, equal=True)
OTHERS = [one for one in ASSUMPTIONS if one != LAST_EQUAL]


def test_the_last_layer_with_equal_channels_gives_both_ratios_of_the_paper_at_one_balance():
    low, high = balances_for(LAST_EQUAL, "time")
    assert (low, high) == (pytest.approx(76.0, rel=0.01), pytest.approx(82.3, rel=0.01))
    for balance in (low, high):
        assert ratios(LAST_EQUAL, "time", balance) == pytest.approx(PAPER["time"], abs=0.05)


def test_the_same_holds_of_energy_at_another_balance():
    low, high = balances_for(LAST_EQUAL, "energy")
    assert (low, high) == (pytest.approx(184, rel=0.01), pytest.approx(229, rel=0.01))
    for balance in (low, high):
        assert ratios(LAST_EQUAL, "energy", balance) == pytest.approx(PAPER["energy"], abs=0.05)


@pytest.mark.parametrize("assumption", OTHERS, ids=str)
@pytest.mark.parametrize("resource", ["time", "energy"])
def test_no_device_gives_the_paper_s_ratios_under_another_assumption(assumption, resource):
    assert balances_for(assumption, resource) is None


@pytest.mark.parametrize(
    ("whole", "equal", "limit"),
    [
        # Words for each pixel of the small image: before over after.
        (True, False, ((289 + 41 + 18) / (289 + 41), (289 + 297 + 320) / (289 + 41))),
        (True, True, ((289 + 896) / (289 + 320), (289 + 896) / (289 + 320))),
        (False, False, ((41 + 18) / 41, (297 + 320) / 41)),
        (False, True, (28 / 10, 28 / 10)),
    ],
)
def test_where_only_bytes_count_the_ratios_are_those_of_the_words(whole, equal, limit):
    """289 = (1 + 64) + (64 + 64) + (64 + 32) words of the layers before the last."""
    found = ratios(Assumption(whole, equal), "time", 1e9)
    # Weights are words, too, and few: 57 thousand beside 50 thousand pixels times 41 and more.
    assert found == pytest.approx(limit, rel=0.01)


@pytest.mark.parametrize("resource", ["time", "energy"])
def test_where_only_arithmetic_counts_a_shuffle_costs_nothing_and_a_resize_81_products_for_36(
    resource,
):
    subpixel, resize = ratios(LAST_EQUAL, resource, 1e-6)
    assert subpixel == pytest.approx(1, abs=1e-4)
    assert resize == pytest.approx(81 / 36, abs=1e-4)
