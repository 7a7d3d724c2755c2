"""Normalisations of a quantized network read and write bytes, one kernel each."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import tvm
from onnx import helper, numpy_helper
from quick_network import compiled
from relax_helpers import kernels

SHAPE = (2, 6, 13, 37)
EPSILON = 1e-3


def network(form: str, dtype: str, scales=(0.02, 0.02)) -> onnx.ModelProto:
    """Bytes of both ``scales`` => normalised over height and width => bytes."""
    kind = np.dtype(dtype)
    zero_point = np.array(np.iinfo(kind).min + 120, kind)
    given = {
        "s": np.float32(scales[0]), "t": np.float32(scales[1]), "z": zero_point,
        "u": np.float32(0.03), "ones": np.ones(6, "float32"), "zeros": np.zeros(6, "float32"),
        "epsilon": np.float32(EPSILON),
    }  # fmt: skip
    node, axes = helper.make_node, {"axes": [2, 3], "keepdims": 1}
    nodes = [node("DequantizeLinear", ["x", "s", "z"], ["a"])]
    if form == "an operator":
        name, operands = "InstanceNormalization", ["a", "ones", "zeros"]
        nodes.append(node(name, operands, ["n"], epsilon=EPSILON))
    else:
        nodes += [
            node("DequantizeLinear", ["x", "t", "z"], ["b"]),
            node("ReduceMean", ["a"], ["mean"], **axes),
            node("Sub", ["b", "mean"], ["centred"]),
            node("Mul", ["centred", "centred"], ["square"]),
            node("ReduceMean", ["square"], ["variance"], **axes),
            node("Add", ["variance", "epsilon"], ["more"]),
            node("Sqrt", ["more"], ["root"]),
            node("Div", ["centred", "root"], ["n"]),
        ]
    nodes.append(node("QuantizeLinear", ["n", "u", "z"], ["y"]))
    one = helper.np_dtype_to_tensor_dtype(kind)
    values = [helper.make_tensor_value_info(name, one, SHAPE) for name in "xy"]
    weights = [numpy_helper.from_array(np.asarray(v), name) for name, v in given.items()]
    graph = helper.make_graph(nodes, "normalised", values[:1], values[1:], weights)
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8)


def expected(x: np.ndarray, scales=(0.02, 0.02)) -> np.ndarray:
    """In float64, less the zero point and before rounding."""
    above = x.astype("float64") - (np.iinfo(x.dtype).min + 120)
    centred = above * scales[1] - (above * scales[0]).mean((2, 3), keepdims=True)
    return centred / np.sqrt(np.square(centred).mean((2, 3), keepdims=True) + EPSILON) / 0.03


def check(model: onnx.ModelProto, dtype: str, scales=(0.02, 0.02)) -> None:
    bounds = np.iinfo(dtype)
    x = np.random.default_rng(1).integers(bounds.min, bounds.max, SHAPE, dtype, endpoint=True)
    got = compiled(model)(tvm.runtime.tensor(x)).numpy()
    value = (expected(x, scales) + (bounds.min + 120)).clip(bounds.min, bounds.max)
    assert got.dtype == x.dtype
    # Half a unit, and what float32 leaves of 100 units.
    assert np.abs(got - value).max() < 0.5 + 1e-3


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("form", ["an operator", "spelled out"])
def test_a_normalisation_of_bytes_is_one_kernel(form, dtype):
    model = network(form, dtype)
    (kernel,) = kernels(model)
    assert kernel.startswith("fused_normalise")
    check(model, dtype)


def test_the_mean_of_another_scale_is_none_of_a_normalisation():
    scales = (0.02, 0.04)
    model = network("spelled out", "uint8", scales)
    assert not [name for name in kernels(model) if "normalise" in name]
    check(model, "uint8", scales)
