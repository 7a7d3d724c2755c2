"""Integer kernels against sums in float64, for each instruction that any x86-64 processor has."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import tvm
import tvm_ffi
from integer_kernel import CROPPED, DILATED, SPARSE, SUB_PIXEL, UNEVEN, of_layer, run_here
from kernel import HOST
from tvm import tirx

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.schedules import llvm
from tvm_deconv.schedules.cpu.dot import Dot, dot_of, wide_dot_of
from tvm_deconv.schedules.cpu.integer.kernel import Integer, Store, Sum
from tvm_deconv.schedules.cpu.integer.tile import Tile, choose_tile, tile_cycles
from tvm_deconv.schedules.cpu.integer.write import write
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.targets import resolve_target

SSE2 = Dot("pairs", 4, 2, 16, "llvm.x86.sse2.pmadd.wd", adds=False)
PLAIN = Dot("plain", 4, 1, 16)
DOTS = {"best": dot_of(HOST), "wide": wide_dot_of(HOST), "sse2": SSE2, "plain": PLAIN}


@pytest.mark.parametrize("dot", DOTS.values(), ids=DOTS)
@pytest.mark.parametrize(("dtype", "zero_point"), [("uint8", 3), ("int8", -5), ("uint8", 255)])
def test_every_instruction_gives_the_same_integers(dot, dtype, zero_point):
    got, expected = of_layer(UNEVEN, (2, 6, 5, 19), dtype, zero_point, dot)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    "op", [SUB_PIXEL, CROPPED, DILATED, SPARSE], ids=["sub-pixel", "cropped", "dilated", "sparse"]
)
def test_edges_of_tiles_and_crops_are_exact(op):
    got, expected = of_layer(op, (1, op.in_channels, 9, 41))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(("dtype", "zero_point"), [("uint8", 200), ("int8", 0)])
@pytest.mark.parametrize("inputs", [1, 2])
def test_words_of_few_channels_hold_several_taps(inputs, dtype, zero_point):
    op = ConvTranspose2d(2, 6, Axis(4, 2, 1, 1), Axis(10, 2, 4, 3), groups=2 // inputs)
    got, expected = of_layer(op, (2, 2, 5, 35), dtype, zero_point)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dilation", [1, 2])
def test_rows_of_a_large_kernel_are_a_loop(dilation):
    large = Axis(11, 1, 5 * dilation, 5 * dilation, dilation=dilation)
    got, expected = of_layer(ConvTranspose2d(4, 8, large, large), (1, 4, 9, 20))
    np.testing.assert_array_equal(got, expected)


def test_rows_of_many_phases_are_loops():
    """TVM took a minute for them one after the other."""
    op = ConvTranspose2d(2, 4, Axis(64, 16, 24, 24), Axis(9, 1, 4, 4))
    got, expected = of_layer(op, (1, 2, 6, 20))
    np.testing.assert_array_equal(got, expected)
    stores: list[tirx.BufferStore] = []
    kernel = Integer(op, "uint8", dot_of(HOST), Tile(4, 4, 3), Store("float32"))
    tvm_ffi.structural_walk(write(kernel, [1, 2, 6, 200]).body, (tirx.BufferStore, stores.append))
    assert len(stores) < 4096


@pytest.mark.parametrize("joined", [False, True])
def test_a_tile_of_one_row_of_phases_or_of_all(joined):
    tile = Tile(2, 2, 3, joined)
    got, expected = of_layer(SUB_PIXEL, (2, 5, 7, 70), tile=tile)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize(
    ("op", "step"),
    [
        (SUB_PIXEL, (1, 1)),
        (UNEVEN, (1, 1)),
        (SPARSE, (1, 1)),
        (replace(CROPPED, out_channels=8), (2, 3)),
        (DILATED, (1, 1)),
        (DILATED, (3, 2)),
        (ConvTranspose2d(4, 8, Axis(11, 1, 5, 5), Axis(13, 1, 6, 6)), (2, 1)),
    ],
    ids=["sub-pixel", "uneven", "sparse", "cropped", "plain", "strides", "large"],
)
def test_vectors_may_be_of_all_blocks_of_a_strip(op, step, joined):
    shape, joined = (2, op.in_channels, 7, 9), joined and op.h.stride > 1
    for tile in (Tile(2, 2, 3, joined, flat=True), Tile(1, 1, 7, joined, splits=2, flat=True)):
        got, expected = of_layer(op, shape, tile=tile, step=step)
        np.testing.assert_array_equal(got, expected)


def test_vectors_of_all_blocks_need_no_height():
    tile = Tile(2, 2, 3, flat=True)
    got, expected = of_layer(UNEVEN, (2, 6, 7, 9), "int8", -7, tile=tile, free="nh")
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    "store",
    [Store("float32"), Store("uint8", is_value=True), Store("int8", sum=Sum("uint8", "int8"))],
    ids=["sums", "values", "residual"],
)
def test_vectors_of_all_blocks_have_every_store(store):
    own = {"zero_point": 99, "scale": 0.3} if store.is_value else {"zero_point": 7}
    tile = Tile(2, 2, 4, flat=True)
    got, expected = of_layer(SUB_PIXEL, (1, 5, 6, 7), store=store, own=own, tile=tile)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("tile", "count"), [(Tile(3, 2, 2), 2), (Tile(1, 1, 2), 1)], ids=["24 sums", "4 sums"]
)
def test_sums_are_in_registers_and_not_in_a_workspace(tile, count):
    target = resolve_target({**X86, "mcpu": "cascadelake"})
    kernel = Integer(QUADRUPLED, "uint8", dot_of(target), tile, Store("uint8"))
    func = write(kernel, (1, 5, 4, 40)).with_attr("global_symbol", "main")
    assembly = tvm.compile(func, target=target).mod.inspect_source("asm")
    # For the words of a strip, and for rows of outputs of 1 KiB; sums of each phase were more.
    assert len(re.findall("AllocWorkspace@", assembly)) == count


def test_vectors_are_of_all_blocks_where_rows_leave_lanes_empty():
    sizes = [Sizes(1, n, n) for n in (4, 7, 14, 17, 16, 128)]
    tiles = [choose_tile(SQUARE, VNNI, each, MACHINE) for each in sizes]
    assert [tile.flat for tile in tiles] == [True, True, True, True, True, False]
    # Threads share the channels of a map that is one vector.
    assert [(tile.rows, tile.splits) for tile in tiles[:1]] == [(4, 2)]
    assert not choose_tile(SQUARE, VNNI, Sizes(1, 16, None), MACHINE).flat


@pytest.mark.parametrize("op", [SUB_PIXEL, UNEVEN], ids=["sub-pixel", "uneven"])
def test_threads_may_share_the_channels_of_a_strip(op):
    tile = Tile(1, 2, 3, splits=2)
    got, expected = of_layer(op, (2, op.in_channels, 7, 40), tile=tile)
    np.testing.assert_array_equal(got, expected)


X86 = {"kind": "llvm", "mtriple": "x86_64-linux-gnu"}
QUADRUPLED = ConvTranspose2d(5, 3, Axis(8, 4, 2, 2), Axis(8, 4, 2, 2))
MACHINE = CpuMachine("avx512", 16, 32, 32 << 10, 1 << 20, 2)
VNNI = Dot("vnni", 16, 4, 32, "llvm.x86.avx512.vpdpbusd.512", is_signed=False)
SQUARE = ConvTranspose2d(64, 64, Axis(3, 1, 1, 1), Axis(3, 1, 1, 1))
LINE = ConvTranspose2d(64, 60, Axis(1), Axis(9, 1, 4, 4))


def test_channels_are_shared_only_where_there_are_fewer_rows_than_threads():
    assert choose_tile(SQUARE, VNNI, Sizes(1, 64, 64), MACHINE).splits == 1
    assert choose_tile(LINE, VNNI, Sizes(2, 1, 4096), MACHINE).splits == 1
    tile = choose_tile(LINE, VNNI, Sizes(1, 1, 4096), MACHINE)
    assert tile.splits == 2
    assert 60 // tile.channels % 2 == 0


def test_the_model_counts_what_the_busiest_thread_does():
    """A vector of 64 products takes half a cycle at the least, and some of a load."""
    sizes = Sizes(1, 64, 64)
    tile = choose_tile(SQUARE, VNNI, sizes, MACHINE)

    def cycles(tile, sizes=sizes, threads=2):
        return tile_cycles(SQUARE, VNNI, sizes, tile, replace(MACHINE, threads=threads))

    least = 64 * 64 * 64 * 64 * 9 / 64 * 0.5 / 2
    assert least < cycles(tile) < 2 * least
    assert cycles(tile, threads=1) == pytest.approx(2 * cycles(tile), rel=0.02)
    # All in one strip one thread does everything; a tile of few sums waits.
    assert cycles(replace(tile, rows=64)) > 1.9 * cycles(tile)
    assert cycles(replace(tile, channels=2, vectors=1)) > 2 * cycles(tile)
    # 65 columns take as many vectors as 96.
    assert cycles(tile, Sizes(1, 64, 65)) == pytest.approx(cycles(tile, Sizes(1, 64, 96)), rel=0.02)


@pytest.mark.parametrize(
    ("op", "step"),
    [
        (CROPPED, (2, 2)),
        (DILATED, (3, 2)),
        (ConvTranspose2d(1, 6, Axis(5, 1, 2, 1), Axis(5, 1, 2, 1)), (1, 3)),
        (ConvTranspose2d(8, 6, Axis(1), Axis(1), groups=2), (2, 2)),
        (ConvTranspose2d(3, 4, Axis(3, 1, 0, 1), Axis(7, 1, 1, 3)), (2, 4)),
    ],
    ids=["cropped", "dilated", "one channel", "1x1", "7 by 4"],
)
@pytest.mark.parametrize("free", ["", "nhw"])
def test_a_convolution_with_strides_computes_every_so_many_outputs(op, step, free):
    got, expected = of_layer(op, (2, op.in_channels, 12, 83), "int8", -9, step=step, free=free)
    np.testing.assert_array_equal(got, expected)


def test_sizes_may_be_free():
    got, expected = of_layer(UNEVEN, (2, 6, 5, 19), "int8", -7, free="nhw")
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("store", "own"),
    [
        (Store("int8"), {"zero_point": -20, "low": 0, "high": 90}),
        (Store("uint8", has_shift=True, has_slope=True), {"zero_point": 9}),
        (Store("uint8", is_value=True), {"zero_point": 99, "scale": 0.3, "low": 0}),
    ],
    ids=["bounds", "shift and slope", "what bytes stand for"],
)
def test_what_follows_is_in_the_store(store, own):
    got, expected = of_layer(SUB_PIXEL, (1, 5, 6, 20), store=store, own=own)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("op", [SUB_PIXEL, UNEVEN], ids=["sub-pixel", "uneven"])
@pytest.mark.parametrize("total", [Sum("uint8", "int8"), Sum("int8", "uint8")])
def test_bytes_are_added_in_the_store_with_scales_of_their_own(op, total):
    shape, own = (2, op.in_channels, 6, 19), {"zero_point": 120}
    got, expected = of_layer(op, shape, store=Store("uint8", sum=total), own=own)
    np.testing.assert_array_equal(got, expected)
    assert len(np.unique(got)) > 50


def test_sums_may_be_stored_as_float32():
    got, expected = of_layer(UNEVEN, (1, 6, 5, 19), store=Store("float32"))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dot", DOTS.values(), ids=DOTS)
def test_nothing_saturates_on_the_way(dot):
    wide = ConvTranspose2d(64, 1, Axis(3, 1, 1, 1), Axis(3, 1, 1, 1))
    got, expected = of_layer(wide, (1, 64, 4, 5), dot=dot, store=Store("float32"), extreme=True)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("mcpu", "feature", "pattern"),
    [
        ("haswell", "avx2", r"vpmaddwd\s.*%ymm"),
        # Encoded without EVEX, which that processor lacks: the registers beyond 15 would need it.
        ("alderlake", "avxvnni", r"\{vex\}\s+vpdpbusd\s.*%ymm"),
    ],
)
def test_older_and_smaller_processors_give_the_same_integers(mcpu, feature, pattern):
    target = resolve_target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": mcpu})
    dot, ran = dot_of(target), []
    assert (dot.lanes, dot.registers) == (8, 16)

    def run(built, arrays, out):
        assembly = built.mod.inspect_source("asm")
        assert re.search(pattern, assembly) and "zmm" not in assembly
        ran.append(mcpu)
        # Only a processor that has its instructions can stand in for it.
        return run_here(built, arrays, out) if llvm.has_feature(HOST, feature) else None

    got, expected = of_layer(UNEVEN, (2, 6, 5, 19), "int8", -5, dot, target=target, run=run)
    assert ran
    if got is not None:
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("mcpu", "instruction"),
    [("cascadelake", "vpdpwssd"), ("alderlake", "vpdpwssd"), ("skylake-avx512", "vpmaddwd")],
)
def test_wide_weights_have_an_instruction_too(mcpu, instruction):
    resolved = resolve_target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": mcpu})
    dot = wide_dot_of(resolved)
    assert dot.bits == 16
    kernel = Integer(SUB_PIXEL, "uint8", dot, Tile(2, 1, 2), Store("uint8"))
    func = write(kernel, (1, 5, 4, 4)).with_attr("global_symbol", "main")
    assert instruction in tvm.compile(func, target=resolved).mod.inspect_source("asm")


@pytest.mark.parametrize(
    ("target", "instruction"),
    [
        ({"mtriple": "x86_64-linux-gnu", "mcpu": "cascadelake"}, "vpdpbusd"),
        ({"mtriple": "x86_64-linux-gnu", "mcpu": "alderlake"}, "vpdpbusd"),
        ({"mtriple": "x86_64-linux-gnu", "mcpu": "haswell"}, "vpmaddwd"),
        ({"mtriple": "x86_64-linux-gnu", "mcpu": "nehalem"}, "pmaddwd"),
        ({"mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a76"}, "sdot"),
        ({"mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a53"}, "smlal"),
    ],
    ids=lambda value: value["mcpu"] if isinstance(value, dict) else value,
)
def test_a_processor_gets_its_instruction(target, instruction):
    resolved = resolve_target({"kind": "llvm", **target})
    dot = dot_of(resolved)
    kernel = Integer(SUB_PIXEL, "uint8", dot, Tile(2, 1, 2), Store("uint8"))
    func = write(kernel, (1, 5, 4, 4)).with_attr("global_symbol", "main")
    assert instruction in tvm.compile(func, target=resolved).mod.inspect_source("asm")
