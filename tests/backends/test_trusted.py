"""Kernels check what the caller gave, and nothing that the network has computed itself."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from onnx_net import Net
from quick_network import compiled, loaded, unoptimised

import tvm_deconv
from tvm_deconv import compiler
from tvm_deconv.backends.trusted import TRUSTED
from tvm_deconv.options import Options

SIZES = {"fixed": (1, 4, 8, 16), "free": ("n", 4, "h", "w")}


def kernels(model):
    """The kernels of a network, by name, and whether each is trusted."""
    target = compiler.for_threads(unoptimised(), None)
    passes = compiler.pipeline_of(target, Options(log=None))
    lowered = compiler.build(model, None, target, passes).lowered
    found = {name.name_hint: f for name, f in lowered.functions.items()}
    return {
        name: TRUSTED in func.attrs
        for name, func in found.items()
        if isinstance(func, tvm.tirx.PrimFunc) and not name.startswith("shape_func")
    }


@pytest.mark.parametrize("dims", SIZES.values(), ids=SIZES)
def test_only_kernels_that_read_what_the_caller_gave_are_checked(dims):
    net = Net((1, 4, 8, 16), dims=dims)
    x = net("Softmax", net.conv("x", 4, 6), axis=3)
    found = kernels(net.model(net("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])))
    assert sorted(found.values()) == [False, True, True]
    (checked,) = (name for name, trusted in found.items() if not trusted)
    assert "conv2d" in checked


@pytest.mark.parametrize("dims", SIZES.values(), ids=SIZES)
def test_readers_of_views_of_what_the_caller_gave_are_checked(dims):
    net = Net((1, 4, 8, 16), dims=dims)
    shape = (1, 8, 4, 16) if dims == SIZES["fixed"] else (0, 0, 0, 0)
    view = net("Reshape", "x", net.integers(*shape))
    assert not any(kernels(net.model(net("Softmax", view))).values())


def test_a_kernel_that_is_called_with_both_is_checked():
    net = Net((1, 4, 8, 16))
    once = net("MaxPool", "x", kernel_shape=[3, 3], pads=[1] * 4)
    found = kernels(net.model(net("MaxPool", once, kernel_shape=[3, 3], pads=[1] * 4)))
    assert list(found.values()) == [False]


def test_arrays_with_gaps_are_refused_as_before():
    net = Net((1, 4, 8, 16))
    main = compiled(net.model(net("Softmax", net.conv("x", 4, 4))))
    x = np.zeros((1, 4, 8, 32), "float32")[..., ::2]
    with pytest.raises(Exception, match=r"compact|contiguous"):
        main(x)


def test_a_trusted_kernel_has_no_words_for_errors():
    net = Net((1, 4, 8, 16))
    executable = tvm_deconv.compile(
        net.model(net("Softmax", net.conv("x", 4, 4))), unoptimised(), log=None
    )
    code = "".join(library.inspect_source("ll") for library in executable.mod.imports)
    assert code.count("to be compact array") == 1
    x = np.random.default_rng(0).standard_normal((1, 4, 8, 16)).astype("float32")
    rows = loaded(executable)(tvm.runtime.tensor(x)).numpy()
    np.testing.assert_allclose(rows.sum(-1), 1, atol=1e-5)
