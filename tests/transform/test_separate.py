"""An axis read backwards behind a shuffle, reflections of reflections: what ONNX Runtime gives."""

from __future__ import annotations

import numpy as np
import pytest
import quick_network
import torch
import tvm
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime

SHAPE = (1, 4, 8, 8)


def shuffled(net, x):
    """A shuffle of which TVM computes the sum again where a slice reads it."""
    x = net("Relu", net("Add", x, net.constant(4, 1, 1)))
    return net("DepthToSpace", net("Transpose", x, perm=[0, 2, 1, 3]), blocksize=2, mode="CRD")


def run(main, x):
    return main(tvm.runtime.tensor(x))


@pytest.mark.parametrize("dims", [SHAPE, (1, 4, 8, "w")], ids=["fixed", "free width"])
@pytest.mark.parametrize("axis, step", [(1, -1), (2, -1), (3, -1), (2, -2), (2, -3)])
def test_a_slice_backwards_behind_a_shuffle_is_exact(axis, step, dims):
    net = Net(SHAPE, dims=dims)
    bounds = (net.integers(value) for value in (-1, -(2**31), axis, step))
    model = net.model(net("Slice", shuffled(net, "x"), *bounds))
    assert_same_as_onnx_runtime(model, SHAPE)


def test_a_flip_behind_a_shuffle_is_exact():
    class Flipped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = torch.nn.Parameter(torch.rand(4, 1, 1))

        def forward(self, x):
            y = (x + self.shift).relu().transpose(1, 2)
            return torch.nn.functional.pixel_shuffle(y, 2).flip(2)

    x = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")
    module = Flipped().eval()
    program = torch.export.export(module, (torch.from_numpy(x),))
    found = run(quick_network.compiled(program), x).numpy()
    np.testing.assert_array_equal(found, module(torch.from_numpy(x)).detach().numpy())


@pytest.mark.parametrize("modes", [("reflect", "reflect"), ("edge", "reflect")])
def test_a_reflection_of_a_reflection_behind_a_resize_is_copied_by_itself(modes):
    """TVM's simplifier took a minute for the indices of all three in one function."""
    net = Net((1, 2, 4, 5, 6))
    sizes = net.integers(1, 2, 7, 8, 9)
    x = net("Resize", "x", "", "", sizes, mode="linear")
    for mode in modes:
        pads = net.integers(0, 0, 2, 1, 2, 0, 0, 1, 2, 0)
        x = net("Pad", net("Erf", net("Mul", x, x)), pads, mode=mode)
    model = net.model(x)
    assert_same_as_onnx_runtime(model, net.shape, rtol=1e-5, atol=1e-6)
