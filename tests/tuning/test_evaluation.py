"""What becomes a line of the log, and what does not: interruptions, lost devices, failed finals."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from log_helper import HOST, LAYER, MACHINE, candidate, header
from tvm.s_tir.meta_schedule.builder import BuilderResult
from tvm.s_tir.meta_schedule.runner import RunnerResult

from tvm_deconv.errors import DeviceError
from tvm_deconv.logs.folder import LogFolder
from tvm_deconv.tuning import layer_tuner
from tvm_deconv.tuning.definition import candidate_of
from tvm_deconv.tuning.evaluation import Evaluation
from tvm_deconv.tuning.layer_tuner import LayerTuner
from tvm_deconv.tuning.progress import Progress
from tvm_deconv.tuning.search import SearchSpace
from tvm_deconv.tuning.tasks import Task

TASK = Task("a layer", LAYER)
GOOD = RunnerResult([1e-3] * 5, None)
GONE = RunnerResult(None, "device: the tracker has no device")
WRONG = RunnerResult(None, "wrong result: off by 7")


class Runner:
    """Gives prepared results, one for each run."""

    def __init__(self, *results):
        self.results, self.lost = list(results), None

    def run(self, inputs):
        return [self for _ in inputs]

    def result(self):
        return self.results.pop(0)


class Builder:
    def build(self, inputs):
        return [BuilderResult("/nowhere/kernel.so", None) for _ in inputs]


@pytest.fixture
def log(tmp_path):
    with LogFolder.for_tuning(tmp_path, header()) as log:
        yield log


def evaluation(log, runner=None):
    found = Evaluation(Builder(), runner or Runner(), log, HOST, 0, threading.Event())
    # A builder of MetaSchedule's own class is asked through the shield only.
    found.builder = Builder()
    return found


def measurable(*variants):
    space = SearchSpace(LAYER, MACHINE)
    return [space.measurable(candidate(variant)) for variant in variants]


def record(found, *results, stage="search", errors=None):
    variants = ["revd2", "tdc", "stdd", "strd"][: len(results)]
    errors = errors or [None] * len(results)
    built = [BuilderResult(None if e else "/nowhere/kernel.so", e) for e in errors]
    found.record(TASK, measurable(*variants), built, results, stage)


def statuses(log):
    return [(trial.variant, trial.status) for trial in log.trials_of(LAYER)]


def test_failures_are_logged_and_only_measured_candidates_are_records(log):
    unbuilt = RunnerResult(None, "no such intrinsic")
    record(evaluation(log), GOOD, WRONG, unbuilt, errors=[None, None, "no such intrinsic"])
    assert statuses(log) == [("revd2", "ok"), ("tdc", "wrong result"), ("stdd", "build failed")]
    assert [m.variant.name for m in log.measured(LAYER)] == ["revd2"]


def test_what_an_interruption_kept_from_being_built_or_measured_has_not_failed(log):
    found = evaluation(log)
    found.stop.set()
    interrupted = RunnerResult(None, "interrupted")
    record(found, GOOD, interrupted, GOOD, errors=[None, None, "Subprocess terminated"])
    assert statuses(log) == [("revd2", "ok")]


def test_of_those_without_a_device_the_first_is_blamed_and_real_failures_are_kept(log):
    runner = Runner()
    runner.lost = DeviceError("gone")
    found = evaluation(log, runner)
    record(found, GOOD, WRONG, GONE, GONE)
    assert statuses(log) == [("revd2", "ok"), ("tdc", "wrong result"), ("stdd", "device")]
    assert found.error is runner.lost


def test_a_default_is_never_blamed_since_it_has_to_be_measured(log):
    runner = Runner()
    runner.lost = DeviceError("gone")
    record(evaluation(log, runner), GOOD, GONE, stage="default")
    assert statuses(log) == [("revd2", "ok")]


def tuner(found, tmp_path):
    progress = Progress(lambda line: None, [TASK], 2, {})
    return LayerTuner(found, MACHINE, tmp_path, progress)


def test_a_contestant_that_fails_in_one_turn_of_the_final_cannot_win_it(log, tmp_path):
    fast, slow = RunnerResult([1e-3] * 5, None), RunnerResult([2e-3] * 5, None)
    record(evaluation(log), slow, fast)
    # In turn: tdc, the fastest of the search, and revd2; whoever came first comes last then.
    runner = Runner(fast, slow, slow, WRONG, fast, slow)
    found = evaluation(log, runner)
    space = SearchSpace(LAYER, MACHINE)
    tuner(found, tmp_path)._final(TASK, space, candidate("revd2"))
    assert [(m.variant.name, m.final) for m in log.measured(LAYER)] == [("revd2", 3), ("tdc", 0)]
    assert ("tdc", "wrong result") in statuses(log)


def test_a_device_that_is_lost_in_the_final_ends_the_search(log, tmp_path):
    record(evaluation(log), GOOD, GOOD)
    runner = Runner(GOOD, GONE, GONE, GONE, GONE, GONE)
    runner.lost = DeviceError("gone")
    found = evaluation(log, runner)
    tuner(found, tmp_path)._final(TASK, SearchSpace(LAYER, MACHINE), candidate("revd2"))
    assert found.error is runner.lost


def test_a_default_that_failed_is_measured_again_by_the_next_run(log, tmp_path, monkeypatch):
    record(evaluation(log), WRONG, stage="default")
    found = evaluation(log)
    asked = {}

    def search(task, space, first, known, trials):
        asked.update(first=len(first), known=set(known))

    made = tuner(found, tmp_path)
    monkeypatch.setattr(made, "_search", search)
    made.tune(TASK, 20)
    assert asked == {"first": 7, "known": set()}


def test_a_search_goes_on_from_the_best_that_an_earlier_run_measured(log, tmp_path, monkeypatch):
    fast, slow = RunnerResult([1e-3] * 5, None), RunnerResult([2e-3] * 5, None)
    record(evaluation(log), slow, WRONG, fast, stage="default")
    record(evaluation(log), RunnerResult([1e-6] * 5, None), stage="final")
    found = evaluation(log)
    begun, taught = [], []

    def search(_, teaching, trials, record):
        begun.append((teaching, trials, record))
        found.stop.set()

    monkeypatch.setattr(layer_tuner, "search", search)
    made = tuner(found, tmp_path)
    made.cost_model = SimpleNamespace(update=lambda *given: taught.extend(given[-1]))
    made.tune(TASK, 20)
    ((teaching, trials, log_round),) = begun
    assert trials == 18
    assert [bool(result.run_secs) for result in taught] == [True, False, True]
    assert len(teaching.database) == 2
    best = teaching.best().as_measure_candidate().sch
    assert candidate_of(best, MACHINE) == candidate("stdd")
    # The first round is that of the defaults that are left.
    built = [BuilderResult("/nowhere/kernel.so", None)]
    for variant in ("tdc", "strd"):
        log_round(measurable(variant), built, [GOOD])
    assert [trial.stage for trial in log.trials_of(LAYER)][4:] == ["default", "search"]
