"""The node tests that ship inside the onnx package, from import to execution."""

from __future__ import annotations

import importlib

import numpy as np
import onnx
import pytest
import tvm
from onnx import numpy_helper
from onnx.backend.test.case import node
from quick_network import compiled

from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load

# Importing a module of onnx makes its cases, with results that NumPy computes: all of them would
# take each process that collects tests ten seconds.
OPERATORS = (
    "attention",
    "bitshift",
    "convtranspose",
    "depthtospace",
    "mod",
    "nonmaxsuppression",
    "resize",
    "rmsnormalization",
    "rotaryembedding",
    "softmax_cross_entropy_loss",
    "swiglu",
    "upsample",
)
for operator in OPERATORS:
    importlib.import_module(f"onnx.backend.test.case.node.{operator}")
ALL = {case.name: case for case in node._NodeTestCases}

CASES = [
    name
    for name in ALL
    if name.startswith(
        (
            "test_bitshift_left_int",
            "test_bitshift_right_int",
            "test_convtranspose",
            "test_depthtospace",
            "test_mod_",
            "test_nonmaxsuppression_iou_threshold_boundary",
            "test_rms_normalization_2d_axis0",
            "test_upsample_nearest",
        )
    )
    or (name.startswith("test_resize") and "nearest" in name)
]


def bound(name: str) -> onnx.ModelProto:
    """The case's model with everything but its first input as a constant."""
    case = ALL[name]
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    values = case.data_sets[0][0]
    for value, info in list(zip(values, case.model.graph.input, strict=True))[1:]:
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), info.name))
    del model.graph.input[1:]
    return model


def run(model: onnx.ModelProto, *inputs: np.ndarray) -> np.ndarray:
    return compiled(model)(*(tvm.runtime.tensor(np.asarray(x)) for x in inputs)).numpy()


def test_there_are_cases_of_every_kind():
    assert len(CASES) >= 30


@pytest.mark.parametrize("name", CASES)
def test_a_node_test_of_onnx_passes(name):
    inputs, (expected,) = ALL[name].data_sets[0]
    np.testing.assert_allclose(run(bound(name), inputs[0]), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "test_attention_4d",
        "test_attention_4d_gqa_causal",
        "test_attention_3d_attn_mask",
        "test_attention_4d_diff_heads_mask4d_padded_kv",  # leaves inputs out
        "test_attention_causal_boolmask_nan_robustness",  # a row of nothing but -inf
        "test_sce_mean",
        "test_swiglu",
    ],
)
def test_an_operator_that_the_standard_defines_by_others_passes(name):
    (expected,) = ALL[name].data_sets[0][1]
    got = run(bound(name), ALL[name].data_sets[0][0][0])
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_what_is_refused_inside_of_a_definition_is_named_by_the_node_of_the_model():
    """The tables of sines turn 8 numbers, not 10."""
    model = onnx.ModelProto()
    model.CopyFrom(ALL["test_rotary_embedding"].model)
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 10
    with pytest.raises(ModelError, match=r"Mul 'output/RotaryEmbedding' .* Incompatible"):
        load(model)


def test_what_is_left_of_numbers_that_are_all_turned_is_a_tensor_without_elements():
    inputs, (expected,) = ALL["test_rotary_embedding"].data_sets[0]
    got = run(ALL["test_rotary_embedding"].model, *inputs)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in CASES if n.startswith("test_convtranspose")])
def test_a_transposed_convolution_whose_weights_are_an_input_passes(name):
    inputs, (expected,) = ALL[name].data_sets[0]
    got = run(ALL[name].model, *inputs)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)
