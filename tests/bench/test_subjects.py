"""What counts as right: floats by their largest error, 8 bits by the root mean square."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_net import Net
from quantized_networks import by_onnx_runtime

from tvm_deconv.bench import subjects
from tvm_deconv.bench.subjects import FLOAT, MODEL, drawn_for, spread, subjects_of
from tvm_deconv.errors import BenchError, ModelError
from tvm_deconv.measure.reference import TOLERANCE
from tvm_deconv.workloads.selection import ModelFile, select

SHAPE = (1, 3, 6, 7)
X = {"x": np.random.default_rng(0).random(SHAPE, "float32")}


@pytest.fixture
def workload(tmp_path):
    net = Net(SHAPE)
    path = tmp_path / "one.onnx"
    onnx.save(net.model(net.conv("x", 3, 4)), path)
    return ModelFile(path)


def test_the_twin_of_8_bits_is_held_against_its_graph_and_the_floats_against_float64(workload):
    found = subjects_of(workload, X, "int8")
    assert any(node.op_type == "QuantizeLinear" for node in found[MODEL].model.graph.node)
    # Fused to integers, which is something else, and close.
    fused = by_onnx_runtime(found[MODEL].model, X["x"])
    assert found[MODEL].error([fused]) < 1e-3
    assert len(np.unique(found[MODEL].expected[0])) <= 256
    assert found[FLOAT].expected[0].dtype == np.float64
    assert subjects_of(workload, X, "float32").keys() == {MODEL}


def test_a_model_that_the_reference_cannot_run_is_refused_in_one_line(workload, monkeypatch):
    def refuse(*_):
        raise RuntimeError("no such mode\nand a page more")

    monkeypatch.setattr(subjects, "float64_results", refuse)
    with pytest.raises(BenchError, match=r"^one has no reference in float64: no such mode; leave"):
        subjects_of(workload, X, "float32")


def test_a_file_of_bytes_is_measured_as_it_is(workload, tmp_path):
    twin = subjects_of(workload, X, "int8")[MODEL].model
    (first,) = (node for node in twin.graph.node if node.input[0] == "x")
    name = first.output[0]
    twin.graph.node.remove(first)
    twin.graph.input[0].name = name
    twin.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    onnx.save(twin, tmp_path / "bytes.onnx")
    of_bytes = ModelFile(tmp_path / "bytes.onnx")
    given = drawn_for(of_bytes)
    assert (given[name].dtype, given[name].shape) == (np.uint8, SHAPE)
    for dtype in ("float32", "int8"):
        subjects = subjects_of(of_bytes, given, dtype)
        assert subjects.keys() == {MODEL}
        assert subjects[MODEL].error([by_onnx_runtime(twin, given[name], name)]) < 1e-3


def test_the_spread_is_relative_to_the_largest_value():
    expected = np.array([0.0, -4.0, 2.0, 0.0])
    assert spread(expected + np.array([0.4, 0, 0, -0.4]), expected) == pytest.approx(
        0.4 / np.sqrt(2) / 4
    )
    assert spread(np.full(4, np.nan), expected) == np.inf
    with pytest.raises(ValueError, match=r"shape \(2,\) instead of \(4,\)"):
        spread(expected[:2], expected)


def several(path, kinds, dims=(1, 2, 3, 4)):
    """A file that adds its inputs and halves the sum: both are outputs."""
    inputs = [
        helper.make_tensor_value_info(f"i{number}", kind, dims) for number, kind in enumerate(kinds)
    ]
    nodes = [
        helper.make_node("Cast", [value.name], [f"c{value.name}"], to=TensorProto.FLOAT)
        for value in inputs
    ]
    nodes.append(helper.make_node("Sum", [f"c{value.name}" for value in inputs], ["sum"]))
    half = helper.make_tensor("half", TensorProto.FLOAT, (), [0.5])
    nodes.append(helper.make_node("Mul", ["sum", "half"], ["halved"]))
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name in ("halved", "sum")
    ]
    graph = helper.make_graph(nodes, "net", inputs, outputs, [half])
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


KINDS = (TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT8, TensorProto.BOOL)


def test_inputs_of_all_types_are_drawn_and_the_worst_output_counts(tmp_path):
    (workload,) = select([str(several(tmp_path / "several.onnx", KINDS))])
    feed = drawn_for(workload)
    dtypes = [str(value.dtype) for value in feed.values()]
    assert dtypes == ["float32", "int64", "int8", "bool"]
    assert set(feed["i1"].ravel()) == {0, 1} and feed["i2"].min() < -9
    subject = subjects_of(workload, feed, "float32")[MODEL]
    total = sum(value.astype("float64") for value in feed.values())
    halved, found = subject.expected
    np.testing.assert_array_equal(found, total)
    np.testing.assert_array_equal(halved, total / 2)
    off = total.copy()
    off[0, 0, 0, 0] += 0.25 * np.abs(total).max()
    for results in ([total / 2, off], [off / 2, total]):
        assert subject.error(results) == pytest.approx(0.25)
    assert subject.error([total / 2, total]) == 0


def test_float16_has_its_own_tolerance(tmp_path):
    path = several(tmp_path / "half.onnx", (TensorProto.FLOAT16,))
    (workload,) = select([str(path)])
    subject = subjects_of(workload, drawn_for(workload), "float32")[MODEL]
    assert subject.tolerance == TOLERANCE["float16"]


@pytest.mark.parametrize(
    ("kind", "dims", "reason"),
    [
        (TensorProto.FLOAT, (1, "h"), r"'i0' of .*\.onnx must be a tensor of a fixed shape"),
        (TensorProto.FLOAT, None, r"'i0' of .*\.onnx must be a tensor of a fixed shape"),
        (TensorProto.STRING, (1, 2), "of ONNX's element type 8: the benchmark takes float32, flo"),
    ],
)
def test_an_input_that_nobody_can_draw_is_refused_before_the_work(kind, dims, reason, tmp_path):
    path = several(tmp_path / "bad.onnx", (kind,), dims)
    with pytest.raises(ModelError, match=reason):
        select([str(path)])
