"""``DropOuterTaps``: the same sums by smaller kernels, held against PyTorch and ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import quick_network
import torch
import torch.nn.functional as tf
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_net import Net
from quantized_networks import assert_equal_but_for_ties, by_onnx_runtime, quantized
from relax_helpers import constant, module
from tvm import relax

import tvm_deconv
from tvm_deconv.transform import DropOuterTaps


def call_of(mod):
    """The one convolution of ``main``."""
    values = [binding.value for block in mod["main"].body.blocks for binding in block.bindings]
    (call,) = (v for v in values if isinstance(v, relax.Call))
    return call


def by_torch(call, x, weight):
    """What a convolution gives in float64; paddings are zeros around it, or cropped."""
    attrs, axes = call.attrs, weight.ndim - 2
    pads = [int(width) for width in attrs.padding]
    begin, end = pads[:axes], pads[axes:]
    steps = {
        "stride": [int(n) for n in attrs.strides],
        "dilation": [int(n) for n in attrs.dilation],
        "groups": int(attrs.groups),
    }
    x, weight = (torch.from_numpy(array.astype("float64")) for array in (x, weight))
    if not call.op.name.endswith("transpose"):
        around = [width for pair in zip(begin[::-1], end[::-1], strict=True) for width in pair]
        return getattr(tf, f"conv{axes}d")(tf.pad(x, around), weight, **steps).numpy()
    y = getattr(tf, f"conv_transpose{axes}d")(x, weight, **steps).numpy()
    more = [int(n) for n in attrs.output_padding]
    y = np.pad(y, [(0, 0), (0, 0), *((0, n) for n in more)])
    inside = (slice(b, size - e) for b, size, e in zip(begin, y.shape[2:], end, strict=True))
    return y[(slice(None), slice(None), *inside)]


@st.composite
def layers(draw):
    """(operator's name, attributes, weight, input) of a layer with more padding than map."""
    pick = lambda *values: draw(st.sampled_from(values))  # noqa: E731
    axes, is_transposed, groups = pick(1, 2, 3), draw(st.booleans()), pick(1, 1, 2, 3)
    c, o = groups * pick(1, 2), groups * pick(1, 2)
    sides = {"strides": [], "dilation": [], "output_padding": []}
    sizes, kernel, begins, ends = [], [], [], []
    for _ in range(axes):
        k, stride, dilation = pick(1, 2, 3, 4, 5), pick(1, 2, 3), pick(1, 2, 5, 9)
        size = pick(1, 2, 4)
        extra = draw(st.integers(0, stride - 1)) if is_transposed else 0
        reach = dilation * (k - 1)
        begin, end = (draw(st.integers(0, reach + 2)) for _ in range(2))
        if is_transposed:
            most = (size - 1) * stride + reach + extra
            begin = min(begin, most)
            end = min(end, most - begin)
        else:
            end += max(0, reach + 1 - size - begin - end)
        for name, value in zip(sides, (stride, dilation, extra), strict=True):
            sides[name].append(value)
        sizes.append(size), kernel.append(k), begins.append(begin), ends.append(end)
    if not is_transposed:
        del sides["output_padding"]
    channels = (c, o // groups) if is_transposed else (o, c // groups)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    weight = rng.standard_normal((*channels, *kernel)).astype("float32")
    x = rng.standard_normal((pick(1, 2), c, *sizes)).astype("float32")
    name = f"conv{axes}d{'_transpose' if is_transposed else ''}"
    return name, {**sides, "padding": begins + ends, "groups": groups}, weight, x


@settings(max_examples=200, deadline=None)
@given(layers())
def test_a_smaller_kernel_gives_the_same_and_needs_all_of_its_outer_taps(layer):
    name, attributes, weight, x = layer
    operator = getattr(relax.op.nn, name)
    mod = module(lambda b, v: b.emit(operator(v, constant(weight), **attributes)), x.shape)
    smaller = DropOuterTaps()(mod)
    call = call_of(smaller)
    kept = call.args[1].value.numpy()
    expected = by_torch(call_of(mod), x, weight)
    np.testing.assert_allclose(by_torch(call, x, kept), expected, rtol=0, atol=1e-12)
    assert [int(n) for n in call.ty.shape.values] == list(expected.shape)
    axes = kept.ndim - 2
    # Where no output meets the map, no tap does.
    for axis in range(axes) if expected.any() else ():
        begin, end = int(call.attrs.padding[axis]), int(call.attrs.padding[axes + axis])
        for at, width in ((0, begin), (-1, end)):
            # A tap stays, needed or not, whose removal would take more than there is of padding.
            if kept.shape[2 + axis] > 1 and width >= int(call.attrs.dilation[axis]):
                other = kept.copy()
                other[(slice(None),) * (2 + axis) + (at,)] += 1
                assert (by_torch(call, x, other) != expected).any()


def run(model, x, **options):
    result = quick_network.compiled(model, **options)(tvm.runtime.tensor(x))
    return (result if hasattr(result, "numpy") else result[0]).numpy()


def assert_as_onnx_runtime(net, result):
    model = net.model(result)
    x = net.rng.standard_normal(net.shape).astype("float32")
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    got = run(model, x)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(got / scale, expected / scale, rtol=0, atol=1e-5)


def aspp(shape=(1, 8, 16, 16), **options):
    """Branches as DeepLab's, joined."""
    net = Net(shape, **options)
    parts = [net("Relu", net.conv("x", 8, 8, 1))]
    for d in (6, 12, 24, 36):
        parts.append(net("Relu", net.conv("x", 8, 8, pads=[d] * 4, dilations=[d] * 2)))
    return net, net.conv(net("Concat", *parts, axis=1), 40, 8, 1)


def innermost(shape=(1, 8, 4, 4), **options):
    """The innermost layers of pix2pix: from 4x4 to 1x1 and back."""
    net = Net(shape, **options)
    x = "x"
    for _ in range(2):
        x = net("LeakyRelu", net.conv(x, 8, 8, 4, strides=[2, 2], pads=[1] * 4))
    for _ in range(2):
        x = net("Relu", net.deconv(x, 8, 8, 4, 2, pads=[1] * 4))
    return net, x


@pytest.mark.parametrize("network", [aspp, innermost])
def test_networks_give_what_onnx_runtime_does(network):
    assert_as_onnx_runtime(*network())


def test_a_kernel_of_absurd_dilation_needs_no_memory_for_its_padding():
    net = Net((1, 3, 15, 6))
    assert_as_onnx_runtime(net, net.conv("x", 3, 9, 9, pads=[4000] * 4, dilations=[1000] * 2))


def test_depthwise_lines_and_volumes_give_what_onnx_runtime_does():
    net = Net((1, 4, 5, 7))
    dilated = {"pads": [9] * 4, "dilations": [9] * 2}
    assert_as_onnx_runtime(net, net.conv("x", 4, 4, group=4, **dilated))
    net = Net((1, 4, 6))
    x = net("Conv", "x", net.constant(4, 4, 5), pads=[8, 8], dilations=[4], strides=[2])
    assert_as_onnx_runtime(net, x)
    net = Net((1, 2, 3, 4, 5))
    x = net("Conv", "x", net.constant(4, 2, 3, 3, 3), pads=[6] * 6, dilations=[6] * 3)
    assert_as_onnx_runtime(net, x)


@pytest.mark.parametrize("network", [aspp, innermost])
def test_layers_of_bytes_give_what_onnx_runtime_does(network, tmp_path):
    net, result = network()
    model = quantized(net, result, tmp_path)
    x = np.random.default_rng(3).random(net.shape, "float32")
    assert_equal_but_for_ties(run(model, x), by_onnx_runtime(model, x))
    report = tvm_deconv.explain(model, log=None)
    assert sum("cut from" in k.reason and k.variant == "integer" for k in report.kernels) == 2


def test_explain_says_what_a_kernel_was_cut_from():
    report = tvm_deconv.explain(aspp()[0].model(aspp()[1]), log=None)
    cut = {kernel.layer: kernel for kernel in report.kernels if "cut from 3x3" in kernel.reason}
    assert len(cut) == 2, report
    assert all(kernel.what.startswith("conv2d 1x1, 8->8") for kernel in cut.values())


def far(weight, shape=(1, 4, 8, 8), **attributes):
    attributes = {"padding": 12, "dilation": 12, **attributes}
    return module(lambda b, x: b.emit(relax.op.nn.conv2d(x, constant(weight), **attributes)), shape)


@pytest.mark.parametrize(
    "mod",
    [
        far(np.ones((4, 4, 3, 3), "float32"), (1, 4, "h", "w")),
        far(np.full((4, 4, 3, 3), np.inf, "float32")),
        far(np.ones((4, 4, 3, 3), "float32"), (1, 4, 13, 13)),
    ],
    ids=["free sizes", "infinite weights", "every tap reads the map"],
)
def test_others_are_handed_back_untouched(mod):
    assert DropOuterTaps()(mod).same_as(mod)


def test_one_free_side_keeps_its_taps_and_the_other_does_not():
    mod = DropOuterTaps()(far(np.ones((4, 4, 3, 3), "float32"), (1, 4, "h", 8)))
    call = call_of(mod)
    assert [int(n) for n in call.args[1].ty.shape.values] == [4, 4, 3, 1]
    assert [int(n) for n in call.attrs.padding] == [12, 0, 12, 0]


def test_other_layouts_and_types_are_taken_too():
    weight = np.ones((3, 3, 4, 5), "float64")
    layouts = {"data_layout": "NHWC", "kernel_layout": "HWIO"}
    call = relax.op.nn.conv2d
    mod = module(
        lambda b, x: b.emit(call(x, constant(weight), padding=12, dilation=12, **layouts)),
        (1, 8, 8, 4),
        "float64",
    )
    kept = call_of(DropOuterTaps()(mod)).args[1]
    assert ([int(n) for n in kept.ty.shape.values], str(kept.ty.dtype)) == ([1, 1, 4, 5], "float64")
