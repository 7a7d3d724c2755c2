"""Convolutions and shuffles of volumes, held against PyTorch."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
import tvm
from quick_network import compiled
from relax_helpers import constant, module
from torch import nn
from tvm import relax

import tvm_deconv
from tvm_deconv.backends.views import ViewReshapes
from tvm_deconv.compiler import before_schedules
from tvm_deconv.options import Options
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform.rewrite import rewrite_upsampling


class Shuffle(nn.Module):
    """(N, O*r^3, D, H, W) with the phases inside the channel, outside of it, or turned round."""

    def __init__(self, factor, outside=False, turned=False):
        super().__init__()
        self.factor, self.outside, self.turned = factor, outside, turned

    def forward(self, x):
        n, c, *size = x.shape
        a, b, e = self.factor
        o = c // (a * b * e)
        parts = (a, b, e, o) if self.outside else (o, a, b, e)
        order = (0, 4, 5, 1, 6, 2, 7, 3) if self.outside else (0, 1, 5, 2, 6, 3, 7, 4)
        if self.turned:
            order = (0, 1, 5, 3, 6, 2, 7, 4)
        x = x.reshape(n, *parts, *size).permute(order)
        return x.reshape(n, o, *(s * r for s, r in zip(size, self.factor, strict=True)))


class Shuffled(nn.Module):
    """Factors, orders, kernels, groups and what stands between differ; biases differ by phase."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv3d(3, 4 * 12, (3, 2, 3), padding=(1, 0, 1))
        self.norm = nn.BatchNorm3d(4 * 12)
        self.second = nn.Conv3d(4, 2 * 8, 3, padding=(1, 2, 1), dilation=(1, 2, 1), groups=2)
        self.slopes = nn.PReLU(2 * 8)
        self.third = nn.Conv3d(2, 3 * 2, 1, bias=False)
        for norm in (self.norm.running_mean, self.norm.running_var, self.slopes.weight.data):
            norm.uniform_(0.5, 1.5)
        self.shuffles = (
            Shuffle((3, 2, 2), outside=True),
            Shuffle((2, 2, 2), turned=True),
            Shuffle((1, 1, 2)),
        )

    def forward(self, x):
        x = self.shuffles[0](torch.sigmoid(self.norm(self.first(x))))
        x = self.shuffles[1](self.slopes(self.second(x)))
        return torch.tanh(self.shuffles[2](self.third(x)))


@pytest.mark.parametrize("free", [False, True], ids=["fixed", "free"])
def test_shuffles_of_volumes_are_folded_into_the_convolutions_before(free):
    torch.manual_seed(0)
    net, x = Shuffled().eval(), torch.randn(2, 3, 3, 4, 5)
    names = {0: "n", 2: "d", 3: "h", 4: "w"} if free else {}
    sizes = {
        axis: torch.export.Dim(name, min=3 if axis else 1, max=99) for axis, name in names.items()
    }
    program = torch.export.export(net, (x,), dynamic_shapes={"x": sizes})
    report = tvm_deconv.explain(program, log=None)
    assert [layer.after for layer in report.rewritten] == [
        "deconv 9x4x6 stride 3x2x2 3->4 pad (3, 2, 2, 3, 2, 2)",
        "deconv 6x10x6 stride 2x2x2 4->2 groups 2 pad (2, 4, 2, 2, 4, 2)",
        "deconv 1x1x2 stride 1x1x2 2->3 pad (0, 0, 0, 0, 0, 0)",
    ]
    assert not report.refused and all(kernel.variant for kernel in report.kernels)
    run = compiled(program)
    for shape in ((2, 3, 3, 4, 5), (1, 3, 3, 5, 9))[: 1 + free]:
        x = torch.randn(shape)
        y = run(tvm.runtime.tensor(x.numpy()))
        np.testing.assert_allclose(y.numpy(), net(x).detach().numpy(), rtol=0, atol=3e-6)


def test_constants_of_each_phase_are_in_the_store():
    """Two phases of the depth are all that is called: nothing reads the large volume again."""
    mod = module(lambda b, x: shuffled(b, biased(b, conv(b, x))), (1, 2, 3, 3, 3))
    host = resolve_target("host")
    with host:
        passes = [*before_schedules(host, Options(log=None)), ViewReshapes()]
        lowered = tvm.transform.Sequential(passes)(mod)
    values = [b.value for block in lowered["main"].body.blocks for b in block.bindings]
    called = [str(value.args[0].name_hint) for value in values if "call_tir" in str(value.op)]
    assert len(called) == 2 and all("conv3d_transpose" in name for name in called), called


WEIGHT = np.random.default_rng(0).random((16, 2, 3, 3, 3), "float32")


def conv(builder, x, weight=None, **attributes):
    kernel = constant(WEIGHT) if weight is None else weight
    return builder.emit(relax.op.nn.conv3d(x, kernel, **{"padding": 1, **attributes}))


def biased(builder, x):
    values = np.arange(16, dtype="float32").reshape(1, 16, 1, 1, 1)
    return builder.emit(relax.op.add(x, constant(values)))


def shuffled(builder, x, order=(0, 1, 5, 2, 6, 3, 7, 4)):
    n, _, *size = (int(dim) for dim in x.ty.shape.values)
    x = builder.emit(relax.op.reshape(x, (n, 2, 2, 2, 2, *size)))
    x = builder.emit(relax.op.permute_dims(x, order))
    return builder.emit(relax.op.reshape(x, (n, 2, *(2 * s for s in size))))


def also_read(builder, x):
    y = conv(builder, x)
    return builder.emit(relax.Tuple([shuffled(builder, y), y]))


@pytest.mark.parametrize(
    "body, reason",
    [
        (lambda b, x: shuffled(b, conv(b, x, strides=2)), "stride of .* is .2, 2, 2., not 1"),
        (lambda b, x: shuffled(b, conv(b, x, padding=3)), "begin padding 3 is larger than"),
        (
            lambda b, x: shuffled(b, b.emit(relax.op.concat([x] * 8, axis=1))),
            "input is not a convolution",
        ),
        (also_read, "is also read by"),
    ],
    ids=["stride", "padding", "no convolution", "read elsewhere"],
)
def test_a_shuffle_of_a_volume_that_stays_has_a_reason(body, reason):
    mod = module(body, (1, 2, 3, 3, 3))
    new, report = rewrite_upsampling(mod)
    (layer,) = report.refused
    assert new is mod and not report.rewritten
    assert re.search(reason, layer.reason), layer.reason


@pytest.mark.parametrize("order", [(0, 1, 6, 2, 5, 3, 7, 4), (0, 5, 1, 2, 6, 3, 7, 4)])
def test_axes_that_change_places_are_no_shuffle(order):
    mod = module(lambda b, x: shuffled(b, conv(b, x), order), (1, 2, 2, 2, 2))
    new, report = rewrite_upsampling(mod)
    assert new is mod and not report.layers
