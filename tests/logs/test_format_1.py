"""Logs from before headers had a ``format`` are read and continued, and a later one refused."""

from __future__ import annotations

import json

import pytest
from log_helper import (
    LAYER,
    OTHER,
    candidate,
    commit,
    commit_function,
    header,
    make_old,
    multiplied,
    old_line,
    small_log,
)

from tvm_deconv.errors import LogError
from tvm_deconv.logs.apply import apply_ops
from tvm_deconv.logs.folder import LogFolder
from tvm_deconv.logs.header import FORMAT
from tvm_deconv.logs.trial import Trial
from tvm_deconv.targets import resolve_target

# A line of the log that was shipped then.
LINE = (
    '{"date": "2026-11-21T06:23:47+00:00", "name": "a layer", "layer": {"in_channels": 32, '
    '"out_channels": 1, "groups": 1, "h": {"kernel": 9, "stride": 3, "pad_begin": 3, "pad_end": 3, '
    '"output_padding": 0, "dilation": 1, "zero_taps": [2]}, "w": {"kernel": 9, "stride": 3, '
    '"pad_begin": 3, "pad_end": 3, "output_padding": 0, "dilation": 1, "zero_taps": []}, '
    '"sizes": [1, 224, 224], "dtype": "float32"}, "variant": "winograd", "parameters": {"lanes": '
    '16, "channels": 9}, "status": "ok", "seconds": [0.0009372213333333334, 0.0009402224], "stage":'
    ' "final", "seed": 0, "versions": {"commit": "96a647cb25d6a19753db91cdd440b09f219e439b"}}'
)


@pytest.fixture
def old(tmp_path):
    log = small_log(tmp_path)
    make_old(log)
    return log.path


def test_an_old_line_is_read_as_it_would_be_written_now():
    assert json.loads(Trial.from_json(json.loads(LINE)).as_json()) == {
        "layer": "deconv 9x9 s3 32->1 p3 zh2 1x224x224 float32",
        "kernel": "winograd lanes=16 channels=9",
        "ms": [0.9372, 0.9402],
        "stage": "final",
        "seed": 0,
        "date": "2026-11-21T06:23:47+00:00",
        "name": "a layer",
        "versions": {"commit": "96a647cb25d6"},
    }


@pytest.mark.parametrize("status", ["ok", "crashed"])
@pytest.mark.parametrize("function", [None, "f00"])
def test_of_whatever_kind_it_is(status, function):
    seconds, error = ((1e-3, 2e-3), None) if status == "ok" else ((), "no answer")
    trial = Trial.of(candidate(), "a layer", status, seconds, error, seed=3, stage="search")
    if function:
        trial = Trial.of_function(function, "f", "default", status, seconds, seed=3, stage="final")
    assert Trial.from_json(json.loads(old_line(trial))) == trial


def test_the_best_of_an_old_log_is_read_from_its_trials_and_not_from_its_database(old):
    log = LogFolder.open(old)
    assert log.header.format == 1
    assert log.layers == [LAYER, OTHER]
    assert [m.variant.name for m in log.measured(LAYER)] == ["tdc", "revd2"]
    assert log.measured(LAYER)[0].seconds == pytest.approx(2.1e-3)
    # The rows of layers there may be damaged, or gone.
    (old / "records.json").write_text("[0,[[\n")
    assert [m.variant.name for m in LogFolder.open(old).measured(LAYER)] == ["tdc", "revd2"]
    assert apply_ops(LogFolder.open(old), resolve_target("host")) == []


def test_functions_of_an_old_log_are_applied(tmp_path):
    with LogFolder.for_tuning(tmp_path, header()) as log:
        commit_function(log, multiplied())
    make_old(log)
    (found,) = apply_ops(LogFolder.open(log.path), resolve_target("host"))
    assert "T.parallel(4)" in found(multiplied()).script()


def test_tuning_goes_on_in_an_old_log(old, tmp_path):
    before = (old / "trials.jsonl").read_bytes()
    with LogFolder.for_tuning(tmp_path, header()) as log:
        commit(log, candidate("revd2", rows=7), 1e-3)
        commit_function(log, multiplied())
    assert (old / "trials.jsonl").read_bytes().startswith(before)
    log = LogFolder.open(old)
    assert log.header.format == FORMAT
    assert [m.variant.name for m in log.measured(LAYER)] == ["revd2", "tdc", "revd2"]
    assert len(apply_ops(log, resolve_target("host"))) == 1


def test_a_log_without_its_trials_says_what_to_do(old):
    (old / "trials.jsonl").unlink()
    with pytest.raises(LogError, match=r"holds records.json but no trials.jsonl.*: restore it, or"):
        LogFolder.open(old).measured(LAYER)


def test_a_log_of_a_later_format_says_what_to_do(tmp_path):
    path = small_log(tmp_path).path / "device.json"
    path.write_text(path.read_text().replace(f'"format": {FORMAT}', f'"format": {FORMAT + 1}'))
    with pytest.raises(LogError, match=rf"is of format 3, and this version knows {FORMAT}: inst"):
        LogFolder.open(path.parent)
