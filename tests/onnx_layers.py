"""ONNX models of one upsampling layer, in every form that exporters write. No TVM here.

``MODELS`` has one of each form with fixed sizes, under a name that says which.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

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


def depth_to_space(opset, mode, shape=SHAPE):
    shuffle = helper.make_node("DepthToSpace", ["c"], ["y"], blocksize=3, mode=mode)
    return onnx_model([conv("x", "c"), shuffle], tensors(w=(9, 4, 3, 3), b=9), shape, opset)


def depth_to_space_of_opset_9():
    shuffle = helper.make_node("DepthToSpace", ["c"], ["y"], blocksize=2)
    return onnx_model([conv("x", "c"), shuffle], tensors(w=(8, 4, 3, 3), b=8), opset=9)


def reshape_transpose_reshape():
    nodes = [
        conv("x", "c"),
        helper.make_node("Reshape", ["c", "split"], ["s"]),
        helper.make_node("Transpose", ["s"], ["t"], perm=[0, 1, 4, 2, 5, 3]),
        helper.make_node("Reshape", ["t", "merge"], ["y"]),
    ]
    shapes = {"split": np.array([-1, 2, 2, 2, 5, 6]), "merge": np.array([-1, 2, 10, 12])}
    return onnx_model(nodes, {**tensors(w=(8, 4, 3, 3), b=8), **shapes}, opset=9)


# What stands between a convolution and a shuffle: the node, its constants' shapes, the opset.
ACTIVATIONS = [
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
]


def activated(activation, extra, opset):
    shuffle = helper.make_node("DepthToSpace", ["a"], ["y"], blocksize=2)
    values = tensors(w=(8, 4, 3, 3), b=8, **extra)
    if "low" in values:
        values["low"], values["high"] = np.float32(-0.5), np.float32(0.5)
    values = {k: np.asarray(v) for k, v in values.items()}
    return onnx_model([conv("x", "c"), activation, shuffle], values, opset=opset)


def normalised():
    norm = helper.make_node("BatchNormalization", ["c", "g", "s", "m", "v"], ["a"])
    shuffle = helper.make_node("DepthToSpace", ["a"], ["y"], blocksize=2, mode="CRD")
    values = tensors(w=(8, 4, 3, 3), b=8, g=8, s=8, m=8, v=8)
    values["v"] = np.abs(values["v"]) + 0.5
    return onnx_model([conv("x", "c"), norm, shuffle], values)


RESIZES = [
    ("asymmetric", "floor"),
    ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"),
    ("pytorch_half_pixel", "round_prefer_floor"),
]


def resized_by_scales(opset, mode, rounding, shape=SHAPE):
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
    return onnx_model([resize, conv("u", "y")], values, shape, opset)


OLD_FORMS = {
    "Upsample 7": (7, {"mode": "nearest", "scales": [1.0, 1.0, 2.0, 3.0]}, None),
    "Upsample 9": (9, {"mode": "nearest"}, np.float32([1, 1, 2, 3])),
    "Upsample 9, without mode": (9, {}, np.float32([1, 1, 2, 3])),
    "Resize 10": (10, {"mode": "nearest"}, np.float32([1, 1, 3, 2])),
}


def resized_in_old_form(form, shape=SHAPE):
    opset, attributes, scales = OLD_FORMS[form]
    values = tensors(w=(5, 4, 3, 3), b=5)
    inputs = ["x"]
    if scales is not None:
        inputs, values["scales"] = ["x", "scales"], scales
    resize = helper.make_node(form.split()[0], inputs, ["u"], **attributes)
    return onnx_model([resize, conv("u", "y")], values, shape, opset)


def resized_to_sizes():
    attributes = {"mode": "nearest", "nearest_mode": "floor"}
    attributes["coordinate_transformation_mode"] = "asymmetric"
    resize = helper.make_node("Resize", ["x", "", "", "sizes"], ["u"], **attributes)
    values = {"sizes": np.array([1, 4, 20, 18]), **tensors(w=(5, 4, 3, 3), b=5)}
    return onnx_model([resize, conv("u", "y")], values)


def resized_and_padded(mode, shape=SHAPE):
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
    return onnx_model(nodes, values, shape)


def spread(operator):
    """Axes of size 1, repeated by ``Expand`` or ``Tile`` and merged with their neighbours."""
    nodes = [
        helper.make_node("Reshape", ["x", "narrow"], ["n"]),
        helper.make_node(operator, ["n", "wide"], ["e"]),
        helper.make_node("Reshape", ["e", "merge"], ["u"]),
        conv("u", "y"),
    ]
    wide = [1, 4, 5, 2, 6, 2] if operator == "Expand" else [1, 1, 1, 2, 1, 2]
    shapes = {
        "narrow": np.array([1, 4, 5, 1, 6, 1]),
        "wide": np.array(wide),
        "merge": np.array([1, 4, 10, 12]),
    }
    return onnx_model(nodes, {**shapes, **tensors(w=(5, 4, 3, 3), b=5)})


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    **{
        f"DepthToSpace {mode}, opset {opset}": partial(depth_to_space, opset, mode)
        for mode in ("CRD", "DCR")
        for opset in (11, 13, 18, 21)
    },
    "DepthToSpace, opset 9": depth_to_space_of_opset_9,
    "Reshape, Transpose, Reshape": reshape_transpose_reshape,
    **{
        f"{node.op_type} {list(extra.values())}, opset {opset}": partial(
            activated, node, extra, opset
        )
        for node, extra, opset in ACTIVATIONS
    },
    "BatchNormalization": normalised,
    **{
        f"Resize {mode} {rounding}, opset {opset}": partial(
            resized_by_scales, opset, mode, rounding
        )
        for mode, rounding in RESIZES
        for opset in (11, 13, 19)
    },
    **{form: partial(resized_in_old_form, form) for form in OLD_FORMS},
    "Resize to sizes": resized_to_sizes,
    **{
        f"Pad {mode}": partial(resized_and_padded, mode) for mode in ("constant", "reflect", "edge")
    },
    "Expand": partial(spread, "Expand"),
    "Tile": partial(spread, "Tile"),
}
