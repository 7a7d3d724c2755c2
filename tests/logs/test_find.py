"""Which tuning logs are found for a target, which are refused and why, and what compile does."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import onnx
import pytest
import tvm
from log_helper import HOST, LAYER, OTHER, PI, candidate, commit, header, small_log
from onnx_net import Net
from tvm.target import Target

import tvm_deconv
from tvm_deconv.errors import LogError
from tvm_deconv.library import compile_library
from tvm_deconv.logs.find import find_log, resolve_log
from tvm_deconv.logs.folder import LogFolder
from tvm_deconv.logs.roots import log_roots, shipped_root, user_root
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform import LowerConvolutions
from tvm_deconv.tuning.tasks import tasks_of

THREADS = int(HOST.attrs["num-cores"])
CPU = str(HOST.attrs["mcpu"])


def with_changes(target, **changes) -> Target:
    return Target({**target.export(), **changes})


def write_header(folder: Path, **changes):
    path = folder / "device.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def found(target, *roots):
    """(Folders, notes)."""
    logs, notes = find_log(target, roots)
    return [log.path for log in logs.folders] if logs else [], notes


def test_a_log_of_the_target_is_found(tmp_path):
    log = small_log(tmp_path)
    assert found(HOST, tmp_path) == ([log.path], [])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"num-cores": THREADS + 1}, rf"is for {THREADS} threads?, not {THREADS + 1}"),
        ({"mcpu": "cascadelake"}, f"is for {CPU}, not cascadelake"),
        ({"mattr": ["+avx512fp16"]}, rf"is for {CPU} with .*, not \+avx512fp16"),
    ],
    ids=["threads", "processor", "features"],
)
def test_a_log_of_another_processor_is_refused_with_the_reason(tmp_path, changes, reason):
    small_log(tmp_path)
    folders, (note,) = found(with_changes(HOST, **changes), tmp_path)
    assert folders == []
    assert re.fullmatch(f"{re.escape(str(tmp_path / 'here'))} {reason}", note), note


def test_a_log_of_another_architecture_is_refused_with_the_reason(tmp_path):
    small_log(tmp_path)
    assert found(PI, tmp_path) == ([], [f"{tmp_path / 'here'} is for {CPU}, not cortex-a72"])


def test_equal_names_of_two_architectures_are_told_apart(tmp_path):
    generic = Target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "generic"})
    with LogFolder.for_tuning(tmp_path, header(target=generic)) as log:
        pass
    arm = with_changes(PI, mcpu="generic")
    assert found(arm, tmp_path)[1] == [
        f"{log.path.parent} is for generic of x86_64, not of aarch64"
    ]


def test_a_log_for_another_kind_of_target_is_refused_with_the_reason(tmp_path):
    small_log(tmp_path)
    notes = [f"{tmp_path / 'here'} is for kind llvm, not opencl"]
    assert found(resolve_target("arm/mali-g52"), tmp_path) == ([], notes)


@pytest.mark.parametrize(
    "changes",
    [
        {"mtriple": str(HOST.attrs["mtriple"]).split("-")[0] + "-pc-linux-gnu"},
        {"mtriple": str(HOST.attrs["mtriple"]).replace("x86_64", "amd64")},
        {"mattr": list(HOST.attrs.get("mattr", ()))[::-1]},
    ],
    ids=["triple", "spelling", "order of features"],
)
def test_the_rest_of_a_target_does_not_matter(tmp_path, changes):
    log = small_log(tmp_path)
    assert found(with_changes(HOST, **changes), tmp_path) == ([log.path], [])


def test_a_log_of_another_tvm_minor_is_refused_with_the_reason(tmp_path):
    log = small_log(tmp_path)
    older = log.path.rename(log.path.with_name("tvm-0.26"))
    write_header(older, tvm="0.26.0")
    assert found(HOST, tmp_path) == ([], [f"{log.path.parent} is of TVM 0.26, this is 0.27"])


def test_a_damaged_header_does_not_keep_other_logs_from_being_found(tmp_path):
    log = small_log(tmp_path)
    damaged = small_log(tmp_path, device="damaged")
    (damaged.path / "device.json").write_text("{")
    folders, (note,) = found(HOST, tmp_path)
    assert folders == [log.path]
    assert "device.json is not JSON" in note


def test_the_first_root_that_has_a_layer_decides(tmp_path):
    mine, shipped = tmp_path / "mine", tmp_path / "shipped"
    with LogFolder.for_tuning(mine, header("abacus")) as log:
        commit(log, candidate("strd"), 9e-3)
    small_log(shipped)
    logs, _ = find_log(HOST, [mine, tmp_path / "none", shipped])
    row, *_ = logs.lookup(LAYER.conv, LAYER.sizes, "float32")
    assert row.reason == "tuning log abacus: 9 ms, 1 trials"
    assert logs.lookup(LAYER.conv, OTHER.sizes, "float32") == ()
    row, *_ = logs.lookup(OTHER.conv, OTHER.sizes, "float32")
    assert row.reason == "tuning log here: 1 ms, 1 trials"
    assert str(logs) == f"{mine / 'abacus'}; then {shipped / 'here'}"


def test_the_roots_are_the_users_and_the_shipped_one(monkeypatch, tmp_path):
    monkeypatch.setenv("TVM_DECONV_LOGS", str(tmp_path))
    assert log_roots() == [tmp_path, shipped_root()]
    monkeypatch.delenv("TVM_DECONV_LOGS")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_root() == tmp_path / ".local" / "share" / "tvm-deconv" / "logs"
    monkeypatch.setenv("TVM_DECONV_LOGS", "none")
    assert log_roots() == []
    with pytest.raises(LogError, match="TVM_DECONV_LOGS is none: say where the log goes"):
        user_root()


def test_the_shipped_logs_are_those_of_the_repository():
    assert (shipped_root() / "__init__.py").exists()


@pytest.mark.parametrize("part", ["", "here", "here/tvm-0.27"])
def test_a_path_may_be_that_of_a_root_a_device_or_a_log(tmp_path, part):
    log = small_log(tmp_path)
    logs, words = resolve_log(tmp_path / part, HOST)
    assert [folder.path for folder in logs.folders] == [log.path]
    assert words == f"tuning log: {log.path.parent}"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none", "there is no folder .*none with tuning logs"),
        ("empty", "no tuning log for this target in .*empty: it holds none: give a device's"),
        ("here", f"no tuning log for this target in .*here: .*here is for {CPU}, not cortex-a72"),
    ],
)
def test_a_path_without_a_log_of_the_target_is_an_error(tmp_path, path, message):
    small_log(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(LogError, match=message):
        resolve_log(str(tmp_path / path), PI)


def test_a_log_of_the_callers_own_is_taken_as_it_is(tmp_path):
    log = LogFolder.open(small_log(tmp_path).path)
    assert resolve_log(log, PI) == (log, "")
    assert resolve_log(None, PI) == (None, "")


# A network of one transposed convolution, and a log in which it has other parameters than the
# machine model would choose.


def network() -> onnx.ModelProto:
    net = Net((1, 8, 12, 20))
    return net.model(net.deconv("x", 8, 6, 4, 2, pads=[1, 1, 1, 1]))


@pytest.fixture
def logs(tmp_path):
    """A root with one log: strd by 7 rows is best, winograd next, then revd2 and tdc."""
    with LogFolder.for_tuning(tmp_path / "logs", header()) as log:
        commit(log, candidate("winograd"), 2e-3)
        commit(log, candidate("strd", rows=7), 1e-3)
        commit(log, candidate("revd2"), 3e-3)
        commit(log, candidate("tdc", rows=3), 4e-3)
    return tmp_path / "logs"


def chosen(**options) -> tuple[str, str, str]:
    report = tvm_deconv.explain(network(), **options)
    (kernel,) = report.kernels
    assert (str(report).splitlines()[-1] == report.log) == bool(report.log)
    return kernel.variant, kernel.reason, report.log


def test_the_network_of_these_tests_has_the_layer_of_the_log():
    assert [task.layer for task in tasks_of(network(), None, HOST)] == [LAYER]


@pytest.mark.parametrize(
    ("options", "variant", "reason"),
    [
        ({}, "strd", "tuning log here: 1 ms, 4 trials"),
        ({"variant": "tdc"}, "tdc", "asked for; tuning log here: 4 ms, 4 trials"),
        ({"variant": "stdd"}, "stdd", "asked for"),
        ({"winograd": False}, "strd", "tuning log here: 1 ms, 4 trials"),
    ],
    ids=str,
)
def test_what_was_measured_decides(logs, options, variant, reason):
    assert chosen(log=logs, **options) == (variant, reason, f"tuning log: {logs / 'here'}")


def test_without_winograd_the_best_of_the_others_is_taken(logs):
    with LogFolder.for_tuning(logs, header()) as log:
        commit(log, candidate("winograd", block=2), 1e-4)
    assert chosen(log=logs)[0] == "winograd"
    variant, reason, _ = chosen(log=logs, winograd=False)
    assert variant == "strd"
    off = "the tuning log says winograd, which is switched off"
    assert reason == f"{off}; tuning log here: 1 ms, 5 trials"


def test_the_log_of_the_target_is_found_by_default(logs, monkeypatch, tmp_path):
    monkeypatch.setenv("TVM_DECONV_LOGS", str(logs))
    assert chosen()[0] == "strd"
    assert chosen(log=None)[1].startswith("machine model: ")
    _, reason, log = chosen(target=PI)
    assert reason.startswith("machine model: ")
    assert f"no tuning log for this target: {logs / 'here'} is for {CPU}, not cortex-a72" in log
    assert chosen(threads=THREADS + 1)[1].startswith("machine model: ")
    executable = tvm_deconv.compile(network())
    compile_library(network(), tmp_path / "out.so")
    assert b"strd_conv2d_transpose" in (tmp_path / "out.so").read_bytes()
    assert "strd_conv2d_transpose" in executable.as_text()
    assert "strd_conv2d_transpose" not in tvm_deconv.compile(network(), log=None).as_text()


def test_compiling_says_when_a_damaged_log_is_in_the_way(logs, monkeypatch):
    path = logs / "here" / "tvm-0.27" / "trials.jsonl"
    path.write_text("[0,[[\n" + path.read_text())
    with pytest.raises(LogError, match=r"trials.jsonl, line 1 is damaged"):
        tvm_deconv.compile(network(), log=logs)
    shutil.rmtree(logs / "here")
    with pytest.raises(LogError, match="it holds none"):
        tvm_deconv.compile(network(), log=logs)


def test_the_pass_and_the_pipeline_take_a_log_too(logs):
    for make in (LowerConvolutions, tvm_deconv.pipeline):
        assert isinstance(make(HOST, log=logs), tvm.transform.Pass)
        with pytest.raises(LogError, match="no tuning log for this target"):
            make(PI, log=logs)
