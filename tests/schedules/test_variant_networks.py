"""A network of every kind of layer, computed by each variant, equals ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import tvm
from onnx_net import every_layer
from tvm import relax

import tvm_deconv
from tvm_deconv.backends.lowering import lean_lowering
from tvm_deconv.schedules.choice import AUTO
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform.lower.convolutions import VARIANT_ATTRIBUTE

# Of the largest value. Winograd's transforms add and subtract, so they lose a digit.
TOLERANCE = {"winograd": 2e-5}
DEFAULT_TOLERANCE = 1e-5


FREE = ("n", 3, "h", "w")


@pytest.mark.parametrize(
    ("variant", "dims"),
    [(AUTO, None), *((variant, FREE) for variant in (AUTO, *VARIANTS) if variant != "depthwise")],
    ids=lambda value: value if isinstance(value, str) else "free" if value else "fixed",
)
def test_a_network_equals_onnx_runtime_in_each_variant(variant, dims):
    net, output = every_layer(dims)
    model = net.model(output)
    kernels = tvm_deconv.explain(model, variant=variant).kernels
    assert len(kernels) == 5
    used = {kernel.variant for kernel in kernels}
    assert variant == AUTO or variant in used, "it computes at least one of the layers"
    for kernel in kernels:
        assert kernel.variant == variant or kernel.reason != "asked for"

    lowered = tvm_deconv.pipeline(variant=variant)(tvm_deconv.importer.load(model))
    names = {
        str(func.attrs[VARIANT_ATTRIBUTE])
        for _, func in lowered.functions_items()
        if func.attrs is not None and VARIANT_ATTRIBUTE in func.attrs
    }
    assert names == used, "what explain says is what is done"

    x = net.rng.random(net.shape).astype("float32")
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    host = resolve_target("host")
    with lean_lowering(host):
        executable = relax.build(lowered, host, relax_pipeline=None)
    got = relax.VirtualMachine(executable, tvm.cpu())["main"](tvm.runtime.tensor(x)).numpy()
    scale = np.abs(expected).max()
    tolerance = max(TOLERANCE.get(name, DEFAULT_TOLERANCE) for name in used)
    np.testing.assert_allclose(got / scale, expected / scale, rtol=0, atol=tolerance)
