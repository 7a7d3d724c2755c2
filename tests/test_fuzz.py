"""The generator of random models: that it notices every fault, and some of its cases."""

from __future__ import annotations

import numpy as np
import pytest
from fuzz import cases
from fuzz.__main__ import run_cases
from fuzz.choices import Choices, choices_of
from fuzz.pool import Worker
from fuzz.reference import normalised_opinion, second_opinion, standard_opinion
from fuzz.report import Report
from fuzz.runtimes import run_onnxruntime, run_reference
from fuzz.shrink import shrink
from onnx import TensorProto, helper, numpy_helper

SEED, CASES = 0, 120


@pytest.fixture(scope="module")
def worker():
    one = Worker("fuzz.take_faults")
    yield one
    one.close()


def test_the_same_choices_make_the_same_case():
    drawn = choices_of(3, 11)
    family = cases.family_of(3, 11)
    first = cases.make(family, drawn)
    again = cases.make(family, Choices(given=drawn.taken))
    assert again.text() == first.text()


@pytest.mark.parametrize("family", cases.FAMILIES)
def test_choices_that_are_all_zero_make_a_case(family):
    assert cases.make(family, Choices()).text()


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("abort", "abort", "SIGABRT"),
        ("hang", "hang", "hangs in step compile"),
        ("memory", "broken", "MemoryError"),
        ("wrong", "wrong", "shape"),
    ],
)
def test_a_process_that_fails_is_noticed_and_replaced(worker, fault, kind, words):
    found = worker.run({"family": fault, "seed": 0, "index": 0}, 1.0)
    assert (found.outcome.kind, words in found.outcome.message) == (kind, True), found
    assert worker.run({"family": fault, "choices": []}).outcome.kind == "ok"


def test_a_case_that_fails_is_made_as_small_as_it_gets(worker):
    def attempt(choices):
        return worker.run({"family": "wrong", "choices": choices})

    first = attempt([70, 1, 31, 1, 5, 1, 99])
    assert first.outcome.kind == "wrong"
    assert shrink(first, attempt).choices == [1, 0]


def test_random_models_are_right_or_refused():
    report = Report(SEED)
    # One process: others of the tests have the other processor.
    run_cases(report, range(CASES), processes=1)
    assert len(report.results) == CASES
    failed = report.failures()
    assert not failed, "\n".join(
        [*report.lines(), f'again: make fuzz ARGS="--seed {SEED} --case {failed[0]}"']
    )


SCRATCH = """
import numpy as np
import tvm
from fuzz.memory import Guarded, spoil
from tvm.script import tirx as T

@T.prim_func
def idle(y: T.Buffer((4, 4096), 'float32')):
    for i in T.parallel(4):
        scratch = T.alloc_buffer((4096,), 'float32', scope='global')
        scratch[0] = T.float32(0)
        for j in range(4096):
            y[i, j] = scratch[j]

module = tvm.compile(tvm.IRModule({'main': idle}), target='llvm')
result = Guarded(np.zeros((4, 4096), 'float32'))
spoil()
module['main'](result.tensor)
assert np.isnan(result.values()[:, 1:]).all()
assert result.damage(written=True) is None
assert result.damage() == 'an input was written to'
"""


def test_scratch_that_nobody_wrote_is_not_a_number_in_any_thread(tmp_path, forks):
    # In a process of its own: what ran in this one before has left scratch of other sizes.
    script = tmp_path / "scratch.py"
    script.write_text(SCRATCH)
    done = forks.run("import runpy, sys; runpy.run_path(sys.argv[1])", script)
    assert done.returncode == 0, done.stderr


def test_of_two_resizes_only_the_one_that_onnxruntime_copies_is_judged_by_the_standard():
    """onnx.reference has aligned corners meet at 2.5 * 6 = 15 - 1, but at 2.5 * 7 = 17.5 - 1."""
    roi = np.float32([0, 0, 0.1, 0.2, 1, 1, 0.8, 0.9])
    tensors = {"roi": roi, "same": np.int64([1, 2, 7, 6]), "larger": np.float32([1, 1, 2.5, 2.5])}
    crop = helper.make_node(
        *("Resize", ["x", "roi", "", "same"], ["crop"]),
        coordinate_transformation_mode="tf_crop_and_resize",
    )
    align = helper.make_node(
        *("Resize", ["crop", "", "larger"], ["y"]),
        coordinate_transformation_mode="align_corners",
        mode="linear",
    )

    def model(*nodes, result):
        return helper.make_model(
            helper.make_graph(
                nodes,
                "resizes",
                [helper.make_tensor_value_info(nodes[0].input[0], TensorProto.FLOAT, [1, 2, 7, 6])],
                [helper.make_empty_tensor_value_info(result)],
                [numpy_helper.from_array(array, name) for name, array in tensors.items()],
            ),
            opset_imports=[helper.make_opsetid("", 13)],
            ir_version=8,
        )

    x = np.random.default_rng(0).standard_normal((1, 2, 7, 6), np.float32)
    (cropped,) = run_reference(model(crop, result="crop"), {"x": x})
    (want,) = run_onnxruntime(model(align, result="y"), {"crop": cropped})
    (found,) = standard_opinion(model(crop, align, result="y"), {"x": x})
    np.testing.assert_array_equal(found, want)
    assert np.abs(cropped - x).max() > 1  # which ONNX Runtime would have given


def test_of_a_map_of_one_element_the_normalised_opinion_is_its_bias():
    scale, bias = np.float32([-4.33, 1.47]), np.float32([3.14, -2.62])
    node = helper.make_node("InstanceNormalization", ["x", "scale", "bias"], ["y"])
    model = helper.make_model(
        helper.make_graph(
            [node],
            "norm",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 1, 1])],
            [helper.make_empty_tensor_value_info("y")],
            [numpy_helper.from_array(scale, "scale"), numpy_helper.from_array(bias, "bias")],
        ),
        opset_imports=[helper.make_opsetid("", 15)],
        ir_version=8,
    )
    x = np.float32([3.7, 2.9]).reshape(1, 2, 1, 1)
    (found,) = normalised_opinion(model, {"x": x})
    np.testing.assert_array_equal(found.ravel(), bias)


def test_the_second_opinion_reads_sparse_weights_of_double():
    x, y = (helper.make_tensor_value_info(name, TensorProto.DOUBLE, (2, 3)) for name in "xy")
    values = numpy_helper.from_array(np.array([2.5]), "w")
    places = numpy_helper.from_array(np.array([4], "int64"), "places")
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [x], [y])
    graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, (2, 3)))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (found,) = second_opinion(model, {"x": np.ones((2, 3))})
    np.testing.assert_array_equal(found, [[1, 1, 1], [1, 3.5, 1]])
