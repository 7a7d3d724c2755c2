"""A convolution of a Concat of resized maps: the rewritten module equals the original."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from refusal_reasons import CONCAT
from relax_helpers import (
    assert_close,
    assert_compiles_to_the_same,
    assert_refused,
    assert_rewritten_in_nhwc,
    compiled,
    constant,
    conv,
    evaluate,
    module,
    operators,
    upsample,
)
from tvm import relax
from upsampling_cases import concat_cases

from tvm_deconv.transform import explain, rewrite_upsampling

SIZE = (6, 12)


def whatever_it_costs():
    """Layers of a few channels would be left as they are."""
    return patch("tvm_deconv.patterns.concat.pays", return_value=None)


def joined(builder, *parts, layout="NCHW"):
    return builder.emit(relax.op.concat(parts, axis=layout.index("C")))


def pooled(builder, x, factor, layout="NCHW"):
    """A map that is smaller than ``x`` by ``factor``, made of its first pixels."""
    ends = [None] * 4
    for name, r in zip("HW", factor, strict=True):
        ends[layout.index(name)] = r
    axes = [i for i, r in enumerate(ends) if r not in (None, 1)]
    for axis in axes:
        size = int(x.ty.shape.values[axis].value) // ends[axis]
        x = builder.emit(relax.op.take(x, constant(np.arange(size)), axis=axis))
    return x


def pointwise(builder, x, kind, layout, rng, dtype):
    channels = int(x.ty.shape.values[layout.index("C")].value)
    values = rng.standard_normal(channels).astype(dtype)
    if kind == "relu":
        return builder.emit(relax.op.nn.relu(x))
    if kind == "prelu":
        return builder.emit(relax.op.nn.prelu(x, constant(values), axis=layout.index("C")))
    if kind == "bias and tanh":
        bias = values.reshape([channels if name == "C" else 1 for name in layout])
        return builder.emit(relax.op.tanh(builder.emit(relax.op.add(x, constant(bias)))))
    return x


def build(c):
    """(module, input) of a case; every input of the Concat is a multiple of the one parameter."""
    rng = np.random.default_rng(c["seed"])
    layout, dtype, inputs = c["layout"], c["dtype"], c["inputs"]
    # Groups of one channel: no two inputs meet in one.
    total = sum(each["channels"] * (1 + each["nested"]) for each in inputs)
    groups = total if c["grouped"] else 1

    def body(builder, x):
        def one(each, between):
            y = pooled(builder, x, each["factor"], layout)
            index = constant(rng.integers(0, 3, each["channels"]))
            y = builder.emit(relax.op.take(y, index, axis=layout.index("C")))
            if each["factor"] != (1, 1):
                y = upsample(builder, y, each["factor"], c["way"], layout)
            return pointwise(builder, y, between, layout, rng, dtype)

        parts = []
        for each in inputs:
            part = one(each, each["between"])
            if each["nested"]:
                plain = one({**each, "factor": (1, 1)}, "nothing")
                part = joined(builder, plain, part, layout=layout)
                part = pointwise(builder, part, each["between"], layout, rng, dtype)
            parts.append(part)
        y = pointwise(
            builder, joined(builder, *parts, layout=layout), c["after"], layout, rng, dtype
        )
        padding = c["padding"]
        if c["mode"] != "none" and c["after"] != "bias and tanh":
            # One reflected or copied pixel is what every factor over 1 can have at an edge.
            wide = padding if c["mode"] == "constant" else (1, 1, 1, 1)
            sides = {"N": (0, 0), "C": (0, 0), "H": wide[0::2], "W": wide[1::2]}
            widths = [s for name in layout for s in sides[name]]
            y, padding = builder.emit(relax.op.nn.pad(y, widths, c["mode"])), (0, 0, 0, 0)
        o = groups if c["grouped"] else c["outputs"]
        weight = rng.standard_normal((o, total // groups, *c["kernel"])).astype(dtype)
        kernel_layout = "OIHW" if layout == "NCHW" else "HWIO"
        weight = weight.transpose(["OIHW".index(name) for name in kernel_layout])
        return builder.emit(
            relax.op.nn.conv2d(
                y,
                constant(weight),
                padding=padding,
                groups=groups,
                data_layout=layout,
                kernel_layout=kernel_layout,
            )
        )

    sizes = dict(zip("NCHW", (c["batch"], 3, *SIZE), strict=True))
    shape = [sizes[name] for name in layout]
    return module(body, tuple(shape), dtype), rng.standard_normal(shape).astype(dtype)


@settings(max_examples=60)
@given(concat_cases())
def test_the_rewritten_module_equals_the_original_in_float64(c):
    mod, x = build(c)
    with whatever_it_costs():
        new, report = rewrite_upsampling(mod)
    expected = evaluate(mod, x.astype(np.float64))
    assert_close(evaluate(new, x.astype(np.float64)), expected, c["dtype"])
    # A reflection at an edge that is not resized is no edge copy: such a map stays resized.
    if c["mode"] != "reflect":
        assert [layer.status for layer in report.layers] == ["rewritten"], report
        assert not {"image.resize2d", "repeat", "broadcast_to"} & set(operators(new))


@settings(max_examples=3)
@given(concat_cases())
def test_the_rewritten_module_compiles_and_gives_the_same(c):
    mod, x = build({**c, "layout": "NCHW"})
    with whatever_it_costs():
        assert_compiles_to_the_same(mod, x, c["dtype"])


def _half(builder, x, channels=8):
    """A map of half the size, made by a layer."""
    return conv(builder, pooled(builder, x, (2, 2)), channels)


def _check(body, shape=(1, 3, 10, 14), expected=None, judge=evaluate):
    mod = module(body, shape)
    new, report = rewrite_upsampling(mod)
    assert [layer.status for layer in report.layers] == ["rewritten"], report
    sizes = [d if isinstance(d, int) else k for d, k in zip(shape, (2, 3, 10, 14), strict=True)]
    x = np.random.default_rng(5).standard_normal(sizes).astype("float32")
    assert_close(judge(new, x), judge(mod, x), "float32")
    if expected is not None:
        assert operators(new)[-len(expected) :] == expected
    return report.layers[0]


def test_the_skip_of_a_u_net_is_convolved_where_it_is_and_the_sum_replaces_the_concat():
    def body(b, x):
        return conv(b, joined(b, upsample(b, _half(b, x), (2, 2), "asymmetric"), x), 4)

    layer = _check(body, expected=["nn.conv2d_transpose", "nn.conv2d", "add"])
    assert layer.before == "resize 2x2, concat, conv 3x3 11->4"
    assert layer.after == "deconv 4x4 stride 2x2 8->4 pad (1, 1, 1, 1) + conv 3x3 3->4"


def test_maps_that_are_resized_alike_become_one_transposed_convolution_of_their_concat():
    def body(b, x):
        low, other = _half(b, x), b.emit(relax.op.nn.relu(_half(b, x, 5)))
        ups = [upsample(b, y, (2, 2), "asymmetric") for y in (low, other)]
        return conv(b, joined(b, ups[0], x, ups[1]), 4)

    _check(body, expected=["concat", "nn.conv2d_transpose", "nn.conv2d", "add"])


def test_a_concat_of_resized_maps_only_leaves_no_convolution():
    def body(b, x):
        low = _half(b, x)
        quarter = _half(b, low, 6)
        up = upsample(b, low, (2, 2), "asymmetric")
        return conv(b, joined(b, upsample(b, quarter, (4, 4), "asymmetric"), up), 4)

    _check(body, (1, 3, 12, 16), expected=["nn.conv2d_transpose", "nn.conv2d_transpose", "add"])


def test_zeros_that_make_the_large_map_as_large_as_the_skip_join_its_padding():
    def body(b, x):
        up = upsample(b, _half(b, x), (2, 2), "asymmetric")
        up = b.emit(relax.op.nn.pad(up, [0, 0, 0, 0, 0, 1, 1, 0]))
        return conv(b, joined(b, x, b.emit(relax.op.nn.relu(up))), 4)

    layer = _check(body, (1, 3, 11, 15))
    assert "deconv 4x4 stride 2x2 8->4 pad (1, 0, 0, 1)" in layer.after


def test_a_skip_that_is_cropped_to_the_size_of_the_large_map_stays_cropped():
    def body(b, x):
        up = upsample(b, _half(b, x), (2, 2), "asymmetric")
        skip = b.emit(relax.op.strided_slice(x, [2, 3], [0, 1], [10, 15]))
        return conv(b, joined(b, skip, up), 4)

    _check(body, (1, 3, 11, 15), judge=compiled)


def test_sizes_may_be_free():
    def body(b, x):
        small = conv(b, x, 8)
        big = b.emit(relax.op.nn.relu(upsample(b, small, (2, 3), "asymmetric")))
        skip = b.emit(relax.op.repeat(b.emit(relax.op.repeat(x, 2, 2)), 3, 3))
        return conv(b, joined(b, big, b.emit(relax.op.exp(skip))), 4)

    _check(body, ("n", 3, "h", "w"), judge=compiled)


def test_layouts_that_convert_layout_leaves_do_not_hide_the_concat():
    def body(b, x):
        low = b.emit(relax.op.tanh(_half(b, x)))
        return conv(b, joined(b, upsample(b, low, (2, 2), "asymmetric"), x), 4)

    assert_rewritten_in_nhwc(module(body, (1, 3, 10, 14)), (1, 3, 10, 14))


def test_a_map_whose_resize_cannot_go_stays_and_the_report_says_why():
    def body(b, x):
        low = _half(b, x)
        wide = upsample(b, low, (2, 2), "asymmetric")
        wide = b.emit(relax.op.nn.pad(wide, [0, 0, 0, 0, 0, 0, 0, 2], "reflect"))
        up = upsample(b, _half(b, x, 4), (2, 2), "asymmetric")
        up = b.emit(relax.op.nn.pad(up, [0, 0, 0, 0, 0, 0, 1, 1]))
        return conv(b, joined(b, wide, up), 4)

    layer = _check(body)
    assert "stays resized: padding at the end of axis W reads input samples" in layer.after


def groups_across_two_inputs(b, x):
    up = upsample(b, _half(b, x, 4), (2, 2), "asymmetric")
    return conv(b, joined(b, up, b.emit(relax.op.concat([x, x], axis=1))), 4, groups=2)


def many_outputs(b, x):
    up = upsample(b, _half(b, x, 2), (2, 2), "asymmetric")
    return conv(b, joined(b, up, x), 256)


def few_products_spared(b, x):
    """Winograd's form has hardly more of them in the whole convolution."""
    up = upsample(b, _half(b, x, 16), (2, 2), "asymmetric")
    return conv(b, joined(b, up, conv(b, x, 16)), 64)


def concat_then_stride(b, x):
    up = upsample(b, _half(b, x), (2, 2), "asymmetric")
    return conv(b, joined(b, up, x), 4, strides=[2, 2])


def cropped_concat(b, x):
    both = joined(b, upsample(b, _half(b, x), (2, 2), "asymmetric"), x)
    return conv(b, b.emit(relax.op.strided_slice(both, [2], [0], [9])), 4)


def concat_along_rows(b, x):
    up = upsample(b, _half(b, x, 3), (2, 2), "asymmetric")
    return conv(b, b.emit(relax.op.concat([up, x], axis=2)), 4)


def concat_then_sigmoid_after_zeros(b, x):
    up = upsample(b, _half(b, x), (2, 2), "asymmetric")
    padded = b.emit(relax.op.nn.pad(joined(b, up, x), [0, 0, 0, 0, 1, 1, 1, 1]))
    return conv(b, b.emit(relax.op.sigmoid(padded)), 4, padding=0)


# In Relay nothing is computed in Winograd's form.
REFUSED = CONCAT | {
    "few_products_spared": "does not pay: it spares 320 products an output pixel and moves 64",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_its_reason_and_leaves_the_graph_alone(name):
    assert_refused(module(globals()[name], (1, 3, 10, 14)), REFUSED[name])


def test_sizes_that_are_not_provably_equal_are_refused():
    def body(b, x, skip):
        weight = constant(np.ones((4, 6, 3, 3), "float32"))
        both = joined(b, upsample(b, x, (2, 2), "asymmetric"), skip)
        return b.emit(relax.op.nn.conv2d(both, weight, padding=1))

    k, m = (tvm.tirx.Var(name, "int64") for name in "km")
    (layer,) = explain(module(body, (1, 3, "h", "w"), skip=(1, 3, k, m))).refused
    assert "[1, k, m], which are not provably equal" in layer.reason
