"""Winograd's form against the float64 scatter: any size of its tiles, and its error."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
import tvm
import tvm_ffi
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel import (
    HOST,
    check,
    compile_here,
    compile_quickly,
    expected_output,
    function,
    has_output,
    square,
)
from tvm import te, tirx

from tvm_deconv.algebra.geometry import (
    Axis,
    ConvAxis,
    ConvTranspose2d,
    axis_of_resize,
    axis_of_subpixel,
)
from tvm_deconv.algebra.winograd import can_share, can_shift, tile_outputs
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.cpu.tiling import STACK_BYTES
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.cpu.winograd import products
from tvm_deconv.schedules.cpu.winograd.layout import Layout
from tvm_deconv.schedules.cpu.winograd.tile import WinogradTile
from tvm_deconv.schedules.cpu.winograd.variant import WINOGRAD, refusal
from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE
from tvm_deconv.targets import resolve_target


@st.composite
def axes(draw):
    kind = draw(st.sampled_from(["subpixel", "resize", "deconv"]))
    if kind == "deconv":
        stride = draw(st.integers(1, 3))
        kernel = draw(st.integers(stride + 1, 3 * stride))
        pads = draw(st.integers(0, kernel - 1)), draw(st.integers(0, 2))
        return Axis(kernel, stride, min(pads[0], 3), pads[1], draw(st.integers(0, stride - 1)))
    kernel = draw(st.integers(2, 4) if kind == "subpixel" else st.integers(3, 5))
    conv = ConvAxis(kernel, draw(st.integers(0, kernel - 1)), draw(st.integers(0, kernel - 1)))
    make = axis_of_subpixel if kind == "subpixel" else axis_of_resize
    return make(conv, draw(st.integers(1, 3)))


def planes():
    return st.tuples(axes(), axes())


@st.composite
def lines(draw):
    """One tap along an axis; along the other many, dilated, or what two dimensions have."""
    kernel, dilation = draw(st.integers(2, 21)), draw(st.sampled_from([1, 1, 2, 3, 5]))
    crop = draw(st.integers(0, kernel - 1)), draw(st.integers(0, kernel - 1))
    long = Axis(kernel, 1, *crop, dilation=dilation)
    one = draw(st.sampled_from([Axis(1), Axis(2, 2), Axis(3, 3, 1, 0)]))
    pair = [one, draw(st.sampled_from([long, long, draw(axes())]))]
    return pair if draw(st.booleans()) else pair[::-1]


@st.composite
def tiled_layers(draw):
    """(layer, input size, tile): every parameter of the tile is drawn, not chosen."""
    groups = draw(st.sampled_from([1, 1, 1, 2]))
    inputs, outputs = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    pair = draw(st.sampled_from([planes(), lines()]))
    conv = ConvTranspose2d(groups * inputs, groups * outputs, *draw(pair), groups)
    shape = draw(st.integers(1, 2)), draw(st.integers(1, 30)), draw(st.integers(1, 60))
    lanes = draw(st.sampled_from([4, 8, 16]))
    block = draw(st.integers(1, outputs))
    form = tuple(draw(st.sampled_from(known)) for known in tile_outputs(conv))
    tile = WinogradTile(
        lanes=lanes,
        vectors=draw(st.integers(1, 3)),
        channels=draw(st.integers(1, 9)),
        outputs=form,
        tiles=(draw(st.integers(1, 4)), draw(st.integers(2, 20))),
        block=block,
        channel_splits=draw(st.integers(1, 3)),
        unroll=draw(st.sampled_from([n for n in (1, 2, 3, 4) if inputs % n == 0])),
        parallel=draw(st.booleans()),
        weight_vectors=draw(st.booleans()),
        apart=draw(st.booleans()),
        shifted=can_shift(conv) and draw(st.booleans()),
    )
    if not tile.apart and not tile.shifted and can_share(conv, form):
        tile = replace(tile, shared=draw(st.booleans()))
    return conv, shape, tile


@settings(max_examples=10)
@given(tiled_layers(), st.sampled_from(["float32", "float16"]), st.sampled_from(["", "hw", "nhw"]))
def test_any_tile_of_any_layer_equals_the_scatter_definition(layer, dtype, symbolic):
    conv, shape, tile = layer
    assert refusal(conv, ACCUMULATE_DTYPE) is None
    if has_output(conv, shape):
        check("winograd", conv, shape, dtype, symbolic=symbolic, parameters=tile)


@pytest.mark.parametrize("shape", [(1, 17, 31), (2, 40, 75)])
@pytest.mark.parametrize(
    "axis",
    [
        axis_of_subpixel(ConvAxis(3, 1, 1), 1),
        axis_of_subpixel(ConvAxis(3, 1, 1), 3),
        axis_of_subpixel(ConvAxis(3, 0, 2), 2),
        axis_of_resize(ConvAxis(3, 1, 1), 2),
        axis_of_resize(ConvAxis(5, 2, 2), 2),
        axis_of_resize(ConvAxis(3, 1, 1), 3),
        Axis(4, 2, 1, 1),
        Axis(3, 2, 1, 1, 1),
        Axis(9, 3, 4, 4, 2),
    ],
    ids=str,
)
def test_layers_of_real_networks_are_exact_with_the_chosen_tile(axis, shape):
    check("winograd", ConvTranspose2d(16, 6, axis, axis), shape)


def test_the_loop_nest_for_neon_equals_the_scatter_definition():
    neon = cpu_machine(resolve_target("raspberry-pi/4b-aarch64"))
    conv = ConvTranspose2d(16, 12, *square(axis_of_resize, ConvAxis(3, 1, 1), 2))
    tile = function("winograd", conv, (1, 33, 47), machine=neon)[1]
    assert tile.lanes == 4 and tile.weight_vectors
    check("winograd", conv, (1, 33, 47), parameters=tile)


LATE = [
    Axis(4, 2, 1, 1),
    Axis(3, 2, 1, 1, 1),
    Axis(5, 2, 0, 1),
    Axis(9, 3, 4, 4, 2),
    axis_of_resize(ConvAxis(3, 1, 1), 3),
]


@pytest.mark.parametrize("symbolic", ["", "nhw"])
@pytest.mark.parametrize("axis", LATE, ids=str)
@pytest.mark.parametrize(("apart", "shifted"), [(True, False), (True, True), (False, True)])
def test_phases_with_tiles_of_their_own_equal_the_scatter_definition(
    axis, symbolic, apart, shifted
):
    conv = ConvTranspose2d(8, 6, axis, axis, 2)
    for lanes, rows in ((16, 1), (8, 4)):
        tile = WinogradTile(lanes, 2, 3, (2, 3), (rows, 5), 2, apart=apart, shifted=shifted)
        check("winograd", conv, (2, 7, 19), symbolic=symbolic, parameters=tile)


def test_phases_in_width_with_tiles_of_their_own_have_no_tile_beyond_the_map():
    conv = ConvTranspose2d(8, 8, *square(Axis, 4, 2, 1, 1))
    tile = WinogradTile(16, 1, 4, (2, 2), (4, 4), 8, apart=True)
    shifted = replace(tile, shifted=True)
    assert [Layout(conv, one).w.strips(8) for one in (tile, shifted)] == [2, 1]
    # Rows of both phases at each of 3 x 3 points, or as many products of one each.
    shapes = [WINOGRAD.packed_shape(conv, one) for one in (tile, shifted)]
    assert [(shape[3:5], shape[5] * shape[-1]) for shape in shapes] == [((3, 3), 16), ((3, 6), 8)]


def test_strips_of_one_phase_have_no_row_of_tiles_beyond_the_map():
    conv = ConvTranspose2d(8, 8, *square(Axis, 4, 2, 1, 1))
    together = WinogradTile(16, 3, 4, (2, 3), (8, 6), 8)
    apart = replace(together, apart=True)
    assert [Layout(conv, tile).h.strips(16) for tile in (together, apart)] == [2, 1]
    assert [WINOGRAD.packed_shape(conv, tile)[:2] for tile in (together, apart)] == [(1, 1), (1, 2)]


@pytest.mark.parametrize(("columns", "tail", "loaded"), [(6, 0, 32), (15, 0, 32), (16, 2, 32)])
def test_columns_that_no_tile_reads_are_not_dealt_out(columns, tail, loaded):
    conv = ConvTranspose2d(5, 3, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 1))
    tile = WinogradTile(16, 1, 3, (2, 2), (2, columns), 3)
    layout = Layout(conv, tile)
    assert (layout.chunks, layout.tail, layout.spread) == (1, tail, loaded)
    check("winograd", conv, (1, 5, 2 * columns), parameters=tile)


@cache
def relative_error(variant, conv, shape, tile=None):
    """Largest error over the largest output; the tile is that of the variant, or its own choice."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((shape[0], conv.in_channels, *shape[1:])).astype("float32")
    weight = rng.standard_normal(conv.weight_shape).astype("float32")
    expected = expected_output(conv, x, weight)
    func, parameters = function(variant, conv, shape, parameters=tile)
    built = compile_quickly(func, HOST)
    y = tvm.runtime.empty(expected.shape, "float32")
    packed = tvm.runtime.tensor(VARIANTS[variant].pack_weights(weight, conv, parameters))
    built["main"](tvm.runtime.tensor(x), packed, y)
    return np.abs(y.numpy() - expected).max() / np.abs(expected).max()


THREE_TAPS, TWO_TAPS = axis_of_subpixel(ConvAxis(3, 1, 1), 1), axis_of_resize(ConvAxis(3, 1, 1), 2)


@pytest.mark.parametrize(
    ("axis", "outputs", "most"),
    [
        (THREE_TAPS, (4, 4), 2e-6),
        (THREE_TAPS, (6, 4), 5e-6),
        (THREE_TAPS, (5, 5), 8e-6),
        (THREE_TAPS, (6, 6), 1.2e-5),
        (TWO_TAPS, (2, 2), 1e-6),
        (TWO_TAPS, (4, 4), 4e-6),
        (TWO_TAPS, (5, 5), 3e-6),
        (TWO_TAPS, (6, 5), 1e-5),
        (TWO_TAPS, (7, 7), 2e-5),
    ],
)
@pytest.mark.parametrize(("channels", "times"), [(64, 1), (512, 3)])
def test_the_error_is_the_one_that_is_stated(axis, outputs, most, channels, times):
    conv = ConvTranspose2d(channels, 4, axis, axis)
    tile = WinogradTile(16, 1, 8, outputs, (2, 8), 4)
    assert relative_error("revd2", conv, (1, 24, 40)) < 1e-6 * times
    assert relative_error("winograd", conv, (1, 24, 40), tile) < most


def same(taps, dilation=1):
    reach = dilation * (taps - 1)
    return axis_of_subpixel(ConvAxis(taps, reach // 2, reach - reach // 2, dilation), 1)


@pytest.mark.parametrize(
    ("taps", "outputs", "most"),
    [(3, 4, 2e-6), (3, 6, 2e-6), (7, 3, 3e-6), (7, 4, 4e-6), (11, 4, 4e-6), (11, 5, 4e-6)],
)
@pytest.mark.parametrize("channels", [64, 512])
def test_the_error_of_a_line_is_no_larger_than_that_of_a_plane(taps, outputs, most, channels):
    conv = ConvTranspose2d(channels, 4, Axis(1), same(taps))
    tile = WinogradTile(16, 2, 4, (1, outputs), (1, 32 - taps // 4), 4)
    assert relative_error("winograd", conv, (1, 1, 700), tile) < most


def chain_error(variant, taps, channels, plane=False):
    """Largest error over the largest value after 24 residual layers, whose kernels alternate."""
    rng = np.random.default_rng(0)
    shape = (1, 24, 30) if plane else (1, 1, 300)
    layers = []
    for count in taps:
        axis = same(count)
        conv = ConvTranspose2d(channels, channels, axis if plane else Axis(1), axis)
        func, parameters = function(variant, conv, shape)
        layers.append((conv, parameters, compile_quickly(func, HOST)["main"]))
    got = rng.standard_normal((1, channels, *shape[1:])).astype("float32")
    wanted = got.astype("float64")
    for number in range(24):
        conv, parameters, kernel = layers[number % len(layers)]
        terms = channels * conv.h.max_taps * conv.w.max_taps
        weight = rng.standard_normal(conv.weight_shape) * np.sqrt(2 / terms)
        weight = weight.astype("float32")
        y = tvm.runtime.empty(got.shape, "float32")
        packed = tvm.runtime.tensor(VARIANTS[variant].pack_weights(weight, conv, parameters))
        kernel(tvm.runtime.tensor(np.maximum(got, 0)), packed, y)
        got = got + y.numpy()
        wanted = wanted + expected_output(conv, np.maximum(wanted, 0), weight)
    return np.abs(got - wanted).max() / np.abs(wanted).max()


@pytest.mark.parametrize(
    ("taps", "channels", "plane", "times"),
    [((3, 7, 11), 32, False, 4), ((3, 7, 11), 128, False, 2), ((3,), 64, True, 2)],
)
def test_a_chain_of_layers_loses_little_more_than_plain_sums_do(taps, channels, plane, times):
    plain = chain_error("revd2", taps, channels, plane)
    assert plain < 3e-6
    assert chain_error("winograd", taps, channels, plane) < times * plain


@pytest.mark.parametrize("cores", [1, 4])
def test_sums_of_a_large_register_tile_stay_in_registers(cores):
    # In TVM's workspace LLVM kept them there only where one thread runs.
    target = resolve_target({"kind": "llvm", "mcpu": "skylake-avx512", "num-cores": cores})
    conv = ConvTranspose2d(64, 64, THREE_TAPS, THREE_TAPS)
    func, tile = function("winograd", conv, (1, 64, 64), target=target)
    sums = tile.vectors * tile.channels
    assert tile.parallel == (cores > 1) and 4 * tile.lanes * sums >= STACK_BYTES
    assert_sums_stay_in_registers(func, target, tile)


@pytest.mark.parametrize("outputs", [(7, 3), (3, 3)])
@pytest.mark.parametrize("processor", ["skylake-avx512", "znver5"])
def test_sums_stay_in_registers_beside_constants_and_prefetches(processor, outputs):
    # Constants of the transform back took a third of the registers, or LLVM loaded weights ahead of
    # a jump over a prefetch.
    target = resolve_target({"kind": "llvm", "mcpu": processor, "num-cores": 1})
    axis = replace(TWO_TAPS, equal_sums=True)
    block = 16 if outputs == (3, 3) else 8
    tile = WinogradTile(16, 3, 8, outputs, (1, 43), block, shared=True)
    conv = ConvTranspose2d(64, 64, axis, axis)
    func, _ = function("winograd", conv, (1, 128, 128), parameters=tile)
    assert_sums_stay_in_registers(func, target, tile)


def assert_sums_stay_in_registers(func, target, tile):
    assembly = compile_here(func, target).mod.inspect_source("asm")
    assembly = assembly.partition("\nproducts:")[2].partition("func_end")[0]
    # Loops from their label to the jump back; LLVM may write out several turns of one.
    loops = re.findall(r"\n(\.LBB\w+):(?=((?:\n.*)*?)\n\tj\w+\t\1\n)", assembly)
    step = tile.unroll * tile.vectors * tile.channels
    loops = [loop for loop in loops if loop[1].count("vfmadd") in (step, 2 * step, 4 * step)]
    # Not those around them, which store the sums.
    reductions = [code for _, code in loops if not any(f"\n{label}:" in code for label, _ in loops)]
    assert reductions
    assert not [code for code in reductions if re.search(r"\tvmov\w+\t%zmm\d+, .*\(", code)]


@pytest.mark.parametrize("taps", [5, 7, 9])
def test_a_large_square_kernel_in_pieces_is_as_exact(taps):
    conv = ConvTranspose2d(64, 4, same(taps), same(taps))
    assert relative_error("winograd", conv, (1, 24, 40)) < 2e-5


@pytest.mark.parametrize(
    ("taps", "outputs", "products"),
    [(3, 6, 8), (7, 4, 10), (7, 3, 9), (11, 4, 20), (11, 5, 20), (7, 12, 28), (11, 16, 42)],
)
def test_a_long_kernel_takes_few_products(taps, outputs, products):
    """For each tile and pair of channels; directly it would be taps * outputs."""
    conv = ConvTranspose2d(4, 4, Axis(1), same(taps))
    layout = Layout(conv, WinogradTile(4, 1, 4, (1, outputs), (1, 8), 4))
    assert layout.w.points * layout.pieces == products
    func, _ = function("winograd", conv, (1, 1, 50), parameters=layout.tile)
    update = edit.find_block(func.body, "products_update")
    reduced = [
        int(var.dom.extent) for var in update.block.iter_vars if var.iter_type == var.CommReduce
    ]
    assert reduced == [4, layout.pieces]


@pytest.mark.parametrize("symbolic", ["", "w"])
@pytest.mark.parametrize("transposed", [False, True], ids=["row", "column"])
@pytest.mark.parametrize(
    "axis", [same(7), same(11, 5), same(4, 3), Axis(13, 1, 3, 7), Axis(16, 8, 4, 4)], ids=str
)
def test_lines_are_exact_with_the_chosen_tile(axis, transposed, symbolic):
    shape = (2, 1, 203) if not transposed else (1, 97, 3)
    axes = (axis, Axis(1)) if transposed else (Axis(1), axis)
    check("winograd", ConvTranspose2d(8, 6, *axes, 2), shape, symbolic=symbolic)


@pytest.mark.parametrize("dilation", [2, 3])
def test_a_dilated_kernel_multiplies_no_zeros(dilation):
    axis = same(3, dilation)
    conv = ConvTranspose2d(8, 6, axis, axis)
    tile = function("winograd", conv, (1, 31, 45))[1]
    assert Layout(conv, tile).w.taps == Layout(conv, tile).h.taps == 3
    check("winograd", conv, (1, 31, 45), parameters=tile)


FOUR = Axis(4, 2, 1, 1)
REFUSED = [
    (Axis(14, 1, 6, 6), "14 taps in height, at most 13"),
    (Axis(3, 2, 1, 1, 0, 2), "no tap in height"),
]


@pytest.mark.parametrize(("axis", "reason"), REFUSED)
def test_what_gains_nothing_or_is_unknown_is_refused(axis, reason):
    assert reason in refusal(ConvTranspose2d(8, 8, axis, FOUR), ACCUMULATE_DTYPE)
    mirrored = reason.replace("height", "width")
    assert mirrored in refusal(ConvTranspose2d(8, 8, FOUR, axis), ACCUMULATE_DTYPE)


def test_a_kernel_of_one_tap_is_refused_and_a_line_may_have_21():
    assert "phases have 1 tap" in refusal(ConvTranspose2d(8, 8, Axis(1), Axis(2, 2)), "float32")
    assert refusal(ConvTranspose2d(8, 8, Axis(1), same(21)), "float32") is None
    reason = refusal(ConvTranspose2d(8, 8, Axis(1), same(22)), "float32")
    assert reason == "phases have 22 taps in width, at most 21 are known"


def test_sums_in_float16_are_refused():
    conv = ConvTranspose2d(8, 8, *square(Axis, 4, 2, 1, 1))
    assert refusal(conv, ACCUMULATE_DTYPE) is None
    assert "float16" in refusal(conv, "float16")


def test_all_phases_and_channels_share_one_transformed_input():
    conv = ConvTranspose2d(8, 16, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 2))
    func, tile = function("winograd", conv, (1, 40, 64))
    layout = Layout(conv, tile)
    root = func.body.block
    points_and_inputs = allocated(func)["transform"][:3]
    assert points_and_inputs[:2] == [layout.h.points, layout.w.points]
    assert points_and_inputs[2] in (8, 9)
    # It is written before the loop over blocks of channels, once for a strip.
    *inputs, blocks = root.body.body.seq
    assert "products[" not in str(inputs)
    assert edit.find_block(blocks, "products_update") is not None


@pytest.mark.parametrize("symbolic", ["", "nhw"])
def test_the_reduction_carries_no_predicate(symbolic):
    conv = ConvTranspose2d(64, 62, *square(axis_of_resize, ConvAxis(3, 1, 1), 2))
    func, _ = function("winograd", conv, (1, 57, 101), symbolic=symbolic)
    update = edit.find_block(func.body, "products_update")
    assert isinstance(update.predicate, tirx.IntImm) and update.predicate.value == 1
    assert "if_then_else" not in str(update.block.body)


def test_the_last_columns_of_a_free_width_are_stored_by_a_loop_of_known_length():
    """A length that is a remainder by a free number takes TVM minutes where it is written out."""
    conv = ConvTranspose2d(8, 8, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 2))
    # The strips, of a free number, are shared by two threads, and each is a loop of one iteration.
    machine = replace(cpu_machine(HOST), threads=2)
    func, _ = function("winograd", conv, (1, 57, 101), symbolic="hw", machine=machine)
    loops = []
    tvm_ffi.structural_walk(func.body, (tirx.For, loops.append))
    inner = [loop for loop in loops if isinstance(loop.min, tirx.IntImm)]
    around = [loop for loop in inner if loop.kind != tirx.ForKind.PARALLEL and "store" in str(loop)]
    assert around and all(isinstance(loop.extent, tirx.IntImm) for loop in around)


@pytest.mark.parametrize("symbolic", ["hw", "w"])
def test_no_loop_over_a_row_has_a_bound_that_is_a_long_formula_of_free_sizes(symbolic):
    """Each run of a row begins where the one before ends: written out, formulas grow fourfold."""
    conv = ConvTranspose2d(8, 8, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 2))
    tile = WinogradTile(8, 1, 8, (4, 4), (2, 16), 8)
    func, _ = function("winograd", conv, (1, 57, 101), symbolic=symbolic, parameters=tile)
    loops = []
    tvm_ffi.structural_walk(func.body, (tirx.For, loops.append))
    runs = [loop for loop in loops if loop.loop_var.name == "j"]
    assert len(runs) > 4
    for run in runs:
        parts = []
        tvm_ffi.structural_walk(run.extent, ((tirx.Min, tirx.Max), parts.append))
        assert len(parts) < 2


def test_parameters_may_come_from_anywhere():
    conv = ConvTranspose2d(8, 8, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 2))
    chosen = function("winograd", conv, (1, 20, 40))[1]
    sampled = replace(chosen, outputs=(2, 3), tiles=(3, 5), channels=3, vectors=2)
    check("winograd", conv, (1, 20, 40), parameters=sampled)
    assert WINOGRAD.packed_shape(conv, sampled) != WINOGRAD.packed_shape(conv, chosen)


def allocated(func):
    """Sizes of what is allocated by statements, by name."""
    sizes = {}

    def note(statement):
        sizes[statement.buffer.name] = [int(n) for n in statement.buffer.shape]

    tvm_ffi.structural_walk(func.body, (tirx.AllocBuffer, note))
    return sizes


class _AfterCompaction:
    def __init__(self):
        self.sizes = {}

    def run_after_pass(self, mod, info):
        if info.name == "s_tir.CompactBufferAllocation":
            for _, func in mod.functions_items():
                self.sizes |= allocated(func)


def test_rows_of_scratch_stay_an_odd_number_of_cache_lines_apart():
    """TVM would cut the buffers to what is touched: 64 tiles, whose rows share a cache's sets."""
    conv = ConvTranspose2d(8, 8, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 1))
    tile = WinogradTile(16, 1, 8, (4, 4), (1, 64), 8)
    func, _ = function("winograd", conv, (1, 16, 256), parameters=tile)
    watch = tvm.instrument.pass_instrument(_AfterCompaction)()
    with tvm.transform.PassContext(instruments=[watch]):
        tvm.compile(tvm.IRModule({"main": func}), target=HOST)
    assert watch.sizes["transform"] == watch.sizes["products"] == [6, 6, 9, 80]


def test_a_transform_goes_along_one_axis_at_a_time_and_reads_the_input_where_it_lies():
    """All 64 points of a tile at once take twice the registers that there are."""
    conv = ConvTranspose2d(8, 8, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 1))
    tile = WinogradTile(16, 1, 8, (6, 6), (2, 32), 8)
    func, _ = function("winograd", conv, (1, 24, 192), parameters=tile)
    stores, loaded = {}, set()

    def count(loop):
        inner = []
        tvm_ffi.structural_walk(loop.body, (tirx.BufferStore, inner.append))
        if isinstance(loop.body, tirx.SeqStmt):
            names = [store.buffer.name for store in inner if store.buffer.name == "transform"]
            stores[loop] = len(names)

    def note(load):
        if isinstance(load.indices[-1], tirx.Ramp):
            loaded.add(load.source.name)

    tvm_ffi.structural_walk(func.body, (tirx.For, count))
    tvm_ffi.structural_walk(func.body, (tvm.ir.TensorLoad, note))
    assert max(stores.values()) == Layout(conv, tile).w.points == 8
    assert {"x", "columns", "inverted"} <= loaded and "dealt" not in loaded


@pytest.mark.parametrize("lanes", [8, 16])
def test_all_of_a_row_is_prefetched_wherever_its_lines_begin(lanes):
    # With 16 lanes beside the columns that are transformed, with 8 before each row.
    conv = ConvTranspose2d(8, 8, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 1))
    tile = WinogradTile(lanes, 1, 8, (6, 5), (1, 64), 8)
    func, _ = function("winograd", conv, (1, 24, 320), parameters=tile)
    extents, columns, width = {}, set(), Layout(conv, tile).w.inputs

    def loop(node):
        extents[node.loop_var] = node.extent

    def prefetch(node):
        if not getattr(node.op, "name", "").endswith("prefetch"):
            return
        (load,) = node.args[0].args
        if load.source.name != "x":
            return
        used = {var: range(int(extents[var])) for var in edit.variables_of(load.indices[-1])}
        for values in product(*used.values()):
            columns.add(int(edit.bind(load.indices[-1], dict(zip(used, values, strict=True)))))

    tvm_ffi.structural_walk(func.body, (tirx.For, loop))
    tvm_ffi.structural_walk(func.body, (tvm.ir.Call, prefetch))
    for begin in range(16):
        needed = {(begin + column) // 16 for column in range(-1, width - 1)}
        assert needed <= {(begin + column) // 16 for column in columns}


@pytest.mark.parametrize("lanes", [8, 16])
@pytest.mark.parametrize("symbolic", ["", "hw"])
@pytest.mark.parametrize("shape", [(2, 9, 37), (1, 1, 1), (1, 13, 2)])
def test_borders_are_read_under_a_mask_where_vectors_have_16_lanes(lanes, symbolic, shape):
    axis = axis_of_subpixel(ConvAxis(5, 4, 0), 1)
    conv = ConvTranspose2d(3, 2, axis, axis)
    tile = WinogradTile(lanes, 1, 2, (4, 4), (2, lanes), 2)
    func, _ = function("winograd", conv, shape, symbolic=symbolic, parameters=tile)
    assert ("llvm.masked.load" in str(func)) == (lanes == 16)
    check("winograd", conv, shape, symbolic=symbolic, parameters=tile)


def input_added(y):
    """y + x, for a layer whose output is as large as its input."""
    found = y
    while found.op.input_tensors:
        found = found.op.input_tensors[0]
    return te.compute(y.shape, lambda *place: y(*place) + found(*place), "sum")


def prefetched(block, lanes=16, unroll=1):
    """Elements (channel, row, column) of x and of x + layer(x) that are prefetched to be stored.

    The layer is of 8 -> 8 channels, 8 x 128. What of x is fetched to be transformed has a place of
    the input channel ``ic``.
    """
    conv = ConvTranspose2d(8, 8, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 1))
    tile = WinogradTile(lanes, 32 // lanes, 4, (4, 4), (1, 32), block, unroll=unroll)
    func, _ = function("winograd", conv, (1, 8, 128), parameters=tile, epilogue=input_added)
    loops, places = {}, []
    tvm_ffi.structural_walk(
        func.body, (tirx.For, lambda loop: loops.update({loop.loop_var: loop.extent}))
    )

    def note(call):
        if call.op.same_as(tvm.ir.Op.get("tirx.prefetch")):
            load = call.args[0].args[0]
            names = {var.name for index in load.indices for var in free(index)}
            if load.source.name in ("x", "sum") and "ic" not in names:
                places.append((load.source.name, load.indices[1:]))

    def free(index):
        return tirx.analysis.undefined_vars(index)

    tvm_ffi.structural_walk(func.body, (tvm.ir.Call, note))
    found = {}
    for name, place in places:
        used = {var for index in place for var in free(index)}
        for values in product(*(range(int(loops[var])) for var in used)):
            at = dict(zip(used, values, strict=True))
            elements = found.setdefault(name, set())
            elements.add(tuple(int(edit.bind(index, at)) for index in place))
    return found


@pytest.mark.parametrize(
    ("lanes", "unroll"), [(16, 1), (16, 4), (8, 1)], ids=["in turns", "in few turns", "at once"]
)
def test_all_lines_of_a_blocks_outputs_and_of_a_residual_are_prefetched(lanes, unroll, monkeypatch):
    lines = set(product(range(8), range(8), range(0, 128, 16)))
    found = prefetched(4, lanes, unroll)
    assert lines <= found["sum"]
    assert lines <= found["x"]
    monkeypatch.setattr(products, "MOST_FETCHED", 127)
    assert not prefetched(4, lanes, unroll)


@given(st.integers(1, 300), st.integers(1, 130), st.integers(1, 600))
def test_each_line_of_the_output_is_fetched_by_one_tile_of_the_products(rows, lines, tiles):
    runs, each, share = products.shares_of(rows, lines, tiles)
    places = range(min(tiles * each, rows * runs))
    fetched = [(p // runs, p % runs * share + line) for p in places for line in range(share)]
    inside = [line for line in fetched if line[1] < lines]
    assert sorted(inside) == [*product(range(rows), range(lines))]
    # Of each row fewer lines are beyond its end than there are in a run.
    assert len(fetched) - len(inside) < rows * share
