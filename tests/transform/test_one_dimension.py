"""``AddHeight``: layers of one dimension, held against PyTorch and ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
import quick_network
import torch
import torch.nn.functional as tf
import tvm
import tvm_ffi
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime
from relax_helpers import assert_close, compiled, constant, evaluate, kernels, module, operators
from torch import nn
from tvm import relax

import tvm_deconv
from tvm_deconv.importer import load
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform import AddHeight, PhasesToChannels

HOST = resolve_target("host")


def run(main, *inputs: np.ndarray) -> np.ndarray:
    result = main(*map(tvm.runtime.tensor, inputs))
    return (result if hasattr(result, "numpy") else result[0]).numpy()


@st.composite
def layers(draw):
    """(operator, attributes, weight, input, PyTorch's result) of one layer."""
    pick = lambda *values: draw(st.sampled_from(values))  # noqa: E731
    groups, k, dilation = pick(1, 1, 2, 3), pick(1, 2, 3, 4, 7, 16), pick(1, 2, 3)
    c, o = groups * pick(1, 2, 3), groups * pick(1, 2)
    reach = dilation * (k - 1)
    begin, end = draw(st.integers(0, reach)), draw(st.integers(0, reach))
    width = reach + draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = rng.standard_normal((pick(1, 2), c, width))
    attributes = {"padding": [begin, end], "dilation": dilation, "groups": groups}
    if draw(st.booleans()):
        weight = rng.standard_normal((o, c // groups, k))
        wide = np.pad(x, [(0, 0), (0, 0), (begin, end)])
        y = tf.conv1d(*map(torch.from_numpy, (wide, weight)), dilation=dilation, groups=groups)
        return relax.op.nn.conv1d, attributes, weight, x, y.numpy()
    stride = pick(1, 2, 3, 8)
    extra = draw(st.integers(0, stride - 1))
    weight = rng.standard_normal((c, o // groups, k))
    y = tf.conv_transpose1d(
        *map(torch.from_numpy, (x, weight)), stride=stride, dilation=dilation, groups=groups
    ).numpy()
    y = np.pad(y, [(0, 0), (0, 0), (0, extra)])[..., begin : y.shape[2] - end + extra]
    attributes |= {"strides": stride, "output_padding": extra}
    return relax.op.nn.conv1d_transpose, attributes, weight, x, y


@settings(max_examples=60, deadline=None)
@given(layers())
def test_a_layer_over_a_line_is_a_layer_over_one_row(layer):
    operator, attributes, weight, x, expected = layer
    kernel = constant(weight.astype("float32"))
    mod = module(lambda b, v: b.emit(operator(v, kernel, **attributes)), x.shape)
    raised = AddHeight()(mod)
    assert set(operators(raised)) <= {"expand_dims", "nn.conv2d", "nn.conv2d_transpose", "squeeze"}
    assert_close(evaluate(raised, x), expected, "float32")


def conv1d(x, weight, **attributes):
    return relax.op.nn.conv1d(x, weight, padding=1, **attributes)


WEIGHT = np.ones((4, 4, 3), "float32")


@pytest.mark.parametrize(
    "dtype, layer",
    [
        ("float32", lambda x: conv1d(x, constant(WEIGHT), strides=2)),
        ("float32", lambda x: conv1d(x, constant(WEIGHT), data_layout="NWC")),
        ("float64", lambda x: conv1d(x, constant(WEIGHT.astype("float64")))),
        ("float16", lambda x: conv1d(x, constant(WEIGHT.astype("float16")), out_dtype="float32")),
        ("float32", lambda x: conv1d(x, relax.op.add(x, x))),
        ("float32", lambda x: relax.op.nn.relu(x)),
    ],
    ids=["stride", "layout", "float64", "mixed types", "weights computed", "no convolution"],
)
def test_a_layer_that_no_variant_takes_stays_as_it_is(dtype, layer):
    mod = module(lambda b, x: b.emit(b.normalize(layer(x))), (4, 4, 4), dtype)
    assert tvm_ffi.structural_equal(AddHeight()(mod), mod)


class Generator(nn.Module):
    """HiFi-GAN's parts, small: an upsampling layer, a dilated residual block, a head."""

    def __init__(self, norm=lambda layer: layer):
        super().__init__()
        self.before = norm(nn.Conv1d(5, 8, 7, padding=3))
        self.up = norm(nn.ConvTranspose1d(8, 6, 16, 8, padding=4))
        self.dilated = norm(nn.Conv1d(6, 6, 3, dilation=3, padding=3))
        self.plain = norm(nn.Conv1d(6, 6, 11, padding=5, groups=2))
        self.after = norm(nn.Conv1d(6, 1, 7, padding=3))

    def forward(self, x):
        x = self.up(tf.leaky_relu(self.before(x), 0.1))
        x = x + self.plain(tf.leaky_relu(self.dilated(tf.leaky_relu(x, 0.1)), 0.1))
        return torch.tanh(self.after(tf.leaky_relu(x)))


def exported(net: nn.Module, x: torch.Tensor, **free: str) -> torch.export.ExportedProgram:
    dims = {
        i: torch.export.Dim(name, min=2, max=4000) for i, name in enumerate("ncw") if name in free
    }
    return torch.export.export(net.eval(), (x,), dynamic_shapes={"x": dims} if dims else None)


def test_a_generator_of_free_length_and_batch_is_exact_and_only_its_layers_are_called():
    torch.manual_seed(0)
    net, x = Generator(), torch.randn(3, 5, 13)
    program = exported(net, x, n="batch", w="length")
    found = kernels(program)
    assert len([name for name in found if "conv1d" in name]) == 5
    # What is not stored with a layer: two activations of a sum that is read twice.
    assert all("conv1d" in name or "leaky" in name for name in found) and len(found) <= 7, found
    main = quick_network.compiled(program)
    for batch, length in ((3, 13), (2, 2), (1, 301)):
        x = torch.randn(max(batch, 2), 5, length)
        np.testing.assert_allclose(run(main, x.numpy()), net(x).detach().numpy(), rtol=0, atol=2e-6)


def test_weights_that_a_weight_norm_computes_are_folded_before():
    net, x = Generator(nn.utils.parametrizations.weight_norm), torch.randn(1, 5, 13)
    assert len([name for name in kernels(exported(net, x)) if "conv1d" in name]) == 5


class Line(Net):
    """An ONNX network over lines of 6 channels."""

    def __init__(self, shape=(2, 6, 13)):
        super().__init__(shape)

    def conv(self, x, c_in, c_out, k=3, **attributes):
        weight = self.constant(c_out, c_in, k, scale=1 / (k * np.sqrt(c_in)))
        return self("Conv", x, weight, self.constant(c_out), pads=[k // 2] * 2, **attributes)

    def doubled(self, x):
        factors = self.given(np.array([1, 1, 2], "float32"))
        floor = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self("Resize", x, "", factors, mode="nearest", **floor)

    def shuffled(self, x, channels, width, factor):
        x = self("Reshape", x, self.integers(-1, channels // factor, factor, width))
        x = self("Transpose", x, perm=[0, 1, 3, 2])
        return self("Reshape", x, self.integers(-1, channels // factor, factor * width))


def assert_as_onnx_runtime(net: Net, *outputs: str, calls: int):
    model = net.model(*outputs)
    assert_same_as_onnx_runtime(model, net.shape, of_largest=2e-5)
    assert len(kernels(model)) == calls, kernels(model)
    return tvm_deconv.explain(model, log=None)


def test_shuffle_and_resize_of_lines_are_rewritten_and_named_as_in_the_model():
    net = Line()
    y = net.shuffled(net("Relu", net.conv("x", 6, 12)), 12, 13, 3)
    report = assert_as_onnx_runtime(net, net("Tanh", net.conv(net.doubled(y), 4, 5, 4)), calls=2)
    assert [layer.before for layer in report.rewritten] == [
        "conv 3 6->12, shuffle 3 CRD",
        "resize 2, conv 4 4->5",
    ]
    assert report.rewritten[0].after == "deconv 9 stride 3 6->4 pad (3, 3)"
    assert [kernel.what for kernel in report.kernels] == [
        "conv1d_transpose 9 stride 3, 6->4, 13, batch 2",
        "conv1d_transpose 5 stride 2, 4->5, 39, batch 2",
    ]


def test_a_concat_a_norm_and_a_padding_between_layers_stay_pictures():
    net = Line()
    a = net("ConvTranspose", "x", net.constant(6, 4, 5, scale=0.1), strides=[2], pads=[1, 2])
    b = net.batch_norm(net.conv(net.doubled("x"), 6, 3), 3)
    joined = net("Concat", net("Relu", a), b, axis=1)
    padded = net("Pad", joined, net.integers(0, 0, 2, 0, 0, 2), mode="reflect")
    mod = AddHeight()(load(net.model(net.conv(padded, 7, 2, 5))))
    assert operators(mod).count("squeeze") == 1 and "nn.conv1d" not in operators(mod)
    assert_as_onnx_runtime(net, net.conv(padded, 7, 2, 5), calls=4)


def test_a_strided_layer_between_is_computed_on_the_line():
    net = Line()
    y = net.conv(net.conv("x", 6, 4), 4, 4, strides=[2])
    report = assert_as_onnx_runtime(net, net.conv(net("Relu", y), 4, 2), calls=3)
    assert len(report.kernels) == 2


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_phases_of_a_large_stride_become_channels(data):
    number = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    groups, stride = number(1, 2), number(17, 40)
    c, o, k = groups * number(1, 2), number(1, 2), stride * number(1, 3) + number(0, 5)
    begin, end, extra = number(0, k - 1), number(0, k - 1), number(0, stride - 1)
    rng = np.random.default_rng(number(0, 99))
    x, weight = rng.standard_normal((2, c, 5)), rng.standard_normal((c, o, k)).astype("float32")
    attributes = {"strides": stride, "padding": [begin, end], "output_padding": extra}
    tensors = torch.from_numpy(x), torch.from_numpy(weight).double()
    y = tf.conv_transpose1d(*tensors, stride=stride, groups=groups).numpy()
    y = np.pad(y, [(0, 0), (0, 0), (0, extra)])[..., begin : y.shape[2] - end + extra]
    operator, kernel = relax.op.nn.conv1d_transpose, constant(weight)
    build = lambda b, v: b.emit(operator(v, kernel, groups=groups, **attributes))  # noqa: E731
    mod = PhasesToChannels()(AddHeight()(module(build, x.shape)))
    assert "nn.conv2d_transpose" not in operators(mod)
    # float32 from here on: the shuffle is a function that NumPy cannot evaluate.
    assert_close(compiled(mod, x.astype("float32")), y, "float32")


class Head(nn.Module):
    """An inverse STFT: spectrum, frames of it added with overlap, divided by the envelope."""

    def __init__(self, stride, kernel, cut):
        super().__init__()
        self.spectrum = nn.Conv1d(5, 18, 1)
        self.frames = nn.ConvTranspose1d(18, 1, kernel, stride, padding=cut)

    def forward(self, x):
        return self.frames(self.spectrum(x)) * 0.5


@pytest.mark.parametrize("stride, kernel, cut", [(256, 1024, 384), (320, 640, 0), (17, 40, 11)])
def test_an_inverse_stft_of_free_length_is_two_convolutions_and_a_shuffle(stride, kernel, cut):
    torch.manual_seed(0)
    net = Head(stride, kernel, cut)
    program = exported(net, torch.randn(1, 5, 9), w="length")
    main = quick_network.compiled(program)
    for length in (2, 9, 70):
        x = torch.randn(1, 5, length)
        expected = net(x).detach().numpy()
        np.testing.assert_allclose(run(main, x.numpy()), expected, rtol=0, atol=2e-6)
    whats = [kernel.what for kernel in tvm_deconv.explain(program, log=None).kernels]
    assert whats[1].startswith(f"conv1d {-(-kernel // stride)}, 18->{stride}, "), whats
    assert len(kernels(program)) == 3, kernels(program)
