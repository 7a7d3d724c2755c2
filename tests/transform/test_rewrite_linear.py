"""Linear resizes as frontends write them, and their border in the store of every kernel."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import quick_network
import tvm
from onnx import helper
from onnx_layers import SYMBOLIC, conv, onnx_model, tensors
from onnx_net import Net
from relax_helpers import compiled

import tvm_deconv
from tvm_deconv.importer import load
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.transform import rewrite_upsampling
from tvm_deconv.transform.lower.convolutions import VARIANT_ATTRIBUTE

SHAPE = (1, 4, 9, 11)


def resized(shape=SHAPE, opset=18, factors=(2, 3), kernel=3, **attributes):
    scales = np.array([1, 1, *factors], "float32")
    nodes = [
        helper.make_node("Resize", ["x", "", "scales"], ["u"], mode="linear", **attributes),
        conv("u", "c", pads=[kernel // 2] * 4),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    return onnx_model(
        nodes, {**tensors(w=(3, 4, kernel, kernel), b=3), "scales": scales}, shape, opset
    )


def expected(model, x):
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]


@pytest.mark.parametrize("shape", [SHAPE, SYMBOLIC], ids=["fixed", "free"])
@pytest.mark.parametrize("mode", ["half_pixel", "pytorch_half_pixel"])
@pytest.mark.parametrize("opset", [13, 19])
def test_onnx(shape, mode, opset):
    model = resized(shape, opset, coordinate_transformation_mode=mode)
    new, report = rewrite_upsampling(load(model))
    assert [layer.status for layer in report.layers] == ["rewritten"], report
    for size in (SHAPE, *([(2, 4, 1, 1), (1, 4, 2, 5)] if shape is SYMBOLIC else [])):
        x = np.random.default_rng(3).standard_normal(size).astype("float32")
        np.testing.assert_allclose(compiled(new, x), expected(model, x), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        (
            {"coordinate_transformation_mode": "align_corners"},
            "linear resize with align_corners, w",
        ),
        ({"coordinate_transformation_mode": "asymmetric"}, "linear resize with asymmetric, which "),
        (
            {"factors": (1.5, 2.5)},
            "linear resize with half_pixel, from 9 to 13 samples along axis 2",
        ),
    ],
)
def test_onnx_that_stays_says_why(attributes, reason):
    (line,) = tvm_deconv.explain(resized(**attributes)).refused
    assert reason in line.reason


def test_an_axis_whose_factor_is_whole_is_folded_without_the_other():
    model = resized(factors=(1.6, 3))
    new, report = rewrite_upsampling(load(model))
    assert [layer.before for layer in report.layers] == ["linear resize 1x3, conv 3x3 4->3"]
    x = np.random.default_rng(3).standard_normal(SHAPE).astype("float32")
    np.testing.assert_allclose(compiled(new, x), expected(model, x), rtol=0, atol=1e-5)


def test_a_map_that_is_enlarged_twice_is_folded_once():
    net = Net((1, 4, 9, 8))
    scales = net.given(np.array([1, 1, 2, 2], "float32"))
    up = net("Resize", net("Resize", "x", "", scales, mode="linear"), "", scales, mode="linear")
    model = net.model(net.conv(up, 4, 5))
    new, report = rewrite_upsampling(load(model))
    assert [layer.before for layer in report.rewritten] == ["linear resize 2x2, conv 3x3 4->5"]
    x = net.rng.standard_normal(net.shape).astype("float32")
    np.testing.assert_allclose(compiled(new, x), expected(model, x), rtol=0, atol=1e-5)


def test_a_line_of_free_length():
    net = Net((1, 4, 9), dims=(1, 4, "w"))
    scales = net.given(np.array([1, 1, 3], "float32"))
    up = net("Resize", "x", "", scales, mode="linear")
    model = net.model(net("Conv", up, net.constant(5, 4, 3), pads=[1, 1]))
    report = tvm_deconv.explain(model)
    assert [layer.before for layer in report.layers] == ["linear resize 3, conv 3 4->5"]
    main = quick_network.compiled(model)
    for length in (1, 2, 23):
        x = net.rng.standard_normal((1, 4, length)).astype("float32")
        got = main(tvm.runtime.tensor(x)).numpy()
        np.testing.assert_allclose(got, expected(model, x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("free", [False, True])
def test_pytorch(free):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: it goes untested")
    torch.manual_seed(0)
    up = torch.nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    network = torch.nn.Sequential(up, torch.nn.Conv2d(3, 5, 3, padding=1), torch.nn.ReLU()).eval()
    x = torch.randn(2, 3, 6, 5)
    dims = {2: torch.export.Dim("h", min=2, max=99)} if free else None
    program = torch.export.export(network, (x,), dynamic_shapes=(dims,) if free else None)
    new, report = rewrite_upsampling(load(program))
    assert [layer.status for layer in report.layers] == ["rewritten"], report
    got = compiled(new, x.numpy())
    np.testing.assert_allclose(got, network(x).detach().numpy(), rtol=0, atol=3e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_border_is_added_where_every_variant_stores(variant):
    model = resized((2, 4, 7, 9), factors=(2, 2), kernel=5)
    main = quick_network.compiled(model, variant=variant)
    x = np.random.default_rng(3).standard_normal((2, 4, 7, 9)).astype("float32")
    wanted = expected(model, x)
    error = np.abs(main(tvm.runtime.tensor(x)).numpy() - wanted).max()
    assert error < 5e-6 * np.abs(wanted).max()


def test_nothing_passes_over_the_large_map_again():
    mod = tvm_deconv.pipeline()(load(resized((1, 4, 40, 41), factors=(2, 2))))
    names = {
        name.name_hint for name, f in mod.functions_items() if isinstance(f, tvm.tirx.PrimFunc)
    }
    assert not [name for name in names if "add_border" in name]
    stored = [f for _, f in mod.functions_items() if f.attrs and VARIANT_ATTRIBUTE in f.attrs]
    assert len(stored) == 3  # The layer, its rows and its columns.


def test_float16_is_folded_through_the_cast_behind_its_float32_sums():
    net = Net((1, 4, 12, 9), "float16")
    scales = net.given(np.array([1, 1, 2, 2], "float32"))
    y = net("Relu", net.conv(net("Resize", "x", "", scales, mode="linear"), 4, 5))
    model = net.model(y)
    new, report = rewrite_upsampling(load(model))
    assert [layer.status for layer in report.layers] == ["rewritten"], report
    x = net.rng.standard_normal(net.shape).astype("float16")
    np.testing.assert_allclose(compiled(new, x), expected(model, x), rtol=0, atol=1e-2)
