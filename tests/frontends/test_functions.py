"""Functions of floats keep their digits: relative errors against float64 over wide ranges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import tvm
from onnx import TensorProto, helper, numpy_helper
from quick_network import compiled
from torch.nn import functional as F

# Exponents of ten of what they are asked for: 1e-8 to 80, with both signs.
_SIZES = 10 ** np.random.default_rng(0).uniform(-8, 1.9, 2048)
X = np.concatenate([_SIZES, -_SIZES]).astype("float32").reshape(4, 1024)
BELOW = np.ascontiguousarray(X[2:])
INSIDE = X[np.abs(X) < 1][:2560].reshape(4, 640)

# A few units in the last place of float32, 1.2e-7.
LIMIT = 5e-7


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(x))


SELU = 1.67326319217681884765625, 1.05070102214813232421875
ONNX = [
    ("Softplus", X, softplus, {}),
    ("Mish", X, lambda x: x * np.tanh(softplus(x)), {}),
    ("Elu", X, lambda x: elu(x, float(np.float32(0.3))), {"alpha": 0.3}),
    ("Selu", X, lambda x: SELU[1] * elu(x, SELU[0]), {}),
    ("Celu", X, lambda x: np.where(x > 0, x, 2 * np.expm1(x / 2)), {"alpha": 2.0}),
    ("Celu", BELOW, lambda x: -2 * np.expm1(x / -2), {"alpha": -2.0}),
    ("Sinh", X, np.sinh, {}),
    ("Cosh", X, np.cosh, {}),
    ("Asinh", X, np.arcsinh, {}),
    ("Atanh", INSIDE, np.arctanh, {}),
    ("Tanh", X, np.tanh, {}),
    ("Sigmoid", X, lambda x: 1 / (1 + np.exp(-x)), {}),
]


def run(node, x, weights=()):
    infos = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
    ]
    nodes = node if isinstance(node, list) else [node]
    graph = helper.make_graph(nodes, "function", infos[:1], infos[1:], list(weights))
    opsets = [helper.make_opsetid("", 22)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return compiled(model)(tvm.runtime.tensor(x)).numpy()


def check(got, expected):
    seen = (np.abs(expected) > 1e-35) & (np.abs(expected) < 1e38)
    assert seen.mean() > 0.9
    np.testing.assert_allclose(got[seen], expected[seen], rtol=LIMIT)


@pytest.mark.parametrize(("name", "x", "exact", "options"), ONNX, ids=lambda v: str(v)[:12])
def test_an_onnx_function_keeps_its_digits(name, x, exact, options):
    got = run(helper.make_node(name, ["x"], ["y"], **options), x)
    with np.errstate(over="ignore"):
        check(got, exact(x.astype("float64")))


@pytest.mark.parametrize("name", ["Softplus", "Elu"])
def test_it_does_so_in_the_store_of_a_convolution(name):
    """A convolution by the identity, so that its sums are exact."""
    x = np.ascontiguousarray(X.reshape(1, 4, 32, 32))
    weight = numpy_helper.from_array(np.eye(4, dtype="float32").reshape(4, 4, 1, 1), "w")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node(name, ["c"], ["y"]),
    ]
    exact = {"Softplus": softplus, "Elu": elu}[name]
    check(run(nodes, x, [weight]), exact(x.astype("float64")))


@pytest.mark.parametrize(("name", "exact"), [("Sinh", np.sinh), ("Cosh", np.cosh)])
def test_it_is_finite_wherever_the_result_is(name, exact):
    """exp(89) is infinite in float32, half of it is not; and zeros keep their signs."""
    x = np.float32([[0.0, -0.0, 1e-38, -1e-38, 88.0, -88.0, 89.0, -89.0, 90.0, -90.0, np.inf]])
    got = run(helper.make_node(name, ["x"], ["y"]), x)
    with np.errstate(over="ignore"):
        expected = exact(x.astype("float64")).astype("float32")
    np.testing.assert_allclose(got, expected, rtol=LIMIT)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(expected))


@pytest.mark.parametrize(
    ("operator", "exact"),
    [("Tanh", np.tanh), ("Mish", lambda x: x * np.tanh(softplus(x)))],
)
def test_a_hyperbolic_tangent_of_float64_keeps_its_digits_near_0(operator, exact):
    x = np.append(X.astype("float64"), [[-0.0, 1e-15, np.inf, -40]])[None]
    infos = [
        helper.make_tensor_value_info("x", TensorProto.DOUBLE, x.shape),
        helper.make_tensor_value_info("y", TensorProto.DOUBLE, None),
    ]
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"])], "function", infos[:1], infos[1:]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    got = compiled(model)(tvm.runtime.tensor(x)).numpy()
    np.testing.assert_allclose(got, exact(x), rtol=2e-15)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(exact(x)))


TORCH = {
    "F.softplus(x)": lambda x: F.softplus(x),
    "F.softplus(x, beta=2.0, threshold=5.0)": lambda x: F.softplus(x, beta=2.0, threshold=5.0),
    "F.mish(x)": lambda x: F.mish(x),
    "F.elu(x, 0.5)": lambda x: F.elu(x, 0.5),
    "F.celu(x, 2.0)": lambda x: F.celu(x, 2.0),
    "F.celu(x, -20.0)": lambda x: F.celu(x, -20.0),
    "F.logsigmoid(x)": lambda x: F.logsigmoid(x),
    "torch.expm1(x)": lambda x: torch.expm1(x),
    "torch.sinh(x)": lambda x: torch.sinh(x),
    "torch.asinh(x)": lambda x: torch.asinh(x),
    "torch.atanh(x / 128)": lambda x: torch.atanh(x / 128),
    "torch.log1p(x.abs())": lambda x: torch.log1p(x.abs()),
    "torch.logaddexp(x, -x)": lambda x: torch.logaddexp(x, -x),
}


class Functions(torch.nn.Module):
    def forward(self, x):
        return [function(x) for function in TORCH.values()]


@pytest.fixture(scope="module")
def results():
    module, x = Functions(), torch.from_numpy(X)
    got = compiled(torch.export.export(module, (x,)))(tvm.runtime.tensor(X))
    return [each.numpy() for each in got], [each.numpy() for each in module(x.double())]


@pytest.mark.parametrize("number", range(len(TORCH)), ids=list(TORCH))
def test_a_torch_function_keeps_its_digits(number, results):
    got, expected = (each[number] for each in results)
    seen = (np.abs(expected) > 1e-35) & (np.abs(expected) < 1e38)
    np.testing.assert_allclose(got[seen], expected[seen], rtol=LIMIT)
