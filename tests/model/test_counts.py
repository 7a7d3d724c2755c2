"""Counts of the model: the authors' closed forms, sums over every product, and what must hold."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import reference
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tvm_deconv.algebra.geometry import (
    Axis,
    ConvAxis,
    ConvTranspose2d,
    axis_of_resize,
    axis_of_subpixel,
)
from tvm_deconv.errors import GeometryError, VariantError
from tvm_deconv.model import (
    DECONVOLUTIONS,
    ORIGINAL,
    Counts,
    Operator,
    convolution_counts,
    counts,
    exact_counts,
    exact_winograd_counts,
    total,
    unfolded_counts,
    upsampling,
    winograd_counts,
)
from tvm_deconv.workloads import LAYERS

# Origin, algorithm, (r, H, C, K) and the results of the authors' functions for them: compute M,
# weights W, activations A and processing P (0 where a function has none). Source: the formulas of
# upsampling/data_reuse.py in github.com/icolbert/upsampling, last changed by commit 9253182 of
# October 2021; the values were computed from those formulas and agree with a run of that file.
# Its names: sub_pixel_convolution, NN_resize_convolution, standard_deconvolution (stdd),
# fractionally_strided_deconvolution (strd), reverse_looping_deconvolution (revd) and ..._2 (revd2),
# transforming_deconvolution_to_convolution (tdc); "D-SP" is subpixel here and "D-NN" is nearest.
CLOSED_FORMS = [
    ("subpixel", "subpixel", (2, 16, 8, 3), (589824, 2304, 10240, 16384)),
    ("nearest", "resize", (2, 16, 8, 3), (589824, 576, 16384, 10240)),
    ("subpixel", "stdd", (2, 16, 8, 3), (589824, 2304, 10240, 0)),
    ("subpixel", "strd", (2, 16, 8, 3), (2359296, 2304, 15880, 0)),
    ("subpixel", "revd", (2, 16, 8, 3), (589824, 2304, 10240, 0)),
    ("subpixel", "revd2", (2, 16, 8, 3), (589824, 2304, 10240, 0)),
    ("subpixel", "tdc", (2, 16, 8, 3), (589824, 2304, 10240, 0)),
    ("nearest", "stdd", (2, 16, 8, 3), (262144, 1024, 10240, 0)),
    ("nearest", "strd", (2, 16, 8, 3), (1048576, 1024, 15880, 0)),
    ("nearest", "revd", (2, 16, 8, 3), (262144, 1024, 10240, 0)),
    ("nearest", "revd2", (2, 16, 8, 3), (262144, 1024, 10240, 0)),
    ("nearest", "tdc", (2, 16, 8, 3), (262144, 1024, 10240, 0)),
    ("subpixel", "subpixel", (3, 10, 4, 3), (129600, 1296, 4000, 7200)),
    ("nearest", "resize", (3, 10, 4, 3), (129600, 144, 7200, 4000)),
    ("subpixel", "stdd", (3, 10, 4, 3), (129600, 1296, 4000, 0)),
    ("subpixel", "strd", (3, 10, 4, 3), (1166400, 1296, 6736, 0)),
    ("subpixel", "revd", (3, 10, 4, 3), (129600, 1296, 4000, 0)),
    ("subpixel", "revd2", (3, 10, 4, 3), (129600, 1296, 4000, 0)),
    ("subpixel", "tdc", (3, 10, 4, 3), (129600, 1296, 4000, 0)),
    ("nearest", "stdd", (3, 10, 4, 3), (40000, 400, 4000, 0)),
    ("nearest", "strd", (3, 10, 4, 3), (360000, 400, 6736, 0)),
    ("nearest", "revd", (3, 10, 4, 3), (40000, 400, 4000, 0)),
    ("nearest", "revd2", (3, 10, 4, 3), (57600, 400, 4000, 0)),
    ("nearest", "tdc", (3, 10, 4, 3), (57600, 576, 4000, 0)),
    ("subpixel", "subpixel", (4, 7, 5, 5), (490000, 10000, 4165, 7840)),
    ("nearest", "resize", (4, 7, 5, 5), (490000, 625, 7840, 4165)),
    ("subpixel", "stdd", (4, 7, 5, 5), (490000, 10000, 4165, 0)),
    ("subpixel", "strd", (4, 7, 5, 5), (7840000, 10000, 7045, 0)),
    ("subpixel", "revd", (4, 7, 5, 5), (490000, 10000, 4165, 0)),
    ("subpixel", "revd2", (4, 7, 5, 5), (490000, 10000, 4165, 0)),
    ("subpixel", "tdc", (4, 7, 5, 5), (490000, 10000, 4165, 0)),
    ("nearest", "stdd", (4, 7, 5, 5), (78400, 1600, 4165, 0)),
    ("nearest", "strd", (4, 7, 5, 5), (1254400, 1600, 7045, 0)),
    ("nearest", "revd", (4, 7, 5, 5), (78400, 1600, 4165, 0)),
    ("nearest", "revd2", (4, 7, 5, 5), (78400, 1600, 4165, 0)),
    ("nearest", "tdc", (4, 7, 5, 5), (78400, 1600, 4165, 0)),
    ("subpixel", "subpixel", (3, 9, 2, 4), (46656, 576, 1620, 2916)),
    ("nearest", "resize", (3, 9, 2, 4), (46656, 64, 2916, 1620)),
    ("subpixel", "stdd", (3, 9, 2, 4), (46656, 576, 1620, 0)),
    ("subpixel", "strd", (3, 9, 2, 4), (419904, 576, 2708, 0)),
    ("subpixel", "revd", (3, 9, 2, 4), (46656, 576, 1620, 0)),
    ("subpixel", "revd2", (3, 9, 2, 4), (46656, 576, 1620, 0)),
    ("subpixel", "tdc", (3, 9, 2, 4), (46656, 576, 1620, 0)),
    ("nearest", "stdd", (3, 9, 2, 4), (11664, 144, 1620, 0)),
    ("nearest", "strd", (3, 9, 2, 4), (104976, 144, 2708, 0)),
    ("nearest", "revd", (3, 9, 2, 4), (11664, 144, 1620, 0)),
    ("nearest", "revd2", (3, 9, 2, 4), (11664, 144, 1620, 0)),
    ("nearest", "tdc", (3, 9, 2, 4), (11664, 144, 1620, 0)),
]


def square_layer(origin, r, h, c, k, **options):
    return upsampling(origin, c, c, k, r, h, **options)


@pytest.mark.parametrize(("origin", "algorithm", "parameters", "expected"), CLOSED_FORMS)
def test_square_layers_have_the_counts_of_the_authors_functions(
    origin, algorithm, parameters, expected
):
    found = counts(square_layer(origin, *parameters), algorithm)
    words = found.activation_words, found.processing_words
    assert (found.multiply_adds, found.weight_words, *words) == expected


@st.composite
def layers(draw, origins=("subpixel", "nearest", "deconv")):
    """An operator with any sizes, groups, batch and padding, different along both axes."""
    origin = draw(st.sampled_from(origins))
    groups = draw(st.integers(1, 3))
    channels = [groups * draw(st.integers(1, 3)) for _ in range(2)]
    h, w = draw(axes(origin)), draw(axes(origin))
    conv = ConvTranspose2d(*channels, h[0], w[0], groups)
    sizes = [draw(st.integers(1, 7)) for _ in range(3)]
    assume(min(conv.output_shape(*sizes)) > 0)
    originals = None if origin == "deconv" else (h[1], w[1])
    return Operator(conv, origin, sizes[1], sizes[2], sizes[0], axes=originals)


@st.composite
def axes(draw, origin):
    """An axis and the stride-1 convolution that it comes from, if any."""
    stride, kernel, dilation = (draw(st.integers(1, n)) for n in (4, 4, 3))
    reach = dilation * (kernel - 1)
    pads = [draw(st.integers(0, reach)) for _ in range(2)]
    if origin == "deconv":
        return Axis(kernel, stride, *pads, draw(st.integers(0, stride - 1)), dilation), None
    conv = ConvAxis(kernel, *pads, dilation)
    return (axis_of_subpixel if origin == "subpixel" else axis_of_resize)(conv, stride), conv


def algorithms(operator):
    first = ORIGINAL.get(operator.origin)
    return DECONVOLUTIONS if first is None else (first, *DECONVOLUTIONS)


def ones_of_kernel(conv):
    weight = np.ones(conv.weight_shape)
    weight[:, :, sorted(conv.h.zero_taps)] = 0
    weight[:, :, :, sorted(conv.w.zero_taps)] = 0
    return weight


def products_by_summing_ones(operator, algorithm):
    """Every product of a sample and a weight adds one to the result; padded samples add zero."""
    conv, n = operator.conv, operator.batch
    x = np.ones((n, conv.in_channels, operator.height, operator.width))
    strides, paddings, dilation = conv.strides, conv.padding, (conv.h.dilation, conv.w.dilation)
    output_padding = (conv.h.output_padding, conv.w.output_padding)
    if algorithm in ("subpixel", "resize"):
        h, w = operator.original
        channels = conv.out_channels * (strides[0] * strides[1] if algorithm == "subpixel" else 1)
        weight = np.ones((channels, conv.group_inputs, h.kernel, w.kernel))
        padding = h.pad_begin, w.pad_begin, h.pad_end, w.pad_end
        x = reference.nearest(x, strides) if algorithm == "resize" else x
        return reference.conv2d(x, weight, padding, (h.dilation, w.dilation), conv.groups).sum()
    if algorithm == "strd":
        # Samples include the zeros between them.
        sizes = [s * (size - 1) + 1 for s, size in zip(strides, x.shape[2:], strict=True)]
        x, strides = np.ones((*x.shape[:2], *sizes)), (1, 1)
    weight = ones_of_kernel(conv)
    return reference.conv2d_transpose(
        x, weight, strides, paddings, output_padding, dilation, conv.groups
    ).sum()


@settings(max_examples=40)
@given(layers())
def test_exact_counts_are_the_products_of_samples_and_weights_that_exist(operator):
    for algorithm in algorithms(operator):
        found = exact_counts(operator, algorithm).multiply_adds
        assert found == products_by_summing_ones(operator, algorithm), algorithm


@settings(max_examples=40)
@given(layers())
def test_exact_counts_never_exceed_the_papers_but_for_passes_that_it_leaves_out(operator):
    for algorithm in algorithms(operator):
        paper, exact = counts(operator, algorithm), exact_counts(operator, algorithm)
        assert exact.multiply_adds <= paper.multiply_adds
        assert exact.weight_words <= paper.weight_words
        assert exact.activation_words == paper.activation_words
        assert (exact.processing_words > paper.processing_words) == (algorithm in ("strd", "tdc"))


@settings(max_examples=40)
@given(layers(origins=("subpixel",)))
def test_revd2_multiplies_as_often_as_the_sub_pixel_convolution(operator):
    if operator.conv.h.is_uneven or operator.conv.w.is_uneven:
        return  # zero taps that no regular loop can leave out
    paper = [counts(operator, name) for name in ("subpixel", "revd2", "tdc")]
    assert len({found.multiply_adds for found in paper}) == 1
    assert len({found.weight_words for found in paper}) == 1


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 9), st.integers(1, 9))
def test_a_nearest_resize_saves_the_ratio_of_the_kernels(kernel, factor, height, width):
    layer = upsampling("nearest", 3, 5, kernel, factor, (height, width))
    resize = counts(layer, "resize").multiply_adds
    for algorithm in ("stdd", "revd"):
        # ((K+r-1) / (rK))^2, without the division.
        left = counts(layer, algorithm).multiply_adds * (factor * kernel) ** 2
        assert left == resize * (kernel + factor - 1) ** 2


@given(st.sampled_from(["subpixel", "nearest"]), st.integers(1, 6), st.integers(1, 5))
def test_strd_does_the_square_of_the_factor_times_the_work(origin, kernel, factor):
    layer = upsampling(origin, 3, 5, kernel, factor, (6, 9))
    expected = counts(layer, "stdd").multiply_adds * factor**2
    assert counts(layer, "strd").multiply_adds == expected


@settings(max_examples=30)
@given(layers(), st.integers(2, 5), st.sampled_from([counts, exact_counts]))
def test_all_but_weights_grows_with_the_batch(operator, times, count):
    more = replace(operator, batch=times * operator.batch)
    for algorithm in algorithms(operator):
        one, many = count(operator, algorithm), count(more, algorithm)
        assert many.weight_words == one.weight_words
        assert many.multiply_adds == times * one.multiply_adds
        assert many.activation_words_read == times * one.activation_words_read
        assert many.activation_words_written == times * one.activation_words_written
        assert many.processing_words == times * one.processing_words


@settings(max_examples=30)
@given(layers(), st.sampled_from([counts, exact_counts]))
def test_height_and_width_are_alike(operator, count):
    conv = operator.conv
    turned = replace(
        operator,
        conv=replace(conv, h=conv.w, w=conv.h),
        height=operator.width,
        width=operator.height,
        axes=operator.axes and operator.axes[::-1],
    )
    for algorithm in algorithms(operator):
        assert count(turned, algorithm) == count(operator, algorithm)


@settings(max_examples=30)
@given(layers(), st.integers(2, 3), st.sampled_from([counts, exact_counts]))
def test_groups_divide_the_work_and_the_weights_but_not_the_activations(operator, groups, count):
    wide = replace(operator.conv, in_channels=groups, out_channels=2 * groups, groups=1)
    for algorithm in algorithms(operator):
        whole, parts = (
            count(replace(operator, conv=replace(wide, groups=g)), algorithm) for g in (1, groups)
        )
        assert parts.multiply_adds * groups == whole.multiply_adds
        assert parts.weight_words * groups == whole.weight_words
        assert parts.activation_words == whole.activation_words
        assert parts.processing_words == whole.processing_words


@settings(max_examples=30)
@given(layers())
def test_a_kernel_reads_its_input_and_writes_its_output_once(operator):
    conv = operator.conv
    x = operator.batch * conv.in_channels * operator.height * operator.width
    y = int(np.prod(operator.output_shape))
    r2 = conv.h.stride * conv.w.stride
    for algorithm in algorithms(operator):
        found = counts(operator, algorithm)
        assert found.activation_words_written == y
        if algorithm == "subpixel":
            assert (found.processing_words_read, found.processing_words_written) == (y, y)
        if algorithm == "resize":
            assert (found.processing_words_read, found.processing_words_written) == (x, x * r2)
            assert found.activation_words_read == x * r2
        elif algorithm != "strd":
            assert found.activation_words_read == x


def test_a_layer_counted_by_hand():
    # 2 -> 3 channels, K 3, r (2, 3), 4x5 samples, batch 2. Transposed kernel 6x9, output 8x15.
    layer = upsampling("subpixel", 2, 3, 3, (2, 3), (4, 5), batch=2, dtype="float16")
    x, y, pairs = 2 * 2 * 20, 2 * 3 * 120, 2 * 3
    expected = Counts(
        multiply_adds=2 * pairs * 120 * 9,
        weight_words=pairs * 54,
        activation_words_read=x,
        activation_words_written=y,
        processing_words_read=y,
        processing_words_written=y,
        weight_bytes=2 * pairs * 54,
        activation_bytes=2 * (x + y),
        processing_bytes=4 * y,
    )
    assert counts(layer, "subpixel") == expected
    assert expected.words == pairs * 54 + x + 3 * y and expected.bytes == 2 * expected.words
    # Along 4 samples three taps meet 10, along 5 samples 13; 7x13 samples with zeros inserted.
    assert exact_counts(layer, "revd2").multiply_adds == 2 * pairs * (2 * 10) * (3 * 13)
    assert counts(layer, "strd").activation_words_read == 2 * 2 * 7 * 13
    assert exact_counts(layer, "strd").processing_words_written == 2 * 2 * 7 * 13


def test_a_nearest_resize_by_three_has_phases_with_fewer_taps():
    # Kernel 5, phases of 2, 2 and 1 taps; tdc and revd2 walk two for each, tdc keeps six weights.
    layer = upsampling("nearest", 1, 1, 3, 3, 10)
    assert counts(layer, "stdd").multiply_adds == 25 * 100
    assert counts(layer, "revd2").multiply_adds == counts(layer, "tdc").multiply_adds == 36 * 100
    assert (counts(layer, "revd2").weight_words, counts(layer, "tdc").weight_words) == (25, 36)
    assert exact_counts(layer, "tdc").weight_words == 25
    # Two of the 50 products along an axis would meet the padding.
    assert exact_counts(layer, "revd2").multiply_adds == 48**2


def test_winograds_form_of_a_layer_counted_by_hand():
    # F(4, 3) twice: 36 points for 16 outputs of each of four phases; 3x11 tiles of 10x43 samples.
    layer = upsampling("subpixel", 2, 3, 3, 2, (10, 43), dtype="float16")
    found = winograd_counts(layer, (4, 4))
    tiles, x, y = 3 * 11, 2 * 430, 3 * 4 * 430
    assert found.weight_words == 36 * 4 * 2 * 3
    assert found.activation_words_read == 36 * 2 * tiles
    assert found.activation_words_written == 36 * 12 * tiles
    assert found.processing_words_read == x + found.activation_words_written
    assert found.processing_words_written == y + found.activation_words_read
    assert found.bytes == 2 * found.words
    # The matrices of F(4, 3) for the points 0, ±5/8, ±3/2 and infinity have 22 entries in B^T and
    # 18 in A^T.
    transforms = 2 * tiles * 22 * (6 + 6) + 12 * tiles * 18 * (6 + 4)
    assert found.multiply_adds == tiles * found.weight_words + transforms


def test_winograds_tiles_reach_as_far_as_the_last_phase():
    # With a nearest resize by 2, one of the two phases starts a sample later.
    assert winograd_counts(upsampling("nearest", 1, 1, 3, 2, 8), (4, 4)).weight_words == 25 * 4
    read = winograd_counts(upsampling("nearest", 1, 1, 3, 2, 8), (4, 4)).activation_words_read
    assert read == 25 * 3 * 3


def test_phases_that_share_products_have_fewer_weights_and_sums():
    layer = upsampling("nearest", 1, 1, 3, 2, 8)
    alone, shared = winograd_counts(layer, (4, 4)), winograd_counts(layer, (4, 4), shared=True)
    assert shared.weight_words == 81
    assert alone.multiply_adds - shared.multiply_adds == 9 * (100 - 81)
    assert alone.activation_words_written - shared.activation_words_written == 9 * (100 - 81)
    assert shared.activation_words_read == alone.activation_words_read


def test_winograd_needs_a_tap_in_every_phase_and_known_points():
    layer = Operator(ConvTranspose2d(1, 1, Axis(1, 2), Axis(4, 2)), "deconv", 8, 8)
    with pytest.raises(VariantError, match="winograd needs taps in every phase"):
        winograd_counts(layer, (4, 4))
    with pytest.raises(GeometryError, match=r"F\(9, 3\) needs 11 points"):
        winograd_counts(upsampling("subpixel", 1, 1, 3, 2, 8), (9, 9))


def test_weights_that_a_dilation_leaves_zero_do_not_exist():
    # K 2 and d 3 behind a resize by 2: a kernel of 5, of which the middle is 0. Its phases have
    # taps 0, 2, 4 and 1, 3, and without tap 2 the first would be unevenly spaced, so it stays.
    axis = axis_of_resize(ConvAxis(2, 0, 3, 3), 2)
    layer = Operator(ConvTranspose2d(1, 1, axis, axis), "nearest", 4, 4)
    assert [len(axis.taps(phase)) for phase in range(2)] == [2, 3]
    assert (counts(layer, "stdd").weight_words, exact_counts(layer, "stdd").weight_words) == (
        25,
        16,
    )
    for algorithm in ("resize", *DECONVOLUTIONS):
        expected = products_by_summing_ones(layer, algorithm)
        assert exact_counts(layer, algorithm).multiply_adds == expected


def test_weights_may_have_a_dtype_of_their_own():
    layer = upsampling("nearest", 4, 4, 3, 2, 8, dtype="bfloat16", weight_dtype="int8")
    found = counts(layer, "revd2")
    assert found.weight_bytes == found.weight_words
    assert found.activation_bytes == 2 * found.activation_words
    assert counts(replace(layer, weight_dtype=None), "tdc").weight_bytes == 2 * 256


def test_counts_of_a_network_add_up():
    parts = [counts(square_layer("subpixel", r, 8, 4, 3), "subpixel") for r in (2, 3)]
    assert total(parts).bytes == parts[0].bytes + parts[1].bytes
    assert total(parts).multiply_adds == parts[0].multiply_adds + parts[1].multiply_adds
    assert total([]) == Counts()


def test_a_plain_convolution_is_counted_with_and_without_a_geometry():
    axis = axis_of_subpixel(ConvAxis(3, 1, 1), 1)
    plain = Operator(ConvTranspose2d(6, 4, axis, axis, groups=2), "conv", 9, 8, batch=2)
    same = convolution_counts(6, 4, (3, 3), (9, 8), (9, 8), groups=2, batch=2)
    assert counts(plain, "conv") == counts(plain, "revd2") == same
    # With a stride of 2 a quarter of the outputs, or rather 5x4.
    strided = convolution_counts(6, 4, (3, 3), (9, 8), (5, 4), groups=2)
    assert strided.multiply_adds == 5 * 4 * 4 * 27
    assert strided.activation_words == 6 * 72 + 4 * 20


@pytest.mark.parametrize("workload", LAYERS, ids=lambda workload: workload.name)
def test_every_layer_of_the_workloads_can_be_counted(workload):
    spec = workload.spec
    if spec.stride > 1:
        with pytest.raises(GeometryError, match="stride"):
            Operator.of(spec)
        return
    operator = Operator.of(spec)
    assert operator.output_shape == spec.output_shape
    if operator.original is not None:
        assert [axis.kernel for axis in operator.original] == [spec.kernel, spec.kernel]
    if not spec.halo:
        assert counts(operator, "stdd").multiply_adds == spec.multiply_adds
    if spec.kind == "deconv":
        return
    first = counts(operator, ORIGINAL[spec.kind])
    assert first.weight_words == np.prod(spec.weight_shape)


@settings(max_examples=60)
@given(layers(origins=("subpixel", "nearest")))
def test_the_convolution_that_was_replaced_is_found_again(operator):
    factors = operator.conv.strides
    if operator.origin == "nearest" and any(
        1 < axis.dilation <= r for axis, r in zip(operator.original, factors, strict=True)
    ):
        return  # indistinguishable from a dense kernel
    # A kernel of one tap has no dilation to find.
    given = [replace(a, dilation=1) if a.kernel == 1 else a for a in operator.original]
    assert list(replace(operator, axes=None).original) == given


@pytest.mark.parametrize(
    ("origin", "algorithm", "reason"),
    [
        ("nearest", "subpixel", "origin 'nearest' is computed by resize, stdd, strd"),
        ("subpixel", "resize", "by subpixel, stdd, strd, revd, revd2, tdc, not by 'resize'"),
        ("subpixel", "revd3", "not by 'revd3'"),
    ],
)
def test_an_algorithm_that_does_not_fit_is_an_error(origin, algorithm, reason):
    for count in (counts, exact_counts):
        with pytest.raises(VariantError, match=reason):
            count(upsampling(origin, 1, 1, 3, 2, 4), algorithm)


K4 = ConvTranspose2d(1, 1, Axis(4, 2, 1, 1), Axis(4, 2, 1, 1))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"origin": "pixelshuffle"}, "one of subpixel, nearest, deconv, conv, got 'pixelshuffle'"),
        ({"origin": "subpixel"}, "does not come from the origin 'subpixel'"),
        ({"origin": "conv"}, r"stride 1, got \(2, 2\)"),
        ({"height": 0}, "height must be at least 1, got 0"),
        ({"batch": -1}, "batch must be at least 1, got -1"),
        ({"dtype": "float"}, "a dtype such as float32, bfloat16 or int8 is needed, got 'float'"),
        ({"weight_dtype": "int4"}, "got 'int4'"),
        ({"conv": replace(K4, h=Axis(2, 2, 3, 3))}, r"1x8 gives an empty output \(1, 1, -4, 16\)"),
    ],
)
def test_an_operator_that_makes_no_sense_is_an_error(changes, reason):
    fields = {"conv": K4, "origin": "deconv", "height": 1, "width": 8, **changes}
    with pytest.raises(GeometryError, match=reason):
        Operator(**fields)


def test_a_nearest_resize_needs_a_kernel_as_large_as_its_factor():
    with pytest.raises(GeometryError, match="does not come from the origin 'nearest'"):
        Operator(ConvTranspose2d(1, 1, Axis(2, 3), Axis(2, 3)), "nearest", 4, 4)


def test_forms_of_bytes_counted_by_hand():
    # 6x22 tiles of 10x43 samples; two phases share one product of five, along both axes.
    layer = upsampling("nearest", 2, 3, 3, 2, (10, 43), dtype="uint8", weight_dtype="int16")
    found = exact_winograd_counts(layer, shared=True)
    tiles, x, y = 6 * 22, 2 * 430, 3 * 4 * 430
    assert found.products == tiles * found.weight_words == tiles * 25 * 2 * 3
    # Two differences along the height for 3 columns, then along the width for 3 rows; a sum for
    # each of 4 rows for 5 columns of products, then for each of 4 columns for 4 rows.
    transforms = 2 * tiles * (2 * 3 + 2 * 3) + 3 * tiles * (4 * 5 + 4 * 4)
    assert found.multiply_adds == found.products + transforms
    assert found.activation_words_read == 9 * 2 * tiles
    assert found.activation_words_written == 25 * 3 * tiles
    assert found.processing_words == x + y + found.activation_words
    assert found.weight_bytes == 2 * found.weight_words
    assert found.activation_bytes == 2 * 9 * 2 * tiles + 4 * 25 * 3 * tiles
    assert found.processing_bytes == x + y + found.activation_bytes
    assert exact_winograd_counts(layer, shared=False).weight_words == 36 * 2 * 3
    found = unfolded_counts(replace(layer, weight_dtype="int8"))
    sums = 9 * 3 * 430
    assert found.products == 2 * sums
    assert found.multiply_adds == found.products + 3 * 430 * (3 * 2 * 3 + 2 * 2 * 3)
    assert (found.weight_words, found.weight_bytes) == (9 * 2 * 3, 9 * 2 * 3)
    assert (found.activation_words, found.activation_bytes) == (x + sums, x + 4 * sums)
    assert (found.processing_words, found.processing_bytes) == (sums + y, 4 * sums + y)


def test_forms_of_bytes_need_what_makes_them_possible():
    axis = Axis(4, 2, 1, 1)
    layer = Operator(ConvTranspose2d(2, 2, axis, axis, groups=2), "deconv", 8, 8)
    for count in (partial(exact_winograd_counts, shared=False), unfolded_counts):
        with pytest.raises(VariantError, match="does not compute this operator: 2 groups"):
            count(layer)
