"""Programs that PT2E has quantized: eager PyTorch's integers, by kernels of integers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.ao.quantization.fx._decomposed  # registers the operators
import tvm
from quick_network import compiled
from torch import nn
from torch_rows import Table, floats, integers, row

import tvm_deconv
from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load

# Ties between even and odd numbers, and what saturates, by a scale of 2.
HALVES = torch.tensor([[-5.0, -3.0, -1.0, 1.0, 3.0, 5.0, 255.0, -255.0, 1e9, -1e9]])
BYTES, SIGNED = integers(3, 4, high=256, dtype="uint8"), integers(3, 4, low=-128, dtype="int8")
SCALES, ZEROS = torch.tensor([0.1, 0.25, 0.3]), torch.tensor([3, 0, -5])


def quantize(low, high, dtype, zero=3, scale=2.0, overload="default"):
    """Of one scale; the overload ``tensor2`` has all of it in tensors."""
    operator = getattr(torch.ops.quantized_decomposed.quantize_per_tensor, overload)
    numbers = [scale, zero, low, high]
    if overload != "default":
        numbers = [torch.tensor(n) if i < 2 or overload == "tensor2" else n
                   for i, n in enumerate(numbers)]  # fmt: skip

    def quantized(x):
        return operator(x, *numbers, dtype)

    return quantized


def dequantize(low, high, dtype, zero=3, scale=2.0):
    def dequantized(x):
        operator = torch.ops.quantized_decomposed.dequantize_per_tensor.default
        return operator(x, scale, zero, low, high, dtype)

    return dequantized


def by_channel(axis, low=-128):
    def quantized_by_channel(x):
        operator = torch.ops.quantized_decomposed.quantize_per_channel.default
        return operator(x, SCALES, ZEROS, axis, low, 127, torch.int8)

    return quantized_by_channel


def meant_by_channel(zeros):
    def dequantized_by_channel(x):
        operator = torch.ops.quantized_decomposed.dequantize_per_channel.default
        return operator(x, SCALES, zeros, 0, -128, 127, torch.int8)

    return dequantized_by_channel


ROWS = [
    row(quantize(0, 255, torch.uint8), HALVES),
    row(quantize(-128, 127, torch.int8), HALVES),
    row(quantize(-127, 127, torch.int8, zero=-4), HALVES),
    row(quantize(0, 127, torch.uint8), HALVES),
    row(quantize(-8, 7, torch.int8, zero=0), HALVES),
    row(quantize(-32768, 32767, torch.int16), HALVES),
    row(quantize(0, 255, torch.uint8, overload="tensor"), HALVES),
    row(quantize(-8, 7, torch.int8, zero=0, overload="tensor2"), HALVES),
    row(quantize(0, 255, torch.uint8), floats(2, 5, dtype="float16")),
    row(by_channel(0), floats(3, 40) * 20),
    row(by_channel(1, low=-100), floats(2, 3, 40) * 20),
    row(by_channel(-2, low=-100), floats(2, 3, 40) * 20),
    row(dequantize(0, 255, torch.uint8), BYTES),
    row(dequantize(-128, 127, torch.int8), SIGNED),
    row(meant_by_channel(ZEROS), SIGNED),
    row(meant_by_channel(None), SIGNED),
]
TABLE = Table(ROWS)


@pytest.mark.parametrize("one", ROWS, ids=str)
def test_operators_give_pytorchs_integers(one):
    TABLE.check(one)


class Layer(nn.Module):
    """A convolution as ``convert_pt2e`` leaves it: int8 weights, and its result rounded."""

    def __init__(self, conv, scale, limits=(0, 255), zero=0, activation=nn.Identity()):  # noqa: B008
        super().__init__()
        self.axis = 1 if conv.transposed else 0
        weight = conv.weight.detach()
        rows = weight.transpose(0, self.axis).flatten(1)
        self.register_buffer("scales", rows.abs().amax(1) / 127)
        stored = weight.transpose(0, self.axis) / self.scales.reshape(-1, 1, 1, 1)
        self.register_buffer("stored", stored.round().to(torch.int8).transpose(0, self.axis))
        self.register_buffer("zeros", torch.zeros(len(self.scales), dtype=torch.int64))
        self.bias, self.conv = conv.bias, [conv]
        self.scale, self.limits, self.zero, self.activation = scale, limits, zero, activation

    def forward(self, x):
        meant = torch.ops.quantized_decomposed.dequantize_per_channel.default
        weight = meant(self.stored, self.scales, self.zeros, self.axis, -128, 127, torch.int8)
        (conv,) = self.conv
        if conv.transposed:
            y = nn.functional.conv_transpose2d(x, weight, self.bias, conv.stride, conv.padding)
        else:
            y = nn.functional.conv2d(x, weight, self.bias, conv.stride, conv.padding)
        return stored_and_back(self.activation(y), self.scale, self.limits, self.zero)


def stored_and_back(x, scale, limits, zero):
    dtype = torch.int8 if limits[0] < 0 else torch.uint8
    numbers = (scale, zero, *limits, dtype)
    stored = torch.ops.quantized_decomposed.quantize_per_tensor.default(x, *numbers)
    return torch.ops.quantized_decomposed.dequantize_per_tensor.default(stored, *numbers)


class Upscaler(nn.Module):
    """A shuffle, a resize and a transposed convolution; ``limits`` are those of activations."""

    def __init__(self, limits):
        super().__init__()
        zero = sum(limits) // 2
        self.entry = (1 / (limits[1] - limits[0]), limits, limits[0])
        with torch.random.fork_rng():
            torch.manual_seed(0)
            first = nn.Conv2d(3, 8, 5, padding=2)
            second = nn.Conv2d(8, 12, 3, padding=1)
            third = nn.Conv2d(3, 8, 3, padding=1)
            last = nn.ConvTranspose2d(8, 3, 4, stride=2, padding=1)
        self.first = Layer(first, 0.006, limits, limits[0], nn.ReLU())
        self.second = Layer(second, 0.006, limits, zero)
        self.third = Layer(third, 0.006, limits, zero, nn.LeakyReLU(0.1))
        self.last = Layer(last, 0.006, limits, zero)

    def forward(self, x):
        x = stored_and_back(x, *self.entry)
        x = nn.functional.pixel_shuffle(self.second(self.first(x)), 2)
        x = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
        return self.last(self.third(x))


IMAGE = torch.rand(1, 3, 7, 9, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("limits", [(0, 255), (-128, 127), (-127, 127), (0, 127)], ids=str)
def test_a_network_gives_pytorchs_result_but_for_ties(limits):
    module = Upscaler(limits).eval()
    program = torch.export.export(module, (IMAGE,))
    got = compiled(program)(tvm.runtime.tensor(IMAGE.numpy())).numpy()
    with torch.no_grad():
        expected = module(IMAGE).numpy()
    assert len(np.unique(expected)) > 40
    units = np.abs(got - expected) / 0.006
    assert units.max() < 1.01
    assert (units > 0.5).mean() <= 2e-3


@pytest.mark.parametrize("limits", [(0, 255), (-127, 127)], ids=str)
def test_every_convolution_of_it_is_one_of_integers(limits):
    report = tvm_deconv.explain(torch.export.export(Upscaler(limits).eval(), (IMAGE,)))
    assert {kernel.variant for kernel in report.kernels} == {"integer"}, str(report)
    assert (len(report.rewritten), len(report.refused)) == (2, 0)


def dynamic(x):
    choose = torch.ops.quantized_decomposed.choose_qparams.tensor
    scale, zero = choose(x, 0, 255, 1e-5, torch.uint8)
    quantized = torch.ops.quantized_decomposed.quantize_per_tensor.tensor
    return quantized(x, scale, zero, 0, 255, torch.uint8)


def with_given_scale(x, scale):
    quantized = torch.ops.quantized_decomposed.quantize_per_tensor.tensor
    return quantized(x, scale, torch.tensor(0), 0, 255, torch.uint8)


REFUSED = [
    (dynamic, (HALVES,), "operator quantized_decomposed.choose_qparams.tensor .*no converter"),
    (with_given_scale, (HALVES, torch.tensor(0.5)), "scale is computed when the program runs"),
    (quantize(0, 9, torch.int32), (HALVES,), "its integers are int32: only int8, uint8, int16"),
    (quantize(0, 9, torch.int8, scale=0.0), (HALVES,), "scale is 0.0: scales are positive"),
    (quantize(9, 0, torch.int8), (HALVES,), "integers go from 9 to 0, which int8 does not hold"),
    (quantize(0, 9, torch.uint8, zero=-4), (HALVES,), "zero point is -4, which uint8 does not"),
]


@pytest.mark.parametrize(("function", "inputs", "words"), REFUSED)
def test_what_is_not_computed_is_one_line_that_names_it(function, inputs, words):
    class Wrapped(nn.Module):
        def forward(self, *arguments):
            return function(*arguments)

    program = torch.export.export(Wrapped(), inputs)
    with pytest.raises(ModelError, match=words) as caught:
        load(program)
    assert "\n" not in str(caught.value)
