"""Traced PyTorch modules as this TVM's importer gives them, where PyTorch is installed as well."""

from __future__ import annotations

import numpy as np
import pytest
import relay_reference
from relay_helpers import assert_close, operators
from tvm import relay

from tvm_deconv.relay import rewrite_upsampling

torch = pytest.importorskip("torch", reason="PyTorch is not in this environment")
nn = torch.nn

NETWORKS = {
    "pixel shuffle": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.PReLU(8), nn.PixelShuffle(2)
    ),
    "pixel shuffle, batch norm": lambda: nn.Sequential(
        nn.Conv2d(3, 9, 3, padding=1), nn.BatchNorm2d(9), nn.GELU(), nn.PixelShuffle(3)
    ),
    "nearest": lambda: nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 5, 3, padding=1)),
    "reflected": lambda: nn.Sequential(
        nn.Upsample(scale_factor=2), nn.ReLU(), nn.ReflectionPad2d(1), nn.Conv2d(3, 5, 3)
    ),
    "replicated": lambda: nn.Sequential(
        nn.Upsample(scale_factor=3), nn.ReplicationPad2d(1), nn.Conv2d(3, 5, 3)
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_form_of_a_layer_is_rewritten(name):
    torch.manual_seed(0)
    network = NETWORKS[name]().eval()
    x = torch.randn(1, 3, 5, 6)
    with torch.no_grad():
        traced, expected = torch.jit.trace(network, x), network(x)
    mod, parameters = relay.frontend.from_pytorch(traced, [("x", tuple(x.shape))])
    mod["main"] = relay.build_module.bind_params_by_name(mod["main"], parameters)
    new, report = rewrite_upsampling(mod)
    assert [layer.status for layer in report.layers] == ["rewritten"], report
    assert "nn.conv2d" not in operators(new)
    result = relay_reference.evaluate(new, x.numpy().astype(np.float64))
    assert_close(result, expected.numpy())
