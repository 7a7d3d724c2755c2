"""Scales and sizes that exporters compute in floating point from free sizes."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import tvm
from onnx import TensorProto, helper
from onnx_net import Net
from quick_network import compiled
from tvm import sym, tirx

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.onnx.formulas import sizes_analyzer
from tvm_deconv.frontends.onnx.fractions import Fraction, quotient
from tvm_deconv.importer import load
from tvm_deconv.transform import rewrite_upsampling

SIZES = [(2, 4, 6, 10), (1, 4, 3, 5), (3, 4, 20, 7)]
# Of the input beside: smaller and larger, by whole factors and others.
SKIPS = [(2, 4, 12, 13), (1, 4, 3, 20), (3, 4, 31, 8)]
SMALLER = [(2, 4, 4, 13), (1, 4, 7, 3), (3, 4, 6, 7)]


def image(n, name):
    sizes = n("Gather", n("Shape", name), n.integers(2, 3), axis=0)
    return n("Cast", sizes, to=TensorProto.FLOAT)


def scales_to(n, target):
    """Behind 1 for batch and channels, as PyTorch wrote scales until opset 10."""
    return n("Concat", n.given(np.float32([1, 1])), n("Div", target, image(n, "x")), axis=0)


def times(n, *factors, rounding="Floor"):
    return n(rounding, n("Mul", image(n, "x"), n.given(np.float32(factors))))


def to_the_skip(n, operator, mode):
    return n(operator, "x", scales_to(n, image(n, "skip")), mode=mode)


def to_a_scaled_size(n, operator, mode):
    return n(operator, "x", scales_to(n, times(n, 2.5, 1.3)), mode=mode)


def model(way, opset, *given, batch="n2"):
    net = Net(SIZES[0], dims=("n", 4, "h", "w"))
    proto = net.model(way(net, *given))
    proto.opset_import[0].version = opset
    kind = helper.make_tensor_value_info("skip", TensorProto.FLOAT, (batch, 4, "h2", "w2"))
    if any("skip" in node.input for node in proto.graph.node):
        proto.graph.input.append(kind)
    return proto


def feeds(proto, *shapes):
    rng = np.random.default_rng(0)
    names = [value.name for value in proto.graph.input]
    return {
        n: rng.standard_normal(s).astype("float32") for n, s in zip(names, shapes, strict=False)
    }


def check(proto, *pairs):
    """``proto``, compiled once, gives what ONNX Runtime gives for inputs of these shapes."""
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    main = compiled(proto)
    for shapes in pairs:
        given = feeds(proto, *shapes)
        (expected,) = session.run(None, given)
        got = main(*map(tvm.runtime.tensor, given.values())).numpy()
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=0, atol=3e-6 * np.abs(expected).max())
    return main, session


@pytest.mark.parametrize(
    ("operator", "mode"), [("Upsample", "nearest"), ("Upsample", "linear"), ("Resize", "linear")]
)
@pytest.mark.parametrize("way", [to_the_skip, to_a_scaled_size])
def test_scales_divided_from_sizes_resize_as_those_of_onnx_runtime(way, operator, mode):
    proto = model(way, 9 if operator == "Upsample" else 10, operator, mode)
    check(proto, *zip(SIZES, SKIPS, strict=True))


def test_a_nearest_resize_by_scales_rounds_up_where_it_shrinks():
    proto = model(to_the_skip, 10, "Resize", "nearest")
    check(proto, *zip(SIZES, SMALLER, strict=True))


def test_an_upsample_that_would_shrink_is_refused_when_run():
    main, session = check(model(to_the_skip, 9, "Upsample", "nearest"), (SIZES[0], SKIPS[0]))
    given = feeds(
        session_model := model(to_the_skip, 9, "Upsample", "nearest"), SIZES[0], SMALLER[0]
    )
    del session_model
    with pytest.raises(Exception, match="greater than or equal to 1"):
        session.run(None, given)
    with pytest.raises(RuntimeError, match="match_cast"):
        main(*map(tvm.runtime.tensor, given.values()))


@pytest.mark.parametrize(
    ("opset", "mode", "rounding"),
    [(11, "nearest", "Floor"), (19, "linear", "Floor"), (19, "linear", "Ceil")],
)
def test_sizes_rounded_from_products_are_those_of_onnx_runtime(opset, mode, rounding):
    def way(n):
        sizes = n("Cast", times(n, 2.5, 1.3, rounding=rounding), to=TensorProto.INT64)
        kept = n("Gather", n("Shape", "x"), n.integers(0, 1), axis=0)
        none = n.given(np.zeros(0, "float32"))
        return n("Resize", "x", none, none, n("Concat", kept, sizes, axis=0), mode=mode)

    check(model(way, opset), *zip(SIZES))


def test_scales_of_newer_opsets_may_be_divided_from_sizes():
    def way(n):
        return n("Resize", "x", "", scales_to(n, image(n, "skip")), mode="cubic")

    check(model(way, 13), *zip(SIZES, SKIPS, strict=True))


def test_fractions_of_sizes_are_numbers_to_any_operator():
    def way(n):
        parts = n("Mul", image(n, "x"), n.given(np.float32([0.3, 2])))
        by = n("Concat", parts, n("Div", image(n, "x"), n.given(np.float32([3, 0.5]))), axis=0)
        return n("Mul", "x", n("Reshape", n("Sqrt", by), n.integers(4, 1, 1)))

    check(model(way, 13), *zip(SIZES))


def test_a_whole_factor_that_is_divided_from_free_sizes_is_rewritten():
    def way(n):
        doubled = n("Mul", image(n, "x"), n.given(np.float32([2, 2])))
        up = n("Upsample", "x", scales_to(n, doubled), mode="nearest")
        return n.conv(up, 4, 3)

    _, report = rewrite_upsampling(load(model(way, 9)))
    assert [layer.before for layer in report.layers] == ["resize 2x2, conv 3x3 4->3"]


# 31 / 7 in float32 makes 30 of 7 in ONNX Runtime, 31 in PyTorch.
ROUNDED = [((1, 4, 7, 7), (1, 4, 31, 14)), ((1, 4, 6, 7), (1, 4, 12, 31)), (SIZES[1], SKIPS[1])]


@pytest.mark.parametrize(
    ("operator", "opset", "options"),
    [
        ("Resize", 10, {"mode": "nearest"}),
        ("Upsample", 9, {"mode": "linear"}),
        ("Resize", 13, {"mode": "linear"}),
        ("Resize", 13, {"mode": "linear", "coordinate_transformation_mode": "align_corners"}),
        ("Resize", 19, {"mode": "cubic", "coordinate_transformation_mode": "half_pixel_symmetric"}),
    ],
)
def test_a_scale_that_is_rounded_makes_the_size_that_onnx_runtime_makes(operator, opset, options):
    def way(n):
        empty = [""] if opset > 10 else []
        up = n(operator, "x", *empty, scales_to(n, image(n, "skip")), **options)
        return n.conv(up, 4, 3)

    check(model(way, opset), *ROUNDED)


@pytest.mark.parametrize("operator", ["Add", "Concat"])
@pytest.mark.parametrize("stride", [1, 2])
def test_what_is_joined_with_the_map_it_was_resized_to_has_got_its_size(operator, stride):
    def way(n):
        skip = n.conv("skip", 4, 4, strides=[2, 2]) if stride == 2 else "skip"
        up = n.conv(n("Resize", "x", scales_to(n, image(n, skip)), mode="nearest"), 4, 4)
        return n(operator, up, skip, **({"axis": 1} if operator == "Concat" else {}))

    proto = model(way, 10, batch="n")
    main, session = check(proto, *zip(SIZES, SKIPS, strict=True))
    given = feeds(proto, (1, 4, 7, 7), (1, 4, 31 * stride, 14))
    with pytest.raises(Exception, match=r"dimensions|axis"):
        session.run(None, given)
    with pytest.raises(RuntimeError, match="match_cast"):
        main(*map(tvm.runtime.tensor, given.values()))


def test_scales_that_are_no_ratio_to_their_axis_are_refused_by_name():
    def way(n):
        flipped = n("Gather", image(n, "x"), n.integers(1, 0), axis=0)
        return n("Resize", "x", scales_to(n, flipped))

    def swapped(n):
        both = n("Div", image(n, "skip"), n("Gather", image(n, "x"), n.integers(1, 0), axis=0))
        return n("Resize", "x", n("Concat", n.given(np.float32([1, 1])), both, axis=0))

    load(model(way, 10))
    words = (
        r"Resize 't\d+' \(opset 10\): its scale of axis 2 is computed as h2 / w, which is no ratio "
        "to the size h of that axis: give the shapes of the inputs"
    )
    with pytest.raises(ModelError, match=words):
        load(model(swapped, 10))


@pytest.mark.parametrize("by", [1, 3, 7, 41, 49, 1000])
def test_a_quotient_in_float32_is_rounded_as_one_of_whole_numbers(by):
    h = tirx.Var("h", "int64")
    analyzer = sizes_analyzer(h)
    down, up = (Fraction(h, 1.0, by, "float32").whole(analyzer, up=up) for up in (False, True))
    for size in (*range(1, 200), 4095, 999_999, 2**24 - 1):
        at = sym.Analyzer()
        at.bind(h, tirx.const(size, "int64"))
        exact = np.float32(size) / np.float32(by)
        assert int(at.simplify(down)) == np.floor(exact)
        assert int(at.simplify(up)) == np.ceil(exact)


def test_a_quotient_is_whole_where_that_is_provable():
    h = tirx.Var("h", "int64")
    analyzer = sizes_analyzer(h)
    assert not isinstance(quotient(analyzer, h * 4, h * 2, "float32"), Fraction)
    assert isinstance(quotient(analyzer, h, h * 2, "float32"), Fraction)
    assert quotient(analyzer, 1, 4, "float32") == 0.25
    assert quotient(analyzer, 8, 4, "float32") == 2
    assert quotient(analyzer, h, h - 5, "float32") is None


@pytest.mark.parametrize("rounding", ["Floor", "Ceil", "Cast"])
def test_quotients_of_negative_sizes_are_rounded_as_onnx_runtime_does(rounding):
    """``-(-h // 4) * 4 - h`` is how Python rounds up to a multiple."""

    def way(n):
        below = n("Div", n("Neg", image(n, "x")), n.given(np.float32(4)))
        if rounding != "Cast":
            below = n(rounding, below)
        times = n("Neg", n("Cast", below, to=TensorProto.INT64))
        sizes = n("Gather", n("Shape", "x"), n.integers(2, 3), axis=0)
        more = n("Sub", n("Mul", times, n.integers(4)), sizes)
        return n("Pad", "x", n("Concat", n.integers(*[0] * 6), more, axis=0), mode="edge")

    check(model(way, 13), (SIZES[0],), (SIZES[2],))


@pytest.mark.parametrize("by", [1, 3, 7, 49])
def test_a_negative_quotient_is_rounded_each_way(by):
    h = tirx.Var("h", "int64")
    analyzer, found = sizes_analyzer(h), Fraction(-h, 1.0, by, "float32")
    ways = {
        np.floor: found.whole(analyzer),
        np.ceil: found.whole(analyzer, up=True),
        np.trunc: found.whole(analyzer, towards_zero=True),
    }
    for size in (*range(1, 200), 999_999):
        at = sym.Analyzer()
        at.bind(h, tirx.const(size, "int64"))
        exact = np.float32(-size) / np.float32(by)
        for rounded, formula in ways.items():
            assert int(at.simplify(formula)) == rounded(exact)
