"""Resize and Upsample are computed as the standard and ONNX Runtime compute them."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_rows import Constant, Table, c, floats, ints, model_of, row, same_numbers
from tvm import sym, tirx

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.onnx.fractions import scaled_size
from tvm_deconv.importer import load
from tvm_deconv.transform import rewrite_upsampling

same_numbers()
X = floats(2, 3, 7, 10)
EMPTY = Constant(np.zeros(0, "float32"))
MODES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")


def scales(*values):
    return c(values, "float32")


def resize(x, factors=None, sizes=None, roi=None, opset=19, **options):
    """Attributes by short names: ``coords`` and ``nearest``."""
    names = {"coords": "coordinate_transformation_mode", "nearest": "nearest_mode"}
    attributes = {names.get(key, key): value for key, value in options.items()}
    extra = () if sizes is None else (ints(*sizes),)
    given = None if factors is None else scales(*factors)
    return row("Resize", x, roi, given, *extra, opset=opset, **attributes)


def crop(starts, ends, **options):
    region = c([0, 0, *starts, 1, 1, *ends], "float32")
    return resize(X, (1, 1, 1.5, 0.6), roi=region, coords="tf_crop_and_resize", **options)


CROP, HALF_FOR_NN = "tf_crop_and_resize", "tf_half_pixel_for_nn"

ROWS = [
    # Scales that do not fit: 1.5 times 7 makes 10; in float32 0.6 times 10 is 6.
    *(
        resize(X, factors, mode=mode, coords=coords, free=free)
        for mode in ("nearest", "linear", "cubic")
        for coords in (*MODES, "half_pixel_symmetric")
        for factors in ((1, 1, 1.5, 0.6), (1, 1, 0.7, 1.3))
        for free in ((), (2, 3))
    ),
    *(
        resize(X, (1, 1, 0.75, 2.5), mode="nearest", coords=coords, nearest=nearest)
        for coords in MODES
        for nearest in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
    ),
    *(
        resize(
            X, (1, 1, 0.75, 2), roi=EMPTY, opset=11, coords="tf_half_pixel_for_nn", nearest=nearest
        )
        for nearest in ("floor", "round_prefer_ceil")
    ),
    *(
        resize(X, sizes=(2, 3, 1, 13), mode=mode, coords=coords, opset=13)
        for mode in ("nearest", "linear", "cubic")
        for coords in MODES
    ),
    resize(X, (1, 1, 0.6, 1.5), mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1),
    resize(X, (1, 1, 0.6, 1.5), mode="linear", exclude_outside=1, judge="standard"),
    *(
        resize(X, factors, mode=mode, antialias=1, exclude_outside=outside)
        for mode in ("linear", "cubic")
        for factors in ((1, 1, 0.5, 0.3), (1, 1, 0.4, 2.5))
        for outside in (0, 1)
    ),
    resize(X, (1, 1, 0.4, 0.3), mode="linear", antialias=1, free=(2, 3)),
    resize(X, sizes=(2, 3, 3, 4), mode="linear", antialias=1),
    *(crop((0.1, 0.25), (0.9, 0.6), mode=mode) for mode in ("nearest", "linear", "cubic")),
    crop((-0.2, 0), (1.2, 1), mode="linear", extrapolation_value=7.5),
    crop((-0.2, 0), (1.2, 1), mode="nearest", extrapolation_value=7.5, free=(2, 3)),
    # ONNX Runtime ignores roi along an axis of scale 1, and copies where the sizes stay.
    resize(
        X,
        (1, 1, 1, 1),
        roi=c([0, 0, 0.25, 0, 1, 1, 0.75, 1], "float32"),
        coords="tf_crop_and_resize",
        mode="linear",
        judge="standard",
    ),
    resize(floats(1, 1, 4, 4), (1, 1, 1.2, 1.2), mode="linear", judge="standard"),
    resize(X, (0.6, 2.5), axes=[3, 2], mode="linear", opset=18),
    resize(X, sizes=(5, 20), axes=[-1, 2], opset=18),
    *(
        resize(
            X,
            sizes=(20, 12),
            axes=[2, 3],
            keep_aspect_ratio_policy=policy,
            mode=mode,
            coords=coords,
            free=free,
        )
        for policy in ("not_larger", "not_smaller")
        for mode, coords, free in (
            ("linear", "half_pixel", ()),
            ("linear", "half_pixel", (2, 3)),
            ("nearest", "asymmetric", (3,)),
            ("cubic", "half_pixel_symmetric", (2, 3)),
        )
    ),
    resize(X, sizes=(9, 9, 9, 9), keep_aspect_ratio_policy="not_larger", free=(0, 2, 3)),
    # Where a size is free and stays, there is no half to round.
    *(
        resize(X, sizes=(2, 3, 14, 10), coords=HALF_FOR_NN, nearest="ceil", opset=13, free=axes)
        for axes in ((0, 3), (0, 2, 3))
    ),
    # Batch and channels, channels last, and one to three dimensions.
    resize(X, (2, 1.5, 1, 1)),
    resize(floats(2, 7, 10, 3), (1, 2, 0.6, 1), mode="linear"),
    resize(floats(2, 7, 10, 3), (1, 2, 2, 1), coords="asymmetric", nearest="floor"),
    resize(floats(2, 3, 9), (1, 1, 1.5), mode="linear", free=(2,)),
    resize(floats(2, 3, 9), (1, 1, 0.7)),
    resize(floats(1, 2, 3, 4, 5), (1, 1, 1.5, 2, 0.6), mode="linear"),
    resize(floats(1, 2, 3, 4, 5), (1, 1, 1.5, 2, 0.6), free=(2, 3, 4)),
    resize(floats(6, 5), (1.5, 0.6), mode="cubic"),
    # What ONNX Runtime has no kernel for.
    resize(X.astype("float16"), (1, 1, 1.5, 0.6), mode="linear", judge="standard"),
    resize(X.astype("float64"), (1, 1, 1.5, 0.6), mode="cubic", judge="standard"),
    resize(np.arange(70).reshape(1, 1, 7, 10).astype("int32"), (1, 1, 1.5, 0.6)),
    # An empty tensor stands for none, as PyTorch wrote it at opset 11 and 12.
    row("Resize", X, EMPTY, EMPTY, ints(2, 3, 14, 20), opset=12, mode="linear"),
    # Before opset 11 nearest rounds up where it shrinks.
    *(
        row("Resize", X, scales(1, 1, 0.6, 1.7), opset=10, mode=mode)
        for mode in ("nearest", "linear")
    ),
    *(
        row("Upsample", X, scales(1, 1, 1.3, 2), opset=9, mode=mode)
        for mode in ("nearest", "linear")
    ),
    row("Upsample", X, opset=7, mode="nearest", scales=[1.0, 1.0, 2.0, 1.5]),
    row("Upsample", X, scales(1, 1, 1.3, 2), opset=9, free=(2, 3)),
]

TABLE = Table(ROWS)


@pytest.mark.parametrize("one", TABLE.rows, ids=str)
def test_a_resize_is_computed_as_onnx_says(one):
    TABLE.check(one)


@pytest.mark.parametrize("scale", [0.5, 0.6, 0.75, 1 / 3, 1.3, 1.5, 2.0, 2.7183])
def test_a_free_size_is_scaled_as_fixed_ones_are(scale):
    factor = np.float32(scale)
    height = tirx.Var("h", "int64")
    formula = scaled_size(height, factor)
    is_integer = "float" not in str(formula)
    assert is_integer == (scale not in (1.3, 2.7183)), "only these need float32"
    for size in (*range(1, 50), 90, 1000, 4099):
        expected = scaled_size(size, factor)
        assert expected == int(factor * np.float32(size))
        if is_integer:
            analyzer = sym.Analyzer()
            analyzer.bind(height, tirx.const(size, "int64"))
            assert int(analyzer.simplify(formula)) == expected


def hidden(kind):
    """Nearest resize by 2 and a convolution, with scales that take some computing."""
    make, values = helper.make_node, {"two": np.float32([2, 2]), "one": np.float32([1, 1])}
    nodes = {
        "Identity": [make("Identity", ["all"], ["scales"])],
        "Cast": [make("Cast", ["whole"], ["scales"], to=TensorProto.FLOAT)],
        "Concat": [make("Concat", ["one", "two"], ["scales"], axis=0)],
        "Constant": [make("Constant", [], ["scales"], value_floats=[1.0, 1.0, 2.0, 2.0])],
        "Shape": [
            make("Shape", ["x"], ["shape"]),
            make("Slice", ["shape", "from", "to"], ["image"]),
            make("Cast", ["image"], ["size"], to=TensorProto.FLOAT),
            make("Mul", ["size", "two"], ["target"]),
            make("Div", ["target", "size"], ["ratio"]),
            make("Concat", ["one", "ratio"], ["scales"], axis=0),
        ],
    }[kind]
    values |= {"all": np.float32([1, 1, 2, 2]), "whole": np.array([1, 1, 2, 2])}
    values |= {"from": np.array([2]), "to": np.array([4]), "w": floats(4, 3, 3, 3)}
    nodes += [
        make("Resize", ["x", "", "scales"], ["u"]),
        make("Conv", ["u", "w"], ["y"], pads=[1, 1, 1, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 6, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, key) for key, value in values.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.mark.parametrize("kind", ["Identity", "Cast", "Concat", "Constant", "Shape"])
def test_whole_factors_are_rewritten_wherever_the_scales_come_from(kind):
    _, report = rewrite_upsampling(load(hidden(kind)))
    assert [layer.before for layer in report.layers] == ["resize 2x2, conv 3x3 3->4"]


def test_another_resize_is_named_in_the_report():
    model = hidden("Identity")
    model.graph.node[1].attribute.append(helper.make_attribute("mode", "cubic"))
    _, report = rewrite_upsampling(load(model))
    assert "is cubic resize with half_pixel" in report.layers[0].reason


def test_sizes_of_a_resize_that_stays_are_formulas_in_a_report():
    model, _ = model_of([resize(X, (1, 1, 1.7, 0.6), mode="linear", free=(2, 3))])
    model.graph.node.append(helper.make_node("Conv", ["y0_0", "w"], ["z"]))
    model.graph.initializer.append(numpy_helper.from_array(np.ones((1, 3, 3, 3), "float32"), "w"))
    _, report = rewrite_upsampling(load(model))
    assert "from r0_0_2 to r0_0_2 * 17 // 10 samples along axis 2" in report.layers[0].reason


REFUSED = [
    (resize(X, (1, 1, np.nan, 2)), r"scales are \[1, 1, nan, 2\]: give positive numbers"),
    (resize(X, (1, 1, np.inf, 2)), r"scales are \[1, 1, inf, 2\]: give positive numbers"),
    (resize(X, (1, 1, 0, 2)), "scales are .* give positive numbers|scale"),
    (resize(X, (1, 1, -1, 2)), "scales are .* give positive numbers|scale"),
    (resize(X, (1, 1, 1e9, 1)), "scale 1e.09 makes a size over 16777216"),
    (resize(X, (1, 1, 1e9, 1), free=(2, 3)), "scale 1e.09 makes a size over 16777216"),
    (resize(X, (1, 1, 0.01, 1)), "an axis of 7 samples cannot be resampled to 0"),
    (resize(X, (1, 1, 2, 2), nearest="FOO"), "nearest_mode is 'FOO': give one of floor, ceil, "),
    (resize(X, (1, 1, 2, 2), coords="foo"), "coordinate_transformation_mode is 'foo': give one"),
    (resize(X, (1, 1, 2, 2), mode="area"), "mode is 'area': give one of nearest, linear, cubic"),
    (resize(X, (1, 1, 2, 2), antialias=1), "antialias is 1 in mode nearest"),
    (resize(X, (2, 2)), "has 2 scales, 4 are needed|scales"),
    (resize(X, (1, 1, 2, 2), sizes=(2, 3, 14, 20)), "has scales and sizes: give one|Either"),
    (resize(X), "has neither scales nor sizes|Either"),
    (resize(X, (1, 1, 2, 2), coords="tf_crop_and_resize"), "needs a roi of 8 numbers"),
    (
        resize(X, (1, 1, 2, 2), roi=c([0, 0, 0, 0, 1, 1, np.nan, 1], "float32"), coords=CROP),
        r"roi is \[0, 0, 0, 0, 1, 1, nan, 1\]: give finite numbers",
    ),
    (resize(X.astype("int32"), (1, 1, 2, 2), mode="linear"), "linear interpolation of int32"),
    (row("Resize", X, None, np.float32([1, 1, 2, 2])), "its scales are computed at run time"),
    (row("Upsample", X, opset=7), "has no scales|scales"),
    (row("Upsample", X, scales(1, 1, 0.5, 1), opset=9), r"scales \[1, 1, 0.5, 1\] shrink"),
]


@pytest.mark.parametrize(("one", "reason"), REFUSED, ids=lambda value: str(value)[:70])
def test_what_is_not_computed_is_refused_in_words(one, reason):
    with pytest.raises(ModelError, match=reason) as caught:
        load(model_of([one])[0])
    assert "\n" not in str(caught.value)
    assert str(one.opset) in str(caught.value) or one.opset == 7
