"""REVD2 on every machine whose code runs here: its loop nest, its tiles and its edges."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import kernel
import pytest
import tvm_ffi
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel import HOST, compile_here, has_output, layers, square
from tvm import tirx
from tvm.s_tir import SBlockRealize

from tvm_deconv.algebra.geometry import (
    Axis,
    ConvAxis,
    ConvTranspose2d,
    axis_of_resize,
    axis_of_subpixel,
)
from tvm_deconv.schedules.choice import choose
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.cpu.tiling_choice import choose_tiling
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.targets import resolve_target

AVX2 = {"kind": "llvm", "mcpu": "haswell", "num-cores": 2}

check = partial(kernel.check, "revd2")
function = partial(kernel.function, "revd2")


@settings(max_examples=16)
@given(layers(), st.sampled_from(["float32", "float16"]), st.sampled_from(["", "hw", "nhw", "w"]))
def test_any_layer_equals_the_scatter_definition(layer, dtype, symbolic):
    conv, shape = layer
    if has_output(conv, shape):
        check(conv, shape, dtype, symbolic=symbolic)


@settings(max_examples=8)
@given(layers())
def test_any_layer_equals_the_scatter_definition_on_avx2(layer):
    target = resolve_target(AVX2)
    if cpu_machine(HOST).name not in ("avx2", "avx512"):
        pytest.skip("this processor does not run AVX2 code")
    conv, shape = layer
    if has_output(conv, shape):
        check(conv, shape, target=target)


@settings(max_examples=12)
@given(layers(), st.sampled_from(["", "nhw"]))
def test_the_loop_nest_for_neon_equals_the_scatter_definition(layer, symbolic):
    neon = cpu_machine(resolve_target("raspberry-pi/4b-aarch64"))
    assert (neon.lanes, neon.vector_registers) == (4, 32)
    conv, shape = layer
    if has_output(conv, shape):
        check(conv, shape, symbolic=symbolic, machine=neon)


@pytest.mark.parametrize("channels", [1, 3, 7, 48, 64])
@pytest.mark.parametrize("size", [(17, 31), (57, 101)])
def test_sizes_and_channels_that_divide_nothing_are_exact(channels, size):
    axes = square(axis_of_resize, ConvAxis(3, 1, 1), 2)
    check(ConvTranspose2d(channels, channels, *axes), (1, *size))


def test_a_full_hd_frame_is_exact():
    axes = square(axis_of_subpixel, ConvAxis(3, 1, 1), 2)
    check(ConvTranspose2d(1, 1, *axes), (1, 1080, 1920))


def test_the_scratch_holds_what_a_phase_of_most_taps_would_read():
    # Offsets rise by 3 and phases have 3 and 2 taps: the scratch is two rows higher than the halo.
    h = Axis(5, 2, 0, 3, 1, 3)
    assert h.uniform_extent > h.halo_extent
    check(ConvTranspose2d(3, 13, h, Axis(4, 1, 2, 1)), (1, 3, 65), "float16", symbolic="hw")


def test_a_phase_without_taps_is_zero():
    check(ConvTranspose2d(2, 3, Axis(2, 3), Axis(1, 4)), (1, 9, 21))


def loops_around_update(func):
    """Loops outside and inside of the reduction's outermost loop, and all conditions inside it."""
    update = edit.find_block(func.body, "phases_update")
    return edit.loops_to(func.body, update), update


@pytest.mark.parametrize("symbolic", ["", "nhw"])
@pytest.mark.parametrize("channels", [62, 64])
def test_the_reduction_carries_no_predicate(symbolic, channels):
    axes = square(axis_of_resize, ConvAxis(3, 1, 1), 2)
    func, _ = function(
        ConvTranspose2d(64, channels, *axes), (1, 57, 101), "float32", HOST, symbolic
    )
    loops, update = loops_around_update(func)
    assert isinstance(update.predicate, tirx.IntImm) and update.predicate.value == 1
    reduction = [loop.loop_var.name for loop in loops].index("ic")
    # Straight loops only, from the reduction down to the multiply-add.
    assert edit.sole_block_name(loops[reduction]) == "phases_update"
    assert "if_then_else" not in str(update.block.body)


@pytest.mark.parametrize(
    ("width", "by_elements"), [(208, 0), (224, 0), (225, 1), (239, 15), (5, 5)]
)
def test_of_a_known_width_only_columns_beyond_whole_vectors_are_stored_one_by_one(
    width, by_elements
):
    """Tiles of three vectors: 208 columns are four of them and a vector."""
    axes = square(Axis, 5, 1, 2, 2)
    conv, shape = ConvTranspose2d(1, 8, *axes), (1, 6, width)
    machine = cpu_machine(resolve_target({"kind": "llvm", "mcpu": "skylake-avx512"}))
    tile = replace(choose_tiling(conv, Sizes(*shape), machine), vectors=3, channels=4)
    tile = replace(tile, column_tiles=min(tile.column_tiles, -(-width // 48)))
    check(conv, shape, machine=machine, parameters=tile)
    func, _ = function(conv, shape, machine=machine, parameters=tile)
    loops = []
    tvm_ffi.structural_walk(func.body, (tirx.For, loops.append))
    lengths = [int(loop.extent) for loop in loops if stores_one(loop, func.params[-1])]
    assert sum(lengths) == by_elements


def stores_one(loop, buffer):
    """Whether each of its turns writes an element there."""
    block = loop.body.block if isinstance(loop.body, SBlockRealize) else None
    store = block and block.body
    of_elements = isinstance(store, tirx.BufferStore) and store.buffer.same_as(buffer)
    return of_elements and loop.kind == tirx.ForKind.SERIAL


def assembly(func, target):
    built = compile_here(func, target).mod
    listings = [m.inspect_source("asm") for m in (built, *built.imports) if m.kind == "llvm"]
    assert listings
    return "\n".join(listings)


def test_taps_that_a_phase_lacks_are_not_multiplied():
    # Kernel 5, stride 2: phases of 2 and 3 taps, 5 * 5 products for a block instead of 6 * 6.
    axes = square(Axis, 5, 2, 2, 2, 1)
    conv = ConvTranspose2d(16, 16, *axes)
    check(conv, (1, 20, 64))
    target = resolve_target(AVX2)
    func, tile = function(conv, (1, 20, 64), "float32", target)
    assert assembly(func, target).count("vfmadd") == tile.vectors * tile.channels * 25


@pytest.mark.parametrize(
    ("processor", "registers"), [("haswell", 16), ("skylake-avx512", 32), ("znver4", 32)]
)
@pytest.mark.parametrize(("in_channels", "out_channels"), [(64, 64), (32, 1), (56, 1), (3, 48)])
@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_the_register_tile_fits_the_machine(
    processor, registers, in_channels, out_channels, factor
):
    machine = cpu_machine(resolve_target({"kind": "llvm", "mcpu": processor}))
    assert machine.vector_registers == registers
    axes = square(axis_of_subpixel, ConvAxis(3, 1, 1), factor)
    conv = ConvTranspose2d(in_channels, out_channels, *axes)
    tile = choose_tiling(conv, Sizes(1, 128, 128), machine)
    accumulators = tile.vectors * tile.channels * factor * (factor if tile.inner_fh else 1)
    assert accumulators <= registers - 4
    assert accumulators * 4 * tile.lanes <= 1024


@pytest.mark.parametrize("name", ["revd2", "tdc"])
def test_phases_of_unlike_taps_are_written_out_up_to_a_number_of_taps(name):
    # 4489 taps take LLVM some ten seconds, 41209 two minutes.
    reason = VARIANTS[name].refusal(ConvTranspose2d(3, 2, *square(Axis, 67, 4)), "float32")
    assert reason is not None and "4489 together, would have to be written out" in reason
    for size in (68, 63):
        conv = ConvTranspose2d(3, 2, *square(Axis, size, 4))
        assert VARIANTS[name].refusal(conv, "float32") is None, size


def test_a_kernel_of_too_many_unlike_taps_is_computed_by_another_variant():
    conv, sizes = ConvTranspose2d(3, 2, *square(Axis, 67, 4)), Sizes(1, 8, 8)
    found = choose(conv, sizes, "float32", cpu_machine(resolve_target(HOST)))
    kernel.check(found.variant.name, conv, (1, 8, 8), "float32")
