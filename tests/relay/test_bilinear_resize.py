"""Linear resize, padding and convolution: the rewritten module equals the original."""

from __future__ import annotations

import numpy as np
import pytest
import relay_reference
import tvm
from hypothesis import assume, given, settings
from quick_library import graph_of
from relay_helpers import (
    TARGET,
    assert_close,
    compiled,
    constant,
    conv,
    conv_as,
    module,
    operators,
    padding,
    resize,
)
from tvm import relay
from upsampling_cases import bilinear_cases

from tvm_deconv.relay import rewrite_upsampling

SHAPE = (1, 8, 13, 12)
BORDER = ["tvm_deconv.border_lines", "nn.conv2d", "tvm_deconv.add_border"]


def enlarged(x, factor, layout="NCHW"):
    shape = [int(dim) for dim in relay.frontend.common.infer_shape(x)]
    size = [shape[layout.index(name)] * r for name, r in zip("HW", factor, strict=True)]
    return resize(x, size, layout, method="linear")


def build(c):
    """(module, input) of a case."""
    rng = np.random.default_rng(c["seed"])
    (ci, co), layout, dtype = c["channels"], c["layout"], c["dtype"]
    w = rng.standard_normal((co, ci // c["groups"], *c["kernel"])).astype(dtype)
    per_channel = [ci if name == "C" else 1 for name in layout]

    def body(x):
        y = enlarged(x, c["factor"], layout)
        if c["between"] != "nothing":
            y = relay.multiply(y, constant(rng.standard_normal(per_channel).astype(dtype)))
        if c["between"] == "batch norm":
            y = relay.add(y, constant(rng.random(per_channel).astype(dtype)))
        if c["mode"] != "none":
            mode = {"replicate": "edge"}.get(c["mode"], c["mode"])
            y = padding(y, c["pad"], mode, layout=layout)
        attributes = {"padding": c["zeros"], "dilation": c["dilation"], "groups": c["groups"]}
        return conv_as(y, w, layout, **attributes)

    sizes = dict(zip("NCHW", (2, ci, *c["size"]), strict=True))
    shape = tuple(sizes[name] for name in layout)
    return module(body, shape, dtype), rng.standard_normal(shape).astype(dtype)


def rewritten(c):
    """(module, rewritten module, input) of a case that pays."""
    mod, x = build(c)
    new, report = rewrite_upsampling(mod)
    ((status, reason),) = {(layer.status, layer.reason) for layer in report.layers}
    assume("does not pay" not in reason)
    assert status == "rewritten", reason
    assert "image.resize2d" not in operators(new)
    return mod, new, x


@settings(max_examples=30)
@given(bilinear_cases())
def test_the_rewritten_module_equals_the_original_in_float64(c):
    mod, new, x = rewritten(c)
    values = x.astype(np.float64)
    expected = relay_reference.evaluate(mod, values)
    assert_close(relay_reference.evaluate(new, values), expected, c["dtype"])


@settings(max_examples=2)
@given(bilinear_cases())
def test_the_rewritten_module_compiles_and_gives_the_same(c):
    mod, new, x = rewritten({**c, "dtype": "float32"})
    assert_close(compiled(new, x), relay_reference.evaluate(mod, x.astype(np.float64)))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_the_border_is_added_where_the_convolution_is_stored(layout):
    shape = (1, 2, 7, 6) if layout == "NCHW" else (1, 7, 6, 2)
    weight = np.random.default_rng(0).standard_normal((2, 2, 3, 3)).astype("float32")
    kernel_layout = "OIHW" if layout == "NCHW" else "HWIO"
    w = constant(weight.transpose(["OIHW".index(name) for name in kernel_layout]))
    attributes = {"data_layout": layout, "kernel_layout": kernel_layout, "padding": 1}
    attributes |= {"channels": 2, "kernel_size": (3, 3)}

    def body(x):
        y = relay.nn.conv2d(enlarged(x, (2, 2), layout), w, **attributes)
        return relay.nn.relu(y)

    mod = module(body, shape)
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 1, report
    assert operators(new) == ["nn.pad", "nn.conv2d_transpose", *BORDER, *BORDER, "nn.relu"]
    x = np.random.default_rng(1).standard_normal(shape).astype("float32")
    with tvm.transform.PassContext(opt_level=3):
        library = relay.build(new, TARGET)
    store = "conv2d_transpose_tvm_deconv_add_border_tvm_deconv_add_border"
    assert store in library.get_graph_json()
    run = graph_of(library)
    run.run(x=x)
    expected = relay_reference.evaluate(mod, x.astype(np.float64))
    assert_close(run.get_output(0).numpy(), expected)


@pytest.mark.parametrize("mode", ["half_pixel", "pytorch_half_pixel"])
def test_tvms_own_resize_is_what_the_fold_takes_it_for(mode):
    mod = module(lambda x: resize(x, (14, 18), mode=mode, method="linear"), (1, 2, 7, 6))
    x = np.random.default_rng(1).standard_normal((1, 2, 7, 6)).astype("float32")
    assert_close(compiled(mod, x), relay_reference.evaluate(mod, x.astype(np.float64)))


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (3, 1), (2, 2)])
def test_small_maps_are_no_exception(size):
    mod = module(lambda x: conv(enlarged(x, (2, 3)), 1, k=5), (1, 1, *size))
    new, report = rewrite_upsampling(mod)
    if report.refused:
        assert "weights more, to save an enlarged map" in report.refused[0].reason
        return
    x = np.random.default_rng(1).standard_normal((1, 1, *size))
    assert_close(relay_reference.evaluate(new, x), relay_reference.evaluate(mod, x))


def test_a_replicated_border_needs_no_correction():
    def body(x):
        return conv(padding(enlarged(x, (2, 2)), (1, 1, 1, 1), "edge"), padding=0)

    new, report = rewrite_upsampling(module(body, SHAPE))
    assert operators(new) == ["nn.pad", "nn.conv2d_transpose"], report


def test_an_axis_that_is_not_enlarged_keeps_its_zeros():
    new, report = rewrite_upsampling(module(lambda x: conv(enlarged(x, (2, 1))), SHAPE))
    assert operators(new) == ["nn.pad", "nn.conv2d_transpose", *BORDER], report


def test_every_convolution_that_reads_the_map_is_rewritten_and_the_resize_dies():
    def body(x):
        up = enlarged(x, (2, 2))
        return relay.add(conv(up), conv(up, k=5))

    mod = module(body, SHAPE)
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 2, report
    assert "image.resize2d" not in operators(new)
    x = np.random.default_rng(5).standard_normal(SHAPE)
    assert_close(relay_reference.evaluate(new, x), relay_reference.evaluate(mod, x))


def test_what_was_folded_is_not_folded_again():
    once, _ = rewrite_upsampling(module(lambda x: conv(enlarged(x, (2, 2))), SHAPE))
    twice, report = rewrite_upsampling(once)
    assert twice.same_as(once)
    assert not report.layers
