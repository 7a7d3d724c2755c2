"""Nearest resize, padding and convolution: the rewritten module equals the original."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from relax_helpers import (
    assert_close,
    assert_compiles_to_the_same,
    assert_rewritten_exactly,
    assert_rewritten_in_nhwc,
    compiled,
    constant,
    evaluate,
    module,
    operators,
    upsample,
)
from tvm import relax
from upsampling_cases import NEAREST_MODES, resize_cases

from tvm_deconv.transform import rewrite_upsampling


def cropped(builder, x, widths, layout="NCHW"):
    """``x`` without so many pixels (top, left, bottom, right)."""
    if not any(widths):
        return x
    axes = [layout.index(name) for name in "HW"]
    sizes = [int(x.ty.shape.values[axis].value) for axis in axes]
    ends = [size - width for size, width in zip(sizes, widths[2:], strict=True)]
    return builder.emit(relax.op.strided_slice(x, axes, widths[:2], ends))


def build(c):
    """(module, input) of a case."""
    rng = np.random.default_rng(c["seed"])
    (ci, o), layout, dtype = c["channels"], c["layout"], c["dtype"]
    w = rng.standard_normal((o, ci // c["groups"], *c["kernel"])).astype(dtype)
    sizes = dict(zip("NCHW", (c["batch"], ci, *c["size"]), strict=True))

    def body(builder, x):
        y = upsample(builder, x, c["factor"], c["way"], layout)
        y = cropped(builder, y, c["crop"], layout)
        if c["between"] == "relu":
            y = builder.emit(relax.op.nn.relu(y))
        if c["between"] == "bias and tanh":
            shape = [ci if name == "C" else 1 for name in layout]
            bias = constant(rng.standard_normal(shape).astype(dtype))
            y = builder.emit(relax.op.tanh(builder.emit(relax.op.add(y, bias))))
        if c["mode"] != "none":
            top, left, bottom, right = c["pad"]
            sides = {"N": (0, 0), "C": (0, 0), "H": (top, bottom), "W": (left, right)}
            widths = [s for name in layout for s in sides[name]]
            y = builder.emit(relax.op.nn.pad(y, widths, c["mode"]))
        kernel_layout = "OIHW" if layout == "NCHW" else "HWIO"
        weight = w.transpose(["OIHW".index(name) for name in kernel_layout])
        conv = relax.op.nn.conv2d(
            y,
            constant(weight),
            padding=c["padding"],
            dilation=c["dilation"],
            groups=c["groups"],
            data_layout=layout,
            kernel_layout=kernel_layout,
        )
        return builder.emit(conv)

    shape = [sizes[name] for name in layout]
    return module(body, tuple(shape), dtype), rng.standard_normal(shape).astype(dtype)


@settings(max_examples=150)
@given(resize_cases())
def test_the_rewritten_module_equals_the_original_in_float64(c):
    mod, x = build(c)
    # What takes back at the border is evaluated in tests/algebra/test_outside.py, and below.
    assume("call_tir" not in operators(rewrite_upsampling(mod)[0]))
    gone = {"nn.conv2d", "image.resize2d", "repeat", "take", "strided_slice"}
    assert_rewritten_exactly(mod, x, c["dtype"], gone=gone)


@settings(max_examples=20)
@given(resize_cases())
def test_the_rewritten_module_compiles_and_gives_the_same(c):
    mod, x = build({**c, "layout": "NCHW"})
    assert_compiles_to_the_same(mod, x, c["dtype"])


def _conv(builder, x, out_channels=4, kernel=3, padding=1, seed=0):
    c = int(x.ty.shape.values[1].value)
    w = np.random.default_rng(seed).standard_normal((out_channels, c, kernel, kernel))
    weight = constant(w.astype("float32"))
    return builder.emit(relax.op.nn.conv2d(x, weight, padding=padding))


def _random(shape):
    return np.random.default_rng(5).standard_normal(shape).astype("float32")


def _check(body, shape=(1, 3, 5, 4), rewritten=1):
    mod = module(body, shape)
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == rewritten, report
    x = np.random.default_rng(5).standard_normal(shape)
    assert_close(evaluate(new, x), evaluate(mod, x), "float32")
    return new, report


@pytest.mark.parametrize("way", ["half_pixel", "asymmetric", "repeat", "broadcast"])
def test_symbolic_sizes_are_rewritten_when_the_factor_is_provable(way):
    def body(builder, x):
        y = builder.emit(relax.op.nn.relu(upsample(builder, x, (2, 3), way)))
        return _conv(builder, y)

    mod = module(body, ("n", 3, "h", "w"))
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 1, report
    assert operators(new) == ["nn.relu", "nn.conv2d_transpose"]
    for shape in ((1, 3, 4, 5), (2, 3, 7, 3)):
        x = np.random.default_rng(2).standard_normal(shape).astype("float32")
        np.testing.assert_allclose(compiled(new, x), compiled(mod, x), rtol=0, atol=2e-5)


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_symbolic_sizes_with_edge_copies_are_rewritten(mode):
    def body(builder, x):
        y = upsample(builder, x, (2, 2), "asymmetric")
        y = builder.emit(relax.op.nn.pad(y, [0, 0, 0, 0, 1, 1, 1, 1], mode))
        return _conv(builder, y, padding=0)

    mod = module(body, ("n", 3, "h", "w"))
    new, report = rewrite_upsampling(mod)
    assert operators(new) == ["nn.pad", "nn.conv2d_transpose"], report
    x = np.random.default_rng(2).standard_normal((1, 3, 4, 5)).astype("float32")
    np.testing.assert_allclose(compiled(new, x), compiled(mod, x), rtol=0, atol=2e-5)


def test_layouts_that_convert_layout_leaves_are_seen_through():
    def body(builder, x):
        y = builder.emit(relax.op.nn.relu(upsample(builder, x, (2, 2), "half_pixel")))
        return _conv(builder, y)

    assert_rewritten_in_nhwc(module(body, (1, 3, 5, 4)), (1, 3, 5, 4))


def test_two_resizes_in_a_row_become_one_transposed_convolution():
    def body(builder, x):
        y = builder.emit(relax.op.nn.relu(upsample(builder, x, (2, 2), "half_pixel")))
        return _conv(builder, upsample(builder, y, (2, 1), "repeat"))

    new, _ = _check(body)
    call = new["main"].body.blocks[0].bindings[1].value
    assert [int(s) for s in call.attrs.strides] == [4, 2]


def test_every_convolution_that_reads_a_resized_map_is_rewritten_and_the_resize_dies():
    def body(builder, x):
        up = upsample(builder, x, (2, 2), "half_pixel")
        a, b = _conv(builder, up, seed=1), _conv(builder, up, kernel=5, padding=2, seed=2)
        return builder.emit(relax.op.add(a, b))

    new, _ = _check(body, rewritten=2)
    assert operators(new) == ["nn.conv2d_transpose"] * 2 + ["add"]


def test_a_resized_map_that_others_read_stays_for_them():
    def body(builder, x):
        up = upsample(builder, x, (2, 2), "half_pixel")
        return builder.emit(relax.op.add(_conv(builder, up, out_channels=3), up))

    new, _ = _check(body)
    assert operators(new) == ["image.resize2d", "nn.conv2d_transpose", "add"]


def test_replicate_padding_before_the_resize_is_kept_there():
    def body(builder, x):
        y = builder.emit(relax.op.nn.pad(x, [0, 0, 0, 0, 1, 2, 1, 0], "replicate"))
        return _conv(builder, upsample(builder, y, (2, 2), "half_pixel"))

    new, _ = _check(body)
    assert operators(new) == ["nn.pad", "nn.conv2d_transpose"]


def test_zeros_outside_whole_edge_samples_are_exact():
    def body(builder, x):
        y = upsample(builder, x, (2, 2), "half_pixel")
        y = builder.emit(relax.op.nn.pad(y, [0, 0, 0, 0, 2, 2, 4, 2], "replicate"))
        return _conv(builder, y)

    new, _ = _check(body)
    assert operators(new) == ["nn.pad", "nn.conv2d_transpose"]


@pytest.mark.parametrize(
    ("widths", "lines"),
    [((0, 0, 1, 1), 2), ((0, 0, 1, 0), 1), ((1, 0, 0, 1), 2), ((1, 1, 1, 1), 2)],
)
def test_a_crop_of_the_resized_map_is_taken_back_at_its_sides_only(widths, lines):
    def body(builder, x):
        y = cropped(builder, upsample(builder, x, (2, 2), "half_pixel"), widths)
        return _conv(builder, builder.emit(relax.op.nn.relu(y)))

    mod = module(body, (1, 3, 5, 4))
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 1, report
    assert operators(new).count("nn.conv2d") == lines
    assert_compiles_to_the_same(mod, _random((1, 3, 5, 4)), "float32")


def test_a_crop_without_padding_crops_the_transposed_convolution():
    def body(builder, x):
        y = cropped(builder, upsample(builder, x, (2, 2), "half_pixel"), (0, 0, 1, 1))
        return _conv(builder, y, padding=0)

    new, _ = _check(body)
    assert operators(new) == ["nn.conv2d_transpose"]


def test_a_crop_that_is_padded_with_its_edge_again_is_none():
    def body(builder, x):
        y = cropped(builder, upsample(builder, x, (2, 2), "half_pixel"), (0, 0, 1, 1))
        return _conv(builder, builder.emit(relax.op.nn.pad(y, [0] * 5 + [1, 0, 1], "replicate")))

    new, _ = _check(body)
    assert operators(new) == ["nn.conv2d_transpose"]


def test_zeros_outside_half_an_edge_sample_are_exact():
    def body(builder, x):
        y = upsample(builder, x, (2, 2), "half_pixel")
        y = builder.emit(relax.op.nn.pad(y, [0, 0, 0, 0, 1, 0, 0, 0], "replicate"))
        return _conv(builder, y)

    mod = module(body, (1, 3, 5, 4))
    assert operators(rewrite_upsampling(mod)[0]).count("nn.conv2d") == 1
    assert_compiles_to_the_same(mod, _random((1, 3, 5, 4)), "float32")


def test_a_free_size_may_be_cropped_by_a_known_width():
    def body(builder, x):
        y = upsample(builder, x, (2, 2), "half_pixel")
        h, w = y.ty.shape.values[2:]
        y = builder.emit(relax.op.strided_slice(y, [2, 3], [0, 0], [h - 1, w - 1], None, True))
        return _conv(builder, y)

    mod = module(body, (1, 3, "h", "w"))
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 1, report
    x = np.random.default_rng(2).standard_normal((1, 3, 4, 5)).astype("float32")
    np.testing.assert_allclose(compiled(new, x), compiled(mod, x), rtol=0, atol=2e-5)


def test_a_convolution_between_resize_and_shuffle_goes_to_the_shuffle():
    def body(builder, x):
        y = _conv(builder, upsample(builder, x, (2, 2), "half_pixel"), out_channels=8)
        return builder.emit(relax.op.nn.pixel_shuffle(y, 2))

    _, report = _check(body)
    assert [layer.status for layer in report.layers] == ["refused", "rewritten"]
    assert "part of a sub-pixel convolution already" in report.refused[0].reason


@pytest.mark.parametrize(
    ("mode", "rounding", "factor"),
    [*NEAREST_MODES, ("tf_crop_and_resize", "round", 2)],
)
def test_a_mode_whose_index_map_is_nearest_is_rewritten(mode, rounding, factor):
    def body(builder, x):
        size = relax.ShapeExpr([5 * factor, 4 * factor])
        y = relax.op.image.resize2d(
            x,
            size,
            roi=(0.0, 0.0, 1.0, 1.0),
            method="nearest_neighbor",
            coordinate_transformation_mode=mode,
            rounding_method=rounding,
        )
        return _conv(builder, builder.emit(y))

    mod = module(body, (1, 3, 5, 4))
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 1, report
    x = np.random.default_rng(5).standard_normal((1, 3, 5, 4)).astype("float32")
    np.testing.assert_allclose(compiled(new, x), compiled(mod, x), rtol=0, atol=2e-5)
