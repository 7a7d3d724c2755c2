"""Convolution, pointwise operators and shuffle: the rewritten module equals the original."""

from __future__ import annotations

import numpy as np
import pytest
import relay_reference
from hypothesis import given, settings
from hypothesis import strategies as st
from relay_helpers import (
    assert_close,
    assert_refused,
    assert_rewritten_exactly,
    compiled,
    constant,
    conv,
    module,
    operators,
    shape_of,
    shuffle,
)
from tvm import relay
from upsampling_cases import subpixel_cases

from tvm_deconv.relay import rewrite_upsampling


def pointwise(x, kind, rng, dtype, layout="NCHW"):
    """One of the operators that may stand between the convolution and the shuffle."""
    axis = layout.index("C")
    c = shape_of(x)[axis]
    shape = [1, 1, 1, 1]
    shape[axis] = c

    def per_channel(low=-1.0):
        return constant(rng.uniform(low, 1.0, shape).astype(dtype))

    def vector(low):
        return constant(rng.uniform(low, 1.0, c).astype(dtype))

    if kind == "bias":
        if rng.integers(2):
            return relay.nn.bias_add(x, vector(-1.0), axis)
        return relay.add(x, relay.reshape(vector(-1.0), shape))
    if kind == "one bias for all":
        return relay.add(x, constant(np.asarray(0.25, dtype)))
    if kind == "reversed subtraction":
        return relay.subtract(per_channel(), x)
    if kind == "scale":
        return relay.multiply(per_channel(), x)
    if kind == "quotient":
        return relay.divide(x, per_channel(0.5))
    if kind == "batch norm":
        values = (vector(0.5), vector(-1.0), vector(-1.0), vector(0.5))
        return relay.nn.batch_norm(x, *values, axis=axis)[0]
    if kind == "prelu":
        return relay.nn.prelu(x, vector(0.0), axis)
    if kind == "decomposed prelu":
        positive = relay.greater(x, constant(np.asarray(0, dtype)))
        return relay.where(positive, x, relay.multiply(per_channel(0.0), x))
    if kind == "silu in two":
        return relay.multiply(x, relay.sigmoid(x))
    if kind == "clip":
        return relay.clip(x, -0.5, 0.75)
    assert kind == "relu"
    return relay.nn.relu(x)


def build(c, by_operator=False):
    """(module, input) of a case; the shuffle as Relay's operator or as three."""
    rng = np.random.default_rng(c["seed"])
    (ci, o), (rh, rw), layout, dtype = c["channels"], c["factor"], c["layout"], c["dtype"]
    w = rng.standard_normal((o * rh * rw, ci // c["groups"], *c["kernel"])).astype(dtype)
    sizes = dict(zip("NCHW", (c["batch"], ci, *c["size"]), strict=True))

    def body(x):
        kernel_layout = "OIHW" if layout == "NCHW" else "HWIO"
        y = relay.nn.conv2d(
            x,
            constant(w.transpose(["OIHW".index(name) for name in kernel_layout])),
            padding=c["padding"],
            dilation=c["dilation"],
            groups=c["groups"],
            channels=len(w),
            kernel_size=c["kernel"],
            data_layout=layout,
            kernel_layout=kernel_layout,
        )
        for kind in c["kinds"]:
            y = pointwise(y, kind, rng, dtype, layout)
        if by_operator:
            return relay.nn.depth_to_space(y, rh, layout, c["order"])
        return shuffle(y, c["factor"], c["order"], layout)

    shape = tuple(sizes[name] for name in layout)
    return module(body, shape, dtype), rng.standard_normal(shape).astype(dtype)


@settings(max_examples=50)
@given(subpixel_cases(), st.booleans())
def test_the_rewritten_module_equals_the_original_in_float64(c, by_operator):
    if by_operator:
        c = {**c, "factor": (max(c["factor"]),) * 2}
    mod, x = build(c, by_operator)
    assert_rewritten_exactly(mod, x, gone={"nn.conv2d", "nn.depth_to_space"})


@settings(max_examples=4)
@given(subpixel_cases())
def test_the_rewritten_module_compiles_and_gives_the_same(c):
    mod, x = build({**c, "dtype": "float32"})
    new, _ = rewrite_upsampling(mod)
    expected = relay_reference.evaluate(mod, x.astype(np.float64))
    assert_close(compiled(new, x), expected)


@pytest.mark.parametrize("shape", [("n", 3, 5, 4), (1, 3, "h", "w")], ids=["batch", "rows"])
def test_free_sizes_are_refused_since_tvm_could_not_compile_the_result(shape):
    mod = module(lambda x: relay.nn.depth_to_space(conv(x), 2), shape)
    assert_refused(mod, "the shape of nn.conv2d (conv2d_1) is not known")


def test_a_bias_per_phase_costs_one_view_and_no_constant_of_image_size():
    def body(x):
        bias = constant(np.arange(8, dtype="float32"))
        return relay.nn.depth_to_space(relay.nn.relu(relay.nn.bias_add(conv(x), bias)), 2)

    new, _ = rewrite_upsampling(module(body, (1, 3, 32, 32)))
    assert operators(new) == ["nn.conv2d_transpose", "reshape", "add", "nn.relu", "reshape"]
    constants = []
    relay.analysis.post_order_visit(
        new["main"], lambda e: constants.append(e) if isinstance(e, relay.Constant) else None
    )
    assert max(c.data.numpy().size for c in constants) == 3 * 2 * 36


def test_a_bias_whose_phases_agree_stays_a_bias_per_channel():
    def body(x):
        bias = constant(np.repeat(np.float32([1, 2]), 4))
        return shuffle(relay.nn.bias_add(conv(x), bias), (2, 2))

    new, _ = rewrite_upsampling(module(body, (1, 3, 6, 6)))
    assert operators(new) == ["nn.conv2d_transpose", "add"]


def test_a_depthwise_convolution_stays_grouped():
    def body(x):
        return relay.nn.depth_to_space(conv(x, 12, groups=3), 2, mode="CRD")

    mod = module(body, (1, 3, 5, 4))
    x = np.random.default_rng(1).standard_normal((1, 3, 5, 4)).astype("float32")
    new = assert_rewritten_exactly(mod, x, gone={"nn.conv2d"})
    assert int(new["main"].body.attrs.groups) == 3


def test_two_stages_in_a_row_are_both_rewritten():
    def body(x):
        return shuffle(conv(shuffle(conv(x), (2, 2)), k=1), (2, 2), "DCR")

    x = np.random.default_rng(1).standard_normal((1, 2, 4, 4)).astype("float32")
    new = assert_rewritten_exactly(module(body, x.shape), x, gone={"nn.conv2d"}, layers=2)
    assert operators(new) == ["nn.conv2d_transpose"] * 2


def test_reshapes_that_change_nothing_do_not_hide_a_shuffle():
    def body(x):
        y = relay.reshape(conv(x), (1, 8, 4, 4))
        y = relay.reshape(relay.reshape(y, (1, 2, 2, 2, 4, 4)), (1, 2, 2, 2, 4, 4))
        y = relay.transpose(relay.transpose(y, (0, 1, 2, 3, 4, 5)), (0, 1, 4, 2, 5, 3))
        return relay.reshape(y, (1, 2, 8, 8))

    x = np.random.default_rng(1).standard_normal((1, 3, 4, 4)).astype("float32")
    new = assert_rewritten_exactly(module(body, x.shape), x, gone={"nn.conv2d"})
    assert operators(new) == ["nn.conv2d_transpose"]


def test_layouts_that_convert_layout_leaves_are_seen_through():
    def body(x):
        y = relay.nn.bias_add(conv(x), constant(np.arange(8, dtype="float32")))
        return relay.nn.depth_to_space(relay.nn.relu(y), 2, mode="CRD")

    mod = module(body, (1, 3, 5, 4))
    nhwc = relay.transform.ConvertLayout({"nn.conv2d": ["NHWC", "HWIO"]})(mod)
    assert "layout_transform" in operators(nhwc)
    new, report = rewrite_upsampling(nhwc)
    assert len(report.rewritten) == 1, report
    x = np.random.default_rng(2).standard_normal((1, 3, 5, 4))
    assert_close(relay_reference.evaluate(new, x), relay_reference.evaluate(mod, x))


def test_other_outputs_of_the_function_are_kept():
    def body(x):
        return relay.Tuple([shuffle(conv(x), (2, 2)), relay.nn.relu(x)])

    mod = module(body, (1, 3, 4, 4))
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 1
    value = np.random.default_rng(2).standard_normal((1, 3, 4, 4))
    results = zip(*(relay_reference.evaluate(m, value) for m in (new, mod)), strict=True)
    for got, expected in results:
        assert_close(got, expected)
