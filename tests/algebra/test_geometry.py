"""Phases, taps, halo and paddings against a transposed convolution that scatters its samples."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tvm_deconv.algebra.geometry import (
    Axis,
    ConvAxis,
    ConvTranspose2d,
    axis_of_resize,
    axis_of_subpixel,
)
from tvm_deconv.errors import GeometryError


@st.composite
def axes(draw):
    kernel, dilation = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    extent = dilation * (kernel - 1) + 1
    # Crops may be wider than the kernel reaches.
    begin, end = draw(st.integers(0, extent + 4)), draw(st.integers(0, extent + 4))
    output = draw(st.integers(0, 2))
    return Axis(kernel, draw(st.integers(1, 4)), begin, end, output, dilation)


def _scatter(axis, size):
    """For every output sample, the set of (tap, input sample) pairs that add to it."""
    pairs = {}
    for i in range(size):
        for k in range(axis.kernel):
            o = axis.stride * i + axis.dilation * k - axis.pad_begin
            pairs.setdefault(o, set()).add((k, i))
    return pairs


@settings(max_examples=200)
@given(axes(), st.integers(1, 6))
def test_the_taps_of_a_phase_are_those_that_scatter_there(axis, size):
    pairs = _scatter(axis, size)
    for o in range(axis.output_size(size)):
        y, f = divmod(o, axis.stride)
        gathered = {(t.k, y + t.offset) for t in axis.taps(f)}
        inside = {(k, i) for k, i in gathered if 0 <= i < size}
        assert inside == pairs.get(o, set())


@settings(max_examples=200)
@given(axes(), st.integers(1, 6))
def test_the_blocks_just_cover_the_output(axis, size):
    blocks, output = axis.blocks(size), axis.output_size(size)
    assert blocks * axis.stride >= output > (blocks - 1) * axis.stride


@settings(max_examples=200)
@given(axes())
def test_the_halo_holds_every_offset_and_the_taps_are_evenly_spaced(axis):
    low, high = axis.halo
    offsets = [[t.offset for t in axis.taps(f)] for f in range(axis.stride)]
    flat = [o for phase in offsets for o in phase]
    assert (low, high) == (min(flat), max(flat))
    assert axis.max_taps == max(map(len, offsets))
    assert axis.useful_taps == len(flat) == axis.kernel
    for f, phase in enumerate(offsets):
        first = axis.first_offset(f)
        assert low <= first <= high, "also of a phase without taps"
        assert phase == [first + j * axis.tap_step for j in range(len(phase))]


@settings(max_examples=200)
@given(axes(), st.integers(1, 4), st.integers(0, 8), st.integers(0, 8))
def test_every_pattern_keeps_the_output_size(axis, factor, begin, end):
    reach = axis.dilation * (axis.kernel - 1)
    begin, end = min(begin, reach), min(end, reach)
    conv = ConvAxis(axis.kernel, begin, end, axis.dilation)
    for size in range(reach + 1, reach + 4):
        valid = size + begin + end - reach
        assert axis_of_subpixel(conv, factor).output_size(size) == valid * factor
        enlarged = size * factor + begin + end - reach
        assert axis_of_resize(conv, factor).output_size(size) == enlarged


@settings(max_examples=100)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4))
def test_the_empty_taps_of_a_dilated_kernel_are_left_out(kernel, dilation, factor):
    conv = ConvAxis(kernel, dilation=dilation)
    assert axis_of_subpixel(conv, factor).useful_taps == kernel * factor
    resize = axis_of_resize(conv, factor)
    needed = {dilation * k + f for k in range(kernel) for f in range(factor)}
    taps = {t.k for f in range(factor) for t in resize.taps(f)}
    assert taps >= needed
    if dilation <= factor or factor == 1:
        assert taps == needed


def test_the_multiply_adds_of_a_subpixel_convolution_do_not_change():
    axis = axis_of_subpixel(ConvAxis(3, 1, 1), 2)
    op = ConvTranspose2d(8, 4, axis, axis)
    assert op.multiply_adds(1, 10, 10) == 10 * 10 * 8 * (4 * 4) * 9


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: Axis(0), "kernel must be at least 1, got 0"),
        (lambda: Axis(3, stride=0), "stride must be at least 1, got 0"),
        (lambda: Axis(3, pad_end=-1), "pad_end must not be negative, got -1"),
        (
            lambda: axis_of_subpixel(ConvAxis(3, 4, 0), 2),
            "begin padding 4 is larger than the reach 2",
        ),
        (lambda: axis_of_resize(ConvAxis(3, 0, 3), 2), "end padding 3 is larger than the reach 2"),
        (
            lambda: ConvTranspose2d(6, 4, Axis(3), Axis(3), groups=4),
            "in_channels must be a positive",
        ),
        (lambda: ConvTranspose2d(4, 6, Axis(3), Axis(3), groups=4), "groups=4, got 6"),
    ],
)
def test_impossible_geometry_names_the_number(build, reason):
    with pytest.raises(GeometryError) as caught:
        build()
    assert reason in str(caught.value)
