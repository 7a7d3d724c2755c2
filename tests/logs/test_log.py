"""Tuning logs: what is written is what is found again, whole, whatever happens in between."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from log_helper import (
    HOST,
    LAYER,
    MACHINE,
    OTHER,
    PI,
    candidate,
    commit,
    commit_function,
    header,
    multiplied,
    small_log,
)

from tvm_deconv.errors import LogError, LogWriteError
from tvm_deconv.logs.folder import FILES, LogFolder
from tvm_deconv.logs.header import Header, device_name
from tvm_deconv.logs.trial import Trial
from tvm_deconv.schedules.variant import Sizes


def contents(log) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(log.path.iterdir())}


def names(log, layer=LAYER) -> list[str]:
    return [measured.variant.name for measured in log.measured(layer)]


def test_a_log_lies_in_a_folder_of_its_device_and_its_minor(tmp_path):
    log = small_log(tmp_path)
    assert log.path == tmp_path / "here" / "tvm-0.27"
    assert sorted(contents(log)) == ["device.json", "trials.jsonl"]
    with LogFolder.for_tuning(tmp_path, header()) as log:
        commit_function(log, multiplied())
    assert sorted(contents(log)) == sorted(["device.json", *FILES])


def test_a_line_says_in_few_words_what_was_tried(tmp_path):
    with LogFolder.for_tuning(tmp_path, header()) as log:
        commit(log, candidate("strd", rows=7), 1.23456e-3, 123.456)
    line = json.loads((log.path / "trials.jsonl").read_text())
    assert list(line) == ["layer", "kernel", "ms", "stage", "seed", "date", "name"]
    assert line["layer"] == "deconv 4x4 s2 8->6 p1 1x12x20 float32"
    assert re.fullmatch(
        r"strd lanes=\d+ vectors=\d+ channels=\d+ rows=7( \w+=\d+)+", line["kernel"]
    )
    assert line["ms"] == [1.235, 123_500]


def test_what_was_committed_is_found_again(tmp_path):
    log = LogFolder.open(small_log(tmp_path).path)
    best, second = log.measured(LAYER)
    assert (best.variant.name, best.seconds, best.final) == ("tdc", pytest.approx(2.1e-3), 0)
    assert best.parameters == candidate("tdc").parameters
    assert (second.variant.name, second.seconds) == ("revd2", pytest.approx(3.1e-3))
    assert log.layers == [LAYER, OTHER]
    assert log.notes == []


def test_a_row_says_which_log_how_fast_and_of_how_many(tmp_path):
    log = LogFolder.open(small_log(tmp_path).path)
    row, _ = log.lookup(LAYER.conv, LAYER.sizes, "float32")
    assert row == ("tdc", candidate("tdc").parameters, "tuning log here: 2.1 ms, 2 trials")


@pytest.mark.parametrize(
    "changes",
    [
        {"sizes": Sizes(1, 12, 21)},
        {"sizes": Sizes(None, None, None)},
        {"dtype": "float16"},
        {"conv": replace(LAYER.conv, in_channels=16)},
    ],
    ids=str,
)
def test_another_layer_size_or_dtype_has_no_rows(tmp_path, changes):
    layer = replace(LAYER, **changes)
    log = LogFolder.open(small_log(tmp_path).path)
    assert log.lookup(layer.conv, layer.sizes, layer.dtype) == []


def test_the_header_tells_people_who_measured(tmp_path):
    log = small_log(tmp_path)
    read = json.loads((log.path / "device.json").read_text())
    assert read["device"] == "here"
    assert read["target"]["mcpu"] == str(HOST.attrs["mcpu"])
    assert read["description"].endswith(", local")
    assert Header.read(log.path) == log.header


@pytest.mark.parametrize(
    ("target", "name"), [(PI, "cortex-a72-4-threads"), ({"kind": "llvm", "mcpu": "a b"}, None)]
)
def test_a_device_is_called_after_processor_and_threads(target, name):
    if name is None:
        with pytest.raises(LogError, match="'a b' cannot be the name of a device"):
            header("a b")
    else:
        assert device_name(target) == name


def test_a_failure_is_a_trial_that_is_not_chosen(tmp_path):
    log = LogFolder.open(small_log(tmp_path).path)
    failed = [trial for trial in log.trials() if not trial.seconds]
    assert [(t.variant, t.status, t.error) for t in failed] == [
        ("strd", "wrong result", "off by 7")
    ]
    assert "strd" not in names(log)


def test_trials_come_back_as_they_were_and_name_differing_versions(tmp_path):
    small_log(tmp_path, commit="a" * 40)
    with LogFolder.for_tuning(tmp_path, header(commit="b" * 40)) as log:
        commit(log, candidate("revd2", rows=7), 9e-3, stage="final")
    first, *_, last = LogFolder.open(log.path).trials_of(LAYER)
    assert (first.versions, last.versions) == ({}, {"commit": "b" * 40})
    assert (last.stage, last.seconds, last.median, last.seed) == ("final", (9e-3,), 9e-3, 3)
    assert last.candidate(MACHINE) == candidate("revd2", rows=7)
    assert Trial.from_json(json.loads(last.as_json())) == last


def test_a_long_error_is_shortened():
    trial = Trial.of(candidate(), "x", "crashed", (), "word " * 100, seed=0, stage="search")
    assert len(trial.error) <= 300
    assert trial.error.endswith(" ...")


def test_tuning_goes_on_where_it_ended(tmp_path):
    small_log(tmp_path)
    with LogFolder.for_tuning(tmp_path, header()) as log:
        assert log.repairs == []
        assert names(log) == ["tdc", "revd2"]
        commit(log, candidate("revd2", rows=7), 1e-3)
        assert len(log.trials_of(LAYER)) == 4
        found = [m.seconds for m in log.measured(LAYER)]
        assert found == pytest.approx([1e-3, 2.1e-3, 3.1e-3])
    assert names(LogFolder.open(log.path)) == ["revd2", "tdc", "revd2"]


def test_a_lucky_sample_does_not_beat_those_that_stood_in_a_final(tmp_path):
    with LogFolder.for_tuning(tmp_path, header()) as log:
        commit(log, candidate("strd"), 1e-3)
        commit(log, candidate("revd2"), 4e-3)
        commit(log, candidate("tdc"), 2e-3)
        for turn in (5e-3, 6e-3, 5.2e-3):
            commit(log, candidate("revd2"), turn, stage="final")
            commit(log, candidate("tdc"), turn + 2e-4, stage="final")
        assert names(log) == ["revd2", "tdc", "strd"]
        found = [(m.final, m.seconds) for m in log.measured(LAYER)]
        turns, seconds = zip(*found, strict=True)
        assert turns == (3, 3, 0)
        assert seconds == pytest.approx((5.2e-3, 5.4e-3, 1e-3))
    assert names(LogFolder.open(log.path)) == ["revd2", "tdc", "strd"]


def test_only_the_last_final_decides_since_the_machine_may_have_been_quieter_before(tmp_path):
    with LogFolder.for_tuning(tmp_path, header()) as log:
        commit(log, candidate("revd2"), 2e-3)
        for seconds in (2e-3, 2.1e-3, 2.2e-3):
            commit(log, candidate("revd2"), seconds, stage="final")
        # The search goes on, on a machine that is now slower.
        commit(log, candidate("tdc"), 4e-3)
        assert names(log) == ["revd2", "tdc"]
        for turn in (4e-3, 4.1e-3, 4.2e-3):
            commit(log, candidate("tdc"), turn, stage="final")
            commit(log, candidate("strd"), turn - 1e-3, stage="final")
        assert names(log) == ["strd", "tdc", "revd2"]


def test_a_contestant_that_failed_in_one_turn_of_the_final_keeps_its_searched_time(tmp_path):
    with LogFolder.for_tuning(tmp_path, header()) as log:
        commit(log, candidate("tdc"), 1e-3)
        commit(log, candidate("revd2"), 2e-3)
        for turn in (5e-3, 6e-3):
            commit(log, candidate("tdc"), 1e-6, stage="failed final")
            commit(log, candidate("revd2"), turn, stage="final")
        found = [(m.variant.name, m.final, m.seconds) for m in log.measured(LAYER)]
        assert found == [("revd2", 2, pytest.approx(5.5e-3)), ("tdc", 0, 1e-3)]
        assert log.contents.count(LAYER) == 4


def test_rows_that_this_version_cannot_use_are_left_out_with_a_note(tmp_path):
    small_log(tmp_path)
    with LogFolder.for_tuning(tmp_path, header()) as log:
        # 6 output channels make 2 tiles.
        commit(log, candidate("revd2", channels=3, channel_splits=5), 1e-4)
    path = log.path / "trials.jsonl"
    path.write_text(path.read_text().replace('"tdc ', '"fft '))
    log = LogFolder.open(log.path)
    assert names(log) == ["revd2"]
    unknown, impossible = log.notes
    assert "left out fft" in unknown
    assert "is not known" in unknown
    assert "2 tiles of channels are not divisible by 5 splits" in impossible


def test_reading_writes_nothing(tmp_path):
    log = small_log(tmp_path)
    with (log.path / "trials.jsonl").open("a") as file:
        file.write('{"date"')
    before = contents(log)
    log = LogFolder.open(log.path)
    assert len(log.lookup(LAYER.conv, LAYER.sizes, "float32")) == 2
    assert len(log.trials()) == 4
    assert contents(log) == before


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("cut", [1, 2, 40])
def test_a_half_written_last_line_is_overlooked_by_readers_and_mended_by_tuning(
    tmp_path, file, cut
):
    with LogFolder.for_tuning(tmp_path, header()) as log:
        commit_function(log, multiplied())
    small_log(tmp_path)
    if file == "workloads.json":
        # A record whose workload is lost would be damage of another kind.
        (log.path / "records.json").write_text("")
    path = log.path / file
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert names(LogFolder.open(log.path)) == ["tdc", "revd2"]
    with LogFolder.for_tuning(tmp_path, header()) as log:
        (repair,) = log.repairs
        commit(log, candidate("revd2", OTHER), 1e-3)
    mended = path.read_bytes()
    if cut == 1:
        assert repair == f"{path}: added the end of the last line"
        assert mended.startswith(whole)
    else:
        assert repair.startswith(f"{path}: removed a half-written last line of ")
        lines = whole.splitlines(True)
        assert mended.splitlines(True)[: len(lines) - 1] == lines[:-1]
    log = LogFolder.open(log.path)
    assert (names(log), names(log, OTHER)) == (["tdc", "revd2"], ["revd2"])
    assert len(log.trials()) == 6 - (file == "trials.jsonl" and cut > 1)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("text", ["", "[0,[[[[", "7", '{"date": 3}', "\0\0\0\0"])
def test_a_damaged_line_elsewhere_is_an_error_with_file_and_line(tmp_path, file, text):
    small_log(tmp_path)
    with LogFolder.for_tuning(tmp_path, header()) as log:
        commit_function(log, multiplied())
        commit_function(log, multiplied())
    path = log.path / file
    lines = path.read_text().splitlines()
    lines[1] = text
    path.write_text("\n".join(lines) + "\n")
    before = contents(log)
    with pytest.raises(LogError, match=rf"{file}, line 2\b"):
        LogFolder.for_tuning(tmp_path, header())
    assert contents(log) == before
    log = LogFolder.open(log.path)
    if file == "trials.jsonl":
        with pytest.raises(LogError, match=rf"{file}, line 2\b"):
            log.measured(LAYER)
    else:
        assert names(log) == ["tdc", "revd2"]


def test_a_record_whose_workload_is_lost_is_an_error_with_file_and_line(tmp_path):
    with LogFolder.for_tuning(tmp_path, header()) as log:
        commit_function(log, multiplied())
        commit_function(log, multiplied())
    path = log.path / "workloads.json"
    path.write_text(path.read_text().splitlines(True)[0])
    message = r"records.json, line 2: is of workload 1 from 0, and there are 1"
    with pytest.raises(LogError, match=message):
        LogFolder.for_tuning(tmp_path, header())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": PI}, r"is for .*, not cortex-a72: give another --device NAME"),
        (
            {"description": "Abacus, local"},
            r"measured on '.*', this is 'Abacus, local': give anoth",
        ),
    ],
    ids=["target", "description"],
)
def test_the_log_of_another_device_is_not_continued(tmp_path, changes, message):
    small_log(tmp_path)
    with pytest.raises(LogError, match=message):
        LogFolder.for_tuning(tmp_path, header(**changes))


def test_the_log_for_other_threads_is_not_continued(tmp_path):
    small_log(tmp_path)
    cores = int(HOST.attrs["num-cores"])
    more = type(HOST)({**HOST.export(), "num-cores": cores + 1})
    with pytest.raises(LogError, match=rf"is for {cores} threads?, not {cores + 1}: give another"):
        LogFolder.for_tuning(tmp_path, header(target=more))


def test_two_tuners_do_not_write_one_log(tmp_path):
    with (
        LogFolder.for_tuning(tmp_path, header()),
        pytest.raises(LogError, match=r"another process writes the tuning log .*/here/tvm-0.27: "),
    ):
        LogFolder.for_tuning(tmp_path, header())
    LogFolder.for_tuning(tmp_path, header()).close()


def test_a_log_that_is_not_open_for_tuning_is_not_written(tmp_path):
    log = small_log(tmp_path)
    with pytest.raises(LogError, match="is not open for tuning"):
        commit(log, candidate(), 1e-3)


def test_trials_without_a_header_are_nobodys(tmp_path):
    log = small_log(tmp_path)
    (log.path / "device.json").unlink()
    with pytest.raises(LogError, match=r"holds trials.jsonl but no device.json"):
        LogFolder.for_tuning(tmp_path, header())
    with pytest.raises(LogError, match=r"cannot read .*device.json: No such file"):
        LogFolder.open(log.path)


def test_functions_without_their_trials_say_what_to_do(tmp_path):
    with LogFolder.for_tuning(tmp_path, header()) as log:
        commit_function(log, multiplied())
    (log.path / "trials.jsonl").unlink()
    with pytest.raises(LogError, match=r"holds records.json but no trials.jsonl.*: restore it, or"):
        LogFolder.open(log.path).measured(LAYER)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:-20], "is not JSON"),
        (lambda text: text.replace('"seed"', '"sead"'), "must have exactly the fields"),
        (lambda text: text.replace('"llvm"', '"abacus"'), "abacus"),
        (lambda text: text.replace('"here"', '"../up"'), "cannot be the name of a device"),
        (lambda text: text.replace('"0.27', '"new'), "is not a version of TVM"),
        (lambda text: text.replace('"format": 2', '"format": 3'), "is of format 3, and this"),
    ],
    ids=["cut", "fields", "target", "name", "version", "format"],
)
def test_a_damaged_header_is_an_error_that_names_the_file(tmp_path, damage, message):
    log = small_log(tmp_path)
    path = log.path / "device.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(LogError, match=f"device.json.*{message}"):
        LogFolder.open(log.path)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LogWriteError, match=r"cannot write the tuning log .*: Not a directory"):
        LogFolder.for_tuning(tmp_path / "file", header())


def test_a_folder_that_goes_away_is_an_error(tmp_path):
    with LogFolder.for_tuning(tmp_path, header()) as log:
        commit(log, candidate(), 1e-3)
        log.path.rename(tmp_path / "gone")
        with pytest.raises(LogWriteError, match=r"cannot write .*; 0 trials are kept: free some "):
            commit(log, candidate("tdc"), 1e-3)
