"""``depthwise``: any layer of one input channel a group, as rows or as one line, and its choice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tvm
import tvm_ffi
from drawn import AXES, has_output
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel import HOST, compile_quickly, expected_output, function, random, run_here, weights_of
from tvm import s_tir, tirx

from tvm_deconv.algebra.geometry import Axis, ConvAxis, ConvTranspose2d, axis_of_subpixel
from tvm_deconv.schedules.choice import Preferences, choose
from tvm_deconv.schedules.cpu.depthwise.tile import (
    DepthTile,
    can_be_direct,
    can_be_flat,
    choose_depth,
    copied_pitch,
)
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.typical import of_model
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.targets import resolve_target

DEPTHWISE = VARIANTS["depthwise"]
AVX512 = cpu_machine(resolve_target({"kind": "llvm", "mcpu": "skylake-avx512"}))
AVX2 = cpu_machine(resolve_target({"kind": "llvm", "mcpu": "haswell"}))
NEON = cpu_machine(resolve_target("raspberry-pi/4b-aarch64"))


def of(kernel, channels=8, step=(1, 1), outputs=1):
    axis = axis_of_subpixel(ConvAxis(kernel, kernel // 2, kernel // 2), 1)
    return ConvTranspose2d(channels, channels * outputs, axis, axis, channels, step)


@st.composite
def depthwise(draw):
    """(layer, input size); a stride of the output, or one of the input."""
    h, w = draw(AXES), draw(AXES)
    groups, outputs = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    step = [draw(st.integers(1, 3)) if axis.stride == 1 else 1 for axis in (h, w)]
    conv = ConvTranspose2d(groups, groups * outputs, h, w, groups, tuple(step))
    return conv, (draw(st.integers(1, 2)), draw(st.integers(1, 20)), draw(st.integers(1, 70)))


@st.composite
def tiles(draw, conv, shape, symbolic):
    """Any that are valid, about as often flat as not."""
    lanes, planes = draw(st.sampled_from([1, 4, 8, 16])), draw(st.integers(1, 3))
    threads = draw(st.booleans())
    known = Sizes(*(None if name in symbolic else n for name, n in zip("nhw", shape, strict=True)))
    if can_be_flat(conv, known, lanes) is None and draw(st.booleans()):
        return DepthTile(lanes, 1, 1, 1, planes, flat=True, parallel=threads)
    sizes = [draw(st.integers(1, most)) for most in (3, 4, 8)]
    tile = DepthTile(lanes, *sizes, planes, parallel=threads)
    direct = can_be_direct(conv, known, tile) is None and draw(st.booleans())
    return replace(tile, direct=direct)


def check(conv, shape, dtype="float32", symbolic="", tile=None, machine=None):
    n, h, w = shape
    func, tile = function(
        "depthwise", conv, shape, dtype, symbolic=symbolic, parameters=tile, machine=machine
    )
    x, weight = random((n, conv.in_channels, h, w), dtype, 0), weights_of(conv, dtype)
    packed = DEPTHWISE.pack_weights(weight, conv, tile)
    got = run_here(compile_quickly(func, HOST), x, packed, conv.output_shape(n, h, w))
    down, right = conv.step
    expected = expected_output(replace(conv, step=(1, 1)), x, weight)[:, :, ::down, ::right]
    tolerance = {"float32": 3e-6, "float16": 2e-3}[dtype] * max(np.abs(expected).max(), 1e-9)
    np.testing.assert_allclose(got.astype("float64"), expected, rtol=0, atol=tolerance)


@settings(max_examples=12)
@given(depthwise(), st.sampled_from(["float32", "float16"]), st.data())
def test_any_tile_sizes_give_the_sums_of_the_definition(layer, dtype, data):
    conv, shape = layer
    if has_output(conv, shape):
        symbolic = data.draw(st.sampled_from(["", "", "nhw", "w"]))
        tile = data.draw(st.one_of(st.none(), tiles(conv, shape, symbolic)))
        check(conv, shape, dtype, symbolic, tile)


@pytest.mark.parametrize("machine", [AVX512, AVX2, NEON], ids=["avx512", "avx2", "neon"])
@pytest.mark.parametrize(
    ("conv", "shape"),
    [
        (of(3), (1, 7, 7)),
        (of(3, step=(2, 2)), (1, 14, 14)),
        (of(5, step=(2, 2)), (1, 15, 37)),
        (of(3, outputs=2), (2, 9, 30)),
        (ConvTranspose2d(8, 8, Axis(4, 2, 1, 1), Axis(4, 2, 1, 1), 8), (1, 7, 9)),
    ],
    ids=["7x7", "14x14 by 2", "odd by 2", "two outputs", "bilinear upsampling"],
)
def test_what_is_chosen_for_a_machine_gives_the_sums_of_the_definition(machine, conv, shape):
    check(conv, shape, machine=machine)


@pytest.mark.parametrize("direct", [False, True])
def test_no_tile_has_rows_of_two_strips(direct):
    """Strips are other threads': what one writes into another's rows may be what stays."""
    tile = DepthTile(8, 1, lines=4, rows=2, planes=1, direct=direct)
    func, _ = function("depthwise", of(3, channels=1), (1, 16, 40), parameters=tile)
    loops: list[tirx.For] = []
    tvm_ffi.structural_walk(func.body, (tirx.For, loops.append))
    (strips,) = (loop.extent for loop in loops if loop.kind == tirx.ForKind.PARALLEL)
    assert int(strips) == 4


@given(depthwise())
def test_rows_of_a_copied_map_share_zeros_only(layer):
    """A tap that runs into the next row finds what it would behind its own."""
    conv, (_, height, width) = layer
    if not has_output(conv, (1, height, width)):
        return
    left, right = conv.w.halo[0], conv.step[1]
    columns = max(1, -(-conv.w.blocks(width) // right))
    pitch = copied_pitch(conv, width, columns)
    assert pitch >= columns

    def value(place, q):
        column = place * right + q + left
        return column if 0 <= column < width else None

    for offset in range(conv.w.halo_extent + 1):
        for x in range(columns):
            place, q = x + offset // right, offset % right
            found = value(place, q) if place < pitch else value(place - pitch, q)
            assert (place < pitch or found is None) and (value(place, q) is None or place < pitch)


def test_few_channels_are_shared_out_by_rows_and_many_by_channels():
    machine = replace(AVX512, threads=4)
    one = choose_depth(of(5, channels=1), Sizes(1, 1024, 1024), machine)
    assert one.parallel and one.rows <= 256
    many = choose_depth(of(3, channels=96), Sizes(1, 56, 56), machine)
    assert many.parallel and -(-96 // many.planes) % 4 == 0
    assert not choose_depth(of(3, channels=2), Sizes(1, 14, 14), machine).parallel


@pytest.mark.parametrize("kernel", [(1, 7), (1, 31), (5, 5), (7, 7)])
def test_of_a_free_size_few_loads_are_written_out(kernel):
    """TVM takes the square of their number: minutes for 1x31 taps in the tiles of a known size."""
    h, w = (axis_of_subpixel(ConvAxis(size, size // 2, size // 2), 1) for size in kernel)
    tile = choose_depth(ConvTranspose2d(8, 8, h, w, 8), Sizes(None, None, None), AVX512)
    rows = tile.lines - 1 + kernel[0]
    assert rows * tile.vectors * kernel[1] <= 64


def test_a_free_number_of_images_is_a_loop_of_its_own():
    """A piece that is divided by two sizes that are not known takes TVM seconds."""
    func, _ = function("depthwise", of(3), (2, 16, 40), symbolic="nhw")
    loops: list[tirx.For] = []
    tvm_ffi.structural_walk(func.body, (tirx.For, loops.append))
    images = func.params[0].ty.shape[0]
    assert any(loop.extent.same_as(images) for loop in loops)


def test_the_number_of_a_piece_is_not_put_back_into_each_store():
    """It is a remainder by a free number, which each pass of TVM after it would look at again."""
    func, _ = function("depthwise", of(3), (2, 16, 40), symbolic="nhw")
    simplified = s_tir.transform.StmtSimplify()(tvm.IRModule({"main": func}))["main"]
    found: list[Any] = []
    tvm_ffi.structural_walk(simplified.body, ((tirx.FloorMod, tirx.Mod), found.append))
    assert len([one for one in found if not isinstance(one.b, tirx.IntImm)]) == 1


def test_narrow_maps_are_one_line_and_wide_ones_rows():
    assert choose_depth(of(3), Sizes(1, 7, 7), AVX512).flat
    assert not choose_depth(of(3), Sizes(1, 112, 112), AVX512).flat
    assert not choose_depth(of(3), Sizes(1, None, 7), AVX512).flat


@pytest.mark.parametrize("machine", [AVX512, AVX2, NEON], ids=["avx512", "avx2", "neon"])
@pytest.mark.parametrize("size", [7, 14, 28, 112, None])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_the_model_takes_it_for_depthwise_layers(machine, size, kernel):
    found = choose(of(kernel, 96), Sizes(1, size, size), "float32", machine)
    assert found.variant is DEPTHWISE
    assert found.reason.startswith(f"{of_model(size is None)}: depthwise ")


def test_other_layers_are_refused_in_words():
    axis = Axis(3, 1, 1, 1)
    for conv, words in (
        (ConvTranspose2d(4, 4, axis, axis, 2), "a group has 2 input channels, not 1"),
        (ConvTranspose2d(1, 64, axis, axis), "a group has 64 output channels, more than 8"),
        (of(17), "289 taps would have to be written out, at most 256 are"),
    ):
        assert DEPTHWISE.cannot(conv) == words
    found = choose(of(3), Sizes(1, 9, 9), "float32", AVX2, Preferences("depthwise"), volumes=True)
    assert (
        "asked for depthwise, which cannot: its loop nest is not one over volumes" in found.reason
    )
