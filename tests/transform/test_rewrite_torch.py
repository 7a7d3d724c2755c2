"""What TVM's torch.export importer makes of upsampling layers; PyTorch itself is the judge."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from relax_helpers import compiled

torch = pytest.importorskip("torch", reason="PyTorch is not installed: its importer goes untested")
nn = torch.nn

from tvm.relax.frontend.torch import from_exported_program  # noqa: E402

from tvm_deconv.transform import rewrite_upsampling  # noqa: E402

SHAPE = (2, 3, 6, 5)


class Repeat(nn.Module):
    def forward(self, x):
        return x.repeat_interleave(2, 2).repeat_interleave(3, 3)


class Expand(nn.Module):
    def forward(self, x):
        n, c, h, w = x.shape
        wide = x[:, :, :, None, :, None].expand(n, c, h, 2, w, 2)
        return wide.reshape(n, c, h * 2, w * 2)


def conv(out_channels=8, **attributes):
    return nn.Conv2d(3, out_channels, 3, **{"padding": 1, **attributes})


# name: (network, importable with the default decompositions, importable without)
NETWORKS = {
    "shuffle": (nn.Sequential(conv(), nn.PixelShuffle(2)), True, True),
    "prelu": (nn.Sequential(conv(), nn.PReLU(8), nn.PixelShuffle(2)), True, True),
    "one slope": (nn.Sequential(conv(), nn.PReLU(), nn.PixelShuffle(2)), True, True),
    # Without decompositions the importer marks batch norm as training, which is refused.
    "batch norm": (
        nn.Sequential(conv(bias=False), nn.BatchNorm2d(8), nn.LeakyReLU(), nn.PixelShuffle(2)),
        True,
        False,
    ),
    "activations": (
        nn.Sequential(conv(), nn.GELU(), nn.SiLU(), nn.Hardswish(), nn.ReLU6(), nn.PixelShuffle(2)),
        True,
        True,
    ),
    "mish": (nn.Sequential(conv(), nn.Mish(), nn.PixelShuffle(2)), True, False),
    "nearest": (nn.Sequential(nn.Upsample(scale_factor=2), conv()), True, True),
    "nearest-exact": (
        nn.Sequential(nn.Upsample(scale_factor=3, mode="nearest-exact"), conv()),
        True,
        False,
    ),
    "reflection": (
        nn.Sequential(nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1), conv(padding=0)),
        True,
        True,
    ),
    "replication": (
        nn.Sequential(nn.Upsample(scale_factor=2), conv(padding_mode="replicate")),
        True,
        True,
    ),
    "zeros": (
        nn.Sequential(nn.Upsample(scale_factor=2), nn.ZeroPad2d((1, 2, 2, 1)), conv(padding=0)),
        True,
        True,
    ),
    "repeat": (nn.Sequential(Repeat(), conv()), True, False),
    "expand": (nn.Sequential(Expand(), conv()), True, True),
}
CASES = [
    pytest.param(network, decompose, id=f"{name}{'' if decompose else ', not decomposed'}")
    for name, (network, default, plain) in NETWORKS.items()
    for decompose in (True, False)
    if (default if decompose else plain)
]


def imported(network, x, decompose, dynamic=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(network, (x,), dynamic_shapes=dynamic)
        return from_exported_program(program, run_ep_decomposition=decompose)


def check(network, decompose, dynamic=None):
    torch.manual_seed(0)
    network = network.eval()
    x = torch.randn(SHAPE)
    new, report = rewrite_upsampling(imported(network, x, decompose, dynamic))
    assert (len(report.rewritten), len(report.refused)) == (1, 0), report
    expected = network(x).detach().numpy()
    np.testing.assert_allclose(compiled(new, x.numpy()), expected, rtol=0, atol=3e-6)


@pytest.mark.parametrize(("network", "decompose"), CASES)
def test_an_exported_network_is_rewritten_and_equal(network, decompose):
    check(network, decompose)


@pytest.mark.parametrize("name", ["shuffle", "prelu", "batch norm", "repeat", "expand"])
def test_a_network_with_dynamic_shapes_is_rewritten_and_equal(name):
    dims = {i: torch.export.Dim(d, min=2, max=99) for i, d in ((0, "n"), (2, "h"), (3, "w"))}
    check(NETWORKS[name][0], True, (dims,))


class UNet(nn.Module):
    """One level, resized to the size of the skip, which is odd: the pad makes up for the rest."""

    def __init__(self):
        super().__init__()
        self.down, self.low = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1)
        self.norm, self.join = nn.BatchNorm2d(8), nn.Conv2d(14, 4, 3, padding=1)

    def forward(self, x):
        skip = torch.relu(self.down(x))
        low = torch.relu(self.norm(self.low(nn.functional.max_pool2d(skip, 2))))
        up = nn.functional.interpolate(low, scale_factor=2)
        rest = (0, skip.shape[3] - up.shape[3], 0, skip.shape[2] - up.shape[2])
        return self.join(torch.cat([skip, nn.functional.pad(up, rest)], 1))


def test_a_u_net_of_odd_size_equals_eager_pytorch():
    model, x = UNet().eval(), torch.randn(1, 3, 11, 15)
    mod = imported(model, x, decompose=True)
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 1, report
    with torch.no_grad():
        np.testing.assert_allclose(compiled(new, x.numpy()), model(x).numpy(), rtol=0, atol=2e-5)
