"""Nearest resizes of volumes and convolutions, held against PyTorch."""

from __future__ import annotations

import re

import numpy as np
import pytest
import quick_network
import torch
import torch.nn.functional as tf
import tvm
from relax_helpers import constant, module, operators
from torch import nn
from tvm import relax

import tvm_deconv
from tvm_deconv.transform.rewrite import rewrite_upsampling


def run(main, x: np.ndarray) -> np.ndarray:
    result = main(tvm.runtime.tensor(x))
    return (result if hasattr(result, "numpy") else result[0]).numpy()


class Resized(nn.Module):
    """Resizes by other factors along each axis, an activation between, kernels of other sizes."""

    def __init__(self):
        super().__init__()
        self.uneven = nn.Conv3d(4, 4, (3, 2, 5), padding=(1, 0, 2), groups=2)
        self.dilated = nn.Conv3d(4, 2, 3, padding=2, dilation=(1, 2, 1))
        self.flat = nn.Conv3d(2, 2, 3, padding=1)

    def forward(self, x):
        x = self.uneven(torch.sigmoid(tf.interpolate(x, scale_factor=(2.0, 3.0, 2.0))))
        x = self.dilated(tf.interpolate(x, scale_factor=(1.0, 1.0, 3.0)))
        return self.flat(tf.interpolate(x, scale_factor=(1.0, 2.0, 2.0)))


@pytest.mark.parametrize("free", [False, True], ids=["fixed", "free"])
def test_resizes_of_volumes_are_folded_into_the_convolutions_behind(free):
    torch.manual_seed(0)
    net, x = Resized().eval(), torch.randn(2, 4, 3, 4, 5)
    names = {0: "n", 2: "d", 3: "h", 4: "w"} if free else {}
    sizes = {axis: torch.export.Dim(name, min=1, max=99) for axis, name in names.items()}
    program = torch.export.export(net, (x,), dynamic_shapes={"x": sizes})
    report = tvm_deconv.explain(program, log=None)
    assert [layer.after for layer in report.rewritten] == [
        "deconv 4x4x6 stride 2x3x2 4->4 groups 2 pad (1, 1, 2, 1, 1, 2)",
        "deconv 3x5x5 stride 1x1x3 4->2 pad (0, 2, 0, 0, 2, 0)",
        "deconv 3x4x4 stride 1x2x2 2->2 pad (1, 1, 1, 1, 1, 1)",
    ]
    assert not report.refused and all(kernel.variant for kernel in report.kernels)
    built = quick_network.compiled(program)
    for shape in ((2, 4, 3, 4, 5), (1, 4, 2, 3, 9))[: 1 + free]:
        x = torch.randn(shape)
        np.testing.assert_allclose(
            run(built, x.numpy()), net(x).detach().numpy(), rtol=0, atol=2e-6
        )


WEIGHT = np.ones((2, 2, 3, 3, 3), "float32")


def doubled(builder, x, *axes):
    for axis in axes:
        x = builder.emit(relax.op.repeat(x, 2, axis))
    return x


def conv(builder, x, weight=None, **attributes):
    kernel = constant(WEIGHT) if weight is None else weight
    return builder.emit(relax.op.nn.conv3d(x, kernel, **attributes))


@pytest.mark.parametrize(
    "body, reason",
    [
        (lambda b, x: conv(b, doubled(b, x, 2, 3), strides=2), "stride of .* is .2, 2, 2., not 1"),
        (lambda b, x: conv(b, doubled(b, x, 4), b.emit(relax.op.add(x, x))), "are not constant"),
        (lambda b, x: conv(b, doubled(b, x, 2), padding=3), "begin padding 3 is larger than"),
        (lambda b, x: doubled(b, x, 2, 3), "is read by the function's output, not by"),
    ],
    ids=["stride", "weights", "padding", "no convolution"],
)
def test_a_resize_of_a_volume_that_stays_has_a_reason(body, reason):
    mod = module(body, (2, 2, 3, 3, 3))
    new, report = rewrite_upsampling(mod)
    (layer,) = report.refused
    assert new is mod and not report.rewritten
    assert re.search(reason, layer.reason), layer.reason


def test_repeats_of_channels_or_batches_are_no_resize():
    mod = module(lambda b, x: conv(b, doubled(b, x, 0)), (1, 2, 3, 3, 3))
    new, report = rewrite_upsampling(mod)
    assert new is mod and not report.layers
    assert "repeat" in operators(new)
