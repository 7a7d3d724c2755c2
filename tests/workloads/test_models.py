"""The models of the named workloads: layers equal their geometry, networks compile."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import onnx
import onnxruntime
import reference
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from quick_network import compiled
from workload_helpers import by_name, small

import tvm_deconv
from tvm_deconv.algebra.weights import phase_bias, weight_convolution, weight_shuffle
from tvm_deconv.workloads import ALL, LAYERS, NETWORKS, LayerSpec, Workload, find
from tvm_deconv.workloads.spec import LEAKY_SLOPE
from tvm_deconv.workloads.workload import layer_workload

# Float32 against float64, of the largest value: sums of up to 16384 products.
LAYER_TOLERANCE = 3e-6
# Float32 against float32 in another order, up to 27 convolutions deep.
NETWORK_TOLERANCE = 2e-5


# The same blocks less often, and layers of fewer channels: compiling them whole takes up to 20 s.
THIN = {
    "dcgan": {"features": (256, 128, 64, 32)},
    "edsr-baseline-x2": {"blocks": 2},
    "rrdbnet-x4-small": {"blocks": 1},
    "vae-decoder-small": {"features": (64, 64, 32)},
    "unet-nearest": {"features": (16, 24)},
    "unet-bilinear": {"features": (16, 24)},
    "mobile-anchor-x3": {"blocks": 2},
}


def thin(workload: Workload) -> Workload:
    return replace(workload, build=partial(workload.build, **THIN.get(workload.name, {})))


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


@by_name(LAYERS)
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
@settings(max_examples=150)
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


def test_weights_are_the_same_each_time_and_of_normal_size():
    (workload,) = find(["rrdbnet-x4/up1"])
    one, other = workload.model(), workload.model()
    assert one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)
    y = onnx_runtime(workload.resized(12, 12).model(), picture(workload.resized(12, 12)))
    assert 0.1 < y.std() < 10


@by_name(NETWORKS)
def test_every_upsampling_layer_of_a_network_is_rewritten(workload):
    of_kind = [layer for layer in workload.layers if layer.kind in ("subpixel", "nearest")]
    nodes = small(workload).model().graph.node
    linear = [n for n in nodes if any(a.name == "mode" and a.s == b"linear" for a in n.attribute)]
    # On a picture of a few pixels the fold of a linear resize does not pay.
    report = tvm_deconv.explain((workload if linear else small(workload)).model())
    expected = len(of_kind) + len(linear)
    assert (len(report.rewritten), len(report.refused)) == (expected, 0), str(report)


@by_name(NETWORKS)
def test_activations_of_a_network_neither_vanish_nor_explode(workload):
    workload = small(workload)
    y = onnx_runtime(workload.model(), picture(workload))
    assert 0.05 < y.std() < 10


@by_name(NETWORKS)
def test_a_network_compiles_to_what_onnx_runtime_computes(workload):
    workload = thin(small(workload))
    model, x = workload.model(), picture(workload)
    expected = onnx_runtime(model, x)
    got = compiled(model, threads=1)(tvm.runtime.tensor(x)).numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(got / scale, expected / scale, rtol=0, atol=NETWORK_TOLERANCE)
