"""How good the machine model's first choice is with AVX2, by times that were measured once.

``measured`` holds a log in the form of tuning's, written by ``scripts/choices.py``: code for
Haswell on another processor, so that it is none that a compilation may find.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import choices
import pytest
from kernel import HOST, check
from paths import ROOT

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.backends import machine_of
from tvm_deconv.logs.folder import LogFolder
from tvm_deconv.logs.layer import Layer
from tvm_deconv.schedules.choice import choose
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.cpu.tiling_choice import choose_tiling
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.targets import resolve_target

LOG = Path(__file__).parent / "measured" / "haswell-1-thread" / "tvm-0.27"
HASWELL = resolve_target({"kind": "llvm", "mcpu": "haswell", "num-cores": 1})
AVX2 = cpu_machine(HASWELL)
# What multiplies as often as the layer says; Winograd's form does not.
DIRECT = ("revd2", "tdc", "channels", "strd", "depthwise")
# Layers whose direct forms wait for nothing but multiply-adds: of several output channels, and maps
# that are not so small that weights come from memory for a few pixels.
BOUND_BY_MULTIPLY_ADDS = [
    name for name in choices.LAYERS if not re.search("one channel|small map|depthwise", name)
]


class Measured(NamedTuple):
    """A layer's milliseconds by variant, and multiply-adds in a millisecond at the peak."""

    layer: Layer
    kernels: dict
    peak: float

    def share(self, variant: str) -> float:
        return self.layer.multiply_adds / self.kernels[variant].seconds / self.peak


@pytest.fixture(scope="module")
def measured():
    log = LogFolder.open(LOG)
    peaks = {}
    for trial in log.trials_of(choices.PEAK):
        operations, layer = re.fullmatch(r"(\d+) operations, beside (.+)", trial.name).groups()
        peaks[layer] = int(operations) / 2 / trial.median
    return {
        name: Measured(
            layer := Layer.parse(text),
            {one.variant.name: one for one in log.measured(layer)},
            peaks[text],
        )
        for name, text in choices.LAYERS.items()
    }


def slowness(found: Measured) -> float:
    """Seconds of the first choice over those of the fastest variant."""
    layer = found.layer
    choice = choose(layer.conv, layer.sizes, layer.dtype, AVX2)
    own = found.kernels[choice.variant.name]
    assert own.parameters == choice.parameters, "the model has changed: measure again"
    return own.seconds / min(one.seconds for one in found.kernels.values())


def test_the_first_choice_is_near_the_fastest_for_nine_of_ten_layers(measured):
    ratios = [slowness(found) for found in measured.values()]
    assert sum(ratio <= 1.1 for ratio in ratios) >= 0.9 * len(ratios)


def best_share(found: Measured) -> float:
    return max(map(found.share, filter(found.kernels.get, DIRECT)))


def test_a_direct_form_reaches_four_fifths_of_the_peak_where_nothing_else_decides(measured):
    assert len(BOUND_BY_MULTIPLY_ADDS) >= 10
    shares = {name: round(best_share(measured[name]), 2) for name in BOUND_BY_MULTIPLY_ADDS}
    assert min(shares.values()) >= 0.78, shares
    assert sorted(shares.values())[len(shares) // 2] >= 0.8, shares


def test_the_documentation_has_the_table(measured):
    text = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")
    for name, found in measured.items():
        layer = found.layer
        choice = choose(layer.conv, layer.sizes, layer.dtype, AVX2).variant.name
        direct = max(filter(found.kernels.get, DIRECT), key=found.share)
        row = (
            f"| {name} | {choice} | {found.kernels[choice].seconds * 1e3:.2f} "
            f"| {slowness(found):.2f} | {direct} | {found.share(direct):.0%} |"
        )
        assert row in text, row


@pytest.mark.parametrize("taps", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_several_vectors_share_a_weight_where_registers_are_few(taps, stride):
    # Tiles of one vector load a weight for each multiply-add, and reach 75 to 80 % of the peak.
    axis = Axis(taps * stride, stride)
    tile = choose_tiling(ConvTranspose2d(64, 64, axis, axis), Sizes(1, 128, 128), AVX2)
    sums = tile.vectors * tile.channels * stride * (stride if tile.inner_fh else 1)
    assert tile.vectors >= 2
    assert 9 <= sums <= 12


def test_weights_of_one_input_channel_leave_room_for_the_sums():
    axis = Axis(5, 1, 2, 2)
    tile = choose_tiling(ConvTranspose2d(1, 64, axis, axis), Sizes(1, 224, 224), AVX2)
    assert tile.vectors * tile.channels <= 8 and not tile.unroll_th


@pytest.mark.parametrize(
    ("variant", "conv"),
    [
        ("revd2", ConvTranspose2d(5, 7, Axis(5, 1, 2, 2), Axis(5, 1, 2, 2))),
        ("revd2", ConvTranspose2d(1, 9, Axis(5, 1, 2, 2), Axis(5, 1, 2, 1))),
        ("revd2", ConvTranspose2d(6, 5, Axis(4, 2, 1, 1), Axis(6, 2, 2, 1), 1)),
    ],
    ids=["5x5", "one input channel", "strides"],
)
def test_the_tiles_compute_what_they_should(variant, conv):
    if machine_of(HOST).name not in ("avx2", "avx512"):
        pytest.skip("this processor does not run AVX2 code")
    check(variant, conv, (1, 13, 37), target=HASWELL)
