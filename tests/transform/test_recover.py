"""Modules of TVM's own ONNX importer, which lowers some operators at once, are understood, too."""

from __future__ import annotations

import warnings

import numpy as np
import onnxruntime
import pytest
from onnx_net import Net
from relax_helpers import compiled, conv, module
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

from tvm_deconv.importer import load
from tvm_deconv.transform import recover, rewrite_upsampling


def check(net, output, rewritten=1):
    model = net.model(output)
    x = net.rng.standard_normal(net.shape).astype("float32")
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    with warnings.catch_warnings():
        # That the output has no shape.
        warnings.simplefilter("ignore")
        mod = from_onnx(model)
    new, report = rewrite_upsampling(mod)
    assert (len(report.rewritten), len(report.refused)) == (rewritten, 0), str(report)
    np.testing.assert_allclose(compiled(new, x), expected, rtol=0, atol=3e-6)


@pytest.mark.parametrize("dims", [None, ("n", 4, "h", "w")], ids=["fixed", "free"])
@pytest.mark.parametrize(
    ("mode", "widths", "kernel"),
    [
        ("constant", (0, 10, 10, 0), 11),
        ("constant", (1, 1, 1, 1), 3),
        ("constant", (7, 2, 3, 8), 11),
        ("reflect", (1, 1, 1, 1), 3),
        ("edge", (0, 2, 3, 1), 3),
        ("edge", (10, 0, 0, 10), 3),
    ],
)
def test_a_padding_of_any_split_between_resize_and_convolution_is_recognised(
    mode, widths, kernel, dims
):
    net = Net((1, 4, 12, 13), dims=dims)
    top, left, bottom, right = widths
    pads = net.integers(0, 0, top, left, 0, 0, bottom, right)
    padded = net("Pad", net.nearest("x", 2), pads, mode=mode)
    check(net, net.conv(padded, 4, 3, k=kernel, pads=[0] * 4))


def test_clip_and_tile_are_recognised():
    net = Net((1, 4, 5, 6))
    bounds = [net.given(np.float32(bound)) for bound in (0, 6)]
    clipped = net("Clip", net.conv("x", 4, 12), *bounds)
    check(net, net("DepthToSpace", clipped, blocksize=2, mode="CRD"))


def shuffled(builder, x, before, after):
    """A convolution and a shuffle by 2, with ``before`` and ``after`` at its sides."""
    n, _, h, w = x.ty.shape.values
    y = builder.emit(before(conv(builder, x)))
    split = builder.emit(relax.op.reshape(y, (n, 2, 2, 2, h, w)))
    moved = builder.emit(relax.op.permute_dims(split, [0, 1, 4, 2, 5, 3]))
    return after(builder.emit(relax.op.reshape(moved, (n, 2, h * 2, w * 2))))


def same_shape(x):
    return relax.op.reshape(x, x.ty.shape)


def same_order(x):
    return relax.op.permute_dims(x, [0, 1, 2, 3])


@pytest.mark.parametrize("shape", [(1, 3, 4, 6), ("n", 3, "h", "w")], ids=["fixed", "free"])
@pytest.mark.parametrize("step", [same_shape, same_order])
def test_what_changes_nothing_hides_no_shuffle(step, shape):
    mod = module(lambda builder, x: shuffled(builder, x, step, step), shape)
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 1, str(report)
    x = np.random.default_rng(0).standard_normal((1, 3, 4, 6)).astype("float32")
    np.testing.assert_allclose(compiled(new, x), compiled(mod, x), rtol=0, atol=3e-6)


@pytest.mark.parametrize("shape", [(1, 3, 4, 6), ("n", 3, "h", "w")], ids=["fixed", "free"])
def test_a_reshape_to_another_shape_stays_one(shape):
    def other_shape(x):
        n, c, h, w = x.ty.shape.values
        return relax.op.reshape(x, (n, c, w, h))

    mod = module(lambda builder, x: shuffled(builder, x, other_shape, same_shape), shape)
    assert rewrite_upsampling(mod)[1].rewritten == ()


def test_a_function_in_which_nothing_is_to_be_recovered_is_not_copied(monkeypatch):
    """Which takes as long as all rules together."""
    net = Net((1, 3, 8, 8))
    mod = load(net.model(net("Relu", net.conv(net.nearest("x", 2), 3, 3))))
    monkeypatch.setattr(recover, "_Recover", lambda mod: pytest.fail("it is copied"))
    _, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 1
