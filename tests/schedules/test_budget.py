"""The budget of weights: forms of a layer, and which of them layers get."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.algebra.packing import Direct
from tvm_deconv.errors import VariantError
from tvm_deconv.schedules.budget import Budget, budget_of, forms_of, within
from tvm_deconv.schedules.choice import Preferences, choose
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.variant import Sizes

MACHINE = CpuMachine("avx512", 16, 32, 32 << 10, 1 << 20, 2, l3_bytes=16 << 20)
SAME = Axis(3, 1, 1, 1)


class Point(NamedTuple):
    """A form of which nothing else matters."""

    weights: int
    cycles: float


LAYERS = {
    "3x3": (ConvTranspose2d(64, 64, SAME, SAME), Sizes(1, 64, 64)),
    "few outputs": (ConvTranspose2d(48, 3, SAME, SAME), Sizes(1, 40, 56)),
    "sub-pixel": (ConvTranspose2d(32, 12, Axis(6, 2, 2, 2), Axis(6, 2, 2, 2)), Sizes(1, 32, 32)),
    "small map": (ConvTranspose2d(96, 128, SAME, SAME), Sizes(1, 8, 8)),
    "uneven phases": (ConvTranspose2d(16, 24, Axis(3, 2, 1, 1), Axis(3, 2, 1, 1)), Sizes(1, 9, 7)),
    "grouped": (ConvTranspose2d(64, 64, SAME, SAME, 2), Sizes(None, None, None)),
    "1x1": (ConvTranspose2d(64, 32, Axis(1), Axis(1)), Sizes(1, 64, 64)),
    "line": (ConvTranspose2d(64, 64, Axis(1), Axis(7, 1, 3, 3)), Sizes(1, 1, 4000)),
}


def forms(name, **preferences):
    conv, sizes = LAYERS[name]
    wanted = Preferences(**preferences)
    choice = choose(conv, sizes, "float32", MACHINE, wanted)
    return forms_of(conv, sizes, MACHINE, wanted, choice)


def own_weights(name) -> int:
    conv, _ = LAYERS[name]
    return math.prod(conv.weight_shape)


@pytest.fixture(scope="module")
def network():
    """Layers of all kinds, three of the first, and how many weights they have."""
    names = ["3x3", "3x3", *LAYERS]
    return [forms(name) for name in names], sum(map(own_weights, names))


@pytest.mark.parametrize("name", LAYERS)
def test_forms_have_ever_fewer_weights_and_more_cycles(name):
    for before, after in pairwise(forms(name)):
        assert after.weights < before.weights and after.cycles > before.cycles


@pytest.mark.parametrize("name", LAYERS)
def test_the_smallest_form_has_the_layers_own_weights_in_whole_tiles_and_phases(name):
    conv, _ = LAYERS[name]
    smallest = forms(name)[-1]
    assert isinstance(smallest.choice.variant.packing(conv, smallest.choice.parameters), Direct)
    channels = smallest.choice.parameters.channels
    outputs = -(-conv.group_outputs // channels) * channels
    taps = math.prod(axis.stride * axis.max_taps for axis in (conv.h, conv.w))
    assert smallest.weights <= conv.groups * conv.group_inputs * outputs * taps


def test_winograd_tiles_of_several_sizes_are_forms_of_a_layer():
    tiles = [
        form.choice.parameters.outputs
        for form in forms("3x3")
        if form.choice.variant.name == "winograd"
    ]
    assert len(set(tiles)) == len(tiles) >= 2


def test_a_variant_that_is_named_is_the_only_form():
    assert [form.choice.reason for form in forms("3x3", variant="winograd")] == ["asked for"]


def test_weights_keep_within_the_budget_and_no_more_cycles_than_with_a_smaller_one(network):
    layers, model = network
    least = sum(own[-1].weights for own in layers)
    before = None
    for growth in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, math.inf):
        taken = within(layers, growth * model)
        chosen = [own[index] for own, index in zip(layers, taken, strict=True)]
        weights, cycles = (sum(getattr(f, name) for f in chosen) for name in ("weights", "cycles"))
        assert weights <= max(growth * model, least)
        if before is not None:
            assert weights >= before[0] and cycles <= before[1]
        before = weights, cycles
    assert not any(taken)


def test_a_form_beside_the_hull_is_taken_where_it_is_enough_and_does_not_block_the_next():
    """Of (weights, cycles) (10, 1), (6, 9), (4, 10) the second is above the line of the others."""
    bent = [Point(10, 1.0), Point(6, 9.0), Point(4, 10.0)]
    # Its side of the hull loses 1.5 cycles for a weight, less than the 1.8 of the other layer.
    straight = [Point(10, 1.0), Point(5, 10.0)]
    assert within([bent, straight], 17) == [1, 0]
    assert within([bent, straight], 14) == [2, 0]
    assert within([bent, straight], 9) == [2, 1]


def test_a_budget_that_no_form_keeps_takes_the_smallest(network):
    layers, _ = network
    assert within(layers, 0) == [len(own) - 1 for own in layers]


def test_of_equal_layers_only_as_many_step_down_as_have_to():
    layers = [forms("3x3")] * 5
    first, second = (form.weights for form in layers[0][:2])
    assert within(layers, 5 * first - (first - second)) == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("growth", [0.99, 0, -1, math.nan, "2", True, [2]])
def test_what_is_no_growth_is_refused_in_one_line(growth):
    with pytest.raises(VariantError, match=r"max_weight_growth is .*: give a number of at least 1"):
        budget_of(growth)


def test_a_growth_is_a_number_or_none_or_auto_which_leaves_small_networks_alone():
    assert budget_of(None) == budget_of(math.inf) == Budget(math.inf)
    assert budget_of(1).most(1000) == 1000
    assert budget_of(np.float32(2)) == budget_of(np.int64(2)) == Budget(2.0)
    assert budget_of("auto").most(1000) == 8 << 20
    assert budget_of("auto").most(4 << 20) == pytest.approx(4.1 * (4 << 20))
