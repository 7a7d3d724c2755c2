"""Named workloads: well-formed data, models that equal their geometry, networks that compile."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import reference
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from tvm import relax

import tvm_deconv
from tvm_deconv.errors import GeometryError, WorkloadError
from tvm_deconv.weights import phase_bias, weight_convolution, weight_shuffle
from tvm_deconv.workloads import ALL, GROUPS, LAYERS, NETWORKS, LayerSpec, Workload, find
from tvm_deconv.workloads.graph import LEAKY_SLOPE
from tvm_deconv.workloads.workload import layer_workload

# Float32 against float64, of the largest value: sums of up to 16384 products.
LAYER_TOLERANCE = 3e-6
# Float32 against float32 in another order, up to 51 convolutions deep.
NETWORK_TOLERANCE = 2e-5


def by_name(workloads):
    return pytest.mark.parametrize("workload", workloads, ids=lambda workload: workload.name)


def small(workload: Workload) -> Workload:
    """At a size of a few pixels, odd where the network allows it."""
    return workload if workload.name == "dcgan" else workload.resized(6, 9)


def picture(workload: Workload) -> np.ndarray:
    return np.random.default_rng(1).random(workload.input_shape, np.float32) - np.float32(0.3)


def onnx_runtime(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]


def operands(model: onnx.ModelProto, *operators: str) -> list[np.ndarray]:
    """Weights of the first node of the kind, in float64."""
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    node = next(node for node in model.graph.node if node.op_type in operators)
    return [constants[name].astype(np.float64) for name in node.input if name in constants]


def activated(y: np.ndarray, workload: Workload, model: onnx.ModelProto) -> np.ndarray:
    kind = workload.spec.activation
    if kind == "prelu":
        return np.where(y < 0, operands(model, "PRelu")[0] * y, y)
    return {
        None: lambda: y,
        "relu": lambda: np.maximum(y, 0),
        "leaky_relu": lambda: np.where(y < 0, LEAKY_SLOPE * y, y),
        "elu": lambda: np.where(y < 0, np.expm1(np.minimum(y, 0)), y),
        "tanh": lambda: np.tanh(y),
        "sigmoid": lambda: 1 / (1 + np.exp(-y)),
    }[kind]()


def by_geometry(workload: Workload, model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """The layer as the transposed convolution that its spec describes, in float64."""
    spec, g = workload.spec, workload.spec.geometry()
    w, *rest = operands(model, "Conv", "ConvTranspose")
    bias = rest[0] if rest else np.zeros(spec.conv_channels)
    if spec.kind == "subpixel":
        w = weight_shuffle(w, spec.factor, spec.order, spec.groups)
        bias = phase_bias(bias, spec.factor, spec.order)
    elif spec.kind != "deconv":
        w = weight_convolution(w, spec.factor, spec.groups)
    assert w.shape == g.weight_shape
    assert (1, *x.shape[1:]) == spec.input_shape
    padding = ((0, 0), (0, 0), (spec.halo,) * 2, (spec.halo,) * 2)
    x = np.pad(x.astype(np.float64), padding, mode="edge" if spec.kind == "nearest" else "reflect")
    assert x.shape == spec.geometry_shape
    extra = (g.h.output_padding, g.w.output_padding)
    y = reference.conv2d_transpose(x, w, g.strides, g.padding, extra, groups=g.groups)
    phases = bias.reshape(1, spec.out_channels, *bias.shape[1:] or (1, 1))
    repeats = -(-np.array(y.shape[2:]) // phases.shape[2:])
    y += np.tile(phases, (1, 1, *repeats))[..., : y.shape[2], : y.shape[3]]
    return activated(y, workload, model)


def assert_equals_its_geometry(workload: Workload) -> None:
    model, x = workload.model(), picture(workload)
    got, wanted = onnx_runtime(model, x), by_geometry(workload, model, x)
    assert got.shape == wanted.shape == workload.spec.output_shape
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(got / scale, wanted / scale, rtol=0, atol=LAYER_TOLERANCE)


def test_names_are_unique_and_say_whether_it_is_a_layer():
    assert len({workload.name for workload in ALL}) == len(ALL)
    for workload in LAYERS:
        assert workload.kind == "layer"
        assert re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+", workload.name)
    for workload in NETWORKS:
        assert workload.kind == "network"
        assert re.fullmatch(r"[a-z0-9-]+", workload.name)
    assert not {workload.name for workload in ALL} & set(GROUPS)


@by_name(ALL)
def test_a_workload_says_where_it_comes_from_and_has_a_size(workload):
    assert re.search(r"\b20[12]\d\b", workload.origin), "the year is missing"
    assert len(workload.input_shape) == 4 and workload.input_shape[0] == 1
    assert workload.multiply_adds > 0


@by_name(LAYERS)
def test_a_layer_of_full_size_has_the_spec_that_it_is_listed_with(workload):
    assert workload.layers == (workload.spec,)
    assert workload.spec.input_shape == workload.input_shape


@by_name(LAYERS)
def test_a_layer_equals_its_geometry(workload):
    assert_equals_its_geometry(small(workload))


@by_name(ALL)
def test_a_model_is_valid_and_has_the_shapes_that_it_states(workload):
    small_one = small(workload)
    model = small_one.model()
    onnx.checker.check_model(model, full_check=True)
    (given_in,), (given_out,) = model.graph.input, model.graph.output
    assert (given_in.name, given_out.name) == ("x", "y")
    dims = given_in.type.tensor_type.shape.dim
    assert tuple(dim.dim_value for dim in dims) == small_one.input_shape


@by_name(NETWORKS)
def test_a_network_is_rewritten_and_compiles_to_what_onnx_runtime_computes(workload):
    workload = small(workload)
    model, x = workload.model(), picture(workload)
    upsampling = [layer for layer in workload.layers if layer.kind in ("subpixel", "nearest")]
    report = tvm_deconv.explain(model)
    assert (len(report.rewritten), len(report.refused)) == (len(upsampling), 0), str(report)
    expected = onnx_runtime(model, x)
    vm = relax.VirtualMachine(tvm_deconv.compile(model, threads=1), tvm.cpu())
    got = vm["main"](tvm.runtime.tensor(x)).numpy()
    scale = np.abs(expected).max()
    assert 0.02 < np.std(expected) < 50, "activations vanish or explode"
    np.testing.assert_allclose(got / scale, expected / scale, rtol=0, atol=NETWORK_TOLERANCE)


@by_name(find(["layers"]))
def test_no_layer_is_refused(workload):
    spec = workload.spec
    report = tvm_deconv.explain(small(workload).model())
    expected = int(spec.kind in ("subpixel", "nearest"))
    assert (len(report.rewritten), len(report.refused)) == (expected, 0), str(report)


specs = st.builds(
    LayerSpec,
    kind=st.sampled_from(["subpixel", "nearest", "deconv", "conv"]),
    in_channels=st.sampled_from([2, 4]),
    out_channels=st.sampled_from([2, 6]),
    kernel=st.integers(1, 4),
    height=st.integers(4, 6),
    width=st.integers(4, 6),
    groups=st.sampled_from([1, 2]),
    bias=st.booleans(),
    activation=st.sampled_from([None, "relu", "leaky_relu", "prelu", "elu", "tanh", "sigmoid"]),
)


@given(specs, st.integers(1, 3), st.integers(0, 3), st.integers(0, 2), st.booleans(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_spec_equals_its_geometry(spec, factor, padding, extra, first, reflect):
    kind = spec.kind
    padding = min(padding, spec.kernel - 1)
    reflect = reflect and kind != "deconv" and (kind != "nearest" or padding < factor)
    spec = replace(
        spec,
        factor=1 if kind == "conv" else factor,
        padding=padding,
        output_padding=min(extra, factor - 1) if kind == "deconv" else 0,
        # A PReLU before the shuffle has a slope per phase, which this reference does not model.
        activation_first=first and kind == "subpixel" and spec.activation != "prelu",
        order="DCR" if first and kind == "subpixel" and spec.groups == 1 else "CRD",
        padding_mode="reflect" if reflect else "zeros",
    )
    assert_equals_its_geometry(layer_workload("any/layer", "nowhere, 2026", spec))


@by_name(find(["*/deconv-128-*", "edsr-x3/*", "carn-m-x2/*", "fsrcnn-x4/*", "style-*/nearest-*"]))
def test_multiply_adds_count_every_product_of_the_transposed_convolution(workload):
    spec = small(workload).spec
    g = spec.geometry()
    x = np.ones(spec.input_shape)
    # Nothing is cropped here, so the sum of the scattered ones is their number.
    products = reference.conv2d_transpose(x, np.ones(g.weight_shape), g.strides, groups=g.groups)
    assert small(workload).multiply_adds == products.sum()


def test_a_strided_convolution_counts_its_outputs_and_has_no_geometry():
    spec = LayerSpec("conv", 6, 4, 3, 9, 8, padding=1, stride=2, groups=2)
    # 5x4 outputs of 4 channels; each sums 3x3 taps of 3 channels.
    assert spec.output_shape == (1, 4, 5, 4)
    assert spec.multiply_adds == 5 * 4 * 4 * 27
    with pytest.raises(GeometryError, match="stride 2"):
        spec.geometry()


def test_the_work_of_a_network_is_that_of_the_published_one():
    (espcn,) = find(["espcn-x3-64-64-32"])
    assert espcn.multiply_adds == (25 * 64 + 9 * (64 * 64 + 64 * 32 + 32 * 9)) * 224**2
    (fsrcnn,) = find(["fsrcnn-x3"])
    # The paper's table 1: 12,464 parameters without biases and slopes, each used once per pixel.
    assert fsrcnn.multiply_adds == 12464 * 224**2
    (edsr,) = find(["edsr-baseline-x2"])
    # Behind the sub-pixel stage there are four times as many pixels.
    low, high = 27 * 64 + 9 * 64 * 64 * (33 + 4), 9 * 64 * 3
    assert edsr.multiply_adds == (low + 4 * high) * 96**2


def test_weights_are_the_same_each_time_and_of_normal_size():
    (workload,) = find(["rrdbnet-x4/up1"])
    one, other = workload.model(), workload.model()
    assert one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)
    y = onnx_runtime(workload.resized(12, 12).model(), picture(workload.resized(12, 12)))
    assert 0.1 < y.std() < 10


def test_a_resized_workload_keeps_everything_but_the_size():
    (workload,) = find(["unet/upconv-128-64"])
    resized = workload.resized(5, 7)
    assert resized.spec == replace(workload.spec, height=5, width=7)
    assert (resized.name, resized.origin) == (workload.name, workload.origin)


def test_the_design_group_has_the_layers_that_the_notes_have_figures_for():
    # Multiply-adds by the products of the notes' table: layer, kernel taps, channels, pixels.
    assert {w.name: w.multiply_adds for w in find(["design"])} == {
        "design/subpixel-r3-32-1": 9 * 32 * 9 * 224**2,
        "design/subpixel-r2-64-64": 9 * 64 * 256 * 128**2,
        "design/nearest-r2-64-64": 16 * 64 * 64 * 128**2,
        "design/nearest-r2-256-256": 16 * 256 * 256 * 64**2,
        "design/nearest-r2-128-64": 16 * 128 * 64 * 64**2,
        "design/deconv-k4-s2-256-128": 16 * 256 * 128 * 16**2,
        "design/deconv-k9-s3-56-1": 81 * 56 * 126 * 128,
    }


def test_workloads_are_found_by_name_pattern_and_group():
    assert [w.name for w in find(["espcn-x3"])] == ["espcn-x3"]
    assert {w.name for w in find(["espcn*"])} == {
        "espcn-x2/subpixel",
        "espcn-x3/subpixel",
        "espcn-x4/subpixel",
        "espcn-x3",
        "espcn-x3-64-64-32",
    }
    assert find(["layers"]) == list(LAYERS)
    assert find(["networks"]) == list(NETWORKS)
    assert find(["all"]) == find(["networks", "layers", "espcn*"]) == list(ALL)
    assert all(w.name.startswith("design/") for w in find(["design"]))
    assert find([]) == []


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("espcn-x5", "no workload is called 'espcn-x5': did you mean espcn-x3"),
        ("Unet/Upconv-512-256", "did you mean unet/upconv-512-256"),
        ("layer", "did you mean layers"),
        ("quux*", r"a pattern such as 'espcn\*', or one of the groups all, layers, networks"),
        ("", "give a name such as espcn-x2/subpixel"),
    ],
)
def test_what_no_workload_is_called_is_an_error_with_advice(pattern, reason):
    with pytest.raises(WorkloadError, match=reason):
        find(["espcn-x3", pattern])


def test_a_network_has_no_single_spec():
    with pytest.raises(WorkloadError, match="espcn-x3 is a network: ask for its layers"):
        _ = find(["espcn-x3"])[0].spec


@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        ("conv", {"factor": 2}, "factor 1, got 2"),
        ("deconv", {"stride": 2}, "has a stride, got 2"),
        ("subpixel", {"output_padding": 1}, "output padding, got 1"),
        ("nearest", {"activation_first": True}, "which nearest lacks"),
        ("deconv", {"padding_mode": "reflect"}, "cannot reflect"),
        ("nearest", {"padding_mode": "reflect", "padding": 2, "factor": 2}, "reflection by 2"),
    ],
)
def test_a_spec_that_no_layer_can_have_is_refused(kind, options, reason):
    with pytest.raises(GeometryError, match=reason):
        LayerSpec(kind, 4, 4, 5, 8, 8, **options)


def test_workloads_need_no_tvm():
    code = (
        "import sys, tvm_deconv.workloads as w; w.ALL[-1].model(); sys.exit('tvm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
