"""What counts as right: floats by their largest error, 8 bits by the root mean square."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx_net import Net
from quantized_networks import by_onnx_runtime

from tvm_deconv.bench import subjects
from tvm_deconv.bench.subjects import FLOAT, MODEL, drawn_for, spread, subjects_of
from tvm_deconv.errors import BenchError
from tvm_deconv.workloads.selection import ModelFile

SHAPE = (1, 3, 6, 7)


@pytest.fixture
def workload(tmp_path):
    net = Net(SHAPE)
    path = tmp_path / "one.onnx"
    onnx.save(net.model(net.conv("x", 3, 4)), path)
    return ModelFile(path)


def test_the_twin_of_8_bits_is_held_against_its_graph_and_the_floats_against_float64(workload):
    x = np.random.default_rng(0).random(SHAPE, "float32")
    found = subjects_of(workload, x, "int8")
    assert any(node.op_type == "QuantizeLinear" for node in found[MODEL].model.graph.node)
    # Fused to integers, which is something else, and close.
    fused = by_onnx_runtime(found[MODEL].model, x)
    assert spread(fused, found[MODEL].expected) < 1e-3
    assert len(np.unique(found[MODEL].expected)) <= 256
    assert found[FLOAT].expected.dtype == np.float64
    assert subjects_of(workload, x, "float32").keys() == {MODEL}


def test_a_model_that_the_reference_cannot_run_is_refused_in_one_line(workload, monkeypatch):
    def refuse(*_):
        raise RuntimeError("no such mode\nand a page more")

    monkeypatch.setattr(subjects, "float64_result", refuse)
    x = np.zeros(SHAPE, "float32")
    with pytest.raises(BenchError, match=r"^one has no reference in float64: no such mode; leave"):
        subjects_of(workload, x, "float32")


def test_a_file_of_bytes_is_measured_as_it_is(workload, tmp_path):
    x = np.random.default_rng(0).random(SHAPE, "float32")
    twin = subjects_of(workload, x, "int8")[MODEL].model
    (first,) = (node for node in twin.graph.node if node.input[0] == "x")
    name = first.output[0]
    twin.graph.node.remove(first)
    twin.graph.input[0].name = name
    twin.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    onnx.save(twin, tmp_path / "bytes.onnx")
    of_bytes = ModelFile(tmp_path / "bytes.onnx")
    given = drawn_for(of_bytes)
    assert (given.dtype, given.shape) == (np.uint8, SHAPE)
    for dtype in ("float32", "int8"):
        subjects = subjects_of(of_bytes, given, dtype)
        assert subjects.keys() == {MODEL}
        expected = subjects[MODEL].expected
        assert spread(by_onnx_runtime(twin, given, name), expected) < 1e-3


def test_the_spread_is_relative_to_the_largest_value():
    expected = np.array([0.0, -4.0, 2.0, 0.0])
    assert spread(expected + np.array([0.4, 0, 0, -0.4]), expected) == pytest.approx(
        0.4 / np.sqrt(2) / 4
    )
    assert spread(np.full(4, np.nan), expected) == np.inf
    with pytest.raises(ValueError, match=r"shape \(2,\) instead of \(4,\)"):
        spread(expected[:2], expected)
