"""What scheduled kernels really do, held against the formulas of the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from kernel import function, has_output, layers
from tvm.target import Target

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.errors import VariantError
from tvm_deconv.model import (
    DECONVOLUTIONS,
    Operator,
    counts,
    exact_counts,
    exact_winograd_counts,
    unfolded_counts,
    upsampling,
    winograd_counts,
)
from tvm_deconv.model.measured import measure, measure_layer
from tvm_deconv.schedules.cpu.definitions import stdd
from tvm_deconv.schedules.cpu.dot import PLAIN
from tvm_deconv.schedules.cpu.integer.kernel import Store
from tvm_deconv.schedules.cpu.integer.unfolded.kernel import UnfoldedInteger
from tvm_deconv.schedules.cpu.integer.unfolded.tile import UnfoldedTile
from tvm_deconv.schedules.cpu.integer.winograd.kernel import WinogradInteger
from tvm_deconv.schedules.cpu.integer.winograd.tile import PointsTile
from tvm_deconv.schedules.cpu.tiling import Tiling
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.cpu.winograd.tile import WinogradTile
from tvm_deconv.schedules.gpu.variants import GPU_VARIANTS
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE
from tvm_deconv.transform.lower.integer_choice import function_of

# 8x16 samples and 8 channels of a group are whole tiles of every variant: see ``tile_of``.
WHOLE = {
    "subpixel, r 3": upsampling("subpixel", 4, 8, 3, 3, (8, 16)),
    "subpixel, other height": upsampling(
        "subpixel", 4, 16, (3, 5), (2, 3), (8, 16), groups=2, batch=2
    ),
    "nearest, r 2": upsampling("nearest", 4, 8, 3, 2, (8, 16)),
    "nearest, r 3": upsampling("nearest", 4, 8, 3, 3, (8, 16)),
    "deconv": Operator(ConvTranspose2d(4, 8, Axis(4, 2, 1, 1), Axis(4, 2, 1, 1)), "deconv", 8, 16),
}
ORIN = Target({"kind": "cuda", "arch": "sm_87"})
every_layer = pytest.mark.parametrize("layer", WHOLE.values(), ids=WHOLE)
every_algorithm = pytest.mark.parametrize("variant", DECONVOLUTIONS)


def tile_of(variant, **changes):
    """Register tiles of eight columns, or vectors of four; strips of two rows of 16 columns."""
    wide = variant not in ("revd", "stdd")
    channels = {"revd": 4, "stdd": 1}.get(variant, 2)
    tile = Tiling(
        lanes=4,
        vectors=2 if wide else 1,
        channels=channels,
        rows=2,
        column_tiles=2 if wide else 4,
        unroll_fh=True,
    )
    return replace(tile, **changes)


def kernel(variant, layer, parameters):
    shape = layer.batch, layer.height, layer.width
    return function(variant, layer.conv, shape, parameters=parameters)[0]


def formula(variant, layer):
    """The algorithm whose count holds for our variant of the same name.

    Where phases have different numbers of taps ours compute those that exist, and the paper's
    count of revd2 and tdc is that of the longest phase for all.
    """
    return "stdd" if variant in ("revd2", "tdc") else variant


def input_words(layer):
    return layer.batch * layer.conv.in_channels * layer.height * layer.width


@every_algorithm
@every_layer
def test_whole_tiles_multiply_as_often_as_the_formula_says(variant, layer):
    found = measure(kernel(variant, layer, tile_of(variant)))
    expected = counts(layer, formula(variant, layer)).multiply_adds
    assert (found.multiply_adds, found.additions, found.multiplications) == (expected, 0, 0)
    if not (layer.conv.h.is_uneven or layer.conv.w.is_uneven):
        assert expected == counts(layer, variant).multiply_adds


def round_up(size, unit):
    return -(-size // unit) * unit


@every_algorithm
def test_other_sizes_multiply_as_often_as_the_formula_says_of_whole_tiles(variant):
    layer, tile = upsampling("subpixel", 4, 5, 3, 2, (7, 13)), tile_of(variant)
    # Rows beyond the output are skipped, but not within the strips that revd and stdd sum up in
    # memory. Columns are rounded up to register tiles, channels to tiles of channels.
    whole = upsampling(
        "subpixel",
        4,
        round_up(5, tile.channels),
        3,
        2,
        (round_up(7, tile.rows) if variant in ("revd", "stdd") else 7, round_up(13, 8)),
    )
    found = measure(kernel(variant, layer, tile)).multiply_adds
    assert found == counts(whole, variant).multiply_adds > counts(layer, variant).multiply_adds


@pytest.mark.parametrize("variant", sorted(VARIANTS))
@settings(max_examples=10)
@given(layers())
def test_any_layer_writes_its_output_once_and_computes_every_product_that_exists(variant, layer):
    conv, shape = layer
    if not has_output(conv, shape) or VARIANTS[variant].refusal(conv, ACCUMULATE_DTYPE):
        return
    operator = Operator(conv, "deconv", *shape[1:], batch=shape[0])
    found = measure(function(variant, conv, shape)[0])
    loads, stores = found.output
    outputs = np.prod(operator.output_shape)
    # The last vectors of a row of `depthwise` repeat some of its outputs.
    assert loads == 0 and (stores >= outputs if variant == "depthwise" else stores == outputs)
    assert found.input.stores == found.weights.stores == 0
    if variant in DECONVOLUTIONS:
        assert found.multiply_adds >= exact_counts(operator, variant).multiply_adds


@every_algorithm
@every_layer
def test_a_strip_as_large_as_the_image_reads_its_input_once(variant, layer):
    # For strd, the image with its inserted zeros.
    image = {"rows": 24, "column_tiles": 6} if variant == "strd" else {"rows": 8}
    found = measure(kernel(variant, layer, tile_of(variant, **image)))
    assert found.input == (input_words(layer), 0)
    if variant != "strd":
        assert input_words(layer) == counts(layer, variant).activation_words_read


def words_of_strips(axis, size, unit):
    """Samples that strips of ``unit`` blocks read: their own and their halo, within the input."""
    first, strips = axis.halo[0], -(-axis.blocks(size) // unit)
    last = first + axis.uniform_extent + unit - 1
    begins = [unit * strip for strip in range(strips)]
    return sum(max(min(b + last + 1, size) - max(b + first, 0), 0) for b in begins)


@pytest.mark.parametrize("variant", ["revd2", "tdc", "stdd"])
@pytest.mark.parametrize("splits", [1, 2])
def test_strips_read_their_halo_again_and_shares_of_the_channels_read_all(variant, splits):
    layer = upsampling("nearest", 4, 8, 5, 2, (11, 40))
    tile = tile_of(variant, rows=3, channel_splits=splits)
    rows = words_of_strips(layer.conv.h, 11, 3)
    columns = words_of_strips(layer.conv.w, 40, 16)
    found = measure(kernel(variant, layer, tile))
    assert found.input.loads == splits * 4 * rows * columns > input_words(layer)


@every_algorithm
@every_layer
def test_packed_weights_are_the_words_of_the_formula(variant, layer):
    # Where revd2 and stdd pack them, phases with fewer taps are filled up as in tdc.
    padded = variant in ("revd2", "stdd", "tdc")
    expected = counts(layer, "tdc" if padded else variant).weight_words
    assert np.prod(VARIANTS[variant].packed_shape(layer.conv, tile_of(variant))) == expected


@pytest.mark.parametrize(("variant", "phases"), [("revd2", 3), ("tdc", 1), ("strd", 1)])
def test_a_register_tile_loads_each_input_and_weight_once(variant, phases):
    layer, tile = WHOLE["subpixel, r 3"], tile_of(variant)
    found = measure(kernel(variant, layer, tile), registers=True)
    source = found.scratch["dilate" if variant == "strd" else "pad"]
    # The phases of a row share an input vector, since all read at the same offsets.
    assert source.loads * tile.channels * phases == found.multiply_adds
    assert found.weights.loads * tile.tile_columns == found.multiply_adds
    # Without registers every multiply-add of a vector loads its input, its weight and its sum.
    found = measure(kernel(variant, layer, tile))
    source = found.scratch["dilate" if variant == "strd" else "pad"]
    assert source.loads == found.weights.loads * tile.lanes == found.multiply_adds


def test_strd_loads_the_inserted_zeros():
    layer = WHOLE["nearest, r 2"]
    found = measure(kernel("strd", layer, tile_of("strd", rows=16, column_tiles=4)))
    assert found.scratch["dilate"].loads == 4 * counts(layer, "stdd").multiply_adds
    # A row of zeros is written in full; then the samples are written over them.
    zeros = found.scratch["dilate"].stores - input_words(layer)
    assert zeros >= exact_counts(layer, "strd").processing_words_written


def test_tdc_writes_its_phases_and_reads_them_again():
    layer = WHOLE["subpixel, r 3"]
    found = measure(kernel("tdc", layer, tile_of("tdc")))
    outputs = exact_counts(layer, "tdc").processing_words_read
    # Each of the three vectors of an interleaved row names all three that it is made of.
    assert found.scratch["planes"] == (3 * outputs, outputs)
    assert "planes" not in measure(kernel("revd2", layer, tile_of("revd2"))).scratch


def test_stdd_adds_to_its_sums_in_memory():
    layer, tile = WHOLE["subpixel, r 3"], tile_of("stdd")
    found = measure(kernel("stdd", layer, tile))
    outputs = counts(layer, "stdd").activation_words_written
    # Four input channels at a time; the sums start as zeros and are interleaved as in tdc.
    adds = found.multiply_adds // stdd.together(layer.conv)
    assert found.scratch["phases"] == (adds + 3 * outputs, adds + outputs)


def test_winograd_multiplies_once_for_each_point_and_its_transforms_share_sums():
    layer = upsampling("subpixel", 4, 8, 3, 2, (12, 32))
    tile = WinogradTile(
        lanes=4, vectors=2, channels=4, outputs=(4, 4), tiles=(3, 8), block=8, unroll=2
    )
    found, expected = measure(kernel("winograd", layer, tile)), winograd_counts(layer, (4, 4))
    assert np.prod(VARIANTS["winograd"].packed_shape(layer.conv, tile)) == expected.weight_words
    products = 3 * 8 * expected.weight_words
    assert found.scratch["transform"].loads == found.weights.loads * tile.lanes == products
    assert found.scratch["transform"].stores == expected.activation_words_read
    transforms = found.multiply_adds - products + found.additions + found.multiplications
    assert 0 < transforms < expected.multiply_adds - products


def of_bytes(make, tile, layer, *form):
    """What a kernel of bytes does, of words of one channel."""
    made = make(layer.conv, "uint8", PLAIN, tile, Store("float32"), *form)
    return measure(function_of(made, (1, layer.conv.in_channels, layer.height, layer.width)))


@pytest.mark.parametrize(
    ("kind", "sizes", "rows", "outputs"),
    [
        # 8x16 tiles in one strip, whose samples begin one before the first and end one after the
        # last. The last vector of 62 columns ends with them, so two are stored twice.
        ("nearest", (15, 31), 8, (4 * 30 * 64, 4 * 32 * 64)),
        ("subpixel", (16, 32), 4, (4 * 32 * 64, 4 * 32 * 64)),
    ],
)
def test_winograds_form_of_bytes_multiplies_once_for_each_point(kind, sizes, rows, outputs):
    layer = upsampling(kind, 3, 4, 3, 2, sizes, dtype="uint8", weight_dtype="int16")
    is_shared = kind == "nearest"
    found = of_bytes(WinogradInteger, PointsTile(2, 2, rows), layer, is_shared)
    expected = exact_winograd_counts(layer, shared=is_shared)
    assert found.multiply_adds == expected.products
    assert found.weights.loads * PLAIN.lanes == found.multiply_adds
    assert found.output == (0, outputs[0])
    stored = [stores for _, stores in found.scratch.values()]
    assert expected.activation_words_read in stored and expected.activation_words_written in stored
    # What is added to each output for zero points and biases is no part of the form.
    transforms, added = expected.multiply_adds - expected.products, found.additions - outputs[1]
    if is_shared:
        assert added == transforms
    else:
        # The rest are shifts.
        assert 0.65 * transforms < added < 0.75 * transforms


def test_unfolded_taps_multiply_once_for_each_sample():
    layer = upsampling("nearest", 3, 4, 3, 2, (8, 16), dtype="uint8", weight_dtype="int8")
    found = of_bytes(UnfoldedInteger, UnfoldedTile(3, 2, 2, 8), layer)
    expected = unfolded_counts(layer)
    # Two rows of taps read one sample less, each beyond the map on the other side. A border, for
    # each block of channels, is one vector.
    border = 4 * 4 * 9 * 3
    above_and_below = 2 * 16 * 3 * 3 * 4
    assert found.multiply_adds == expected.products + above_and_below + border
    assert found.weights.loads * PLAIN.lanes == found.multiply_adds
    assert found.output == (0, 4 * 16 * 32)
    assert found.input.loads == 3 * 8 * 16


def test_phases_that_share_products_multiply_less():
    layer = upsampling("nearest", 4, 8, 3, 2, (12, 32))
    tile = WinogradTile(4, 2, 4, (4, 4), (4, 9), 8, unroll=2, shared=True)
    found, expected = (
        measure(kernel("winograd", layer, tile)),
        winograd_counts(layer, (4, 4), shared=True),
    )
    assert np.prod(VARIANTS["winograd"].packed_shape(layer.conv, tile)) == expected.weight_words
    products = 4 * 9 * expected.weight_words
    padded = found.weights.loads * tile.lanes
    assert found.scratch["transform"].loads == padded >= products


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_a_size_that_only_the_run_time_knows_may_be_given(variant):
    conv, shape = WHOLE["nearest, r 3"].conv, (2, 9, 21)
    static, parameters = function(variant, conv, shape)
    symbolic, _ = function(variant, conv, shape, symbolic="nhw", parameters=parameters)
    found = measure(symbolic, {"n": 2, "h": 9, "w": 21})
    expected = measure(static)
    assert found.output == expected.output
    assert (found.multiply_adds, found.weights) == (expected.multiply_adds, expected.weights)
    with pytest.raises(
        VariantError, match=r"without running the kernel; known sizes are \{'h': 9\}"
    ):
        measure(symbolic, {"h": 9})


@pytest.mark.parametrize("variant", sorted(GPU_VARIANTS))
def test_a_gpu_kernel_writes_its_output_once(variant):
    layer = upsampling("nearest", 3, 5, 3, 2, (5, 9))
    found = measure_layer(layer, variant, ORIN)
    assert found.output == (0, np.prod(layer.output_shape))
    if variant != "winograd":
        assert found.multiply_adds >= exact_counts(layer, variant).multiply_adds


def test_a_layer_is_measured_as_it_would_be_compiled():
    layer = WHOLE["deconv"]
    for variant in sorted(set(VARIANTS) - {"depthwise"}):
        assert measure_layer(layer, variant) == measure(
            function(variant, layer.conv, (1, 8, 16))[0]
        )
    with pytest.raises(VariantError, match=r"the target has the variants revd2, .*, not 'direct'"):
        measure_layer(layer, "direct")
    point = Operator(ConvTranspose2d(1, 1, Axis(2, 2), Axis(2, 2)), "deconv", 8, 8)
    with pytest.raises(VariantError, match="winograd does not compute this operator: phases have"):
        measure_layer(point, "winograd")
