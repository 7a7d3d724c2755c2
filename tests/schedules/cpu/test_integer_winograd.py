"""Bytes by Winograd's form: the integers of the direct one, by each instruction, of any sizes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from exact_winograd_layers import KERNEL_4, LAYERS, NEAREST, PLAIN_3, SUB_PIXEL, folded, layer
from integer_forms import DIRECT, WINOGRAD, exact
from kernel import HOST

from tvm_deconv.algebra.byte_forms import forms_of
from tvm_deconv.algebra.exact_winograd import products_of, shares_sums
from tvm_deconv.algebra.geometry import Axis, ConvAxis, ConvTranspose2d, axis_of_resize
from tvm_deconv.schedules.cpu.dot import PLAIN, Dot, dot_of, wide_dot_of
from tvm_deconv.schedules.cpu.integer.kernel import Store
from tvm_deconv.schedules.cpu.integer.tile import choose_tile, tile_cycles
from tvm_deconv.schedules.cpu.integer.winograd.tile import (
    PointsTile,
    choose_points_tile,
    points_cycles,
)
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.targets import resolve_target

VNNI = wide_dot_of(resolve_target({"kind": "llvm", "mcpu": "cascadelake"}))
NARROW = dot_of(resolve_target({"kind": "llvm", "mcpu": "cascadelake"}))
SSE2 = Dot("pairs", 4, 2, 16, "llvm.x86.sse2.pmadd.wd", adds=False)
MACHINE = CpuMachine("avx512", 16, 32, 32 << 10, 1 << 20, 2, narrow=VNNI, wide=VNNI)


def both(op, shape, dtype="uint8", zero_point=3, dot=None, tile=None, weight=None, **options):
    """Both forms are exact; whether phases share products."""
    weight = WINOGRAD.weights(op) if weight is None else weight
    exact(DIRECT, op, shape, dtype, zero_point, dot, weight=weight, **options)
    exact(WINOGRAD, op, shape, dtype, zero_point, dot, tile, weight, **options)
    return shares_sums(op, weight)


def test_random_sizes_and_channels_are_exact():
    rng = np.random.default_rng(2)
    for _ in range(6):
        inputs, outputs = (int(rng.integers(1, 71)) for _ in range(2))
        rows, columns = (int(rng.integers(1, 40)) for _ in range(2))
        op = ConvTranspose2d(inputs, outputs, NEAREST, NEAREST)
        sizes = Sizes(1, rows, columns)
        tile, _ = choose_points_tile(op, wide_dot_of(HOST), sizes, True, MACHINE)
        both(op, (1, inputs, rows, columns), "int8", 127, tile=tile)


@pytest.mark.parametrize("name", LAYERS)
def test_phases_that_share_nothing_are_exact(name):
    """Rows of 20 tiles and less: whole vectors, halves of one, and what is left of both."""
    op = layer(name, 6, 4)
    weight = np.random.default_rng(3).integers(-128, 128, op.weight_shape)
    assert not both(op, (1, 6, 7, 20), weight=weight)
    exact(WINOGRAD, op, (2, 6, 9, 77), weight=weight)


@pytest.mark.parametrize("axis", [PLAIN_3, SUB_PIXEL], ids=["kernel 3", "sub-pixel"])
def test_random_layers_of_three_taps_are_exact(axis):
    rng = np.random.default_rng(6)
    for _ in range(4):
        inputs, outputs = (int(rng.integers(1, 71)) for _ in range(2))
        rows, columns = (int(rng.integers(1, 90)) for _ in range(2))
        op = ConvTranspose2d(inputs, outputs, axis, axis)
        tile, _ = choose_points_tile(op, wide_dot_of(HOST), Sizes(1, rows, columns), False, MACHINE)
        weight = rng.integers(-128, 128, op.weight_shape)
        exact(WINOGRAD, op, (1, inputs, rows, columns), "int8", -128, tile=tile, weight=weight)


@pytest.mark.parametrize("factor", [3, 4])
def test_other_factors_and_unequal_ones_are_exact(factor):
    """Kernel and factor such that each phase has two taps."""
    axis = axis_of_resize(ConvAxis(factor + 1, 1, 2), factor)
    op = ConvTranspose2d(3, 2, axis, axis)
    weight = folded(
        np.random.default_rng(4).integers(-9, 10, (3, 2, factor + 1, factor + 1)), factor
    )
    assert both(op, (1, 3, 4, 18), weight=weight)
    mixed = ConvTranspose2d(3, 2, KERNEL_4, Axis(2 * factor, factor, 1, 1))
    weight = np.random.default_rng(5).integers(-9, 10, mixed.weight_shape)
    assert not both(mixed, (1, 3, 4, 18), weight=weight)


@pytest.mark.parametrize("dot", [None, SSE2, PLAIN], ids=["best", "sse2", "plain"])
@pytest.mark.parametrize("most", [127, -128])
@pytest.mark.parametrize("zero_point", [0, 255])
def test_nothing_saturates_on_the_way(dot, most, zero_point):
    """Weights and bytes at their ends, so that differences of differences are, too."""
    op = ConvTranspose2d(64, 1, NEAREST, NEAREST)
    weight = folded(np.full((64, 1, 3, 3), most), 2)
    options = {"store": Store("float32"), "weight": weight, "tile": PointsTile(1, 2, 2)}
    both(op, (1, 64, 4, 5), "uint8", zero_point, dot, extreme=True, **options)
    signs = np.where(np.add.outer(np.arange(3), np.arange(3)) % 2, most, -most)
    options["weight"] = folded(np.broadcast_to(signs, (64, 1, 3, 3)), 2)
    both(op, (1, 64, 4, 5), "uint8", zero_point, dot, **options)


@pytest.mark.parametrize("dot", [None, SSE2, PLAIN], ids=["best", "sse2", "plain"])
@pytest.mark.parametrize(("dtype", "zero_point"), [("uint8", 0), ("uint8", 255), ("int8", -128)])
def test_sums_of_three_taps_may_wrap_around(dot, dtype, zero_point):
    """Bytes and weights at their ends, so that sums are hundreds of times what int32 holds."""
    op = ConvTranspose2d(100, 1, PLAIN_3, PLAIN_3)
    options = {"store": Store("float32"), "tile": PointsTile(1, 2, 2)}
    for weight in (-128, 127):
        options["weight"] = np.full((100, 1, 3, 3), weight)
        given = dtype, zero_point, dot
        exact(WINOGRAD, op, (1, 100, 4, 5), *given, extreme=True, **options)
        options["weight"] = options["weight"] * (-1) ** np.indices((3, 3)).sum(0)
        exact(WINOGRAD, op, (1, 100, 4, 5), *given, **options)


def test_threads_may_share_the_channels_of_a_strip():
    op = ConvTranspose2d(4, 5, NEAREST, NEAREST)
    both(op, (2, 4, 5, 19), tile=PointsTile(2, 1, 2, splits=3))


@pytest.mark.parametrize(("own", "faster"), [("uint8", True), ("float32", False)])
def test_outputs_in_float32_go_tap_by_tap(own, faster):
    """Measured: 0.80 of the speed of tap by tap, but 1.20 to bytes."""
    axis = Axis(6, 2, 2, 2)
    op, sizes = ConvTranspose2d(64, 64, axis, axis), Sizes(1, 96, 96)
    _, cycles = choose_points_tile(op, VNNI, sizes, False, MACHINE, own)
    tile = choose_tile(op, NARROW, sizes, MACHINE)
    assert (cycles < tile_cycles(op, NARROW, sizes, tile, MACHINE)) == faster


def test_the_model_counts_what_the_busiest_thread_does():
    """25 products for 64 and whole vectors: at most half of the direct form's cycles."""
    op, sizes = ConvTranspose2d(64, 64, NEAREST, NEAREST), Sizes(1, 128, 128)
    tile, cycles = choose_points_tile(op, VNNI, sizes, True, MACHINE)
    direct = choose_tile(op, VNNI, sizes, MACHINE)
    assert cycles < 0.5 * tile_cycles(op, VNNI, sizes, direct, MACHINE)
    count = partial(points_cycles, op, VNNI, machine=MACHINE)
    assert count(sizes, tile, True) == cycles < count(sizes, tile, False)
    # All in one strip one thread does everything.
    assert count(sizes, PointsTile(tile.channels, tile.vectors, 65), True) > 1.8 * cycles
    least = 64 * 64 / 2 * products_of(op, True)[0].count ** 2 * (65 * 65) / 16 * 0.5 / 2
    assert least < cycles < 2 * least


def test_three_taps_take_a_quarter_of_the_products():
    """Of 16 bits, which are half as fast as bytes; without these half of the cycles."""
    op, sizes = ConvTranspose2d(64, 64, PLAIN_3, PLAIN_3), Sizes(1, 128, 128)
    _, cycles = choose_points_tile(op, VNNI, sizes, False, MACHINE)
    for dot, most in ((VNNI, 0.5), (NARROW, 0.95)):
        direct = choose_tile(op, dot, sizes, MACHINE)
        assert 0.2 < cycles / tile_cycles(op, dot, sizes, direct, MACHINE) < most


@pytest.mark.parametrize(
    ("inputs", "outputs", "size", "is_faster"),
    [(64, 64, 224, True), (32, 32, 256, True), (160, 32, 64, True), (64, 3, 256, False)],
)
def test_processors_of_four_operations_a_cycle_take_it_from_fewer_channels_on(
    inputs, outputs, size, is_faster
):
    """Measured on Zen 5, in ms: 2.8 for 3.9, 1.13 for 1.31, 0.25 for 0.38; few outputs lose."""
    machine = replace(MACHINE, loads_per_multiply_add=1, is_amd=True, narrow=NARROW)
    op, sizes = ConvTranspose2d(inputs, outputs, PLAIN_3, PLAIN_3), Sizes(1, size, size)
    _, cycles = choose_points_tile(op, VNNI, sizes, False, machine)
    tile = choose_tile(op, NARROW, sizes, machine)
    assert (cycles < 0.97 * tile_cycles(op, NARROW, sizes, tile, machine)) == is_faster


def test_sums_that_are_too_large_go_tap_by_tap():
    """Of two taps what int32 holds, of three a 64th of that."""

    def winograd_of(axis, channels, kernel):
        weight = np.broadcast_to(kernel, (channels, 1, *kernel.shape))
        return forms_of(ConvTranspose2d(channels, 1, axis, axis), weight).winograd

    kernel = np.full((3, 3), 127)
    of_resize = folded(kernel[None, None], 2)[0, 0]
    assert winograd_of(NEAREST, 8000, of_resize) is None
    assert winograd_of(NEAREST, 300, of_resize) is True
    assert winograd_of(KERNEL_4, 300, np.arange(16).reshape(4, 4)) is False
    assert winograd_of(PLAIN_3, 100, kernel) is False
    assert winograd_of(PLAIN_3, 120, kernel) is None
