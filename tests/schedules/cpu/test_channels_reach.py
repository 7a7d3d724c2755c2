"""``channels`` where kernels are as wide as the picture: no taps that read only padding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn import has_output
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel import HOST, compile_quickly, expected_output, function, random, run_here, weights_of

from tvm_deconv.algebra.geometry import Axis, ConvAxis, ConvTranspose2d, axis_of_subpixel
from tvm_deconv.schedules.choice import choose
from tvm_deconv.schedules.cpu.channels.reach import reach_of, taps_inside
from tvm_deconv.schedules.cpu.channels.tile import PixelTile
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.cpu.tiling import blocks_of
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.targets import resolve_target

CHANNELS = VARIANTS["channels"]


def plain(kernel, dilation, pad):
    return axis_of_subpixel(ConvAxis(kernel, pad, pad, dilation), 1)


@st.composite
def wide_axes(draw):
    """Of plain convolutions with dilations, and deconvolutions with kernels of several blocks."""
    kernel = draw(st.integers(2, 5))
    if draw(st.booleans()):
        dilation = draw(st.integers(2, 9))
        return plain(kernel, dilation, draw(st.integers(0, dilation * (kernel - 1))))
    stride = draw(st.integers(1, 3))
    extent = stride * kernel
    pads = draw(st.integers(0, extent - 1)), draw(st.integers(0, extent - 1))
    return Axis(extent, stride, *pads, draw(st.integers(0, stride - 1)))


def computed(conv, shape, tile):
    n, h, w = shape
    func, _ = function("channels", conv, shape, parameters=tile)
    x, weight = random((n, conv.in_channels, h, w), "float32", 0), weights_of(conv, "float32")
    packed = CHANNELS.pack_weights(weight, conv, tile)
    got = run_here(compile_quickly(func, HOST), x, packed, conv.output_shape(n, h, w))
    down, right = conv.step
    return got, expected_output(replace(conv, step=(1, 1)), x, weight)[:, :, ::down, ::right]


@settings(max_examples=12)
@given(
    wide_axes(),
    wide_axes(),
    st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.tuples(*(st.integers(1, most) for most in (5, 3, 6, 3))),
)
def test_kernels_wider_than_the_picture_give_the_same_sums(h, w, shape, step, sizes):
    if h.stride > 1 or w.stride > 1:
        step = (1, 1)
    conv = ConvTranspose2d(3, 5, h, w, step=step)
    if has_output(conv, shape):
        got, expected = computed(conv, shape, PixelTile(4, 1, *sizes))
        largest = max(np.abs(expected).max(), 1e-9)
        np.testing.assert_allclose(got, expected, rtol=0, atol=3e-6 * largest)


@given(wide_axes(), st.integers(1, 20), st.integers(1, 3), st.integers(1, 5))
def test_taps_are_left_out_that_read_the_input_for_no_block_of_a_tile(axis, size, step, unit):
    for phase in range(axis.stride):
        for first in range(0, blocks_of(axis, step, size), unit):
            begin, end = taps_inside(axis, phase, step, size, first, unit)
            for number, tap in enumerate(axis.taps(phase)):
                rows = [(first + i) * step + tap.offset for i in range(unit)]
                inside = rows[-1] >= 0 and rows[0] < size
                assert inside == (begin <= number < end)


@pytest.mark.parametrize(
    ("dilation", "size", "share", "rows"),
    [(12, 16, 0.25, 18), (24, 32, 0.25, 34), (12, 32, 0.5625, 34), (1, 32, 1, 34)],
)
def test_the_share_of_taps_and_the_rows_that_are_copied(dilation, size, share, rows):
    axis = plain(3, dilation, dilation)
    reach = reach_of(ConvTranspose2d(512, 256, axis, axis), Sizes(1, size, size), 2, 4)
    assert reach.share == share
    assert reach.copied_rows(size) == rows
    free = reach_of(reach.conv, Sizes(1, None, size), 2, 4)
    assert free.share == 1
    assert free.copied_rows(size) == size + 2 * dilation


@pytest.mark.parametrize("mcpu", ["haswell", "skylake-avx512", "znver5"])
def test_a_branch_with_dilation_12_over_16x16_is_computed_by_channels(mcpu):
    axis = plain(3, 12, 12)
    target = resolve_target({"kind": "llvm", "mcpu": mcpu})
    conv, machine = ConvTranspose2d(512, 256, axis, axis), cpu_machine(target)
    found = choose(conv, Sizes(1, 16, 16), "float32", machine)
    assert found.variant is CHANNELS
    tile = found.parameters
    assert reach_of(conv, Sizes(1, 16, 16), tile.lines, tile.columns).share <= 0.4
