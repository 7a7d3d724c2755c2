"""Pixel shuffles that no rule rewrites: one function, of any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import tvm
from onnx_net import Net
from quick_network import compiled
from reference import pixel_shuffle
from relax_helpers import module
from tvm import relax

import tvm_deconv
from tvm_deconv.transform import LowerShuffles

SIZES = [(1, 3, 4), (2, 13, 37)]


def shuffled(b, x, factor, order, layout="NCHW"):
    """reshape -> permute_dims -> reshape of an NCHW or NHWC tensor."""
    n, *rest = x.ty.shape.values
    r = tvm.tirx.IntImm("int64", factor)
    if layout == "NCHW":
        c, h, w = rest
        o = c // (r * r)
        split = (n, o, r, r, h, w) if order == "CRD" else (n, r, r, o, h, w)
        axes = [0, 1, 4, 2, 5, 3] if order == "CRD" else [0, 3, 4, 1, 5, 2]
        merged = (n, o, h * r, w * r)
    else:
        h, w, c = rest
        o = c // (r * r)
        split, axes, merged = (n, h, w, r, r, o), [0, 1, 3, 2, 4, 5], (n, h * r, w * r, o)
    y = b.emit(relax.op.reshape(x, split))
    return b.emit(relax.op.reshape(b.emit(relax.op.permute_dims(y, axes)), merged))


def run(mod, x):
    return compiled(mod)(tvm.runtime.tensor(x)).numpy()


@pytest.mark.parametrize("order", ["CRD", "DCR"])
@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("free", [False, True])
def test_a_shuffle_moves_every_element_to_its_place(order, factor, free):
    for n, h, w in SIZES:
        shape = (n, 2 * factor**2, h, w)
        dims = ("n", shape[1], "h", "w") if free else shape
        mod = module(lambda b, x: shuffled(b, x, factor, order), dims)
        x = np.random.default_rng(0).random(shape, "float32")
        np.testing.assert_array_equal(run(mod, x), pixel_shuffle(x, (factor, factor), order))


@pytest.mark.parametrize("operator", ["broadcast_to", "tile"])
@pytest.mark.parametrize("free", [False, True])
def test_a_repeat_is_one_function_that_divides_by_its_factors(operator, free):
    def repeated(b, x):
        n, c, h, w = x.ty.shape.values
        y = b.emit(relax.op.reshape(x, (n, c, h, 1, w, 1)))
        if operator == "tile":
            y = b.emit(relax.op.tile(y, (1, 1, 1, 3, 1, 2)))
        else:
            y = b.emit(relax.op.broadcast_to(y, (n, c, h, 3, w, 2)))
        return b.emit(relax.op.reshape(y, (n, c, h * 3, w * 2)))

    mod = module(repeated, ("n", 2, "h", "w") if free else (2, 2, 5, 7))
    lowered = LowerShuffles()(mod)
    assert len(lowered.functions_items()) == len(mod.functions_items()) + 1
    for n, h, w in [(2, 5, 7)] + [(1, 3, 4)] * free:
        x = np.random.default_rng(0).random((n, 2, h, w), "float32")
        np.testing.assert_array_equal(run(mod, x), x.repeat(3, 2).repeat(2, 3))


def test_repeats_behind_a_strided_convolution_of_free_sizes_compile():
    """Over the floors in their sizes TVM sat for minutes."""

    class Repeated(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(4, 2, 5, stride=3)

        def forward(self, x):
            return self.conv(x).repeat_interleave(3, 2).repeat_interleave(2, 3)

    module = Repeated().eval()
    free = {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    program = torch.export.export(module, (torch.rand(1, 4, 11, 14),), dynamic_shapes=(free,))
    for h, w in ((11, 14), (9, 20)):
        x = torch.rand(1, 4, h, w)
        expected = module(x).detach().numpy()
        np.testing.assert_allclose(run(program, x.numpy()), expected, rtol=0, atol=1e-5)


def test_a_shuffle_of_channels_last_keeps_its_layout():
    mod = module(lambda b, x: shuffled(b, x, 2, "DCR", "NHWC"), (1, 5, 7, 12))
    x = np.random.default_rng(0).random((1, 5, 7, 12), "float32")
    expected = pixel_shuffle(x.transpose(0, 3, 1, 2), (2, 2), "DCR").transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(run(mod, x), expected)


def test_an_intermediate_shuffle_becomes_one_function():
    mod = module(lambda b, x: b.emit(relax.op.exp(shuffled(b, x, 2, "CRD"))), ("n", 8, "h", "w"))
    lowered = LowerShuffles()(mod)["main"]
    names = [binding.value.op.name for binding in lowered.body.blocks[0].bindings[:2]]
    assert names == ["relax.call_tir", "relax.exp"]


def test_other_reshapes_are_left_alone():
    mod = module(lambda b, x: b.emit(relax.op.reshape(x, (1, 2, 4, 15))), (1, 8, 3, 5))
    assert LowerShuffles()(mod).same_as(mod)


def test_a_refused_shuffle_of_free_size_compiles_in_seconds():
    net = Net(shape=(1, 5, 9, 21), dims=("n", 5, "h", "w"))
    conv = net.conv("x", 5, 12, k=4, pads=[1, 1, 1, 1])
    # The convolution is an output too, so the shuffle is refused.
    model = net.model(net("DepthToSpace", conv, blocksize=2, mode="CRD"), conv)
    assert len(tvm_deconv.explain(model).refused) == 1
    main = compiled(model)
    x = np.random.default_rng(0).random(net.shape, "float32")
    y, c = (tensor.numpy() for tensor in main(tvm.runtime.tensor(x)))
    np.testing.assert_array_equal(y, pixel_shuffle(c, (2, 2)))


# For an input of (n, 12, h, w) with even h and w: how it is split, the permutation, and the result.
REGROUPINGS = {
    "unshuffle": lambda n, h, w: (
        (n, 12, h // 2, 2, w // 2, 2),
        (0, 1, 3, 5, 2, 4),
        (n, 48, h // 2, w // 2),
    ),
    "transposed phases": lambda n, h, w: (
        (n, 3, 2, 2, h, w),
        (0, 1, 4, 3, 5, 2),
        (n, 3, h * 2, w * 2),
    ),
    "channel shuffle": lambda n, h, w: ((n, 3, 4, h, w), (0, 2, 1, 3, 4), (n, 12, h, w)),
    "windows": lambda n, h, w: (
        (n, 12, h // 2, 2, w // 2, 2),
        (0, 2, 4, 3, 5, 1),
        (n * (h // 2) * (w // 2), 2, 2, 12),
    ),
}


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("name", REGROUPINGS)
def test_any_regrouping_of_axes_is_one_function(name, free):
    def body(b, x):
        n, _, h, w = (int(d) if isinstance(d, tvm.tirx.IntImm) else d for d in x.ty.shape.values)
        split, order, merged = REGROUPINGS[name](n, h, w)
        turned = relax.op.permute_dims(b.emit(relax.op.reshape(x, split)), order)
        return b.emit(relax.op.reshape(b.emit(turned), merged))

    shapes = [(1, 12, 6, 10), (2, 12, 4, 14)]
    mod = module(body, ("n", 12, "h", "w") if free else shapes[0])
    binding, _ = LowerShuffles()(mod)["main"].body.blocks[0].bindings
    assert binding.value.op.name == "relax.call_tir"
    main = compiled(mod)
    for shape in shapes if free else shapes[:1]:
        x = np.random.default_rng(0).random(shape, "float32")
        n, _, h, w = shape
        split, order, merged = REGROUPINGS[name](n, h, w)
        expected = x.reshape(split).transpose(order).reshape(merged)
        np.testing.assert_array_equal(main(tvm.runtime.tensor(x)).numpy(), expected)
