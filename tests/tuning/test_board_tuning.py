"""The whole workflow for a board: tune through tracker and runner, find the log, compile, run."""

from __future__ import annotations

import gc
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import tvm
from tvm import relax, rpc

import tvm_deconv
from tvm_deconv.cli import main
from tvm_deconv.workloads.spec import LayerSpec
from tvm_deconv.workloads.workload import layer_workload

pytestmark = pytest.mark.board

PI = "raspberry-pi/4b-aarch64"
SPEC = LayerSpec("nearest", 6, 9, 3, 11, 14, factor=2, padding=1, activation="relu")


def test_a_layer_is_tuned_on_the_board_and_compiled_from_the_log(
    board, tmp_path, monkeypatch, capsys, quick
):
    monkeypatch.setenv("TVM_DECONV_LOGS", str(tmp_path / "logs"))
    model, library = tmp_path / "layer.onnx", tmp_path / "layer.so"
    onnx.save(layer_workload("layer", "a test", SPEC).model(), model)
    wanted = ["--target", PI, "--threads", str(board.threads)]
    where = ["--tracker", f"{board.host}:{board.port}", "--key", board.key]
    assert main(["tune", str(model), *wanted, *where, "--trials", "8"]) == 0
    assert "times as fast as the default" in capsys.readouterr().out

    (folder,) = (tmp_path / "logs").glob("*/tvm-*")
    trials = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    assert all(trial["ms"] for trial in trials)
    assert sum(trial["stage"] != "final" for trial in trials) == 8
    header = json.loads((folder / "device.json").read_text())
    assert header["threads"] == board.threads
    assert board.key in header["description"]

    threads = {"threads": board.threads}
    assert "tuning log" in str(tvm_deconv.explain(str(model), target=PI, **threads))
    # Nor is it used for another processor, whatever log of that is shipped.
    here = str(tvm_deconv.explain(str(model), threads=61))
    assert "no tuning log for this target" in here
    assert "cortex-a72" in here
    assert main(["compile", str(model), "-o", str(library), *wanted]) == 0

    session = rpc.connect_tracker(board.host, board.port).request(board.key, session_timeout=60)
    session.upload(bytearray(library.read_bytes()), library.name)
    vm = relax.VirtualMachine(session.load_module(library.name), session.cpu())
    x = np.random.default_rng(0).standard_normal(SPEC.input_shape).astype("float32")
    y = vm["main"](tvm.runtime.tensor(x, session.cpu())).numpy()
    (expected,) = onnxruntime.InferenceSession(model).run(None, {"x": x})
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    del vm, session
    gc.collect()
