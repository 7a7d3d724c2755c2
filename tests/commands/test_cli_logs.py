"""``tvm-deconv logs``: list, verify, merge; and ``--logs`` of compile and explain."""

from __future__ import annotations

import re
import shutil

import pytest
from log_helper import (
    LAYER,
    OTHER,
    PI,
    candidate,
    commit,
    commit_function,
    header,
    multiplied,
    small_log,
)
from upscaling import upscaler

from tvm_deconv import cli
from tvm_deconv.logs.folder import LogFolder
from tvm_deconv.logs.functions import read_rows

WORKLOADS, RECORDS, TRIALS = FILES = "workloads.json", "records.json", "trials.jsonl"


def contents(log) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(log.iterdir())}


def logs(capsys, *arguments) -> tuple[int, str, str]:
    """Status, output and error of ``tvm-deconv logs``."""
    capsys.readouterr()
    status = cli.main(["logs", *map(str, arguments)])
    output = capsys.readouterr()
    return status, output.out, output.err


@pytest.fixture
def root(tmp_path):
    small_log(tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture
def log(root):
    return root / "here" / "tvm-0.27"


def test_listing_says_device_target_counts_and_the_best_of_each_layer(root, capsys):
    status, out, _ = logs(capsys, "list", "--logs", root)
    first, second, third, *best = out.splitlines()
    assert status == 0
    assert first == f"here, TVM 0.27, in {root}"
    assert re.fullmatch(r"  measured on .*, local; target llvm \w+ .*, \d+ threads?", second)
    assert third == "  2 layers, 4 trials, 1 of them failed"
    rate = 2 * LAYER.multiply_adds / 2.1e-3 / 1e9
    assert best[0].split() == ["a", "layer", "2.1", "ms", f"{rate:.3g}", "GFLOP/s", "tdc"]
    assert best[1].split()[-1] == "revd2"


def test_listing_looks_where_compile_does(root, capsys, monkeypatch):
    monkeypatch.setenv("TVM_DECONV_LOGS", str(root))
    assert logs(capsys, "list") == logs(capsys)
    assert logs(capsys)[1].startswith(f"here, TVM 0.27, in {root}")
    monkeypatch.setenv("TVM_DECONV_LOGS", "none")
    assert logs(capsys) == (0, "no tuning log in any folder\n", "")


def test_a_log_that_cannot_be_read_is_listed_with_the_reason(root, log, capsys):
    small_log(root, device="whole")
    (log / TRIALS).write_text("{\n")
    status, out, _ = logs(capsys, "list", "--logs", root)
    assert status == 0
    assert f"{log}\n  {log / TRIALS}, line 1 is damaged" in out
    assert "whole, TVM 0.27" in out


def test_a_log_in_order_is_verified(root, capsys):
    assert logs(capsys, "verify", root) == (0, f"{root}: 1 log in order\n", "")


def first_line(change):
    def damage(path):
        first, *rest = path.read_text().splitlines()
        path.write_text("\n".join([change(first), *rest]) + "\n")

    return damage


def replaced(old, new):
    """Of the first line, which has it."""

    def change(text):
        assert old in text
        return text.replace(old, new)

    return first_line(change)


LANES = rf"lanes={candidate().parameters.lanes}"


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        (WORKLOADS, first_line(lambda text: text[:-9]), "workloads.json, line 1 is damaged"),
        (WORKLOADS, first_line(lambda text: '["1", "AAAA"]'), "line 1: TVM cannot read it: "),
        (WORKLOADS, first_line(lambda text: "{}"), "line 1: cannot be read as a workload"),
        (RECORDS, first_line(lambda text: "[]"), "records.json, line 1: cannot be read as a rec"),
        (RECORDS, first_line(lambda text: "[7" + text[2:]), "line 1: is of workload 7 from 0, a"),
        (
            RECORDS,
            first_line(lambda text: "[0,[[[],[]],[1],3,[]]]"),
            "line 1: TVM cannot read it: ",
        ),
        (TRIALS, lambda path: path.write_text(path.read_text()[:-5]), "last line is half-writ"),
        (TRIALS, first_line(lambda text: "{}"), "trials.jsonl, line 1: not a trial: KeyError"),
        (TRIALS, replaced('"ms":', '"ns":'), "a trial with status 'ok' has 0 samples"),
        (TRIALS, replaced('"ms":[3.0,', '"ms":[-3.0,'), "samples must be positive numbers"),
        (TRIALS, replaced('"ms":[3.0,', '"ms":[NaN,'), "samples must be positive numbers"),
        (TRIALS, replaced('"ms":[3.0,', '"ms":["x",'), "line 1: not a trial: ValueError could not"),
        (
            TRIALS,
            replaced('"search"', '"nap"'),
            "line 1: stage 'nap' of a trial is none of default, search, final",
        ),
        (TRIALS, replaced('"revd2 ', '"fft '), "trials.jsonl, line 1: variant 'fft' is not known"),
        (TRIALS, replaced("rows=", "rows=x"), "line 1: not a trial: ValueError"),
        (TRIALS, replaced(" rows=", " lines="), "line 1: parameters of revd2 lack rows: give "),
        (TRIALS, replaced(LANES, "lanes=3"), "line 1: revd2 cannot do this: no vectors"),
        (TRIALS, replaced("deconv 4x4", "deconv 04x4"), "04x4 s2 8->6 p1 1x12x20 float32' does "),
    ],
)
def test_each_problem_is_reported_with_file_and_line_and_status_2(
    root, log, capsys, file, damage, message
):
    with LogFolder.for_tuning(root, header()) as tuned:
        commit_function(tuned, multiplied())
    damage(log / file)
    status, out, err = logs(capsys, "verify", root)
    assert status == 2
    assert message in out, out
    assert re.fullmatch(rf"tvm-deconv: {root}: \d+ problems?\n", err)


def test_all_problems_are_reported_at_once(root, log, capsys):
    with LogFolder.for_tuning(root, header()) as tuned:
        commit_function(tuned, multiplied())
    for file in FILES:
        first_line(lambda text: "7")(log / file)
    status, out, _ = logs(capsys, "verify", log)
    assert status == 2
    assert [f"{file}, line 1 is damaged" in out for file in FILES] == [True] * 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda log: log.parent.rename(log.parent.with_name("there")),
            "is of device here, and its",
        ),
        (
            lambda log: log.rename(log.with_name("tvm-0.28")),
            "is of TVM 0.27, and its folder is nam",
        ),
        (
            lambda log: (log / "device.json").write_text(
                (log / "device.json").read_text().replace('"0.27.', '"0.26.')
            ),
            "is of TVM 0.26, this is 0.27: it cannot be verified",
        ),
        (lambda log: (log / "device.json").write_text("{}"), "device.json must have exactly the"),
    ],
    ids=["device", "minor", "older", "header"],
)
def test_a_folder_that_is_not_its_logs_is_a_problem(root, log, capsys, make, message):
    make(log)
    status, out, _ = logs(capsys, "verify", root)
    assert status == 2
    assert message in out


def test_a_folder_without_logs_cannot_be_verified_or_listed(tmp_path, capsys):
    assert logs(capsys, "verify", tmp_path)[::2] == (
        2,
        f"tvm-deconv: {tmp_path} holds no tuning log\n",
    )
    for action in (["verify"], ["list", "--logs"]):
        status, _, err = logs(capsys, *action, tmp_path / "none")
        assert (status, "there is no folder" in err) == (2, True)


def test_merging_appends_what_is_new(root, log, capsys, tmp_path):
    with LogFolder.for_tuning(tmp_path / "more", header()) as more:
        commit(more, candidate("tdc", OTHER), 5e-4)
        commit(more, candidate("tdc"), 1e-3)
    before = contents(log)
    status, out, _ = logs(capsys, "merge", tmp_path / "more" / "here", root / "here")
    assert (status, out) == (0, f"{log}: 2 trials added\n")
    assert contents(log)[TRIALS].startswith(before[TRIALS])
    merged = LogFolder.open(log)
    assert [m.variant.name for m in merged.measured(OTHER)] == ["tdc", "revd2"]
    assert merged.contents.count(LAYER) == 3
    assert len(merged.trials()) == 6
    assert logs(capsys, "verify", root)[0] == 0
    again = logs(capsys, "merge", tmp_path / "more" / "here", root / "here")
    assert again == (0, f"{log}: 0 trials added\n", "")


def test_merging_into_a_new_folder_makes_the_log(root, log, capsys, tmp_path):
    into = tmp_path / "new" / "here"
    other = tmp_path / "other"
    shutil.copytree(root, other)
    status, out, _ = logs(capsys, "merge", root / "here", other / "here", into)
    assert (status, out) == (0, f"{into / 'tvm-0.27'}: 4 trials added\n")
    assert contents(into / "tvm-0.27") == contents(log)
    assert logs(capsys, "verify", into)[0] == 0


def test_merging_keeps_what_a_log_holds_twice(root, log, capsys, tmp_path):
    path = log / TRIALS
    path.write_text(path.read_text() * 2)
    logs(capsys, "merge", root / "here", log, tmp_path / "new" / "here")
    assert contents(tmp_path / "new" / "here" / "tvm-0.27") == contents(log)


def test_merging_counts_the_functions_of_the_database_anew(root, log, capsys, tmp_path):
    for folder, factors in ((root, [2]), (tmp_path / "more", [3, 2])):
        with LogFolder.for_tuning(folder, header()) as tuned:
            for factor in factors:
                commit_function(tuned, multiplied(factor))
    assert logs(capsys, "merge", tmp_path / "more" / "here", root / "here")[0] == 0
    workloads, records = read_rows(log)
    assert (len(workloads), [index for index, _ in records]) == (2, [0, 1])
    assert logs(capsys, "verify", root)[0] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device": "there"}, "was measured on 'here', and the first on 'there'"),
        ({"description": "Abacus, local"}, ", and the first on 'Abacus, local'"),
        ({"target": PI, "threads": 4}, "is for .*, not cortex-a72, as the first is"),
    ],
    ids=["device", "description", "target"],
)
def test_logs_of_different_devices_are_not_merged(root, log, capsys, tmp_path, changes, message):
    with LogFolder.for_tuning(tmp_path / "more", header(**changes)) as more:
        commit(more, candidate(), 1e-3)
    before = contents(log)
    status, _, err = logs(capsys, "merge", more.path, log)
    assert status == 2
    assert re.search(message, err), err
    assert contents(log) == before


def test_logs_of_different_minors_are_not_merged(root, log, capsys, tmp_path):
    older = tmp_path / "more" / "here" / "tvm-0.26"
    shutil.copytree(log, older)
    text = (older / "device.json").read_text().replace('"0.27.', '"0.26.')
    (older / "device.json").write_text(text)
    status, _, err = logs(capsys, "merge", older, log)
    assert (status, "is of TVM 0.27, and the first of 0.26" in err) == (2, True)


def test_a_damaged_log_is_not_merged(root, log, capsys, tmp_path):
    shutil.copytree(root, tmp_path / "more")
    first_line(lambda text: "7")(tmp_path / "more" / "here" / "tvm-0.27" / TRIALS)
    before = contents(log)
    for into in (log, tmp_path / "new" / "here"):
        status, _, err = logs(capsys, "merge", tmp_path / "more" / "here", into)
        assert (status, "trials.jsonl, line 1" in err) == (2, True)
    assert contents(log) == before
    assert not (tmp_path / "new" / "here" / "tvm-0.27").exists()


def test_merging_says_which_paths_it_cannot_take(root, log, capsys, tmp_path):
    small_log(root, device="second")
    status, _, err = logs(capsys, "merge", root, tmp_path / "new")
    assert status == 2
    assert "holds several tuning logs (here/tvm-0.27, second/tvm-0.27): give one" in err
    status, _, err = logs(capsys, "merge", tmp_path, log)
    assert (status, "several" in err or "holds no tuning log" in err) == (2, True)
    status, _, err = logs(capsys, "merge", log, tmp_path / "elsewhere")
    assert (status, "give a folder of that name" in err) == (2, True)


def test_a_log_that_is_being_written_is_not_merged_into(root, log, capsys, tmp_path):
    shutil.copytree(root, tmp_path / "more")
    with LogFolder.for_tuning(root, header()):
        status, _, err = logs(capsys, "merge", tmp_path / "more" / "here", log)
    assert (status, "another process writes the tuning log" in err) == (2, True)


def test_compile_and_explain_take_a_folder_of_logs_or_none(root, tmp_path, capsys):
    model = tmp_path / "net.onnx"
    model.write_bytes(upscaler(dims=(1, 8, 8)).SerializeToString())
    assert cli.main(["explain", str(model), "--logs", str(root)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"tuning log: {root / 'here'}"
    assert cli.main(["explain", str(model), "--logs", "none"]) == 0
    assert capsys.readouterr().out.splitlines()[-2] == "1 by variants of ours, 0 left to TVM"
    for command in (["explain", model], ["compile", model, "-o", tmp_path / "out.so"]):
        arguments = [*map(str, command), "--logs", str(root)]
        assert cli.main([*arguments, "--target", "raspberry-pi/4b-aarch64"]) == 2
        error = capsys.readouterr().err
        # A machine without the cross linker says that first.
        assert "is for" in error or "gcc-aarch64-linux-gnu" in error


def test_looking_a_layer_up_needs_none_of_the_packages_that_tuning_needs(root, forks):
    code = (
        "import sys; from tvm_deconv.logs.find import find_log; from pathlib import Path;"
        "from tvm_deconv.targets import resolve_target;"
        "found, _ = find_log(resolve_target('host'), [Path(sys.argv[1])]);"
        "assert found.folders[0].layers;"
        "sys.exit(str([n for n in ('psutil', 'xgboost', 'cloudpickle') if n in sys.modules]))"
    )
    assert forks.run(code, root).stderr == "[]\n"
