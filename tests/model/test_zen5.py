"""What was measured on Zen 5, held against the machine model's orders.

The machine was idle and two threads ran, unless it is said otherwise: 28 layers with 24 to 64
candidates each, 2026-11-30. Numbers in comments are how many times as long the slower one takes.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from tvm_deconv.algebra.geometry import Axis, ConvAxis, ConvTranspose2d, axis_of_subpixel
from tvm_deconv.schedules.choice import choose
from tvm_deconv.schedules.cpu.channels.tile import PixelTile, pixel_cycles
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.cpu.tiling import Tiling
from tvm_deconv.schedules.cpu.tiling_choice import choose_tiling
from tvm_deconv.schedules.cpu.tiling_cycles import tiling_cycles
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.cpu.winograd.choice import choose_tile
from tvm_deconv.schedules.cpu.winograd.cycles import tile_cycles
from tvm_deconv.schedules.cpu.winograd.layout import Layout
from tvm_deconv.schedules.cpu.winograd.tile import WinogradTile
from tvm_deconv.schedules.variant import Sizes

ZEN5 = CpuMachine(
    *("avx512", 16, 32, 48 << 10, 1 << 20, 2),
    memory_operands=True,
    l3_bytes=16 << 20,
    loads_per_multiply_add=1,
    is_amd=True,
)
INTEL = replace(ZEN5, l3_bytes=240 << 20, is_amd=False)
ONE = replace(ZEN5, threads=1)


def plain(in_channels, out_channels, kernel) -> ConvTranspose2d:
    axis = Axis(kernel, 1, kernel // 2, kernel // 2)
    return ConvTranspose2d(in_channels, out_channels, axis, axis)


def deconv(in_channels, out_channels, kernel, stride, pad, output_pad=0) -> ConvTranspose2d:
    axis = Axis(kernel, stride, pad, pad, output_pad)
    return ConvTranspose2d(in_channels, out_channels, axis, axis)


def nearest(in_channels, out_channels) -> ConvTranspose2d:
    """A resize by 2 that was folded into 3x3 taps."""
    axis = replace(Axis(4, 2, 1, 1), equal_sums=True)
    return ConvTranspose2d(in_channels, out_channels, axis, axis)


def variant_of(conv, size, machine) -> str:
    return choose(conv, Sizes(1, *size), "float32", machine).variant.name


@pytest.mark.parametrize("machine", [ZEN5, ONE, INTEL], ids=["zen5", "one thread", "intel"])
@pytest.mark.parametrize(
    ("channels", "size"),
    [
        ((12, 56), (224, 224)),  # 1.9 by channels, 3.5 by revd
        ((56, 12), (224, 224)),  # 1.6 by channels
        ((32, 16), (112, 112)),  # the others one thread, beside other programs: 1.3, 2
        ((16, 64), (180, 320)),  # 2.2, 4.7
        ((128, 64), (128, 128)),  # 1.3, 2.1
        ((144, 24), (56, 56)),  # 1.3, 3.8
        ((64, 64), (1, 4096)),  # 1.4, 5.4
    ],
)
def test_layers_of_one_tap_compete_with_no_winograd_form(channels, size, machine):
    assert variant_of(plain(*channels, 1), size, machine) == "revd2"


@pytest.mark.parametrize(
    ("channels", "size", "faster"),
    [  # one thread, beside other programs
        ((64, 64), 64, "revd2"),  # 1.15
        ((128, 64), 128, "revd2"),  # 1.15
        ((256, 128), 32, "revd2"),  # 1.08
        ((512, 256), 16, "channels"),  # 1.05
        ((512, 512), 8, "channels"),  # 2.0
        ((1024, 512), 14, "channels"),  # 1.45
        ((32, 64), 28, "revd2"),  # 1.11
    ],
)
def test_phases_of_one_tap_are_computed_by_the_faster_variant(channels, size, faster):
    assert variant_of(deconv(*channels, 2, 2, 0), (size, size), ONE) == faster


def revd2(conv, size, tile, machine=ZEN5) -> float:
    return tiling_cycles(conv, Sizes(1, *size), tile, machine)


def test_a_tile_of_both_phases_in_height_reads_a_row_once():
    # 1.53: 5 vectors of one phase load as much as they multiply, from the level-2 cache.
    axis = axis_of_subpixel(ConvAxis(3, 1, 1), 2)
    conv, size = ConvTranspose2d(32, 1, axis, axis), (360, 640)
    both, one = Tiling(16, 3, 1, 12, 7, inner_fh=True), Tiling(16, 5, 1, 15, 4)
    assert revd2(conv, size, one) > 1.1 * revd2(conv, size, both)
    assert choose_tiling(conv, Sizes(1, *size), ZEN5).inner_fh


def test_with_one_input_channel_a_weight_is_loaded_for_several_vectors_and_no_tap_written_out():
    # 1.12: a vector by 8 channels loads a weight for each multiply-add.
    conv, size = plain(1, 64, 5), (224, 224)
    two, one = Tiling(16, 2, 4, 7, 4), Tiling(16, 1, 8, 16, 14)
    assert revd2(conv, size, one) > 1.08 * revd2(conv, size, two)
    for channels in (56, 64):  # written out 1.1 to 1.7
        tile = choose_tiling(plain(1, channels, 5), Sizes(1, *size), ZEN5)
        assert tile.vectors >= 2 and not tile.unroll_th
        assert channels % tile.channels == 0


def test_phases_of_unlike_taps_load_as_many_inputs_for_fewer_products():
    # 1.28: by revd2. Phases in width have 3, 2, 2 and 2 taps at the same three offsets.
    assert variant_of(deconv(56, 1, 9, 4, 4, 3), (180, 320), ZEN5) == "winograd"


@pytest.mark.parametrize(
    ("channels", "size"), [((64, 64), (1, 4096)), ((192, 192), (1, 1000)), ((16, 64), (1024, 1024))]
)
def test_channels_of_a_strip_do_not_lie_whole_pages_apart(channels, size):
    """One thread, beside other programs: 1.4 to 1.6, for lines."""
    conv = plain(*channels, 1)
    tile = choose_tiling(conv, Sizes(1, *size), ZEN5)
    assert 4 * tile.rows * tile.block_columns % 4096
    assert VARIANTS["revd2"].space.refusal(conv, Sizes(1, *size), tile, ZEN5) is None


def tile(vectors, channels, outputs, tiles, block, splits=1, shared=False) -> WinogradTile:
    return WinogradTile(16, vectors, channels, outputs, tiles, block, splits, shared=shared)


# The faster tile and the slower one.
ORDERS = {
    "nearest 256->256": (  # 1.13
        nearest(256, 256),
        (64, 64),
        tile(3, 8, (3, 5), (11, 13), 32, shared=True),
        tile(3, 8, (3, 5), (11, 13), 64, shared=True),
    ),
    "nearest 256->256, shares": (  # 1.12
        nearest(256, 256),
        (64, 64),
        tile(3, 8, (3, 5), (11, 13), 32, 2, shared=True),
        tile(3, 8, (3, 5), (11, 13), 64, 2, shared=True),
    ),
    "nearest 128->64": (  # 1.17
        nearest(128, 64),
        (64, 64),
        tile(3, 8, (3, 5), (11, 13), 32, shared=True),
        tile(3, 8, (3, 5), (11, 13), 64, shared=True),
    ),
    "56->1 x3": (  # 1.05
        deconv(56, 1, 9, 3, 4, 2),
        (240, 426),
        tile(3, 9, (6, 5), (1, 48), 1),
        tile(3, 9, (6, 3), (1, 48), 1),
    ),
    "28->3 x3": (  # 1.08
        deconv(28, 3, 9, 3, 3),
        (180, 320),
        tile(3, 9, (6, 5), (3, 16), 1),
        tile(3, 9, (6, 4), (3, 16), 3),
    ),
}


@pytest.mark.parametrize("name", ORDERS)
def test_the_model_has_the_order_of_winograd_s_tiles_that_was_measured(name):
    conv, size, faster, slower = ORDERS[name]
    cycles = [tile_cycles(conv, Sizes(1, *size), one, ZEN5) for one in (faster, slower)]
    assert cycles[0] < cycles[1]


@pytest.mark.parametrize("channels", [(256, 256), (128, 64)])
def test_a_block_s_products_do_not_crowd_the_caches(channels):
    assert choose_tile(nearest(*channels), Sizes(1, 64, 64), ZEN5).block <= 32


@pytest.mark.parametrize(("channels", "size"), [((256, 128), 16), ((1024, 256), 16)])
def test_phases_in_width_have_tiles_of_their_own_where_a_tile_more_is_much(channels, size):
    """By one thread measured: 1.16 and 1.14 where tiles of all phases lie in one place."""
    conv = deconv(*channels, 4, 2, 1)
    chosen = choose_tile(conv, Sizes(1, size, size), ZEN5)
    assert chosen.apart and chosen.shifted
    assert not choose_tile(conv, Sizes(1, size, size), INTEL).shifted


def test_transformed_inputs_of_16_tiles_take_a_line_of_each_channel():
    """One thread: 1.31 by channels. With three lines the strip would not fit the level-2 cache."""
    conv = deconv(512, 256, 4, 2, 1)
    layout = Layout(conv, choose_tile(conv, Sizes(1, 8, 8), ONE))
    assert (layout.read_tiles, layout.transform_pitch) == (16, 16) and layout.reach > 16
    assert variant_of(conv, (8, 8), ONE) == variant_of(conv, (8, 8), ZEN5) == "winograd"


def test_weights_of_a_phase_stay_in_the_level_2_cache_from_one_tile_of_pixels_to_the_next():
    # 1.02, 1.25 and 1.65 of the first: all input channels at once are two loads of each weight.
    conv, sizes = deconv(1024, 512, 4, 2, 1), Sizes(1, 4, 4)
    tiles = (
        PixelTile(16, 2, 4, 2, 4, 205, 2),
        PixelTile(16, 4, 1, 4, 4, 147, 2),
        PixelTile(16, 2, 2, 4, 4, 1024, 2),
    )
    cycles = [pixel_cycles(conv, sizes, one, ZEN5) for one in tiles]
    assert all(a < b for a, b in pairwise(cycles))
