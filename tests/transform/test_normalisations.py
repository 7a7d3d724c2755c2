"""Normalisations that are spelled out become one kernel each, and equal PyTorch in float64."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as tf
import tvm
from onnx import numpy_helper
from onnx_net import Net
from quick_network import compiled
from relax_helpers import kernels
from torch import nn

EPSILON = 1e-3


def run(model, x: np.ndarray) -> np.ndarray:
    result = compiled(model)(tvm.runtime.tensor(x))
    return (result if hasattr(result, "numpy") else result[0]).numpy()


def number(net: Net, value: float) -> str:
    return net.given(np.array(value, net.dtype))


def spelled(net: Net, x: str, axes, form: str) -> str:
    """A normalisation in one of the ways in which files have it."""
    mean = net("ReduceMean", x, axes=axes, keepdims=1)
    centred = net("Sub", x, mean)
    again = net("Sub", x, mean) if form == "centred twice" else centred
    square = net("Pow", again, number(net, 2))
    variance = net("Add", net("ReduceMean", square, axes=axes, keepdims=1), number(net, EPSILON))
    root = net("Sqrt", variance)
    return net("Div", centred, root)


def normal(x: torch.Tensor, axes) -> torch.Tensor:
    centred = x - x.mean(axes, keepdim=True)
    return centred / (centred.square().mean(axes, keepdim=True) + EPSILON).sqrt()


def check(model, x, expected):
    expected = expected.numpy()
    error = np.abs(run(model, x) - expected).max() / np.abs(expected).max()
    # What float32 leaves of the mean, and of what is around it.
    assert error < 1e-6 + 1e-7 * np.abs(x).max() * np.sqrt(x.size)


def data(shape, about: float = 0.0, dtype: str = "float32") -> np.ndarray:
    return (np.random.default_rng(1).standard_normal(shape) + about).astype(dtype)


@pytest.mark.parametrize("form", ["squared", "centred twice"])
@pytest.mark.parametrize("axes", [[2, 3], [3], [1, 2, 3], [-1]], ids=str)
def test_a_normalisation_that_is_spelled_out_is_one_kernel(axes, form):
    net = Net((2, 6, 13, 37))
    y = spelled(net, "x", axes, form)
    model = net.model(net("Add", net("Mul", y, net.constant(6, 1, 1)), net.constant(6, 1, 1)))
    (kernel,) = kernels(model)
    assert kernel.startswith("fused_normalise")
    scale, bias = (torch.from_numpy(w) for w in weights(model)[-2:])
    x = data((2, 6, 13, 37))
    check(model, x, normal(torch.from_numpy(x).double(), axes) * scale + bias)


def weights(model):
    return [numpy_helper.to_array(w).copy() for w in model.graph.initializer]


@pytest.mark.parametrize("about", [0.0, 300.0])
@pytest.mark.parametrize("groups", [1, 3, 6])
def test_a_group_normalisation_between_reshapes_is_one_kernel(groups, about):
    """As PyTorch exports it; a large mean must not cancel the variance."""
    net = Net((2, 6, 13, 37))
    grouped = net("Reshape", "x", net.integers(0, groups, -1))
    ones, zeros = net.ones(groups), net.zeros(groups)
    y = net("InstanceNormalization", grouped, ones, zeros, epsilon=EPSILON)
    y = net("Reshape", y, net.integers(2, 6, 13, 37))
    model = net.model(net("Add", net("Mul", y, net.constant(6, 1, 1)), net.constant(6, 1, 1)))
    (kernel,) = kernels(model)
    assert kernel.startswith("fused_normalise")
    scale, bias = (torch.from_numpy(w).reshape(-1) for w in weights(model)[-2:])
    x = data((2, 6, 13, 37), about)
    wide = torch.from_numpy(x).double()
    check(model, x, tf.group_norm(wide, groups, scale.double(), bias.double(), EPSILON))


class Norms(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.GroupNorm(2, 6), nn.InstanceNorm2d(6, affine=True), nn.LayerNorm([6, 9, 11])
        )
        for parameter in self.parameters():
            nn.init.normal_(parameter)

    def forward(self, x):
        return self.layers(x)


@pytest.mark.parametrize("decomposed", [False, True])
def test_the_normalisations_of_torch_export_are_a_kernel_each(decomposed):
    torch.manual_seed(0)
    net, x = Norms().eval(), torch.randn(2, 6, 9, 11) + 5
    program = torch.export.export(net, (x,))
    if decomposed:
        with warnings.catch_warnings():
            # PyTorch copies what it calls deprecated itself.
            warnings.simplefilter("ignore", FutureWarning)
            program = program.run_decompositions()
    assert sum("normalise" in name for name in kernels(program)) == 3
    assert len(kernels(program)) == 3
    with torch.no_grad():
        check(program, x.numpy(), net.double()(x.double()))


@pytest.mark.parametrize("size", [(1, 6, 8, 8), (3, 6, 5, 33)], ids=str)
def test_free_sizes_are_normalised_at_every_size(size):
    net = Net(dims=("n", 6, "h", "w"))
    model = net.model(spelled(net, "x", [2, 3], "squared"))
    assert kernels(model) == ["normalise"]
    x = data(size, 3)
    check(model, x, normal(torch.from_numpy(x).double(), [2, 3]))


def unlike(net: Net, what: str) -> str:
    """What is nearly a normalisation over the last two axes."""
    mean = net("ReduceMean", "x", axes=[2, 3], keepdims=1)
    centred = net("Sub", "x", mean)
    square = net("Pow", centred, number(net, 3 if what == "a third power" else 2))
    axes = [3] if what == "other axes" else [2, 3]
    variance = net("ReduceMean", square, axes=axes, keepdims=1)
    if what == "epsilon computed":
        return net("Div", centred, net("Sqrt", net("Add", variance, net("Abs", mean))))
    root = net("Sqrt", net("Add", variance, number(net, 5.0)))
    if what == "another map":
        return net("Div", net("Neg", centred), root)
    return net("Div", root, centred) if what == "the inverse" else net("Div", centred, root)


@pytest.mark.parametrize(
    "what", ["a third power", "other axes", "epsilon computed", "another map", "the inverse"]
)
def test_what_is_nearly_a_normalisation_is_computed_as_it_is(what):
    net = Net((2, 6, 5, 7))
    model = net.model(unlike(net, what))
    assert not [name for name in kernels(model) if "normalise" in name]


def test_axes_in_the_middle_are_left_to_their_operators():
    net = Net((2, 6, 5, 7))
    model = net.model(spelled(net, "x", [1], "squared"))
    assert not [name for name in kernels(model) if "normalise" in name]
    x = data((2, 6, 5, 7))
    check(model, x, normal(torch.from_numpy(x).double(), [1]))


def test_what_else_reads_the_mean_still_has_it():
    net = Net((2, 6, 5, 7))
    y = spelled(net, "x", [2, 3], "squared")
    centred = net.nodes[1].output[0]
    model = net.model(y, centred)
    x = data((2, 6, 5, 7))
    result = compiled(model)(tvm.runtime.tensor(x))
    wide = torch.from_numpy(x).double()
    for one, expected in zip(
        result, (normal(wide, [2, 3]), wide - wide.mean([2, 3], True)), strict=True
    ):
        np.testing.assert_allclose(one.numpy(), expected.numpy(), atol=1e-5)
