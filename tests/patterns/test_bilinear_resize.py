"""Linear resize, padding and convolution: the rewritten module equals the original."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from relax_helpers import (
    assert_compiles_to_the_same,
    compiled,
    constant,
    conv,
    enlarged,
    evaluate,
    module,
    operators,
)
from tvm import relax
from upsampling_cases import bilinear_cases

from tvm_deconv.transform import rewrite_upsampling


def build(c):
    """(module, input) of a case."""
    rng = np.random.default_rng(c["seed"])
    (ci, co), layout, dtype = c["channels"], c["layout"], c["dtype"]
    w = rng.standard_normal((co, ci // c["groups"], *c["kernel"])).astype(dtype)
    per_channel = [ci if name == "C" else 1 for name in layout]

    def body(builder, x):
        y = enlarged(builder, x, c["factor"], layout)
        if c["between"] != "nothing":
            scale = constant(rng.standard_normal(per_channel).astype(dtype))
            y = builder.emit(relax.op.multiply(y, scale))
        if c["between"] == "batch norm":
            y = builder.emit(relax.op.add(y, constant(rng.random(per_channel).astype(dtype))))
        if c["mode"] != "none":
            top, left, bottom, right = c["pad"]
            sides = {"N": (0, 0), "C": (0, 0), "H": (top, bottom), "W": (left, right)}
            y = relax.op.nn.pad(y, [s for name in layout for s in sides[name]], c["mode"])
            y = builder.emit(y)
        kernel_layout = "OIHW" if layout == "NCHW" else "HWIO"
        weight = constant(w.transpose(["OIHW".index(name) for name in kernel_layout]))
        attributes = {"padding": c["zeros"], "dilation": c["dilation"], "groups": c["groups"]}
        layouts = {"data_layout": layout, "kernel_layout": kernel_layout}
        return builder.emit(relax.op.nn.conv2d(y, weight, **attributes, **layouts))

    sizes = dict(zip("NCHW", (2, ci, *c["size"]), strict=True))
    shape = tuple(sizes[name] for name in layout)
    return module(body, shape, dtype), rng.standard_normal(shape).astype(dtype)


@settings(max_examples=15)
@given(bilinear_cases())
def test_the_rewritten_module_compiles_and_gives_the_same(c):
    mod, x = build(c)
    new, report = rewrite_upsampling(mod)
    ((status, reason),) = {(layer.status, layer.reason) for layer in report.layers}
    assume("does not pay" not in reason)
    assert status == "rewritten", reason
    assert "image.resize2d" not in operators(new)
    assert_compiles_to_the_same(mod, x, c["dtype"])


@pytest.mark.parametrize("kernel", [3, 5])
def test_free_sizes_are_right_from_one_sample_up(kernel):
    mod = module(
        lambda b, x: conv(b, enlarged(b, x, (2, 3)), k=kernel), ("n", 3, "h", "w"), "float32"
    )
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 1, report
    rng = np.random.default_rng(1)
    for size in ((1, 1), (1, 4), (3, 1), (2, 2), (5, 7)):
        x = rng.standard_normal((2, 3, *size)).astype("float32")
        fixed = module(lambda b, x: conv(b, enlarged(b, x, (2, 3)), k=kernel), x.shape)
        expected = evaluate(fixed, x.astype(np.float64))
        np.testing.assert_allclose(compiled(new, x), expected, rtol=0, atol=4e-5)


def test_a_replicated_border_needs_no_correction():
    def body(builder, x):
        y = enlarged(builder, x, (2, 2))
        y = builder.emit(relax.op.nn.pad(y, [0, 0, 0, 0, 1, 1, 1, 1], "replicate"))
        return conv(builder, y, padding=0)

    new, report = rewrite_upsampling(module(body, (1, 8, 13, 12)))
    assert operators(new) == ["nn.pad", "nn.conv2d_transpose"], report


def test_an_axis_that_is_not_enlarged_keeps_its_zeros():
    new, report = rewrite_upsampling(
        module(lambda b, x: conv(b, enlarged(b, x, (2, 1))), (1, 8, 13, 12))
    )
    rows = ["call_tir", "nn.conv2d"]
    assert operators(new) == ["nn.pad", "nn.conv2d_transpose", *rows, "call_tir"], report


def test_every_convolution_that_reads_the_map_is_rewritten_and_the_resize_dies():
    def body(builder, x):
        up = enlarged(builder, x, (2, 2))
        return builder.emit(relax.op.add(conv(builder, up), conv(builder, up, k=5)))

    mod = module(body, (1, 8, 13, 12))
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 2, report
    assert "image.resize2d" not in operators(new)
    x = np.random.default_rng(5).standard_normal((1, 8, 13, 12)).astype("float32")
    expected = evaluate(mod, x.astype(np.float64))
    np.testing.assert_allclose(compiled(new, x), expected, rtol=0, atol=1e-4)


def test_a_map_that_is_enlarged_twice_is_folded_once():
    """The second triangle would have to reach across the border that the first has continued."""

    def body(builder, x):
        return conv(builder, enlarged(builder, enlarged(builder, x, (2, 2)), (2, 2)))

    mod = module(body, (1, 8, 13, 12))
    new, _ = rewrite_upsampling(mod)
    assert operators(new).count("image.resize2d") == 1
    x = np.random.default_rng(2).standard_normal((1, 8, 13, 12)).astype("float32")
    assert_compiles_to_the_same(mod, x, "float32")
