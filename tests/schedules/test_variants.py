"""Every variant against a float64 scatter, and each against the loop order it is named for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tvm_ffi
from drawn import CORNERS, has_output, layers, square, tilings
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel import HOST, check, function
from tvm import te, tirx

from tvm_deconv.algebra.geometry import (
    Axis,
    ConvAxis,
    ConvTranspose2d,
    axis_of_subpixel,
)
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.cpu.tiling import Tiling
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, Sizes
from tvm_deconv.targets import resolve_target

every_variant = pytest.mark.parametrize("variant", sorted(VARIANTS))


def computes(variant, conv):
    return VARIANTS[variant].refusal(conv, ACCUMULATE_DTYPE) is None


def skip_if_refused(variant, conv):
    reason = VARIANTS[variant].refusal(conv, ACCUMULATE_DTYPE)
    if reason is not None:
        pytest.skip(f"{variant}: {reason}")


# For REVD2, which most layers get, tests/schedules/cpu/test_revd2.py draws twice as many.
@pytest.mark.parametrize("variant", sorted(set(VARIANTS) - {"revd2"}))
@settings(max_examples=8)
@given(layers(), st.sampled_from(["float32", "float16"]), st.sampled_from(["", "hw", "nhw", "w"]))
def test_any_layer_equals_the_scatter_definition(variant, layer, dtype, symbolic):
    conv, shape = layer
    if has_output(conv, shape) and computes(variant, conv):
        check(variant, conv, shape, dtype, symbolic=symbolic)


@every_variant
@pytest.mark.parametrize("corner", CORNERS)
def test_corner_cases_equal_the_scatter_definition(variant, corner):
    skip_if_refused(variant, CORNERS[corner])
    # The more general code in every second case, the simpler in the others.
    symbolic = "nhw" if list(CORNERS).index(corner) % 2 else ""
    check(variant, CORNERS[corner], (2, 9, 21), symbolic=symbolic)


@every_variant
@pytest.mark.parametrize("symbolic", ["", "nhw"])
def test_strips_in_rows_and_columns_fit_together(variant, symbolic):
    # Wide and with many channels: several strips, and several blocks of columns in each.
    conv = ConvTranspose2d(16, 9, Axis(5, 2, 1, 3, 1), Axis(4, 3, 1, 0))
    skip_if_refused(variant, conv)
    machine = replace(cpu_machine(HOST), l2_bytes=32 * 1024)
    check(variant, conv, (1, 21, 200), machine=machine, symbolic=symbolic)


@pytest.mark.parametrize("variant", sorted(set(VARIANTS) - {"winograd", "depthwise"}))
@pytest.mark.parametrize("symbolic", ["h", "nh"])
def test_strips_of_a_free_height_are_shared_out_with_the_batch_and_the_groups(variant, symbolic):
    # There are h // 2 + 3 strips of two rows.
    conv = ConvTranspose2d(6, 9, Axis(6, 2, 3, 2, 1, 3), Axis(4, 2, 1, 1), groups=3)
    tile = VARIANTS[variant].choose(conv, Sizes(2, None, 9), cpu_machine(HOST))
    check(variant, conv, (2, 11, 9), symbolic=symbolic, parameters=replace(tile, rows=2))


@pytest.mark.parametrize("variant", ["tdc", "revd", "stdd", "strd"])
@settings(max_examples=6)
@given(st.data())
def test_any_tile_sizes_give_the_same_sums(variant, data):
    conv, shape = data.draw(layers())
    if has_output(conv, shape):
        tile = data.draw(tilings(conv, variant))
        symbolic = data.draw(st.sampled_from(["", "nhw"]))
        check(variant, conv, shape, symbolic=symbolic, parameters=tile)


@pytest.mark.parametrize("variant", ["tdc", "revd", "stdd", "strd"])
def test_tiles_beyond_a_narrow_output_are_left_out(variant):
    tile = Tiling(lanes=4, vectors=1, channels=1, rows=2, column_tiles=3, parallel=False)
    check(variant, ConvTranspose2d(1, 1, Axis(1, 2), Axis(1, 2)), (1, 1, 1), parameters=tile)


@every_variant
def test_the_loop_nest_for_neon_equals_the_scatter_definition(variant):
    neon = cpu_machine(resolve_target("raspberry-pi/4b-aarch64"))
    conv = ConvTranspose2d(6, 8, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 2))
    skip_if_refused(variant, conv)
    check(variant, conv, (1, 7, 13), machine=neon)


@every_variant
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_an_epilogue_is_stored_with_the_sums(variant, dtype):
    conv = ConvTranspose2d(4, 6, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 2))
    skip_if_refused(variant, conv)

    def epilogue(y):
        # A value per channel and phase, then an activation: two stages to inline.
        added = te.compute(
            y.shape,
            lambda n, c, i, j: y[n, c, i, j] + (c + 2 * (i % 2) + 4 * (j % 2)).astype(dtype),
            name="add",
        )
        clipped = tirx.const(5, dtype)
        return te.compute(y.shape, lambda *i: tirx.min(added(*i), clipped), name="clip")

    def then(y):
        _, c, i, j = np.ogrid[tuple(slice(n) for n in y.shape)]
        return np.minimum(y + c + 2 * (i % 2) + 4 * (j % 2), 5)

    check(variant, conv, (1, 8, 37), dtype, epilogue=epilogue, then=then)


LAYER = ConvTranspose2d(8, 6, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 2))


def scheduled(variant, conv=LAYER):
    return function(variant, conv, (1, 20, 70))[0]


def loops_around(func, name):
    """Names of the loops around a block, outermost first, and the block."""
    block = edit.find_block(func.body, name)
    return [loop.loop_var.name for loop in edit.loops_to(func.body, block)], block


def nodes(stmt, kind):
    found = []

    def collect(node):
        found.append(node)
        return node

    tvm_ffi.structural_map(stmt, (kind, collect))
    return found


def test_tdc_finishes_the_plane_of_a_phase_before_the_next():
    names, _ = loops_around(scheduled("tdc"), "phases_update")
    parallel, fh, fw, *_ = names
    assert "fused" in parallel
    assert (fh, fw) == ("fh", "fw")
    # The interleave follows all planes of the strip.
    rows, _ = loops_around(scheduled("tdc"), "interleave")
    assert rows[0] == parallel
    assert not {"fh", "fw", "ic"} & set(rows)


def test_strd_convolves_an_input_with_zeros_in_between():
    func = scheduled("strd")
    update = edit.find_block(func.body, "phases_update")
    loops = edit.loops_to(func.body, update)
    extents = {loop.loop_var.name: int(loop.extent) for loop in loops}
    # All of the kernel for every output, inserted zeros included: 6 * 6 products and not 3 * 3.
    assert (extents["th"], extents["tw"]) == (6, 6)
    assert extents["fh"] == 1
    assert [str(region.source.name) for region in update.block.reads[1:]] == ["dilate", "weight"]


def test_stdd_adds_each_row_of_inputs_to_all_outputs_that_it_reaches():
    func = scheduled("stdd")
    (rows,) = (loop for loop in nodes(func.body, tirx.For) if loop.loop_var.name == "i")
    inside = [loop.loop_var.name for loop in nodes(rows.body, tirx.For)]
    assert set(inside) == {"o", "x"}
    sums = [node for node in nodes(rows, tirx.BufferStore) if node.buffer.name == "phases"]
    assert len(sums) == LAYER.h.useful_taps * LAYER.w.useful_taps


def test_revd_takes_a_modulo_for_every_output_and_tap():
    func = scheduled("revd")
    names, update = loops_around(func, "gather_update")
    assert names[1:3] == ["kh", "kw"]
    assert names[-3] == "ic"
    bound, tested = edit.loops_to(func.body, update)[-4].body.seq
    assert tested.condition.same_as(bound.var)
    modulos = [n for n in nodes(bound.value, tirx.FloorMod) if isinstance(n.b, tirx.IntImm)]
    assert len(modulos) == 2


def test_revd2_reads_its_inputs_without_a_modulo():
    _, update = loops_around(scheduled("revd2"), "phases_update")
    (read,) = (region for region in update.block.reads if region.source.name == "pad")
    assert not any(nodes(part.min, tirx.FloorMod) for part in read.region)


@pytest.mark.parametrize("channels", [(64, 64), (32, 1)])
def test_the_machine_model_knows_what_each_order_costs(channels):
    # Measured on Zen 4: all slower than REVD2, STRD by the zeros and REVD by the modulo. With one
    # output channel TDC takes 2.3 times as long on Zen 5, where loads decide.
    conv = ConvTranspose2d(*channels, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 3))
    sizes, machine = Sizes(1, 224, 224), cpu_machine(HOST)

    def cycles(name):
        variant = VARIANTS[name]
        return variant.cycles(conv, sizes, variant.choose(conv, sizes, machine), machine)

    assert 1 < cycles("tdc") / cycles("revd2") < 2.5
    assert 1.5 < cycles("stdd") / cycles("revd2") < 3
    assert cycles("revd") / cycles("revd2") > 1.2
    assert cycles("strd") / cycles("revd2") > 8
