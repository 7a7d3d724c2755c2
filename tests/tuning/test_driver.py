"""Tuning from end to end, on this machine's own RPC server: real kernels, real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from functools import partial

import onnx
import pytest
import tvm
from onnx_runtime import assert_same_as_onnx_runtime
from tvm import relax

import tvm_deconv
from tvm_deconv.cli import main
from tvm_deconv.errors import DeviceError, TuningError
from tvm_deconv.logs.folder import LogFolder
from tvm_deconv.tuning import driver
from tvm_deconv.tuning.device import local_device
from tvm_deconv.workloads.spec import LayerSpec
from tvm_deconv.workloads.workload import layer_workload

SPEC = LayerSpec("subpixel", 8, 5, 3, 12, 17, factor=2, padding=1, activation="relu")
THREADS = 1


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "layer.onnx"
    onnx.save(layer_workload("layer", "a test", SPEC).model(), path)
    return str(path)


def tune(model, folder, trials, **options):
    lines = []
    report = driver.tune(
        model, threads=THREADS, trials=trials, logs=folder, report=lines.append, **options
    )
    return report, lines


def lines_of(folder):
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]


def trials_in(report):
    return lines_of(report.folder)


def test_a_tuned_layer_is_compiled_from_its_log_and_computes_the_same(model, tmp_path, quick):
    report, lines = tune(model, tmp_path, 8)
    (outcome,) = report.outcomes
    assert not report.interrupted
    assert outcome.trials == 8
    assert outcome.failures == 0
    assert outcome.best <= outcome.default
    assert any("GFLOP/s" in line and "of peak" in line and "to go" in line for line in lines)
    assert not list(tmp_path.rglob("*.so"))

    trials = trials_in(report)
    stages = [trial["stage"] for trial in trials]
    assert stages[:7] == ["default"] * 7
    assert stages[7:8] == ["search"]
    assert set(stages[8:]) == {"final"}
    assert all(len(trial["ms"]) >= 5 for trial in trials)

    explained = str(tvm_deconv.explain(model, threads=THREADS, log=tmp_path))
    assert re.search(r"tuning log .*: .* ms", explained)
    executable = tvm_deconv.compile(model, threads=THREADS, log=tmp_path)
    main = relax.VirtualMachine(executable, tvm.cpu())["main"]
    assert_same_as_onnx_runtime(model, SPEC.input_shape, main=main, of_largest=1e-5)


# `python -m tvm_deconv` with one process that builds: each imports TVM.
ONE_BUILDER = """
import runpy
from tvm_deconv.tuning import driver
driver.available_processors = lambda: 1
runpy.run_module("tvm_deconv", run_name="__main__")
"""


def test_ctrl_c_keeps_everything_and_the_same_command_goes_on(model, tmp_path, quick, capsys):
    command = ["tune", model, "--threads", "1", "--logs", str(tmp_path), "--trials"]
    with subprocess.Popen(
        [sys.executable, "-c", ONE_BUILDER, *command, "200"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        said = []
        for line in process.stdout:
            said.append(line)
            # As a terminal does: to all processes of the group, and more than once.
            if re.match(r"\s+7/200", line):
                os.killpg(process.pid, signal.SIGINT)
        status = process.wait(60)
    assert status == 130, "".join(said)
    assert "interrupted: run the same command again" in "".join(said)
    assert "Traceback" not in "".join(said)
    (folder,) = tmp_path.glob("*/tvm-*")
    kept = (folder / "trials.jsonl").read_text().splitlines()
    assert 7 <= len(kept) < 200
    assert main([*command, str(len(kept))]) == 0, capsys.readouterr().err
    lines = (folder / "trials.jsonl").read_text().splitlines()
    assert lines[: len(kept)] == kept
    assert all(json.loads(line)["ms"] for line in kept)
    assert all(json.loads(line)["stage"] == "final" for line in lines[len(kept) :])
    assert LogFolder.open(folder).layers


def test_a_tracker_that_is_gone_ends_tuning_with_an_error_and_keeps_the_log(
    model, tmp_path, monkeypatch, quick
):
    monkeypatch.setattr(driver, "make_runner", partial(driver.make_runner, grace_s=1))
    with ExitStack() as stack:
        device = stack.enter_context(local_device(THREADS))

        def cut(line):
            if line.lstrip().startswith("7/"):
                stack.close()

        with pytest.raises(DeviceError, match=str(device.port)):
            driver.tune(
                model,
                threads=THREADS,
                tracker=f"{device.host}:{device.port}",
                key=device.key,
                trials=8,
                logs=tmp_path,
                report=cut,
            )
    (folder,) = tmp_path.glob("*/tvm-*")
    # The candidate with which it was lost is not tried again.
    statuses = [trial.get("status", "ok") for trial in lines_of(folder)]
    assert statuses == ["ok"] * 7 + ["device"]
    assert "key local" in json.loads((folder / "device.json").read_text())["description"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"tracker": "127.0.0.1:9190"}, "needs the key"),
        ({"key": "rpi4"}, "needs the tracker"),
        ({"tracker": "9190", "key": "rpi4"}, "not of the form HOST:PORT"),
        ({"tracker": "127.0.0.1:1", "key": "rpi4"}, "127.0.0.1:1"),
        ({"target": "raspberry-pi/4b-aarch64"}, "this machine is not a cortex-a72"),
    ],
)
def test_what_cannot_be_reached_is_refused_before_any_work(model, tmp_path, options, reason):
    with pytest.raises(TuningError, match=re.escape(reason)) as raised:
        driver.tune(model, **{"logs": tmp_path, "trials": 8, **options})
    # Of a device that is not there, but of nothing that is only said wrongly.
    assert raised.value.exit_status == (3 if reason == "127.0.0.1:1" else 2)
    assert not list(tmp_path.iterdir())


def test_a_free_size_is_refused(tmp_path):
    proto = layer_workload("layer", "a test", SPEC).model()
    proto.graph.input[0].type.tensor_type.shape.dim[3].dim_param = "width"
    with pytest.raises(TuningError, match=r"a size is free.*--shape"):
        driver.tune(proto, logs=tmp_path)


@pytest.mark.parametrize("given", [[], ["m.onnx", "--workloads", "design"]])
def test_the_command_takes_a_model_or_workloads(given, capsys):
    assert main(["tune", *given]) == 2
    assert "give a model or --workloads" in capsys.readouterr().err


def test_the_command_has_an_exit_status_of_its_own_for_a_device_that_is_not_there(
    model, tmp_path, capsys
):
    arguments = ["tune", model, "--tracker", "127.0.0.1:1", "--key", "k", "--logs", str(tmp_path)]
    assert main(arguments) == 3
    assert capsys.readouterr().err.count("\n") == 1
