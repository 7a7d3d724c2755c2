"""Nearest resize, padding and convolution: the rewritten module equals the original."""

from __future__ import annotations

import numpy as np
import pytest
import relay_reference
from hypothesis import given, settings
from hypothesis import strategies as st
from relay_helpers import (
    assert_close,
    assert_rewritten_exactly,
    compiled,
    constant,
    conv,
    conv_as,
    module,
    operators,
    padding,
    resize,
    upsample,
)
from tvm import relay
from upsampling_cases import NEAREST_MODES, resize_cases

from tvm_deconv.relay import rewrite_upsampling

SHAPE = (1, 3, 5, 4)


def build(c, mirror_pad=False):
    """(module, input) of a case; ``mirror_pad`` writes a reflection as Relay's other operator."""
    rng = np.random.default_rng(c["seed"])
    (ci, o), layout, dtype = c["channels"], c["layout"], c["dtype"]
    w = rng.standard_normal((o, ci // c["groups"], *c["kernel"])).astype(dtype)
    sizes = dict(zip("NCHW", (c["batch"], ci, *c["size"]), strict=True))

    def body(x):
        y = upsample(x, c["factor"], c["way"], layout)
        if any(c["crop"]):
            large = [n * r for n, r in zip(c["size"], c["factor"], strict=True)]
            ends = [n - cut for n, cut in zip(large, c["crop"][2:], strict=True)]
            axes = [layout.index(name) for name in "HW"]
            y = relay.strided_slice(y, list(c["crop"][:2]), ends, [1, 1], axes)
        if c["between"] == "relu":
            y = relay.nn.relu(y)
        if c["between"] == "bias and tanh":
            bias = constant(rng.standard_normal(ci).astype(dtype))
            y = relay.tanh(relay.nn.bias_add(y, bias, layout.index("C")))
        if c["mode"] == "reflect" and mirror_pad:
            top, left, bottom, right = c["pad"]
            sides = {"N": (0, 0), "C": (0, 0), "H": (top, bottom), "W": (left, right)}
            y = relay.nn.mirror_pad(y, [sides[name] for name in layout], "REFLECT")
        elif c["mode"] != "none":
            mode = {"replicate": "edge"}.get(c["mode"], c["mode"])
            y = padding(y, c["pad"], mode, layout=layout)
        attributes = {"padding": c["padding"], "dilation": c["dilation"], "groups": c["groups"]}
        return conv_as(y, w, layout, **attributes)

    shape = tuple(sizes[name] for name in layout)
    return module(body, shape, dtype), rng.standard_normal(shape).astype(dtype)


@settings(max_examples=60)
@given(resize_cases(), st.booleans(), st.booleans())
def test_the_rewritten_module_equals_the_original_in_float64(c, by_operator, mirror_pad):
    mod, x = build({**c, "way": "upsampling" if by_operator else c["way"]}, mirror_pad)
    gone = {"image.resize2d", "nn.upsampling", "repeat", "take", "broadcast_to", "strided_slice"}
    assert_rewritten_exactly(mod, x, gone)


@settings(max_examples=4)
@given(resize_cases())
def test_the_rewritten_module_compiles_and_gives_the_same(c):
    mod, x = build({**c, "dtype": "float32"})
    new, _ = rewrite_upsampling(mod)
    expected = relay_reference.evaluate(mod, x.astype(np.float64))
    assert_close(compiled(new, x), expected)


def _check(body, layers=1):
    x = np.random.default_rng(5).standard_normal(SHAPE).astype("float32")
    return assert_rewritten_exactly(module(body, SHAPE), x, set(), layers)


@pytest.mark.parametrize("width", [1, 2])
def test_a_symmetric_reflection_within_one_sample_is_an_edge(width):
    def body(x):
        widths = ((0, 0), (0, 0), (width, 1), (0, width))
        y = relay.nn.mirror_pad(upsample(x, (2, 2), "upsampling"), widths, "SYMMETRIC")
        return conv(y, 4, padding=0)

    assert operators(_check(body)) == ["nn.pad", "nn.conv2d_transpose"]


def test_two_resizes_in_a_row_become_one_transposed_convolution():
    def body(x):
        y = relay.nn.relu(upsample(x, (2, 2), "half_pixel"))
        return conv(upsample(y, (2, 1), "repeat"), 4)

    new = _check(body)
    assert [int(s) for s in new["main"].body.attrs.strides] == [4, 2]


def test_every_convolution_that_reads_a_resized_map_is_rewritten_and_the_resize_dies():
    def body(x):
        up = upsample(x, (2, 2), "upsampling")
        return relay.add(conv(up, 4), conv(up, 4, k=5))

    assert operators(_check(body, 2)) == ["nn.conv2d_transpose"] * 2 + ["add"]


def test_a_resized_map_that_others_read_stays_for_them():
    def body(x):
        up = upsample(x, (2, 2), "half_pixel")
        return relay.add(conv(up, 3), up)

    new = _check(body)
    assert sorted(operators(new)) == ["add", "image.resize2d", "nn.conv2d_transpose"]


def test_edge_padding_before_the_resize_is_kept_there():
    def body(x):
        y = padding(x, (1, 2, 1, 0), "edge")
        return conv(upsample(y, (2, 2), "asymmetric"), 4)

    assert operators(_check(body)) == ["nn.pad", "nn.conv2d_transpose"]


def test_zeros_outside_whole_edge_samples_are_exact():
    def body(x):
        y = padding(upsample(x, (2, 2), "asymmetric"), (2, 2, 4, 2), "edge")
        return conv(y, 4)

    assert operators(_check(body)) == ["nn.pad", "nn.conv2d_transpose"]


def test_a_convolution_between_resize_and_shuffle_goes_to_the_shuffle():
    mod = module(
        lambda x: relay.nn.depth_to_space(conv(upsample(x, (2, 2), "asymmetric")), 2), SHAPE
    )
    _, report = rewrite_upsampling(mod)
    assert [layer.status for layer in report.layers] == ["refused", "rewritten"]
    assert "part of a sub-pixel convolution already" in report.refused[0].reason


def test_layouts_that_convert_layout_leaves_are_seen_through():
    mod = module(lambda x: conv(relay.nn.relu(upsample(x, (2, 2), "upsampling")), 4), SHAPE)
    nhwc = relay.transform.ConvertLayout({"nn.conv2d": ["NHWC", "HWIO"]})(mod)
    new, report = rewrite_upsampling(nhwc)
    assert len(report.rewritten) == 1, report
    x = np.random.default_rng(2).standard_normal(SHAPE)
    assert_close(relay_reference.evaluate(new, x), relay_reference.evaluate(mod, x))


@pytest.mark.parametrize(("mode", "rounding", "factor"), NEAREST_MODES)
def test_a_mode_whose_index_map_is_nearest_is_rewritten(mode, rounding, factor):
    """TVM's own resize is the judge of the index map, a convolution by 1 of the values."""
    up = lambda x: resize(x, (5 * factor, 4 * factor), "NCHW", mode, rounding)  # noqa: E731
    new, report = rewrite_upsampling(module(lambda x: conv(up(x), 4), SHAPE))
    assert len(report.rewritten) == 1, report
    x = np.random.default_rng(5).standard_normal(SHAPE).astype("float32")
    copies = compiled(module(up, SHAPE), x)
    np.testing.assert_array_equal(copies, x.repeat(factor, 2).repeat(factor, 3))
    plain = module(lambda x: conv(upsample(x, (factor, factor), "repeat"), 4), SHAPE)
    assert_close(relay_reference.evaluate(new, x), relay_reference.evaluate(plain, x))


@pytest.mark.parametrize("way", ["repeat", "take", "broadcast"])
def test_copies_along_other_axes_are_not_candidates(way):
    def body(x):
        if way == "repeat":
            return conv(relay.repeat(x, 2, 1))
        if way == "take":
            return conv(relay.take(x, constant(np.arange(6) // 2), 1))
        wide = relay.broadcast_to(relay.expand_dims(x, 2), (1, 3, 2, 5, 4))
        return conv(relay.reshape(wide, (1, 6, 5, 4)))

    assert rewrite_upsampling(module(body, SHAPE))[1].layers == ()
