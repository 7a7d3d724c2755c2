"""Quantised TFLite networks: rewritten, computed by kernels of integers, with LiteRT's result."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto
from tflite_quantized import drawer
from tflite_rows import Writer, compiled, floats, litert, options

import tvm_deconv
from tvm_deconv.frontends.tflite import onnx_model

SAME = 0


class Net(Writer):
    """A chain of layers on one image of integers; each result has a scale that fits its values."""

    def __init__(self, shape, dtype="int8", scale=0.02, zero=None, seed=0):
        super().__init__()
        self.draw = drawer(seed)
        self.dtype = dtype
        self.scales = {}
        self.input = self.value(shape, scale, zero)

    def value(self, shape, scale, zero=None):
        zero = (-10 if self.dtype == "int8" else 118) if zero is None else zero
        number = self.scaled(self.tensor(shape, self.dtype), scale, zero)
        self.scales[number] = scale, zero
        return number

    def __call__(self, operator, *inputs, like=None, scale=None, kind=None, **fields):
        """A result with the scale of tensor ``like``, or ``scale``."""
        parameters = (scale, None) if like is None else self.scales[like]
        result = self.value((1, 1, 1, 1), *parameters)
        self.append(operator, list(inputs), [result], options(kind, **fields) if kind else None)
        return result

    def moved(self, operator, x, *further, kind=None, **fields):
        return self(operator, x, *further, like=x, kind=kind, **fields)

    def layer(self, operator, x, shape, scale, *, axis=0, before=(), kind=None, **fields):
        """Weights of ``shape`` with scales along ``axis``, of which the sums fit ``scale``."""
        given, channels = self.scales[x][0], shape[axis]
        taps = np.prod(shape) / channels
        units = np.linspace(0.7, 1.3, channels) * scale / (given * taps**0.5 * 60)
        if self.dtype == "uint8":  # one scale, as old converters write them
            units, zero, weights = units[0], 121, self.draw(*shape, dtype="uint8")
        else:
            zero, weights = 0, self.draw(*shape).clip(-127)
        weights = self.scaled(self.constant(weights), units, zero, axis)
        values = self.draw(channels, dtype="int16").astype("int32") // 4
        bias = self.scaled(self.constant(values), units * given)
        inputs = [*before, weights, x, bias] if before else [x, weights, bias]
        return self(operator, *inputs, scale=scale, kind=kind, **fields)

    def conv(self, x, c_in, c_out, scale=0.02, k=3, **fields):
        how = {"padding": SAME, "strideH": 1, "strideW": 1, **fields}
        how |= {"dilationHFactor": 1, "dilationWFactor": 1}
        return self.layer("CONV_2D", x, (c_out, k, k, c_in), scale, kind="Conv2D", **how)

    def integers(self, *values):
        return self.constant(np.array(values, np.int32))

    def file(self, folder, *results):
        path = folder / "net.tflite"
        path.write_bytes(self.finish([self.input], list(results)))
        return path


def subpixel(dtype):
    net = Net((1, 9, 11, 3), dtype)
    x = net.conv(net.input, 3, 16, k=5, fusedActivationFunction=1)
    x = net.conv(x, 16, 12)
    return net, net.moved("DEPTH_TO_SPACE", x, kind="DepthToSpace", blockSize=2)


def residual(dtype):
    net = Net((2, 9, 11, 4), dtype)
    first = net.conv(net.input, 4, 8, fusedActivationFunction=3)
    x = net.conv(net("PRELU", net.conv(first, 8, 8), slopes(net, 8), scale=0.015), 8, 8)
    x = net("ADD", x, first, scale=0.03, kind="Add")
    x = net.moved("DEPTH_TO_SPACE", net.conv(x, 8, 32), kind="DepthToSpace", blockSize=2)
    return net, net.conv(x, 8, 3)


def slopes(net, channels):
    return net.scaled(net.constant(net.draw(1, 1, channels, dtype=net.dtype)), 0.002, 1)


def decoder(dtype):
    net = Net((1, 6, 8, 8), dtype)
    up = net.moved("RESIZE_NEAREST_NEIGHBOR", net.input, net.integers(12, 16),
                   kind="ResizeNearestNeighbor", halfPixelCenters=True)  # fmt: skip
    x = net.conv(up, 8, 8, fusedActivationFunction=1)
    wanted = (net.integers(1, 24, 32, 4),)
    x = net.layer("TRANSPOSE_CONV", x, (4, 4, 4, 8), 0.03, before=wanted, kind="TransposeConv",
                  padding=SAME, strideH=2, strideW=2)  # fmt: skip
    return net, net("LOGISTIC", x, scale=1 / 256) if dtype == "uint8" else x


NETWORKS = {"subpixel": subpixel, "residual": residual, "decoder": decoder}


def apart(path, shape, dtype):
    """Differences in units, and the largest difference that there is between two results."""
    x = drawer(9)(*shape, dtype=dtype)
    (got,), (expected,) = compiled(path)([x]), litert(path.read_bytes(), [x])
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    assert np.ptp(expected.astype(int)) > 100, "saturated, or nothing in it"
    return np.abs(got.astype("int64") - expected)


SHAPES = {"subpixel": (1, 9, 11, 3), "residual": (2, 9, 11, 4), "decoder": (1, 6, 8, 8)}


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("subpixel", "int8"), ("residual", "int8"), ("decoder", "int8"), ("residual", "uint8")],
)
def test_a_network_gives_the_integers_of_litert_but_for_ties(name, dtype, tmp_path):
    net, y = NETWORKS[name](dtype)
    units = apart(net.file(tmp_path, y), SHAPES[name], dtype)
    assert units.max() <= 2, units.max()
    # Of six layers: what one of them rounds otherwise, the next reads.
    assert (units > 0).mean() <= 0.12, (units > 0).mean()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_convolution_of_it_is_one_of_integers(name, tmp_path):
    net, y = NETWORKS[name]("int8")
    report = tvm_deconv.explain(net.file(tmp_path, y))
    assert {kernel.variant for kernel in report.kernels} == {"integer"}, str(report)
    assert not report.refused
    assert len(report.rewritten) == 1


def test_the_onnx_model_of_it_holds_integers_and_gives_our_result(tmp_path):
    """As the benchmark's other runtimes get it; ONNX Runtime rounds where we do."""
    net, y = residual("int8")
    path = net.file(tmp_path, y)
    model = onnx_model(path)
    weights = [w for w in model.graph.initializer if w.dims[2:] == [3, 3]]
    assert {w.data_type for w in weights} == {TensorProto.INT8}
    options = onnxruntime.SessionOptions()
    # Optimised, it multiplies bytes by an instruction that saturates on some processors.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    x = drawer(9)(*SHAPES["residual"])
    (expected,) = session.run(None, {"t0": x.transpose(0, 3, 1, 2)})
    (got,) = compiled(path)([x])
    units = np.abs(got.astype("int64") - expected.transpose(0, 2, 3, 1))
    assert units.max() <= 1
    assert (units > 0).mean() <= 2e-3


def test_a_network_between_floats_is_quantised_where_the_file_says(tmp_path):
    """As converters write it for inputs and outputs of float32."""
    net = Net((1, 9, 11, 3))
    entry = net.tensor((1, 9, 11, 3))
    net.append("QUANTIZE", [entry], [net.input])
    x = net.conv(net.input, 3, 12)
    x = net.moved("DEPTH_TO_SPACE", x, kind="DepthToSpace", blockSize=2)
    result = net.tensor((1, 1, 1, 1))
    net.append("DEQUANTIZE", [x], [result])
    net.input = entry
    path = net.file(tmp_path, result)
    values = floats(1, 9, 11, 3)
    (got,), (expected,) = compiled(path)([values]), litert(path.read_bytes(), [values])
    units = np.abs(got - expected) / net.scales[x][0]
    assert units.max() < 1.01
    assert (units > 0.5).mean() <= 0.02
