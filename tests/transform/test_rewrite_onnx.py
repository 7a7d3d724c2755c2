"""What becomes of ONNX upsampling layers is recognised; ONNX Runtime is the judge."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from relax_helpers import compiled

from tvm_deconv import compile
from tvm_deconv.importer import load
from tvm_deconv.transform import rewrite_upsampling

SHAPE = (1, 4, 5, 6)
SYMBOLIC = ("N", 4, "H", "W")


def tensors(**shapes):
    rng = np.random.default_rng(7)
    return {k: rng.uniform(-1, 1, s).astype("float32") for k, s in shapes.items()}


def onnx_model(nodes, initializers, shape=SHAPE, opset=18, out_shape=("N", "C", "OH", "OW")):
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, out_shape)],
        [numpy_helper.from_array(v, k) for k, v in initializers.items()],
    )
    ir_version = 10 if opset >= 21 else 8
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)
    onnx.checker.check_model(model)
    return model


def conv(source, target, bias=True, pads=(1, 1, 1, 1)):
    inputs = [source, "w", "b"] if bias else [source, "w"]
    return helper.make_node("Conv", inputs, [target], pads=list(pads))


def check(model, shape=SHAPE, rewritten=1):
    x = np.random.default_rng(3).standard_normal(shape).astype("float32")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (expected,) = session.run(None, {"x": x})
    new, report = rewrite_upsampling(load(model))
    assert (len(report.rewritten), len(report.refused)) == (rewritten, 0), report
    np.testing.assert_allclose(compiled(new, x), expected, rtol=0, atol=3e-6)
    return new


@pytest.mark.parametrize("opset", [11, 13, 18, 21])
@pytest.mark.parametrize("mode", ["CRD", "DCR"])
@pytest.mark.parametrize("shape", [SHAPE, SYMBOLIC], ids=["static", "symbolic"])
def test_depth_to_space(opset, mode, shape):
    shuffle = helper.make_node("DepthToSpace", ["c"], ["y"], blocksize=3, mode=mode)
    model = onnx_model([conv("x", "c"), shuffle], tensors(w=(9, 4, 3, 3), b=9), shape, opset)
    check(model)


def test_depth_to_space_of_opset_9_is_dcr():
    shuffle = helper.make_node("DepthToSpace", ["c"], ["y"], blocksize=2)
    check(onnx_model([conv("x", "c"), shuffle], tensors(w=(8, 4, 3, 3), b=8), opset=9))


def test_reshape_transpose_reshape_of_old_exporters():
    nodes = [
        conv("x", "c"),
        helper.make_node("Reshape", ["c", "split"], ["s"]),
        helper.make_node("Transpose", ["s"], ["t"], perm=[0, 1, 4, 2, 5, 3]),
        helper.make_node("Reshape", ["t", "merge"], ["y"]),
    ]
    shapes = {"split": np.array([-1, 2, 2, 2, 5, 6]), "merge": np.array([-1, 2, 10, 12])}
    check(onnx_model(nodes, {**tensors(w=(8, 4, 3, 3), b=8), **shapes}, opset=9))


@pytest.mark.parametrize(
    ("activation", "extra", "opset"),
    [
        (helper.make_node("Relu", ["c"], ["a"]), {}, 13),
        (helper.make_node("LeakyRelu", ["c"], ["a"], alpha=0.2), {}, 13),
        (helper.make_node("Clip", ["c", "low", "high"], ["a"]), {"low": (), "high": ()}, 13),
        (helper.make_node("Clip", ["c"], ["a"], min=0.0, max=0.5), {}, 9),
        (helper.make_node("PRelu", ["c", "slope"], ["a"]), {"slope": (8, 1, 1)}, 13),
        (helper.make_node("PRelu", ["c", "slope"], ["a"]), {"slope": (1,)}, 13),
        (helper.make_node("HardSwish", ["c"], ["a"]), {}, 14),
        (helper.make_node("Gelu", ["c"], ["a"]), {}, 20),
        (helper.make_node("Tanh", ["c"], ["a"]), {}, 13),
        (helper.make_node("Elu", ["c"], ["a"]), {}, 13),
        (helper.make_node("Sigmoid", ["c"], ["a"]), {}, 13),
        (helper.make_node("Softplus", ["c"], ["a"]), {}, 13),
    ],
    ids=lambda value: value.op_type if isinstance(value, onnx.NodeProto) else None,
)
def test_activations_between_convolution_and_shuffle(activation, extra, opset):
    shuffle = helper.make_node("DepthToSpace", ["a"], ["y"], blocksize=2)
    values = tensors(w=(8, 4, 3, 3), b=8, **extra)
    if "low" in values:
        values["low"], values["high"] = np.float32(-0.5), np.float32(0.5)
    values = {k: np.asarray(v) for k, v in values.items()}
    check(onnx_model([conv("x", "c"), activation, shuffle], values, opset=opset))


def test_batch_normalization_between_convolution_and_shuffle():
    norm = helper.make_node("BatchNormalization", ["c", "g", "s", "m", "v"], ["a"])
    shuffle = helper.make_node("DepthToSpace", ["a"], ["y"], blocksize=2, mode="CRD")
    values = tensors(w=(8, 4, 3, 3), b=8, g=8, s=8, m=8, v=8)
    values["v"] = np.abs(values["v"]) + 0.5
    check(onnx_model([conv("x", "c"), norm, shuffle], values))


RESIZES = [
    ("asymmetric", "floor"),
    ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"),
    ("pytorch_half_pixel", "round_prefer_floor"),
]


@pytest.mark.parametrize("opset", [11, 13, 19])
@pytest.mark.parametrize(("mode", "rounding"), RESIZES)
@pytest.mark.parametrize("shape", [SHAPE, SYMBOLIC], ids=["static", "symbolic"])
def test_resize_by_scales(opset, mode, rounding, shape):
    roi = [""] if opset >= 13 else ["roi"]
    resize = helper.make_node(
        "Resize",
        ["x", *roi, "scales"],
        ["u"],
        mode="nearest",
        coordinate_transformation_mode=mode,
        nearest_mode=rounding,
    )
    values = {"scales": np.float32([1, 1, 2, 3]), **tensors(w=(5, 4, 3, 3), b=5)}
    if opset < 13:
        values["roi"] = np.float32([])
    check(onnx_model([resize, conv("u", "y")], values, shape, opset))


OLD_FORMS = {
    "Upsample 7": (7, {"mode": "nearest", "scales": [1.0, 1.0, 2.0, 3.0]}, None),
    "Upsample 9": (9, {"mode": "nearest"}, np.float32([1, 1, 2, 3])),
    "Upsample 9, without mode": (9, {}, np.float32([1, 1, 2, 3])),
    "Resize 10": (10, {"mode": "nearest"}, np.float32([1, 1, 3, 2])),
}


@pytest.mark.parametrize("form", OLD_FORMS)
@pytest.mark.parametrize("shape", [SHAPE, SYMBOLIC], ids=["static", "symbolic"])
def test_resizes_from_before_opset_11_are_rewritten(form, shape):
    opset, attributes, scales = OLD_FORMS[form]
    values = tensors(w=(5, 4, 3, 3), b=5)
    inputs = ["x"]
    if scales is not None:
        inputs, values["scales"] = ["x", "scales"], scales
    resize = helper.make_node(form.split()[0], inputs, ["u"], **attributes)
    model = onnx_model([resize, conv("u", "y")], values, shape, opset)
    check(model)


@pytest.mark.parametrize("is_constant_node", [False, True])
def test_a_free_size_times_a_whole_scale_is_an_integer(is_constant_node):
    scales = numpy_helper.from_array(np.float32([1, 1, 2, 3]), "scales")
    nodes = [helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="linear")]
    if is_constant_node:
        nodes.insert(0, helper.make_node("Constant", [], ["scales"], value=scales))
    values = {} if is_constant_node else {"scales": numpy_helper.to_array(scales)}
    result = load(onnx_model(nodes, values, SYMBOLIC))["main"].ret_ty
    assert "float" not in str(result.shape)


def test_a_fraction_of_a_free_size_compiles():
    """Its size passes through float32, which no schedule can bound."""
    resize = helper.make_node("Resize", ["x", "", "scales"], ["u"], mode="linear")
    strided = helper.make_node("Conv", ["u", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1])
    values = {"scales": np.float32([1, 1, 1.3, 2.5]), **tensors(w=(5, 4, 3, 3))}
    compile(onnx_model([resize, strided], values, SYMBOLIC))


def test_resize_by_sizes():
    attributes = {"mode": "nearest", "nearest_mode": "floor"}
    attributes["coordinate_transformation_mode"] = "asymmetric"
    resize = helper.make_node("Resize", ["x", "", "", "sizes"], ["u"], **attributes)
    values = {"sizes": np.array([1, 4, 20, 18]), **tensors(w=(5, 4, 3, 3), b=5)}
    check(onnx_model([resize, conv("u", "y")], values))


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
@pytest.mark.parametrize("shape", [SHAPE, SYMBOLIC], ids=["static", "symbolic"])
def test_resize_then_pad(mode, shape):
    nodes = [
        helper.make_node(
            "Resize",
            ["x", "", "scales"],
            ["u"],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        helper.make_node("Relu", ["u"], ["a"]),
        helper.make_node("Pad", ["a", "pads"], ["p"], mode=mode),
        conv("p", "y", pads=(0, 0, 0, 0)),
    ]
    values = {
        "scales": np.float32([1, 1, 2, 2]),
        "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        **tensors(w=(5, 4, 3, 3), b=5),
    }
    check(onnx_model(nodes, values, shape))


def test_expand_and_reshape():
    nodes = [
        helper.make_node("Reshape", ["x", "narrow"], ["n"]),
        helper.make_node("Expand", ["n", "wide"], ["e"]),
        helper.make_node("Reshape", ["e", "merge"], ["u"]),
        conv("u", "y"),
    ]
    shapes = {
        "narrow": np.array([1, 4, 5, 1, 6, 1]),
        "wide": np.array([1, 4, 5, 2, 6, 2]),
        "merge": np.array([1, 4, 10, 12]),
    }
    check(onnx_model(nodes, {**shapes, **tensors(w=(5, 4, 3, 3), b=5)}))


def test_tile_and_reshape():
    nodes = [
        helper.make_node("Reshape", ["x", "narrow"], ["n"]),
        helper.make_node("Tile", ["n", "counts"], ["e"]),
        helper.make_node("Reshape", ["e", "merge"], ["u"]),
        conv("u", "y"),
    ]
    shapes = {
        "narrow": np.array([1, 4, 5, 1, 6, 1]),
        "counts": np.array([1, 1, 1, 2, 1, 2]),
        "merge": np.array([1, 4, 10, 12]),
    }
    check(onnx_model(nodes, {**shapes, **tensors(w=(5, 4, 3, 3), b=5)}))


def test_a_padding_that_stays_next_to_a_rewritten_layer_still_compiles():
    nodes = [
        helper.make_node("Pad", ["x", "pads"], ["p"], mode="reflect"),
        helper.make_node("Clip", ["p", "low"], ["q"]),
        conv("q", "c", pads=(0, 0, 0, 0)),
        helper.make_node("DepthToSpace", ["c"], ["y"], blocksize=2),
    ]
    values = tensors(w=(8, 4, 3, 3), b=8)
    values |= {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "low": np.array(-0.5, "float32")}
    check(onnx_model(nodes, values, SYMBOLIC))
