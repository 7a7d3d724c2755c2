"""What becomes of ONNX upsampling layers is recognised; ONNX Runtime is the judge."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from onnx_layers import (
    MODELS,
    OLD_FORMS,
    RESIZES,
    SYMBOLIC,
    conv,
    depth_to_space,
    onnx_model,
    resized_and_padded,
    resized_by_scales,
    resized_in_old_form,
    tensors,
)
from relax_helpers import compiled

from tvm_deconv import compile
from tvm_deconv.importer import load
from tvm_deconv.transform import rewrite_upsampling

SHAPE = (1, 4, 5, 6)


def check(model, rewritten=1):
    x = np.random.default_rng(3).standard_normal(SHAPE).astype("float32")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (expected,) = session.run(None, {"x": x})
    new, report = rewrite_upsampling(load(model))
    assert (len(report.rewritten), len(report.refused)) == (rewritten, 0), report
    np.testing.assert_allclose(compiled(new, x), expected, rtol=0, atol=3e-6)
    return new


@pytest.mark.parametrize("name", MODELS)
def test_every_form_of_a_layer_with_fixed_sizes_is_rewritten(name):
    check(MODELS[name]())


@pytest.mark.parametrize("opset", [11, 13, 18, 21])
@pytest.mark.parametrize("mode", ["CRD", "DCR"])
def test_depth_to_space_of_free_sizes(opset, mode):
    check(depth_to_space(opset, mode, SYMBOLIC))


@pytest.mark.parametrize("opset", [11, 13, 19])
@pytest.mark.parametrize(("mode", "rounding"), RESIZES)
def test_resize_of_free_sizes_by_scales(opset, mode, rounding):
    check(resized_by_scales(opset, mode, rounding, SYMBOLIC))


@pytest.mark.parametrize("form", OLD_FORMS)
def test_resizes_of_free_sizes_from_before_opset_11_are_rewritten(form):
    check(resized_in_old_form(form, SYMBOLIC))


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_resize_of_free_sizes_then_pad(mode):
    check(resized_and_padded(mode, SYMBOLIC))


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
