"""Random quantized networks: that their bounds are narrow and notice one wrong unit."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from fuzz import cases
from fuzz import outcome as kinds
from fuzz.bounds import bounded
from fuzz.choices import choices_of
from fuzz.families.quantized_graphs import QuantizedCase
from fuzz.tflite_quantized_case import MOVES
from onnx import TensorProto, helper, numpy_helper

FAMILY = "onnx-quantized"


def drawn(count):
    """So many cases that ONNX Runtime takes, each with its bounds."""
    made = [cases.make(FAMILY, choices_of(7, index)) for index in range(count)]
    return [(c, bounded(c.model, c.feeds[0])) for c in made if c.model.graph.output[0].name]


def network(nodes, x_type, y_type, **constants):
    """A model of one input ``x`` and one output ``y``."""
    graph = helper.make_graph(
        nodes,
        "ties",
        [helper.make_tensor_value_info("x", x_type, [1, 1, 1, None])],
        [helper.make_tensor_value_info("y", y_type, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.fixture(scope="module")
def networks():
    return drawn(30)


def test_few_elements_are_undecided(networks):
    undecided = sorted(bounds.undecided for _, bounds in networks)
    assert undecided[len(undecided) // 2] < 0.005
    assert np.mean(undecided) < 0.03


def test_one_unit_too_much_is_wrong(networks):
    noticed = Counter()
    for case, bounds in networks:
        found = [array.copy() for array in bounds.arrays]
        if found[0].dtype.kind not in "ui" or bounds.undecided > 0.1:
            continue
        least, most = (end.ravel() for end in bounds.ends[0])
        place = np.flatnonzero((least == most) & (most < np.iinfo(most.dtype).max))
        if place.size:
            found[0].ravel()[place[0]] += 1
            noticed[case._judge(found, bounds, case.feeds[0]).kind] += 1
    assert set(noticed) == {kinds.WRONG}
    assert noticed.total() > 10


def test_a_tie_without_a_sum_is_rounded_to_the_even_one():
    model = network(
        [helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["y"])],
        TensorProto.FLOAT,
        TensorProto.UINT8,
        scale=np.float32(0.5),
        zero=np.uint8(3),
    )
    feed = {"x": np.array([[[[0.25, 0.75, 1.25]]]], "float32")}
    case, bounds = QuantizedCase(model, [feed]), bounded(model, feed)
    assert [array.tolist() for array in bounds.arrays] == [[[[[3, 5, 5]]]]]
    up = [np.array([[[[4, 5, 6]]]], "uint8")]
    assert case._judge(up, bounds, feed).kind == kinds.WRONG


def test_a_tie_of_a_convolution_may_be_either_and_spreads_by_its_weight():
    # 3 * 0.5 is 1.5 steps: 1 or 2; five times that with a scale of 1 is anything from 5 to 10.
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "one"], ["a"]),
        helper.make_node("Conv", ["a", "half"], ["b"]),
        helper.make_node("QuantizeLinear", ["b", "one"], ["c"]),
        helper.make_node("DequantizeLinear", ["c", "one"], ["d"]),
        helper.make_node("Conv", ["d", "five"], ["e"]),
        helper.make_node("QuantizeLinear", ["e", "one"], ["y"]),
    ]
    model = network(
        nodes,
        TensorProto.UINT8,
        TensorProto.UINT8,
        one=np.float32(1),
        half=np.full((1, 1, 1, 1), 0.5, "float32"),
        five=np.full((1, 1, 1, 1), 5.0, "float32"),
    )
    bounds = bounded(model, {"x": np.array([[[[3, 4]]]], "uint8")})
    least, most = bounds.ends[0]
    assert (least.tolist(), most.tolist()) == ([[[[5, 10]]]], [[[[10, 10]]]])


def tflite_cases(count):
    """So many quantised TFLite networks with LiteRT's results."""
    pytest.importorskip("ai_edge_litert", reason="pip install 'tvm-deconv[test]'")
    from tflite_reference import litert

    made = [cases.make("tflite-quantized", choices_of(7, index)) for index in range(count)]
    return [(case, litert(case.file(), [case.x])) for case in made if case.steps]


def test_tflite_networks_may_be_a_unit_off_but_not_along_a_border():
    judged = Counter()
    for case, results in tflite_cases(40):
        assert case._judge(results, results).kind == kinds.OK
        tie, border = ([array.copy() for array in results] for _ in range(2))
        unit = case._unit(case.results[0])
        tie[0].ravel()[0] -= unit if tie[0].ravel()[0] > 0 else -unit
        is_rounded = case.steps[-1].operator not in MOVES
        assert not is_rounded or case._judge(tie, results).kind == kinds.OK
        border[0][:, 0] = results[0].max() - (results[0][:, 0] - results[0].min())
        judged[case._judge(border, results).kind] += 1
    assert judged[kinds.WRONG] > 0.7 * judged.total(), judged
