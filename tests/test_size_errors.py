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


def test_what_the_machine_has_no_memory_for_is_said():
    assert in_words(RuntimeError("std::bad_alloc")) == "a tensor asks for more memory than there is"


@pytest.mark.parametrize(
    ("axes", "shape", "words"),
    [
        ((), (2, 1, 1), "h is 1 for these inputs and has to be at least 2"),
        ((0,), (2, 1, 4), "a size is 2 for these inputs and has to be 1"),
    ],
)
def test_a_size_that_a_squeeze_cannot_have_is_named(axes, shape, words):
    net = Net((2, 1, 4), dims=("n", 1, "h"))
    main = compiled(net.model(net("Squeeze", "x", *([net.integers(*axes)] if axes else []))))
    assert said(main, shape) == words


def test_a_plain_size_that_another_must_be_is_named():
    """n * h has to be h; TVM ended with the stack."""
    net = Net((2, 1, 4), dims=("n", 1, "h"))
    columns = net("Slice", net("Shape", "x"), net.integers(2), net.integers(3))
    shape = net("Concat", net.integers(1), columns, axis=0)
    main = compiled(net.model(net("Reshape", "x", shape)))
    assert main(tvm.runtime.tensor(np.zeros((1, 1, 3), "float32"))).shape == (1, 3)
    assert said(main, (2, 1, 4)) == "a size is 8 for these inputs and has to be h, which is 4"


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
