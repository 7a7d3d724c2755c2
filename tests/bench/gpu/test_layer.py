"""The GPU benchmark's layers: the float64 reference, and PyTorch's forms of the same layer."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from onnx import numpy_helper

from tvm_deconv.bench.gpu.layer import Tensors
from tvm_deconv.bench.gpu.pack import refusal
from tvm_deconv.bench.gpu.pytorch import as_deconvolution, as_trained
from tvm_deconv.measure.onnx_reference import float64_results
from tvm_deconv.workloads import LAYERS, LayerSpec, find

# One of each kind and activation, with groups, without bias, with uneven taps.
NAMES = [
    "espcn-x3/subpixel",
    "carn-m-x2/subpixel",
    "srgan-x4/subpixel1",
    "rrdbnet-x4/up1",
    "monodepth/upconv2",
    "fsrcnn-x3/deconv",
    "dcgan/deconv-128-3",
    "dbnet/deconv-64-1",
    "cyclegan/deconv-128-64",
    "stylegan2/up-256",
]


def small(name):
    (workload,) = find([name])
    return workload.resized(4, 5)


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_is_what_onnx_defines(name):
    workload = small(name)
    model, layer = workload.model(), workload.spec
    x = np.random.default_rng(1).standard_normal(layer.input_shape).astype("float32")
    arrays = {tuple(w.dims): numpy_helper.to_array(w) for w in model.graph.initializer}
    slopes = arrays.get((layer.output_shape[1], 1, 1))
    tensors = Tensors(
        layer,
        x,
        arrays[layer.weight_shape],
        arrays.get((layer.conv_channels,)),
        None if slopes is None else slopes.reshape(-1),
    )
    (expected,) = float64_results(model, {"x": x})
    # ONNX has the slope of a leaky ReLU in float32.
    np.testing.assert_allclose(tensors.expected(), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", NAMES)
def test_every_form_of_pytorch_computes_the_layer(name, memory_format):
    layer = small(name).spec
    tensors = Tensors.draw(layer, "float32", seed=3)
    expected = tensors.expected()
    forms = [as_trained]
    if layer.kind != "deconv":
        forms.append(as_deconvolution)
    x = torch.from_numpy(tensors.x).contiguous(memory_format=memory_format)
    for form in forms:
        found = form(tensors, torch.device("cpu"), memory_format)(x).numpy()
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def test_the_channel_order_of_tensorflow_is_computed_too():
    layer = replace(small("carn-x2/subpixel").spec, order="DCR")
    tensors = Tensors.draw(layer, "float32", seed=3)
    x = torch.from_numpy(tensors.x)
    for form in (as_trained, as_deconvolution):
        found = form(tensors, torch.device("cpu"), torch.contiguous_format)(x).numpy()
        np.testing.assert_allclose(found, tensors.expected(), rtol=0, atol=2e-5)


def test_a_layer_comes_back_from_json():
    layer = small("fsrcnn-x3/deconv").spec
    assert LayerSpec(**json.loads(json.dumps(asdict(layer)))) == layer


def test_float16_arrays_are_drawn_once_and_rounded_once():
    layer = small("espcn-x3/subpixel").spec
    half, again = (Tensors.draw(layer, "float16", seed=5) for _ in range(2))
    assert {array.dtype for array in (half.x, half.weights, half.bias)} == {np.dtype("float16")}
    np.testing.assert_array_equal(half.x, again.x)
    assert (half.x != Tensors.draw(layer, "float16", seed=6).x).any()


def test_a_layer_moves_its_input_weights_and_output_once():
    layer = small("dbnet/deconv-64-1").spec
    elements = 64 * 4 * 5 + 64 * 1 * 2 * 2 + 1 * 8 * 10
    for dtype, size in (("float32", 4), ("float16", 2)):
        assert Tensors.draw(layer, dtype, seed=0).bytes == size * elements


def test_only_layers_that_are_one_transposed_convolution_are_packed():
    left_out = {workload.name for workload in LAYERS if refusal(workload)}
    assert left_out == {"style-transfer/nearest-128-64", "style-transfer/nearest-64-32"}
    (network,) = find(["espcn-x3"])
    assert "network" in refusal(network)
