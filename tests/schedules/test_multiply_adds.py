"""The multiply-adds of a variant's form, against counts by hand."""

from __future__ import annotations

from dataclasses import replace
from math import isclose

import pytest

from tvm_deconv.algebra.geometry import (
    Axis,
    ConvAxis,
    ConvTranspose2d,
    axis_of_resize,
    axis_of_subpixel,
)
from tvm_deconv.algebra.volumes import ConvTranspose3d
from tvm_deconv.schedules.cpu import variants as cpu
from tvm_deconv.schedules.cpu.winograd.tile import WinogradTile
from tvm_deconv.schedules.gpu import variants as gpu
from tvm_deconv.schedules.gpu.winograd.tile import GpuWinogradTile

SAME = Axis(3, 1, 1, 1)
NEAREST = replace(axis_of_resize(ConvAxis(3, 1, 1), 2), equal_sums=True)
SUBPIXEL = axis_of_subpixel(ConvAxis(3, 1, 1), 3)
K4 = Axis(4, 2, 1, 1)


def layer(h, w=None, groups=1):
    return ConvTranspose2d(8 * groups, 6 * groups, h, w or h, groups)


def tile(outputs, **more):
    return WinogradTile(8, 2, 4, outputs, (1, 8), 4, **more)


@pytest.mark.parametrize(
    ("conv", "taps"),
    [
        (layer(SAME), 9),
        (layer(SUBPIXEL), 9),
        (layer(K4, SAME), 2 * 3),
        (layer(NEAREST), 2 * 2),
        (layer(Axis(2, 2)), 1),
        (layer(Axis(3, 2, 1, 1, 1)), 1.5 * 1.5),
        (layer(SAME, groups=3), 9),
    ],
)
@pytest.mark.parametrize("variants", [cpu.VARIANTS, gpu.GPU_VARIANTS], ids=["cpu", "gpu"])
def test_a_direct_form_multiplies_each_tap_that_an_output_has(conv, taps, variants):
    for name, variant in variants.items():
        if name != "winograd":
            assert isclose(variant.multiply_adds(conv, None), 8 * taps)


@pytest.mark.parametrize(
    ("conv", "outputs", "more", "products"),
    [
        (layer(SAME), (4, 4), {}, 36 / 16),
        (layer(SAME, groups=3), (6, 5), {}, 56 / 30),
        (layer(SUBPIXEL), (6, 4), {}, 48 / 24),
        (layer(K4), (2, 3), {}, 3 * 4 / 6),
        (layer(K4), (2, 3), {"apart": True}, 3 * 4 / 6),
        # Two phases of three outputs each share one of four products along each axis.
        (layer(NEAREST), (3, 3), {}, 64 / 36),
        (layer(NEAREST), (3, 3), {"shared": True}, 49 / 36),
        # Taps 2 apart save as much as those side by side.
        (layer(replace(SAME, dilation=2)), (4, 4), {}, 36 / 16),
        # A line: 11 taps in pieces of 5 and 6, and nested forms, by docs/algorithms.md.
        (layer(Axis(1), Axis(11, 1, 5, 5)), (1, 5), {}, 4),
    ],
)
def test_winograds_form_multiplies_the_points_of_its_tiles(conv, outputs, more, products):
    assert isclose(
        cpu.VARIANTS["winograd"].multiply_adds(conv, tile(outputs, **more)), 8 * products
    )


def test_of_a_volume_the_depth_is_an_axis_of_the_form_or_taps_that_are_added_up():
    (stack,) = ConvTranspose3d(8, 6, SAME, SAME, SAME, 1).stacks()
    conv, winograd = stack.conv_of(9, 9), cpu.VARIANTS["winograd"]
    assert isclose(cpu.VARIANTS["revd2"].multiply_adds(conv, None), 8 * 27)
    for depth, products in ((1, 3 * 36 / 16), (2, 2 * 36 / 16), (4, 1.5 * 36 / 16)):
        found = winograd.multiply_adds(conv, tile((4, 4), depth=(depth, 1)))
        assert isclose(found, 8 * products), depth


def test_winograds_form_of_gpus_is_counted_alike():
    found = gpu.GPU_VARIANTS["winograd"].multiply_adds(
        layer(K4), GpuWinogradTile((2, 3), 4, 1, 2, 32, 8)
    )
    assert isclose(found, 8 * 3 * 4 / 6)
