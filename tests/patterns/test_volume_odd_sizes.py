"""Volumes that are enlarged to odd sizes, cropped or padded, and convolved, behind a Concat too.

Held against the definitions in float64, from the rewrite to the compiled network.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
import quick_network
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime
from reference import conv
from relax_helpers import assert_close, constant, kernels, module
from tvm import relax

import tvm_deconv
from tvm_deconv.importer import load
from tvm_deconv.transform import rewrite_upsampling

AXES = (2, 3, 4)


@st.composite
def layers(draw):
    axes = []
    for _ in AXES:
        kernel, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
        factor, reach = draw(st.integers(1, 3)), dilation * (kernel - 1)
        crop = [draw(st.integers(0, factor - 1)) for _ in range(2)]
        edge = [draw(st.integers(0, min(reach, 2))) for _ in range(2)]
        zeros = [draw(st.integers(0, reach - copies)) for copies in edge]
        least = 2 if any(crop) else 1
        size = max(least, -(-(reach + 1 - sum(zeros) - sum(edge) + sum(crop)) // factor))
        axes.append((kernel, dilation, factor, crop, edge, zeros, size + draw(st.integers(0, 2))))
    names = "kernel", "dilation", "factor", "crop", "edge", "zeros", "size"
    groups = draw(st.sampled_from([1, 1, 2]))
    return dict(zip(names, zip(*axes, strict=True), strict=True)) | {
        "groups": groups,
        "channels": (groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))),
        "skip": draw(st.sampled_from([0, 0, groups, 2 * groups])),
        "between": draw(st.sampled_from(["nothing", "relu", "bias and tanh"])),
        "free": draw(st.booleans()),
        "dtype": draw(st.sampled_from(["float32", "float32", "float16"])),
        "variant": draw(st.sampled_from(["auto", "auto", "winograd", "channels", "tdc", "revd"])),
        "seed": draw(st.integers(0, 2**16)),
    }


def large_size(c):
    sides = zip(c["size"], c["factor"], c["crop"], strict=True)
    return [size * r - sum(crop) for size, r, crop in sides]


def weights(c):
    """Of the convolution, and the bias between it and the resize."""
    rng = np.random.default_rng(c["seed"])
    (ci, o), dtype = c["channels"], c["dtype"]
    w = rng.standard_normal((o, (ci + c["skip"]) // c["groups"], *c["kernel"]))
    return w.astype(dtype), rng.standard_normal((1, ci, 1, 1, 1)).astype(dtype)


def build(c):
    weight, bias = weights(c)
    ci, dtype = c["channels"][0], c["dtype"]
    # TVM writes the size of a slice of a free one in a form that only our importers simplify.
    is_free = c["free"] and not c["skip"] and not any(map(any, c["crop"]))
    sizes = ["d", "h", "w"] if is_free else c["size"]

    def body(builder, x, *skip):
        y = x
        for axis, r in zip(AXES, c["factor"], strict=True):
            y = builder.emit(relax.op.repeat(y, r, axis)) if r > 1 else y
        if any(map(any, c["crop"])):
            begins, _ = zip(*c["crop"], strict=True)
            last = [size + begin for size, begin in zip(large_size(c), begins, strict=True)]
            y = builder.emit(relax.op.strided_slice(y, AXES, begins, last))
        if c["between"] == "relu":
            y = builder.emit(relax.op.nn.relu(y))
        if c["between"] == "bias and tanh":
            y = builder.emit(relax.op.tanh(builder.emit(relax.op.add(y, constant(bias)))))
        if skip:
            y = builder.emit(relax.op.concat([y, *skip], axis=1))
        if any(map(any, c["edge"])):
            widths = [0, 0, 0, 0, *(width for pair in c["edge"] for width in pair)]
            y = builder.emit(relax.op.nn.pad(y, widths, "replicate"))
        begins, ends = zip(*c["zeros"], strict=True)
        options = {"padding": [*begins, *ends], "dilation": c["dilation"], "groups": c["groups"]}
        y = builder.emit(relax.op.nn.conv3d(y, constant(weight), **options))
        return builder.emit(relax.op.nn.leakyrelu(y, 0.1))

    skip = {"skip": (2, c["skip"], *large_size(c))} if c["skip"] else {}
    return module(body, (2, ci, *sizes), dtype, **skip)


def expected(c, x, *skip):
    weight, bias = weights(c)
    y = x
    for axis, r in zip(AXES, c["factor"], strict=True):
        y = y.repeat(r, axis)
    kept = zip(c["crop"], y.shape[2:], strict=True)
    y = y[(..., *(slice(begin, size - end) for (begin, end), size in kept))]
    if c["between"] == "relu":
        y = np.maximum(y, 0)
    if c["between"] == "bias and tanh":
        y = np.tanh(y + bias.astype("float64"))
    y = np.pad(np.concatenate([y, *skip], axis=1), ((0, 0), (0, 0), *c["edge"]), "edge")
    zeros = [pair[side] for side in range(2) for pair in c["zeros"]]
    y = conv(y, weight.astype("float64"), zeros, c["dilation"], c["groups"])
    return np.where(y > 0, y, 0.1 * y)


@settings(max_examples=16)
@given(layers())
def test_random_layers_are_what_they_are_by_definition(c):
    if max(c["factor"]) == 1:
        return
    mod, rng = build(c), np.random.default_rng(1)
    _, report = rewrite_upsampling(mod)
    if not (c["skip"] and c["groups"] > 1):
        assert not report.refused or "does not pay" in report.refused[0].reason, report
    main = quick_network.compiled(mod, variant=c["variant"])
    shapes = [(2, c["channels"][0], *c["size"]), (2, c["skip"], *large_size(c))]
    inputs = [rng.standard_normal(s).astype(c["dtype"]) for s in shapes if s[1]]
    got = main(*map(tvm.runtime.tensor, inputs)).numpy()
    wide = [x.astype("float64") for x in inputs]
    scale = 5 if c["variant"] == "winograd" else 1
    assert_close(got / scale, expected(c, *wide) / scale, c["dtype"])


def unet(depth, height, width, free=False):
    """One level: the skip is of odd sizes, and pooled to half of them, rounded up."""
    net = Net((1, 4, depth, height, width), dims=(1, 4, "d", "h", "w") if free else None)
    wide = {"pads": [1] * 6}
    skip = net("Relu", net("Conv", "x", net.constant(8, 4, 3, 3, 3, scale=0.1), **wide))
    low = net("MaxPool", skip, kernel_shape=[2] * 3, strides=[2] * 3, ceil_mode=1)
    low = net("Relu", net("Conv", low, net.constant(16, 8, 3, 3, 3, scale=0.07), **wide))
    joined = net("Concat", net.to_sizes(low, 1, 16, depth, height, width), skip, axis=1)
    return net, net.model(net("Conv", joined, net.constant(6, 24, 3, 3, 3, scale=0.05), **wide))


@pytest.mark.parametrize("size", [(5, 6, 8), (4, 7, 9), (7, 5, 3)])
def test_a_u_net_of_odd_sizes_is_split_at_its_concat_and_equals_onnx_runtime(size):
    net, model = unet(*size)
    _, report = rewrite_upsampling(load(model))
    (layer,) = report.layers
    assert layer.status == "rewritten", report
    assert re.match(r"resize 2x2x2, concat, conv 3x3x3 24->6", layer.before)
    assert "deconv 4x4x4 stride 2x2x2 16->6" in layer.after
    assert layer.after.endswith("+ conv 3x3x3 8->6")
    assert_same_as_onnx_runtime(model, net.shape, atol=2e-6)


def test_what_the_border_adds_is_added_where_the_convolution_is_stored():
    net = Net((1, 4, 3, 4, 5))
    up = net.to_sizes("x", 1, 4, 5, 7, 9)
    model = net.model(net("Tanh", net("Conv", up, net.constant(6, 4, 3, 3, 3), pads=[1] * 6)))
    report = tvm_deconv.explain(model, log=None, variant="revd2")
    assert [kernel.variant for kernel in report.kernels] == ["revd2"] * 5
    assert not [name for name in kernels(model) if "add_border" in name or "tanh" in name]


def sliced(net, x, begins, ends):
    """A crop of a volume along its three axes."""
    last = [-end if end else 2**63 - 1 for end in ends]
    return net("Slice", x, net.integers(*begins), net.integers(*last), net.integers(*AXES))


@pytest.mark.parametrize("variant", ["auto", "winograd", "channels"])
def test_a_crop_by_a_known_width_is_rewritten_at_free_sizes(variant):
    net = Net(dims=("n", 3, "d", "h", "w"))
    up = sliced(net, net.enlarged("x", 1, 1, 2, 3, 2), (0, 1, 1), (1, 2, 0))
    model = net.model(net("Conv", up, net.constant(5, 3, 3, 3, 3), pads=[1] * 6))
    (layer,) = tvm_deconv.explain(model, log=None).layers
    assert layer.status == "rewritten", layer
    main = quick_network.compiled(model, variant=variant)
    shapes = (2, 3, 2, 2, 2), (1, 3, 4, 3, 17), (1, 3, 7, 5, 3)
    assert_same_as_onnx_runtime(model, *shapes, main=main, atol=1e-4)


def refused(net, *outputs):
    _, report = rewrite_upsampling(load(net.model(*outputs)))
    (layer,) = report.layers
    assert layer.status == "refused", report
    return layer.reason


def test_a_crop_of_whole_samples_is_refused_by_name():
    net = Net((1, 4, 3, 4, 5))
    up = sliced(net, net.to_sizes("x", 1, 4, 6, 8, 10), (0, 0, 0), (2, 0, 1))
    reason = refused(net, net("Conv", up, net.constant(6, 4, 3, 3, 3), pads=[1] * 6))
    assert "crops (0, 2, 0, 0, 0, 1) samples (front, back, top, bottom, left, right)" in reason


def test_samples_that_are_repeated_unevenly_are_refused_by_name():
    net = Net((1, 4, 34, 4, 5))
    up = net.to_sizes("x", 1, 4, 100, 8, 10)
    reason = refused(net, net("Conv", up, net.constant(6, 4, 3, 3, 3), pads=[1] * 6))
    assert "no nearest resize by whole factors" in reason


def test_a_linear_resize_of_a_volume_behind_a_concat_is_refused_by_name():
    net = Net((1, 4, 3, 4, 5))
    large = net("Resize", "x", "", net.given(np.float32([1, 1, 2, 2, 2])), mode="linear")
    joined = net("Concat", large, large, axis=1)
    reason = refused(net, net("Conv", joined, net.constant(6, 8, 3, 3, 3), pads=[1] * 6))
    assert "linear resize of a volume" in reason


def test_a_wide_kernel_over_a_volume_of_free_width_is_compiled():
    """No strip of several slices fits anywhere: there is a choice all the same."""
    net = Net((1, 5, 4, 2, 5), dims=(1, 5, 4, 2, "w"))
    model = net.model(net("Conv", "x", net.constant(16, 5, 9, 9, 9, scale=0.02), pads=[4] * 6))
    assert_same_as_onnx_runtime(model, net.shape, atol=2e-5)
