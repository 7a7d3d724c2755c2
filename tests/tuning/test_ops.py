"""``--all-ops``: functions that no template covers, tuned by MetaSchedule's own rules."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import tvm
from onnx_net import Net
from tvm import relax

import tvm_deconv
from tvm_deconv.logs.apply import apply_ops
from tvm_deconv.logs.find import resolve_log
from tvm_deconv.targets import resolve_target
from tvm_deconv.tuning import driver
from tvm_deconv.tuning.ops import DEFAULT, METASCHEDULE
from tvm_deconv.tuning.tasks import op_tasks_of

SHAPE = (1, 6, 20, 26)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    net = Net(SHAPE)
    pooled = net("MaxPool", net.conv("x", 6, 8), kernel_shape=[3, 3], strides=[2, 2])
    path = tmp_path_factory.mktemp("model") / "pool.onnx"
    onnx.save(net.model(pooled), path)
    return str(path)


def test_the_functions_without_a_template_are_found_once(model):
    (task,) = op_tasks_of(model, None, resolve_target("host"))
    (again,) = op_tasks_of(model, None, resolve_target("host"))
    assert "pool" in task.name
    assert task.digest == again.digest


def test_a_function_gets_the_faster_of_metaschedules_best_and_our_default(model, tmp_path, quick):
    options = {"threads": 1, "trials": 2, "logs": tmp_path, "report": lambda line: None}
    report = driver.tune(model, all_ops=True, **options)
    *_, outcome = report.outcomes
    assert "pool" in str(outcome)
    lines = (report.folder / "trials.jsonl").read_text().splitlines()
    trials = [trial for trial in map(json.loads, lines) if "function" in trial]
    assert {t["kernel"] for t in trials if t["stage"] == "final"} == {DEFAULT, METASCHEDULE}
    assert all(trial["ms"] for trial in trials)

    target = resolve_target({**resolve_target("host").export(), "num-cores": 1})
    log, _ = resolve_log(tmp_path, target)
    assert len(apply_ops(log, target)) == (outcome.best < outcome.default)
    executable = tvm_deconv.compile(model, threads=1, log=tmp_path)
    x = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")
    y = relax.VirtualMachine(executable, tvm.cpu())["main"](tvm.runtime.tensor(x)).numpy()
    (expected,) = onnxruntime.InferenceSession(model).run(None, {"x": x})
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5 * np.abs(expected).max())

    # A function that had its final is left alone.
    driver.tune(model, all_ops=True, **options)
    assert (report.folder / "trials.jsonl").read_text().splitlines() == lines
