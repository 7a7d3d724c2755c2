"""Sums and comparisons of floats keep rounding, NaN and infinities, whatever they read."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import tvm
from onnx import TensorProto, helper
from quick_network import compiled

# The numbers from here on have no fraction in float32: adding it rounds, subtracting it is exact.
ROUNDING = 12582912.0
CASES = {
    "rounded by a number": [("Add", "x", "big", "a"), ("Sub", "a", "big", "y")],
    "rounded by a tensor": [("Add", "x", "z", "a"), ("Sub", "a", "z", "y")],
    "rounded behind relu": [
        *(("Relu", "x", "r"), ("Add", "r", "big", "a"), ("Sub", "a", "big", "y")),
    ],
    "a negative term": [("Sub", "z", "x", "a"), ("Add", "x", "a", "y")],
    "a product less itself": [
        *(("Mul", "x", "z", "a"), ("Mul", "x", "z", "b"), ("Sub", "a", "b", "y")),
    ],
    "nothing added": [("Add", "x", "zero", "a"), ("Equal", "a", "x", "is")],
    "a product twice": [("Mul", "x", "z", "a"), ("Mul", "x", "z", "b"), ("Equal", "a", "b", "is")],
    "relu twice": [("Relu", "x", "a"), ("Relu", "x", "b"), ("LessOrEqual", "a", "b", "is")],
    "a sum undone": [("Add", "x", "z", "a"), ("Sub", "a", "z", "b"), ("Equal", "b", "x", "is")],
    "no difference": [("Sub", "x", "x", "a"), ("Equal", "a", "zero", "is")],
    "less or not": [
        *(("Less", "x", "z", "p"), ("GreaterOrEqual", "x", "z", "q"), ("Or", "p", "q", "is")),
    ],
    "less, more, equal": [
        *(("Less", "x", "z", "p"), ("Greater", "x", "z", "q"), ("Equal", "z", "x", "r")),
        *(("Or", "p", "q", "s"), ("Or", "s", "r", "is")),
    ],
}  # fmt: skip


def model(steps, dims):
    """``y``, or where ``is`` holds x, else 0."""
    nodes = [helper.make_node(kind, inputs, [output]) for kind, *inputs, output in steps]
    if steps[-1][-1] == "is":
        nodes.append(helper.make_node("Where", ["is", "x", "zero"], ["y"]))
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name in "xz"]
    numbers = [
        helper.make_tensor(name, TensorProto.FLOAT, [], [value])
        for name, value in (("big", ROUNDING), ("zero", 0.0))
    ]
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "sums", ports, [result], numbers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("dims", [[2, 3, 40], ["n", 3, "w"]], ids=["fixed", "free"])
@pytest.mark.parametrize("name", CASES)
def test_nothing_cancels(name, dims):
    random = np.random.default_rng(0)
    x, z = (random.standard_normal((2, 3, 40)).astype("float32") * 10 for _ in range(2))
    if name.startswith("rounded by a tensor"):
        z[:] = ROUNDING
    else:
        x.flat[::7], x.flat[1::7], x.flat[2::9] = np.nan, np.inf, -np.inf
        z.flat[::5], z.flat[3::6] = np.nan, x.flat[3::6]
    whole = model(CASES[name], dims)
    session = onnxruntime.InferenceSession(whole.SerializeToString())
    given = {port.name: {"x": x, "z": z}[port.name] for port in session.get_inputs()}
    (expected,) = session.run(None, given)
    got = compiled(whole)(*(tvm.runtime.tensor(array) for array in (x, z)))
    np.testing.assert_array_equal(got.numpy(), expected)
