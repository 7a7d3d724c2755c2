"""``--all-ops``: functions that no template covers, tuned by MetaSchedule's own rules."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import tvm
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime
from tvm import relax, s_tir
from tvm.s_tir.meta_schedule.arg_info import ArgInfo
from tvm.s_tir.meta_schedule.database import JSONDatabase, TuningRecord

import tvm_deconv
from tvm_deconv.compiler import before_schedules
from tvm_deconv.logs.apply import _apply, apply_ops
from tvm_deconv.logs.find import resolve_log
from tvm_deconv.logs.functions import RECORDS, WORKLOADS
from tvm_deconv.options import Options
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
    main = relax.VirtualMachine(executable, tvm.cpu())["main"]
    assert_same_as_onnx_runtime(model, x, main=main, of_largest=1e-5)

    # Whoever scheduled it: a NaN goes through a maximum.
    x[0, 2, 7, 9] = np.nan
    nan = [
        np.isnan(relax.VirtualMachine(one, tvm.cpu())["main"](tvm.runtime.tensor(x)).numpy())
        for one in (executable, tvm_deconv.compile(model, threads=1, log=None))
    ]
    assert nan[0].any()
    np.testing.assert_array_equal(*nan)

    # A function that had its final is left alone.
    driver.tune(model, all_ops=True, **options)
    assert (report.folder / "trials.jsonl").read_text().splitlines() == lines


def test_a_schedule_out_of_a_log_keeps_nan_and_is_not_misread(tmp_path):
    """LLVM misreads ``constant[i % 4]`` in a loop, and TVM's maximum loses NaN."""
    net, target = Net((1, 16, 4, 6)), resolve_target("host")
    added = net("Add", "x", net.constant(16, 1, 1))
    shuffled = net("DepthToSpace", added, blocksize=4, mode="CRD")
    pooled = net("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2])
    path = str(tmp_path / "model.onnx")
    onnx.save(net.model(shuffled, pooled), path)
    database = JSONDatabase(str(tmp_path / WORKLOADS), str(tmp_path / RECORDS))
    for task in op_tasks_of(path, None, target):
        schedule = s_tir.Schedule(task.mod)
        name = "pool_max" if "pool" in task.name else "shuffle"
        schedule.parallel(schedule.get_loops(schedule.get_sblock(name))[1])
        arguments = ArgInfo.from_entry_func(task.mod, remove_preproc=False)
        workload = database.commit_workload(task.mod)
        database.commit_tuning_record(
            TuningRecord(schedule.trace, workload, [1e-9], target, arguments)
        )
    passes = before_schedules(target, Options(log=None))
    passes.append(_apply(SimpleNamespace(path=tmp_path), target))
    with target:
        mod = tvm.transform.Sequential(passes)(tvm_deconv.importer.load(path))
    by_name = {name.name_hint: func.script() for name, func in mod.functions_items()}
    assert "T.parallel" in by_name["max_pool2d"], "the record is the log's"
    assert "T.Select(T.fabs" in by_name["max_pool2d"] or "llvm.maximum" in by_name["max_pool2d"]
    assert "i3_p, i3_q" in by_name["fused_add_shuffle"]
