"""The two programs for Relay: the demo of `make relay`, and the tuner's command."""

from __future__ import annotations

import sys

import numpy as np
import onnx
import pytest
import relay_demo
import relay_models
import relay_tune
from onnx_net import Net
from paths import MODELS, ROOT
from relay_helpers import TARGET

from tvm_deconv.errors import ModelError

ESPCN = MODELS / "espcn_x3.onnx"


def test_the_demo_compares_and_times_a_network_with_and_without_the_rewrite(
    monkeypatch, capsys, tmp_path
):
    net = Net((1, 1, 12, 12))
    model = net.model(net("DepthToSpace", net.conv("luma", 1, 4), blocksize=2))
    model.graph.input[0].name = "luma"
    onnx.save(model, tmp_path / "espcn_x3.onnx")
    monkeypatch.setattr(relay_demo, "MODELS", tmp_path)
    monkeypatch.setattr(
        relay_demo, "rotate", lambda names, turn, rounds: {n: turn(n, 2) for n in names}
    )
    row = relay_demo.measure_network("espcn_x3", 12, TARGET, 1)
    assert "1 rewritten, 0 refused" in capsys.readouterr().out
    name, *_, ratio, difference = row
    assert name == "espcn_x3"
    assert float(ratio) > 0
    assert float(difference) < 1e-5


def test_the_demo_ends_where_a_result_is_not_that_of_onnx_runtime(monkeypatch):
    monkeypatch.setattr(
        relay_demo, "compiled", lambda *_: lambda: np.zeros((1, 1, 36, 36), "float32")
    )
    with pytest.raises(SystemExit, match="espcn_x3 differs from ONNX Runtime"):
        relay_demo.measure_network("espcn_x3", 12, "llvm", 1)


@pytest.mark.parametrize(
    ("path", "shapes", "words"),
    [
        (ROOT / "nothing.onnx", {}, "cannot read .*nothing.onnx: .*No such file"),
        (ESPCN, {}, r"input 'luma' is of free size: give --shape luma=1,3,224,224"),
        (ESPCN, {"x": (1, 1, 9, 9)}, r"has no input 'x'; it has luma"),
    ],
)
def test_what_cannot_be_read_is_one_line(path, shapes, words):
    with pytest.raises(ModelError, match=words) as caught:
        relay_models.read(path, shapes)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_model_is_one_line(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="cannot read"):
        relay_models.read(tmp_path / "x.onnx", {})


def test_an_operator_that_tvm_does_not_know_is_one_line(tmp_path):
    node = onnx.helper.make_node("NoSuchOperator", ["x"], ["y"])
    x, y = (onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1]) for n in "xy")
    onnx.save(
        onnx.helper.make_model(onnx.helper.make_graph([node], "g", [x], [y])), tmp_path / "x.onnx"
    )
    with (
        pytest.warns(UserWarning, match="No Op registered for NoSuchOperator"),
        pytest.raises(ModelError, match=r"TVM cannot import .*NoSuchOperator") as caught,
    ):
        relay_models.read(tmp_path / "x.onnx", {})
    assert "\n" not in str(caught.value)


def test_a_shape_that_is_none_is_refused_as_by_the_other_commands(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["relay_tune", str(ESPCN), "--shape", "luma=1,x"])
    with pytest.raises(SystemExit, match="2"):
        relay_tune.main()
    assert "argument --shape: 'x' is not a positive integer" in capsys.readouterr().err


def test_the_command_prints_one_line_and_ends_with_the_errors_status(monkeypatch, capsys):
    command = ["relay_tune", str(ESPCN), "--shape", "luma=1,1,9,9"]
    monkeypatch.setattr(sys, "argv", [*command, "--tracker", "127.0.0.1:1", "--key", "board"])
    assert relay_tune.main() == 2
    assert capsys.readouterr().err == (
        "relay_tune: TVM_DECONV_LOGS is none: say where the log goes, or unset TVM_DECONV_LOGS\n"
    )
    monkeypatch.setattr(sys, "argv", [*command, "--trials", "0"])
    assert relay_tune.main() == 2
    assert "trials must be at least 1, got 0" in capsys.readouterr().err
