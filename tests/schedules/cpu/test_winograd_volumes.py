"""Winograd's form with the depth of a volume as an axis: any tile, its error and its scratch."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tvm import te, tirx
from volume_kernel import relative_error

from tvm_deconv.algebra.geometry import Axis
from tvm_deconv.algebra.volumes import ConvTranspose3d
from tvm_deconv.algebra.winograd import can_share, depth_outputs, tile_outputs
from tvm_deconv.backends import machine_of
from tvm_deconv.schedules.cpu.winograd.choice import choose_tile
from tvm_deconv.schedules.cpu.winograd.layout import Layout
from tvm_deconv.schedules.cpu.winograd.space import WinogradSpace
from tvm_deconv.schedules.cpu.winograd.tile import WinogradTile
from tvm_deconv.schedules.cpu.winograd.variant import WINOGRAD
from tvm_deconv.schedules.tir.stacks import of_stack
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.targets import resolve_target

SAME = Axis(3, 1, 1, 1)
TILE = WinogradTile(16, 2, 8, (4, 4), (2, 16), 8, depth=(4, 1))
AXES = [SAME, Axis(3, 1, 2, 0), Axis(2), Axis(4, 2, 1, 1), Axis(3, 2, 1, 1, 1), Axis(5, 1, 2, 2)]
MACHINES = {name: machine_of(resolve_target(name)) for name in ("raspberry-pi/4b-aarch64", "host")}
MACHINES["haswell"] = machine_of(resolve_target({"kind": "llvm", "mcpu": "haswell"}))


def of_volume(volume, depth, height, phase=0):
    """The layer over slices, and sizes of its picture 16 columns wide."""
    stack = volume.stacks()[phase]
    return stack.conv_of(depth, height), Sizes(1, stack.height(depth, height), 16)


@st.composite
def tiled_volumes(draw):
    """(volume, (N, D, H, W), tile): every parameter of the tile is drawn."""
    groups, inputs, outputs = (draw(st.integers(1, n)) for n in (2, 5, 5))
    d, h, w = (draw(st.sampled_from(AXES)) for _ in range(3))
    dilation = draw(st.sampled_from([1, 1, 2]))
    h = replace(h, dilation=dilation) if h.stride == 1 else h
    volume = ConvTranspose3d(groups * inputs, groups * outputs, d, h, w, groups)
    shape = tuple(draw(st.integers(1, n)) for n in (2, 7, 12, 40))
    assume(min(volume.output_shape(*shape)) > 0)
    conv = volume.stacks()[-1].conv_of(*shape[1:3])
    assume(conv.slices is not None)
    form = tuple(draw(st.sampled_from(known)) for known in tile_outputs(conv))
    tile = WinogradTile(
        lanes=draw(st.sampled_from([4, 8, 16])),
        vectors=draw(st.integers(1, 3)),
        channels=draw(st.integers(1, 9)),
        outputs=form,
        tiles=(draw(st.integers(1, 3)), draw(st.integers(2, 9))),
        block=draw(st.integers(1, outputs)),
        channel_splits=draw(st.integers(1, 2)),
        unroll=draw(st.sampled_from([n for n in (1, 2) if inputs % n == 0])),
        weight_vectors=draw(st.booleans()),
        shared=can_share(conv, form) and draw(st.booleans()),
        depth=(draw(st.sampled_from(depth_outputs(conv))), draw(st.integers(1, 3))),
    )
    return volume, shape, tile


@settings(max_examples=8)
@given(tiled_volumes(), st.sampled_from(["float32", "float16"]))
def test_any_tile_of_any_volume_equals_the_definition(layer, dtype):
    # Of a few outputs the largest may happen to be small, and tiles of many outputs round more.
    assert relative_error(*layer, dtype) < (1e-2 if dtype == "float16" else 1e-4)


@pytest.mark.parametrize("lanes", [8, 16])
@pytest.mark.parametrize("axis", AXES, ids=str)
def test_one_slice_is_a_volume_too(axis, lanes):
    volume = ConvTranspose3d(3, 2, axis, SAME, SAME)
    if min(volume.output_shape(1, 1, 5, 9)) > 0 and axis.stride == 1:
        tile = replace(TILE, channels=2, block=2, lanes=lanes)
        for depth in ((1, 2), (4, 1)):
            assert relative_error(volume, (1, 1, 5, 9), replace(tile, depth=depth)) < 1e-5


@pytest.mark.parametrize("name", MACHINES)
def test_the_tile_that_is_chosen_computes_a_volume(name):
    volume = ConvTranspose3d(8, 6, SAME, SAME, SAME)
    tile = choose_tile(*of_volume(volume, 5, 9), MACHINES[name])
    assert tile.depth[0] > 0 and tile.lanes == MACHINES[name].lanes
    assert relative_error(volume, (1, 5, 9, 16), tile) < 1e-5


@pytest.mark.parametrize("taps", [3, 5])
def test_a_free_width_has_tiles_though_some_forms_have_none(taps):
    axis = Axis(taps, 1, taps // 2, taps // 2)
    conv, sizes = of_volume(ConvTranspose3d(32, 8, axis, axis, axis), 8, 8)
    for machine in MACHINES.values():
        tile = choose_tile(conv, sizes._replace(width=None), machine)
        assert tile.tiles[1] * tile.outputs[1] % machine.lanes == 0


@pytest.mark.parametrize(
    ("depth", "outputs", "most"),
    [(1, (4, 4), 2e-6), (2, (4, 4), 2.5e-6), (4, (2, 2), 2e-6), (4, (4, 4), 4e-6)],
)
@pytest.mark.parametrize("channels", [32, 256])
def test_the_error_is_the_one_that_is_stated(depth, outputs, most, channels):
    volume = ConvTranspose3d(channels, 4, SAME, SAME, SAME)
    tile = WinogradTile(16, 1, 4, outputs, (2, 8), 4, depth=(depth, 1))
    assert relative_error(volume, (1, 8, 12, 32), tile) < most


@pytest.mark.parametrize("free", [False, True])
def test_slices_of_free_height_are_not_read_under_masks(free):
    """TVM's code generator would take minutes for a kernel."""
    tile = WinogradTile(16, 1, 2, (4, 4), (2, 16), 2)
    (stack,) = ConvTranspose3d(2, 2, SAME, SAME, SAME).stacks()
    height = tirx.Var("rows", "int64") if free else stack.height(5, 6)
    x = te.placeholder((1, stack.conv.in_channels, height, 40), name="x")
    packed = te.placeholder(WINOGRAD.packed_shape(stack.conv, tile), name="packed")
    y = WINOGRAD.compute(stack.conv, tile, x, packed)
    func = of_stack(te.create_prim_func([x, packed, y], index_dtype_override="int64"))
    assert ("llvm.masked.load" in str(WINOGRAD.schedule(func, stack.conv, tile))) != free


def test_a_row_that_reaches_beyond_its_strip_is_not_that_of_the_next_point():
    tile = WinogradTile(16, 1, 2, (2, 2), (2, 17), 2, depth=(2, 2))
    volume = ConvTranspose3d(2, 2, SAME, SAME, SAME)
    layout = Layout(volume.stacks()[0].conv_of(4, 4), tile)
    assert layout.reach > layout.read_tiles
    assert relative_error(volume, (1, 4, 4, 40), tile) < 1e-5


@pytest.mark.parametrize(
    ("lanes", "outputs", "tiles", "abreast"),
    [
        (16, 4, (4, 8), 2),
        (16, 4, (4, 4), 4),
        (16, 4, (8, 4), 4),
        (16, 2, (2, 8), 2),
        (8, 4, (4, 4), 2),
        (8, 2, (2, 4), 2),
        # A row too many, tiles that fill no vector, or a vector of samples of two rows.
        (16, 4, (3, 8), 1),
        (16, 4, (4, 7), 1),
        (16, 2, (4, 4), 1),
    ],
)
@pytest.mark.parametrize("axis", [SAME, Axis(4, 2, 1, 1)], ids=["plain", "stride 2"])
def test_narrow_rows_stand_abreast(lanes, outputs, tiles, abreast, axis):
    volume = ConvTranspose3d(2, 3, SAME, axis, axis)
    tile = WinogradTile(lanes, 1, 3, (outputs, outputs), tiles, 3, depth=(2, 2))
    layout = Layout(volume.stacks()[0].conv_of(6, 9), tile)
    assert layout.abreast == abreast
    # The last strips reach beyond the volume, in rows and in columns.
    wide = tile.tiles[1] * outputs
    for width in (wide, wide + 5):
        assert relative_error(volume, (1, 5, tiles[0] * outputs + 3, width), tile) < 1e-5


def test_each_slice_is_transformed_once_for_all_taps():
    conv, _ = of_volume(ConvTranspose3d(64, 8, SAME, SAME, SAME), 16, 16)
    rows = {depth: Layout(conv, replace(TILE, depth=depth)) for depth in ((0, 0), (1, 6))}
    inputs = [layout.group_inputs * layout.d.positions for layout in rows.values()]
    assert inputs == [3 * 64, 64 * (6 + 2)]
    # For six slices three times as many were transformed as there are, now two more.
    assert [6 * inputs[0], inputs[1]] == [6 * 3 * 64, 8 * 64]


def test_no_row_between_slices_is_computed():
    volume = ConvTranspose3d(8, 8, SAME, SAME, SAME)
    conv, sizes = of_volume(volume, 16, 16)
    tile = replace(TILE, tiles=(1, 4), depth=(1, 16))
    assert (sizes.height, Layout(conv, tile).h.strips(16)) == (16 * 17 - 1, 4)
    stacked = Layout(conv, replace(tile, depth=(0, 0)))
    assert stacked.h.strips(sizes.height) == 68


REFUSED = [
    ({"depth": (3, 1)}, "3 outputs of a tile along the depth: known and of use are 1, 2, 4"),
    ({"depth": (4, 0)}, "0 tiles along the depth, of 4 outputs"),
    ({"depth": (0, 2)}, "2 tiles along the depth, of 0 outputs"),
    ({"depth": (4, 1), "outputs": (6, 6)}, "tiles of 4x6x6 outputs round more"),
]


@pytest.mark.parametrize(("changes", "reason"), REFUSED)
def test_what_a_volume_cannot_have_is_refused(changes, reason):
    conv, sizes = of_volume(ConvTranspose3d(8, 8, SAME, SAME, SAME), 8, 8)
    tile = replace(TILE, **changes)
    assert reason in str(WinogradSpace().refusal(conv, sizes, tile, MACHINES["host"]))


def test_a_picture_has_no_depth():
    stack = ConvTranspose3d(8, 8, Axis(1), SAME, SAME).stacks()[0]
    conv = stack.conv_of(8, 8)
    assert conv.slices is None and depth_outputs(conv) == [0]
    assert WinogradSpace().fields(conv, Sizes(1, 71, 8), TILE, MACHINES["host"])[
        "depth_outputs"
    ] == {0}
