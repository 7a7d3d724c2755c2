"""Bytes by unfolded taps: the integers of the folded kernel, for each instruction and any sizes."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from exact_winograd_layers import NEAREST, folded
from integer_forms import UNFOLDED, exact
from kernel import HOST

from tvm_deconv.algebra.byte_forms import Forms, forms_of
from tvm_deconv.algebra.geometry import ConvAxis, ConvTranspose2d, axis_of_resize
from tvm_deconv.schedules.cpu.dot import dot_of, wide_dot_of
from tvm_deconv.schedules.cpu.integer.kernel import Store
from tvm_deconv.schedules.cpu.integer.tile import choose_tile, tile_cycles
from tvm_deconv.schedules.cpu.integer.unfolded.tile import (
    UnfoldedTile,
    choose_unfolded_tile,
    unfolded_cycles,
)
from tvm_deconv.schedules.cpu.integer.winograd.tile import choose_points_tile
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.targets import resolve_target

CASCADE_LAKE = resolve_target({"kind": "llvm", "mcpu": "cascadelake"})
VNNI, WIDE = dot_of(CASCADE_LAKE), wide_dot_of(CASCADE_LAKE)
MACHINE = CpuMachine("avx512", 16, 32, 32 << 10, 1 << 20, 2, narrow=VNNI, wide=WIDE)

exact = partial(exact, UNFOLDED)


def test_random_sizes_and_channels_are_exact():
    rng = np.random.default_rng(2)
    for _ in range(6):
        inputs, outputs = (int(rng.integers(1, 71)) for _ in range(2))
        rows, columns = (int(rng.integers(1, 40)) for _ in range(2))
        op, dot = ConvTranspose2d(inputs, outputs, NEAREST, NEAREST), dot_of(HOST)
        tile, _ = choose_unfolded_tile(op, dot, Sizes(1, rows, columns), MACHINE)
        exact(op, (1, inputs, rows, columns), "int8", 127, tile=tile)


@pytest.mark.parametrize(
    ("kernel", "factor", "pads"),
    [
        (1, 2, (0, 0)),
        (2, 2, (1, 0)),
        (3, 3, (1, 1)),
        (5, 2, (2, 2)),
        (5, 4, (0, 4)),
        (3, 8, (2, 0)),
    ],
)
def test_any_kernel_behind_any_factor_is_exact(kernel, factor, pads):
    axis = axis_of_resize(ConvAxis(kernel, *pads), factor)
    op = ConvTranspose2d(3, 2, axis, axis)
    for tile in (UnfoldedTile(1, 2, 1, 3), UnfoldedTile(kernel, 1, 2, 4)):
        exact(op, (1, 3, 6, 18), tile=tile)


def test_edges_and_one_factor_alone_are_exact():
    """Blocks beyond the input, blocks that are cropped, and a height that is not resized."""
    cropped = axis_of_resize(ConvAxis(3, 1, 0), 2, (1, 1))
    exact(ConvTranspose2d(3, 2, cropped, NEAREST), (1, 3, 4, 18))
    longer = ConvTranspose2d(3, 2, axis_of_resize(ConvAxis(3, 2, 2), 2), NEAREST)
    exact(longer, (1, 3, 4, 16))
    wide = ConvTranspose2d(3, 2, axis_of_resize(ConvAxis(3, 1, 1), 1), NEAREST)
    kernel = np.random.default_rng(3).integers(-128, 128, (3, 2, 3, 3))
    weight = kernel[..., ::-1, ::-1]
    beside = np.zeros(((3, 2, 3, 1)), np.int64)
    weight = np.concatenate([weight, beside], 3) + np.concatenate([beside, weight], 3)
    exact(wide, (2, 3, 5, 21), weight=weight)


@pytest.mark.parametrize("most", [127, -128])
@pytest.mark.parametrize("zero_point", [0, 255])
def test_nothing_saturates_on_the_way(most, zero_point):
    op = ConvTranspose2d(64, 1, NEAREST, NEAREST)
    options = {"store": Store("float32"), "tile": UnfoldedTile(3, 1, 2, 2), "extreme": True}
    weight = folded(np.full((64, 1, 3, 3), most), 2)
    exact(op, (1, 64, 4, 5), "uint8", zero_point, weight=weight, **options)


def test_threads_may_share_the_channels_of_a_strip():
    tile = UnfoldedTile(1, 2, 1, 2, splits=3)
    exact(ConvTranspose2d(4, 5, NEAREST, NEAREST), (2, 4, 5, 19), tile=tile)


def test_the_model_counts_what_the_busiest_thread_does():
    """9 products of bytes in place of 16 or 6.25 of 16 bits."""
    op, sizes = ConvTranspose2d(64, 64, NEAREST, NEAREST), Sizes(1, 128, 128)
    tile, cycles = choose_unfolded_tile(op, VNNI, sizes, MACHINE)
    direct = choose_tile(op, WIDE, sizes, MACHINE)
    assert cycles < 0.4 * tile_cycles(op, WIDE, sizes, direct, MACHINE)
    assert cycles < 0.8 * choose_points_tile(op, WIDE, sizes, True, MACHINE)[1]
    count = partial(unfolded_cycles, op, VNNI, machine=MACHINE)
    assert count(sizes, tile) == cycles
    # All in one strip one thread does everything.
    assert count(sizes, UnfoldedTile(tile.taps, tile.channels, tile.vectors, 128)) > 1.8 * cycles
    least = 64 * 64 / 4 * 9 * (128 * 128) / 16 * 0.5 / 2
    assert least < cycles < 2 * least


def test_weights_decide_about_the_form():
    op = ConvTranspose2d(2, 1, NEAREST, NEAREST)
    kernel = np.full((2, 1, 3, 3), 127)
    assert forms_of(op, folded(kernel, 2)) == Forms(winograd=True, unfolded=8)
    assert forms_of(op, folded(2 * kernel, 2)).unfolded == 16
    assert forms_of(op, np.arange(32).reshape(2, 1, 4, 4)).unfolded is None
    plain = ConvTranspose2d(2, 1, axis_of_resize(ConvAxis(3), 1), axis_of_resize(ConvAxis(3), 1))
    assert forms_of(plain, kernel) == Forms(winograd=False)
