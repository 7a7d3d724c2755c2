"""A layer in words: one text for each, and from each text the same layer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.errors import LogError
from tvm_deconv.logs.layer import Layer
from tvm_deconv.schedules.variant import Sizes

SMALL = st.integers(0, 3)


@st.composite
def axes(draw):
    kernel = draw(st.integers(1, 12))
    return Axis(
        kernel,
        draw(st.integers(1, 4)),
        *(draw(SMALL), draw(SMALL), draw(SMALL)),
        draw(st.integers(1, 3)),
        draw(st.frozensets(st.integers(0, kernel - 1))),
    )


@st.composite
def layers(draw):
    h = draw(axes())
    w = draw(st.one_of(st.just(h), axes()))
    groups, inputs, outputs = (draw(st.integers(1, 20)) for _ in range(3))
    step = tuple(draw(st.integers(1, 3)) if axis.stride == 1 else 1 for axis in (h, w))
    conv = ConvTranspose2d(groups * inputs, groups * outputs, h, w, groups, step)
    sizes = Sizes(*(draw(st.integers(1, 2000)) for _ in range(3)))
    return Layer(conv, sizes, draw(st.sampled_from(["float32", "float16"])))


@given(layers())
@settings(max_examples=500)
def test_a_layer_is_read_as_it_was_written(layer):
    assert Layer.parse(str(layer)) == layer


@given(layers(), layers())
@settings(max_examples=200)
def test_different_layers_have_different_texts(one, other):
    assert (str(one) == str(other)) == (one == other)


ROUND = Axis(9, 3, 3, 3)
FOLDED = Axis(4, 2, 1, 1, equal_sums=True)


@pytest.mark.parametrize(
    ("conv", "sizes", "text"),
    [
        (
            ConvTranspose2d(32, 1, ROUND, ROUND),
            Sizes(1, 224, 224),
            "deconv 9x9 s3 32->1 p3 1x224x224 float32",
        ),
        (
            ConvTranspose2d(64, 64, Axis(1), Axis(1)),
            Sizes(1, 8, 9),
            "deconv 1x1 64->64 1x8x9 float32",
        ),
        (
            ConvTranspose2d(
                *(8, 6),
                Axis(4, 2, 1, 2, 1, zero_taps=frozenset({3, 1})),
                Axis(3, 1, 0, 0, 0, 2, frozenset({2})),
                2,
            ),
            Sizes(2, 12, 20),
            "deconv 4x3 s2x1 d1x2 8->6 g2 p1,0,2,0 o1x0 zh1,3 zw2 2x12x20 float32",
        ),
        (
            ConvTranspose2d(64, 3, FOLDED, FOLDED),
            Sizes(1, 16, 20),
            "deconv 4x4 s2 64->3 p1 eh ew 1x16x20 float32",
        ),
        (
            ConvTranspose2d(3, 64, Axis(7, 1, 3, 3), Axis(5, 1, 2, 2), 1, (2, 3)),
            Sizes(1, 32, 48),
            "deconv 7x5 step2x3 3->64 p3,2,3,2 1x32x48 float32",
        ),
    ],
    ids=["one number for both axes", "nothing that is as usual", "everything", "sums", "a step"],
)
def test_a_layer_in_words(conv, sizes, text):
    assert str(Layer(conv, sizes)) == text


GOOD = "deconv 4x4 s2 8->6 g2 p1 1x12x20 float32"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("deconv ", "conv "), "as tvm_deconv.logs.layer does"),
        (("4x4", "4"), "as tvm_deconv.logs.layer does"),
        (("4x4", "0x4"), "kernel must be at least 1, got 0"),
        (("s2", "s2x2"), "as tvm_deconv.logs.layer does"),
        (("s2", "s02"), "as tvm_deconv.logs.layer does"),
        (("s2", "s\u0662"), "as tvm_deconv.logs.layer does"),
        (("s2", "s1"), "as tvm_deconv.logs.layer does"),
        (("s2", "s2x1x1"), "stride takes 1 number or 2"),
        (("s2", "s2x"), "invalid literal"),
        (("g2", "g4"), "multiple of groups=4, got 6"),
        (("p1", "p1,2"), "padding takes 1 number or 4"),
        (("p1 ", "o1 p1 "), "as tvm_deconv.logs.layer does"),
        ((" float32", ""), "as tvm_deconv.logs.layer does"),
        (("float32", "float32 "), "as tvm_deconv.logs.layer does"),
    ],
    ids=lambda value: " -> ".join(value) if isinstance(value, tuple) else "",
)
def test_any_other_text_is_refused_with_the_reason(change, reason):
    Layer.parse(GOOD)
    with pytest.raises(LogError, match=f"does not describe a layer.*{reason}"):
        Layer.parse(GOOD.replace(*change))


def test_a_layer_of_free_size_has_no_text():
    with pytest.raises(LogError, match="a layer of free size has no shape"):
        str(Layer(ConvTranspose2d(3, 5, ROUND, ROUND), Sizes(None, None, None)))
