"""Every variant of TE against a float64 scatter: layers of all kinds, any tiles, epilogues."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tvm
from drawn import CORNERS, has_output, layers, square, tilings
from hypothesis import given, settings
from hypothesis import strategies as st
from te_kernel import HOST, check, kernel
from tvm import te, tir

from tvm_deconv.algebra.geometry import Axis, ConvAxis, ConvTranspose2d, axis_of_subpixel
from tvm_deconv.schedules import space
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.te.grid import grid_of
from tvm_deconv.schedules.te.layouts import NHWC
from tvm_deconv.schedules.te.variants import TE_VARIANTS
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, Sizes

every_variant = pytest.mark.parametrize("variant", sorted(TE_VARIANTS))
NEON = cpu_machine(tvm.target.Target("llvm -mtriple=aarch64-linux-gnu -mattr=+neon -num-cores=4"))
# Of fewer registers than AVX-512 has, so that loop nests are shorter.
AVX2 = cpu_machine(tvm.target.Target("llvm -mtriple=x86_64-linux-gnu -mcpu=haswell -num-cores=4"))


def computes(variant, conv):
    return TE_VARIANTS[variant].refusal(conv, ACCUMULATE_DTYPE) is None


@pytest.mark.parametrize("variant", sorted(set(TE_VARIANTS) - {"strd"}))
@settings(max_examples=3)
@given(layers())
def test_any_layer_equals_the_scatter_definition(variant, layer):
    conv, shape = layer
    if has_output(conv, shape) and computes(variant, conv):
        check(variant, conv, shape)


# Whose kernels, of all taps written out, take long to compile.
@settings(max_examples=2)
@given(layers())
def test_any_layer_with_zeros_inserted_equals_the_scatter_definition(layer):
    conv, shape = layer
    if has_output(conv, shape):
        check("strd", conv, shape)


@pytest.mark.parametrize("variant", sorted(set(TE_VARIANTS) - {"strd"}))
@pytest.mark.parametrize("corner", CORNERS)
def test_corner_cases_equal_the_scatter_definition(variant, corner):
    check(variant, CORNERS[corner], (2, 9, 21), machine=AVX2)


@every_variant
def test_strips_in_rows_and_columns_fit_together(variant):
    # Wide and with many channels: several strips, and several blocks of columns in each.
    conv = ConvTranspose2d(16, 9, Axis(5, 2, 1, 3, 1), Axis(4, 3, 1, 0))
    machine = replace(cpu_machine(HOST), l2_bytes=32 * 1024)
    check(variant, conv, (1, 21, 200), machine=machine)


@every_variant
def test_a_kernel_no_larger_than_its_stride_reaches_one_row(variant):
    # Several rows in a strip: TVM's analyser once did not come to an end.
    conv = ConvTranspose2d(3, 4, Axis(2, 2), Axis(10, 1, 3, 2))
    tile = TE_VARIANTS[variant].choose(conv, Sizes(1, 9, 20), cpu_machine(HOST))
    check(variant, conv, (1, 9, 20), parameters=replace(tile, rows=4))


@every_variant
@pytest.mark.parametrize("width", [64, 61])
def test_blocks_of_columns_are_computed_where_tiles_divide_the_output_and_not(variant, width):
    conv = ConvTranspose2d(5, 6, Axis(4, 2, 1, 1), Axis(4, 2, 1, 1))
    chosen = TE_VARIANTS[variant]
    tile = chosen.choose(conv, Sizes(1, 9, width), replace(cpu_machine(HOST), lanes=8))
    lanes = {"lanes": 4, "vectors": 1, "column_tiles": 2, "rows": 3}
    check(variant, conv, (1, 9, width), parameters=replace(tile, **lanes))


@every_variant
@settings(max_examples=3)
@given(st.data())
def test_any_tile_sizes_give_the_same_sums(variant, data):
    conv, shape = data.draw(layers().filter(lambda layer: has_output(*layer)))
    tile = data.draw(tilings(conv, variant))
    chosen, machine = TE_VARIANTS[variant], replace(cpu_machine(HOST), lanes=16)
    refusal = space.parameters_refusal(chosen, conv, Sizes(*shape), tile, machine)
    if refusal is None:
        check(variant, conv, shape, parameters=tile)


@every_variant
def test_the_loop_nest_for_neon_equals_the_scatter_definition(variant):
    conv = ConvTranspose2d(6, 8, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 2))
    check(variant, conv, (1, 11, 20), machine=NEON)


@every_variant
@pytest.mark.parametrize("width", [16, 13])
def test_what_follows_is_computed_in_the_store(variant, width):
    conv = ConvTranspose2d(3, 4, *square(Axis, 4, 2, 1, 1))
    bias = np.arange(4, dtype="float32") - 2

    def epilogue(y):
        b = te.compute((4,), lambda c: tir.Cast("float32", c) - 2, name="bias")
        biased = te.compute(y.shape, lambda n, c, i, j: y[n, c, i, j] + b[c], name="biased")
        return te.compute(y.shape, lambda *i: tir.max(biased[i], tir.const(0.0)), name="relu")

    def then(y):
        return np.maximum(y + bias[:, None, None], 0)

    check(variant, conv, (1, 7, width), machine=AVX2, epilogue=epilogue, then=then)
    schedule, *_ = kernel(variant, conv, (1, 7, width), machine=AVX2, epilogue=epilogue)
    names = {stage.op.name for stage in schedule.stages if stage.attach_type != INLINED}
    assert not {"store", "biased", "bias"} & names


NHWC_LAYERS = {
    "whole tiles": (ConvTranspose2d(3, 8, *square(Axis, 4, 2, 1, 1)), (1, 7, 16)),
    "groups, nothing divides": (
        ConvTranspose2d(6, 9, Axis(4, 2, 1, 0), Axis(5, 3, 1, 2), groups=3),
        (2, 9, 21),
    ),
}
WHOLE, GROUPS = NHWC_LAYERS


@pytest.mark.parametrize(
    ("variant", "layer"),
    [("revd2", WHOLE), ("tdc", WHOLE), *((name, GROUPS) for name in sorted(TE_VARIANTS))],
)
def test_nhwc_is_read_and_stored_with_what_follows(variant, layer):
    conv, shape = NHWC_LAYERS[layer]
    bias = np.arange(conv.out_channels, dtype="float32") - 2

    def epilogue(y):
        def biased(n, i, j, c):
            return tir.max(y[n, i, j, c] + (tir.Cast("float32", c) - 2), tir.const(0.0))

        return te.compute(y.shape, biased, name="relu")

    options = {"layout": NHWC, "epilogue": epilogue, "then": lambda y: np.maximum(y + bias, 0)}
    check(variant, conv, shape, **options)
    schedule, (*_, y), _ = kernel(variant, conv, shape, epilogue=epilogue, layout=NHWC)
    names = {stage.op.name for stage in schedule.stages if stage.attach_type != INLINED}
    assert not {"store", "transposed"} & names
    batch, height, width = shape
    n, c, h, w = conv.output_shape(batch, height, width)
    assert tuple(map(int, y.shape)) == (n, h, w, c)


INLINED = 2  # kInline of te::AttachType


def test_groups_have_whole_tiles_of_channels():
    # A tile that reached into the next group would have TE compute all groups for each.
    conv = ConvTranspose2d(4, 14, Axis(3, 2, 1, 1), Axis(3, 2, 1, 1), groups=2)
    tile = TE_VARIANTS["revd2"].choose(conv, Sizes(1, 8, 8), cpu_machine(HOST))
    assert conv.group_outputs % tile.channels == 0
    refused = replace(tile, channels=4, channel_splits=1)
    reason = space.parameters_refusal(
        TE_VARIANTS["revd2"], conv, Sizes(1, 8, 8), refused, cpu_machine(HOST)
    )
    assert reason == "tiles of 4 channels reach beyond a group of 7"


def test_rows_are_shared_out_evenly_and_columns_without_a_rest():
    conv = ConvTranspose2d(1, 1, Axis(4, 2, 1, 1), Axis(4, 2, 1, 1))
    tile = TE_VARIANTS["revd2"].choose(conv, Sizes(1, 17, 96), cpu_machine(HOST))
    tile = replace(tile, lanes=16, vectors=1, rows=16, column_tiles=4)
    even = grid_of(conv, tile, (1, 1, 17, 96), 16)
    assert (even.rows, even.domain.rows) == (9, 18)
    assert (even.block_columns, even.domain.columns, even.ragged) == (48, 96, 0)
    ragged = grid_of(conv, tile, (1, 1, 17, 95), 16)
    assert (ragged.block_columns, ragged.domain.columns, ragged.ragged) == (96, 96, 2)
