"""The tuner's space: it holds what is chosen without it, refuses with reasons, and is right."""

from __future__ import annotations

from dataclasses import replace

import kernel
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kernel import has_output, layers, square
from space_points import check_default, feasible

from tvm_deconv.algebra.geometry import (
    Axis,
    ConvAxis,
    ConvTranspose2d,
    axis_of_resize,
    axis_of_subpixel,
)
from tvm_deconv.errors import VariantError
from tvm_deconv.schedules.cpu.machine import CpuMachine, cpu_machine
from tvm_deconv.schedules.cpu.tiling import Tiling
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.cpu.winograd.tile import WinogradTile
from tvm_deconv.schedules.space import fields, parameters_of, point_of, tuning_refusal
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, Sizes
from tvm_deconv.targets import resolve_target
from tvm_deconv.workloads import ALL

every_variant = pytest.mark.parametrize("variant", sorted(VARIANTS))

# A server, a board and a processor with few registers; two of them with more than one thread.
AVX512 = CpuMachine(
    name="avx512",
    lanes=16,
    vector_registers=32,
    l1_bytes=32 * 1024,
    l2_bytes=1024 * 1024,
    threads=2,
    memory_operands=True,
    l3_bytes=16 * 1024 * 1024,
)
NEON = cpu_machine(resolve_target("raspberry-pi/4b-aarch64"))
AVX2 = cpu_machine(resolve_target({"kind": "llvm", "mcpu": "haswell", "num-cores": 1}))
MACHINES = st.sampled_from([AVX512, NEON, AVX2])

SUBPIXEL = ConvTranspose2d(8, 6, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 2))
NEAREST = ConvTranspose2d(32, 64, *square(axis_of_resize, ConvAxis(3, 1, 1), 2))
WIDE = ConvTranspose2d(512, 64, *square(Axis, 3, 1, 1, 1))
PLAIN = ConvTranspose2d(64, 64, *square(Axis, 3, 1, 1, 1))
UNEVEN = ConvTranspose2d(16, 16, *square(Axis, 5, 2, 2, 2, 1))


def computes(variant, conv):
    return VARIANTS[variant].refusal(conv, ACCUMULATE_DTYPE) is None


@st.composite
def free_or_known(draw, shape):
    """Sizes of which some are only known at run time."""
    free = draw(st.sampled_from(["", "", "hw", "nhw", "w", "h"]))
    return Sizes(*(None if name in free else n for name, n in zip("nhw", shape, strict=True)))


@every_variant
@settings(max_examples=25)
@given(layers(), st.data(), MACHINES)
def test_what_a_variant_chooses_itself_is_in_its_space(variant, layer, data, machine):
    conv, shape = layer
    sizes = data.draw(free_or_known(shape))
    if has_output(conv, shape) and computes(variant, conv):
        check_default(VARIANTS[variant], conv, sizes, machine)


@every_variant
def test_what_is_chosen_for_the_workloads_is_in_the_space(variant):
    layers = {
        (spec.geometry(), spec.geometry_shape)
        for workload in ALL
        for spec in workload.layers
        if spec.stride == 1
    }
    assert len(layers) > 60
    for conv, (n, _, h, w) in layers:
        if computes(variant, conv):
            check_default(VARIANTS[variant], conv, Sizes(n, h, w), AVX512)


WINOGRAD_AXES = st.sampled_from(
    [
        Axis(3, 1, 1, 1),
        Axis(4, 2, 1, 1),
        Axis(9, 3, 4, 4, 2),
        axis_of_subpixel(ConvAxis(3, 0, 2), 2),
        axis_of_resize(ConvAxis(5, 2, 1), 2),
        axis_of_resize(ConvAxis(3, 1, 1), 3),
    ]
)


@st.composite
def tuned_layers(draw, name):
    """(layer, input size, parameters) of a feasible point."""
    conv, shape = draw(layers())
    if name == "winograd":
        conv = replace(conv, h=draw(WINOGRAD_AXES), w=draw(WINOGRAD_AXES))
    if name == "depthwise":
        n, outputs = conv.in_channels, draw(st.integers(1, 3))
        conv = replace(conv, out_channels=n * outputs, groups=n)
    assume(has_output(conv, shape))
    sizes, machine = draw(free_or_known(shape)), draw(MACHINES)
    parameters = feasible(draw, VARIANTS[name], conv, sizes, machine)
    return conv, shape, sizes, parameters


@every_variant
@settings(max_examples=8)
@given(st.data(), st.sampled_from(["float32", "float16"]))
def test_a_feasible_point_computes_the_layer(variant, data, dtype):
    conv, shape, sizes, parameters = data.draw(tuned_layers(variant))
    symbolic = "".join(name for name, n in zip("nhw", sizes, strict=True) if n is None)
    kernel.check(variant, conv, shape, dtype, symbolic=symbolic, parameters=parameters)


# Of a layer of 64 -> 64 channels with 3x3 taps, or 2x2 in each of 4 phases.
TILE = Tiling(lanes=16, vectors=2, channels=4, rows=4, column_tiles=2)
WINOGRAD_TILE = WinogradTile(
    lanes=16, vectors=1, channels=8, outputs=(4, 4), tiles=(4, 8), block=16
)
SIZES = Sizes(1, 64, 64)

IMPOSSIBLE = [
    ("revd2", PLAIN, {"lanes": 32}, "no vectors of 32 lanes on a machine of 16"),
    ("revd2", PLAIN, {"lanes": 12}, "no vectors of 12 lanes"),
    ("stdd", PLAIN, {"channels": 1, "vectors": 2}, "one vector is computed at a time, not 2"),
    ("stdd", PLAIN, {"channels": 2, "vectors": 1}, "channels is 1, not 2"),
    ("revd", PLAIN, {"channels": 24, "vectors": 1}, "24 channels neither fill vectors of 16"),
    ("revd", PLAIN, {"channels": 6, "vectors": 1}, "6 channels neither fill vectors of 16"),
    ("revd", SUBPIXEL, {"channels": 16, "vectors": 1}, "where 8 hold all 6 of a group"),
    ("tdc", SUBPIXEL, {"channels": 7, "vectors": 1}, "7 channels in a tile, where a group has 6"),
    ("revd2", PLAIN, {"channel_splits": 3}, "16 tiles of channels are not divisible by 3 splits"),
    ("revd2", PLAIN, {"inner_fh": True}, "inner_fh needs a register tile"),
    ("tdc", NEAREST, {"inner_fh": True}, "inner_fh needs a register tile"),
    ("revd2", NEAREST, {"inner_fh": True, "unroll_fh": True}, "nothing to write out"),
    ("tdc", UNEVEN, {"unroll_th": False}, "which needs unroll_th"),
    ("revd2", UNEVEN, {}, "which needs unroll_fh or inner_fh"),
    ("strd", PLAIN, {"weight_vectors": True}, "needs a machine that multiplies by a lane"),
    ("winograd", PLAIN, {"lanes": 2}, "no vectors of 2 lanes"),
    ("winograd", PLAIN, {"outputs": (1, 4)}, "1 outputs of a tile in height: known"),
    (
        "winograd",
        PLAIN,
        {"outputs": (4, 7)},
        "7 outputs of a tile in width: known and of use are 2, 3, 4, 5, 6",
    ),
    ("winograd", NEAREST, {"block": 65}, "65 channels in a block, where a group has 64"),
    ("winograd", PLAIN, {"channel_splits": 3}, "4 blocks are not divisible by 3 splits"),
    ("winograd", PLAIN, {"unroll": 3}, "64 input channels are not divisible by unroll 3"),
    ("winograd", PLAIN, {"weight_vectors": True}, "needs a machine that multiplies by a lane"),
    ("winograd", NEAREST, {"shared": True, "apart": True}, "that are apart share no products"),
    ("winograd", ConvTranspose2d(8, 8, *square(Axis, 2, 2)), {}, "phases have 1 tap"),
]

COSTLY = [
    ("revd2", PLAIN, {"channels": 15}, "33 vector registers, more than 32"),
    ("revd2", PLAIN, {"channels": 8}, "1024 bytes of accumulators on the stack, more than 1023"),
    ("revd2", SUBPIXEL, {"channels": 5, "vectors": 1}, "40 percent of channels computed for"),
    ("revd2", WIDE, {"rows": 64}, "8921088 bytes of scratch, more than 4194304"),
    ("revd2", PLAIN, {"column_tiles": 3}, "1 register tiles beyond the output, more than 0"),
    ("revd2", PLAIN, {"rows": 64, "column_tiles": 2}, "1 threads without work, more than 0"),
    ("revd2", PLAIN, {"rows": 65}, "65 rows of blocks in a strip, more than 64"),
    (
        "stdd",
        NEAREST,
        {"vectors": 1, "channels": 1, "rows": 64, "column_tiles": 4},
        "4751872 bytes",
    ),
    ("winograd", PLAIN, {"channels": 16, "vectors": 2}, "35 vector registers, more than 32"),
    ("winograd", PLAIN, {"channels": 16, "block": 64}, "1024 bytes of accumulators"),
    ("winograd", PLAIN, {"unroll": 64}, "512 multiply-adds written out, more than 256"),
    ("winograd", PLAIN, {"block": 4}, "50 percent of rows computed for nothing, more than 30"),
    ("winograd", PLAIN, {"tiles": (1, 9)}, "44 percent of tiles computed for nothing"),
    ("winograd", PLAIN, {"tiles": (17, 8)}, "1 rows of tiles beyond the output, more than 0"),
    ("winograd", PLAIN, {"tiles": (8, 18)}, "2 columns of tiles beyond the output, more than 0"),
    ("winograd", PLAIN, {"tiles": (16, 16)}, "1 threads without work, more than 0"),
]


@pytest.mark.parametrize(("variant", "conv", "changes", "reason"), IMPOSSIBLE + COSTLY)
def test_what_is_not_worth_building_is_refused_with_a_reason(variant, conv, changes, reason):
    parameters = replace(WINOGRAD_TILE if variant == "winograd" else TILE, **changes)
    assert reason in tuning_refusal(VARIANTS[variant], conv, SIZES, parameters, AVX512)


def refused(variant, conv, parameters, sizes=SIZES, machine=AVX512):
    return tuning_refusal(VARIANTS[variant], conv, sizes, parameters, machine)


def test_the_points_that_the_reasons_start_from_are_feasible():
    assert refused("revd2", PLAIN, TILE) is None
    assert refused("winograd", PLAIN, WINOGRAD_TILE) is None


def test_code_that_takes_long_to_compile_is_refused():
    conv = ConvTranspose2d(8, 8, *square(Axis, 13, 1, 6, 6))
    tile = replace(TILE, vectors=1, channels=8)
    what = "1352 multiply-adds written out"
    assert refused("revd2", conv, replace(tile, vectors=1)) is None
    conv = replace(conv, w=Axis(21, 1, 10, 10))
    assert what.replace("1352", "2184") in refused("revd2", conv, tile)
    assert refused("revd2", conv, replace(tile, unroll_th=False)) is None


def test_a_free_width_asks_for_narrow_strips_that_begin_at_a_vector():
    free = Sizes(1, None, None)
    assert "320 columns of a strip of free width" in refused(
        "revd2", PLAIN, replace(TILE, column_tiles=10), free
    )
    odd = replace(WINOGRAD_TILE, outputs=(4, 3))
    assert "strips of 24 columns" in refused("winograd", PLAIN, odd, free)
    assert refused("winograd", PLAIN, replace(odd, tiles=(4, 16)), free) is None
    # Phases that start late leave no choice: no strip of theirs begins at a vector.
    late = replace(odd, tiles=(4, 8), block=8)
    assert refused("winograd", UNEVEN, replace(late, outputs=(2, 2)), free) is None


def test_a_narrow_output_takes_no_wide_register_tile():
    assert "1 vectors beyond the output" in refused(
        "revd2", PLAIN, replace(TILE, column_tiles=1), Sizes(1, 64, 15)
    )


def test_weights_in_vectors_are_whole_vectors_on_a_machine_that_multiplies_by_a_lane():
    tile = replace(TILE, lanes=4, vectors=1, channels=8, weight_vectors=True)
    assert refused("revd2", PLAIN, tile, machine=NEON) is None
    assert "6 weights of a tap are no whole vectors of 4" in refused(
        "revd2", PLAIN, replace(tile, channels=6), machine=NEON
    )
    winograd = replace(WINOGRAD_TILE, lanes=4, vectors=2, channels=10, weight_vectors=True)
    assert "10 channels are no whole vectors of 4 weights" in refused(
        "winograd", PLAIN, winograd, machine=NEON
    )


BAD_POINTS = [
    ("revd2", {"rows": None}, "parameters of revd2 lack rows"),
    ("revd2", {"block": 4, "size": 2}, "have an unknown field block, size"),
    ("revd2", {"rows": 0}, "parameter rows of revd2 must be an integer of at least 1, got 0"),
    ("revd2", {"rows": 2.5}, "got 2.5"),
    ("tdc", {"lanes": "16"}, "got '16'"),
    ("tdc", {"parallel": 2}, "parameter parallel of tdc must be 0 or 1, got 2"),
    ("winograd", {"outputs_h": -1}, "parameter outputs_h of winograd"),
    ("winograd", {"tile_columns": None}, "lack tile_columns"),
    ("winograd", {"outputs": 4}, "unknown field outputs: give exactly lanes, vectors, channels"),
]


@pytest.mark.parametrize(("variant", "changes", "reason"), BAD_POINTS)
def test_a_point_that_is_none_is_an_error_that_names_the_field(variant, changes, reason):
    point = point_of(WINOGRAD_TILE if variant == "winograd" else TILE) | changes
    point = {name: value for name, value in point.items() if value is not None}
    with pytest.raises(VariantError, match=reason):
        parameters_of(VARIANTS[variant], point)


def test_a_point_is_made_of_flat_integers():
    point = point_of(WINOGRAD_TILE)
    assert (point["outputs_h"], point["tile_columns"], point["parallel"]) == (4, 8, 1)
    assert all(type(value) is int for value in point.values())
    made = parameters_of(VARIANTS["winograd"], {n: np.int64(v) for n, v in point.items()})
    assert made == WINOGRAD_TILE and made.parallel is True


def test_a_field_that_does_not_matter_has_one_value():
    one_thread = fields(VARIANTS["stdd"], PLAIN, SIZES, AVX2)
    for name in ("vectors", "channels", "inner_fh", "unroll_fh", "unroll_th", "weight_vectors"):
        assert len(one_thread[name]) == 1
    assert one_thread["parallel"] == (0,)
    assert len(fields(VARIANTS["revd2"], PLAIN, SIZES, AVX512)["inner_fh"]) == 1
    assert fields(VARIANTS["revd2"], NEAREST, SIZES, AVX512)["inner_fh"] == (0, 1)


def test_a_tuner_may_try_what_the_choice_does_not_consider():
    values = fields(VARIANTS["revd2"], PLAIN, SIZES, AVX512)
    assert 24 in values["channels"] and values["lanes"] == (8, 16)
    slim = replace(TILE, lanes=8, vectors=1, channels=24)
    assert refused("revd2", PLAIN, slim) is None
    blocks = fields(VARIANTS["winograd"], PLAIN, SIZES, AVX512)["block"]
    assert {4, 8, 16, 24, 32, 64} <= set(blocks)
