"""Sizes that do not fit are named in one line."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from onnx_net import Net
from quick_network import compiled
from relax_helpers import module
from tvm import relax

from tvm_deconv.size_errors import in_words


def said(main, *shapes):
    with pytest.raises((RuntimeError, ValueError)) as raised:
        main(*(tvm.runtime.tensor(np.zeros(shape, "float32")) for shape in shapes))
    return in_words(raised.value)


@pytest.fixture(scope="module")
def network():
    """A reflection by 2 rows, and a space to depth by 2."""
    net = Net((1, 4, 6, 6), dims=("n", 4, "h", "w"))
    rows = net("Pad", "x", net.integers(0, 0, 2, 0, 0, 0, 2, 0), mode="reflect")
    return compiled(net.model(net("SpaceToDepth", rows, blocksize=2)))


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((4, 6, 6), "input 'x' has 3 axes, not 4"),
        ((1, 3, 6, 6), "input 'x' has the size 3 along axis 1, not 4"),
        ((1, 4, 6, 0), "w is 0 for these inputs and has to be at least 1"),
        ((1, 4, 2, 6), "h is 2 for these inputs and has to be at least 3"),
    ],
)
def test_the_input_or_the_formula_is_named(network, shape, words):
    assert said(network, shape) == words


def test_a_formula_that_is_no_least_size_is_written_out(network):
    assert said(network, (1, 4, 6, 7)).startswith(
        "a size is 280 for these inputs and has to be n * "
    )
    assert said(network, (1, 4, 6, 7)).endswith(", which is 240")


def test_a_tensor_inside_that_does_not_fit_is_named_by_its_sizes():
    def cast(b, x):
        n, c, h, _ = x.ty.shape.values
        narrow = b.match_cast(x, relax.TensorType((n, c, h, h * 2), "float32"))
        return b.emit(relax.op.abs(narrow))

    main = relax.VirtualMachine(tvm.compile(module(cast, ("n", 4, "h", "w")), "llvm"), tvm.cpu())[
        "main"
    ]
    assert (
        said(main, (1, 4, 3, 5)) == "a size is 5 for these inputs and has to be h * 2, which is 6"
    )


def test_another_error_is_its_own_first_line():
    assert in_words(ValueError("no such device\nat line 3")) == "no such device"
