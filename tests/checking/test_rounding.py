"""What rounding alone does is right; anything more, and anything misplaced, is wrong."""

import numpy as np
import pytest
from onnx import numpy_helper
from onnx_net import Net
from quantized_networks import quantized

from tvm_deconv.checking.onnx_subject import OnnxSubject
from tvm_deconv.checking.rounding import compare, is_weight, nearby, part_of_largest

PART = 1e-5


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a.astype("float32") @ b.astype("float32")).astype("float32")


@pytest.mark.parametrize("length", [10, 100_000])
def test_a_sum_in_another_order_is_right_and_one_less_a_term_is_wrong(length):
    random = np.random.default_rng(length)
    a, b = (random.standard_normal((3, length)).astype("float32") for _ in range(2))
    wanted = dot(a, b.T)
    others = [dot(nearby(a, seed), nearby(b, seed + 9).T) for seed in (1, 2)]
    order = random.permutation(length)

    assert not compare(dot(a[:, order], b[:, order].T), wanted, others, PART).problem
    less = compare(dot(a[:, 1:], b[:, 1:].T), wanted, others, PART)
    assert less.problem.endswith("of the elements are off")


def test_an_operator_that_enlarges_errors_may_be_further_off():
    x = np.linspace(1, 2, 50, dtype="float32")
    shift = np.full(50, 1000, "float32")

    def cancelled(x: np.ndarray, shift: np.ndarray) -> np.ndarray:
        return (x + shift) - np.float32(1000)

    wanted = cancelled(x, shift)
    others = [cancelled(nearby(x, seed), nearby(shift, seed)) for seed in (1, 2)]

    assert not compare(x, wanted, others, PART).problem
    assert compare(x, wanted, [], PART).problem


NAN, INF = float("nan"), float("inf")

WRONG = [
    ([1.0, NAN], [1.0, 2.0], "NaN is in other places for 50.0%"),
    ([1.0, INF], [1.0, -INF], "inf is in other places for 50.0%"),
    ([1.0, 2.0, 3.0], [1.0, 2.0], "its shape is (3,), expected (2,)"),
    ([1, 2], [1.0, 2.0], "its type is int64, expected float64"),
    ([1, 3], [1, 2], "50.0% of the elements are off"),
]


@pytest.mark.parametrize(("got", "wanted", "words"), WRONG)
def test_what_is_wrong_is_said(got, wanted, words):
    found = compare(np.array(got), np.array(wanted), [], PART)

    assert found.problem.startswith(words)
    assert found.excess > 1 or found.limit == 0


def test_the_same_nan_and_infinities_are_right():
    values = np.array([NAN, INF, -INF, 1.0])

    assert not compare(values.copy(), values, [], PART).problem


def test_an_index_may_be_another_only_where_rounding_makes_it_another():
    wanted, got = np.array([3, 5]), np.array([3, 6])

    assert compare(got, wanted, [wanted], PART).problem
    assert not compare(got, wanted, [np.array([3, 6])], PART).problem


def test_values_nearby_are_one_rounding_error_off_and_integers_stay():
    values = np.linspace(-3, 3, 100, dtype="float16")
    moved = nearby(values, 0)

    assert moved.dtype == values.dtype and (moved != values).any()
    spacing = np.spacing(np.abs(values).astype("float16")).astype("float64")
    apart = np.abs(moved.astype("float64") - values.astype("float64"))
    assert (apart <= 2 * spacing).all()
    assert nearby(np.arange(5), 0).tolist() == [0, 1, 2, 3, 4]


def test_the_least_precise_type_and_winograd_decide_about_the_rest():
    assert part_of_largest({"float32"}, winograd=False) < part_of_largest({"float32"}, True)
    assert part_of_largest({"float32", "float16"}, True) == part_of_largest({"float16"}, False)
    assert not is_weight(np.ones(4, "float32")) and is_weight(np.ones((2, 2), "float32"))


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_scales_of_quantized_onnx_files_are_moved_but_not_those_of_weights(form, tmp_path):
    # A value in the middle of two integers is a tie, not an error.
    net = Net((1, 3, 16, 16))
    model = quantized(net, net("Relu", net.conv("x", 3, 8)), tmp_path, form)
    subject, x = OnnxSubject.of(model), [net.rng.random(net.shape, np.float32)]
    (wanted,), (other,) = subject.run(x), subject.nearby(0).run(x)
    unit = np.diff(np.unique(wanted)).min()
    apart = np.abs(other - wanted) / unit
    assert 0.5 < apart.max() < 1.5 and (apart > 0.5).mean() < 0.1
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    moved = subject.nearby(0).model.graph.initializer
    scales = [t.name for t in moved if not np.array_equal(numpy_helper.to_array(t), held[t.name])]
    assert scales and all(name.endswith("_scale") for name in scales)
    of_weights = {node.input[1] for node in model.graph.node if node.input[0] in held}
    assert not of_weights & set(scales)
