"""Tuning of one layer: search, then a final between the fastest candidates and our default."""

from __future__ import annotations

import shutil
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from tvm.s_tir.meta_schedule.runner import RunnerResult
from tvm.s_tir.meta_schedule.search_strategy import MeasureCandidate

from tvm_deconv.errors import TuningError
from tvm_deconv.logs.layer import Candidate
from tvm_deconv.logs.trial import FAILED_FINAL, FINAL, OK, SEARCHED
from tvm_deconv.schedules.machines import Machine

from .case import case_folder, write_case
from .context import tune_context
from .evaluation import LOST, Evaluation, outcome_of
from .features import GuidedXGBoost
from .outcome import Outcome
from .progress import Progress
from .rounds import Teaching, search
from .runner import INTERRUPTED
from .search import DefaultsThenSearch, SearchSpace, default_candidates, key_of
from .tasks import Task

# The fastest of the search, which are measured again against our default, and how often.
_FINALISTS, _FINAL_ROUNDS = 4, 3


class LayerTuner:
    """Tunes layers with one cost model, which learns from all of them."""

    def __init__(
        self, evaluation: Evaluation, machine: Machine, cases: Path, progress: Progress
    ) -> None:
        self.evaluation, self.machine, self.cases = evaluation, machine, cases
        self.progress = progress
        self.cost_model = GuidedXGBoost(machine, evaluation.seed)

    def tune(self, task: Task, trials: int) -> Outcome:
        """Search until the log has ``trials`` candidates of the layer, then hold the final.

        Raises DeviceError and LogError where it cannot go on, and TuningError where there is no
        space for what the kernels are compared with.
        """
        layer, log = task.layer, self.evaluation.log
        folder = case_folder(self.cases, layer)
        try:
            write_case(layer, folder, self.evaluation.seed)
        except (OSError, MemoryError) as error:
            raise TuningError(
                f"no space for the reference of {task.name} in {self.cases.parent}: {error}; give "
                "another TMPDIR, or tune a smaller size"
            ) from error
        space = SearchSpace(layer, self.machine)
        # Whatever made a default fail may be gone; it has to be measured.
        known = {
            key_of(t.candidate(self.machine))
            for t in log.trials_of(layer)
            if t.stage == "search" or (t.stage in SEARCHED and t.seconds)
        }
        self.progress.begin(task, len(known))
        defaults = default_candidates(layer, self.machine)
        first = [space.measurable(c) for c in defaults if key_of(c) not in known]
        if len(known) < trials:
            self._search(task, space, first[: trials - len(known)], known, trials)
        if not self.evaluation.stopped:
            self._final(task, space, defaults[0])
        if self.evaluation.error is not None:
            raise self.evaluation.error
        outcome = self._outcome(task, defaults[0])
        self.progress.end(outcome)
        # A large layer's case takes gigabytes.
        shutil.rmtree(folder)
        return outcome

    def _search(
        self,
        task: Task,
        space: SearchSpace,
        first: list[MeasureCandidate],
        known: set[str],
        trials: int,
    ) -> None:
        evaluation = self.evaluation
        strategy = DefaultsThenSearch(first, set(known), lambda: evaluation.stopped, self.machine)
        # MetaSchedule's seeds are positive.
        seed = evaluation.seed + 1 + len(known)
        context = tune_context(
            space.mod,
            evaluation.target,
            space=space.generator(seed),
            strategy=strategy,
            # The cost model counts a layer's samples by it.
            name=str(task.layer),
            seed=seed,
        )
        teaching = Teaching(context, self.cost_model)
        self._teach_earlier(teaching, space, task)
        # The first round is that of the defaults that were not measured yet.
        stages = chain(["default"] if first else [], repeat("search"))

        def record(candidates: Any, built: Any, results: Any) -> None:
            evaluation.record(task, candidates, built, results, next(stages))
            self.progress.round(task, evaluation.log)

        search(evaluation, teaching, trials - len(known), record)

    def _teach_earlier(self, teaching: Teaching, space: SearchSpace, task: Task) -> None:
        """What an earlier run measured."""
        earlier = [
            t
            for t in self.evaluation.log.trials_of(task.layer)
            if t.stage in SEARCHED and t.variant in space.fields
        ]
        if earlier:
            teaching.learn(
                [space.measurable(t.candidate(self.machine)) for t in earlier],
                [
                    RunnerResult(t.seconds or None, None if t.seconds else t.error or t.status)
                    for t in earlier
                ],
            )

    def _final(self, task: Task, space: SearchSpace, default: Candidate) -> None:
        """Measure the fastest candidates and the default again, unless that was done already."""
        measured = self.evaluation.log.measured(task.layer)
        turns = [one.final for one in measured if one.final]
        if not measured or (turns and min(turns) >= _FINAL_ROUNDS):
            return
        # The fastest of the search may have been lucky, and the winner of an earlier final has to
        # meet the others on the machine as it is now.
        fastest = sorted(measured, key=lambda one: one.seconds)[:_FINALISTS]
        finalists = {
            key_of(c): c for c in (Candidate(task.layer, m.variant, m.parameters) for m in fastest)
        }
        finalists.setdefault(key_of(default), default)
        candidates = [space.measurable(c) for c in finalists.values()]
        measured_again = self.evaluation.in_turns(
            [c.sch.mod for c in candidates], [c.args_info for c in candidates], _FINAL_ROUNDS
        )
        for candidate, pairs in zip(candidates, measured_again, strict=True):
            # One that fails once in a while must not win with the turns in which it did not.
            failed = any(outcome_of(*pair)[0] not in (OK, INTERRUPTED, LOST) for pair in pairs)
            for artifact, result in pairs:
                stage = FAILED_FINAL if failed else FINAL
                self.evaluation.record(task, [candidate], [artifact], [result], stage)

    def _outcome(self, task: Task, default: Candidate) -> Outcome:
        log = self.evaluation.log
        search = [t for t in log.trials_of(task.layer) if t.stage in SEARCHED]
        failures = sum(t.status != OK for t in search)
        in_final = {
            key_of(Candidate(task.layer, m.variant, m.parameters)): m
            for m in log.measured(task.layer)
            if m.final
        }
        own = in_final.get(key_of(default))
        if own is None:
            return Outcome(task, len(search), failures)
        best = next(iter(in_final.values()))
        winner = Candidate(task.layer, best.variant, best.parameters)
        return Outcome(task, len(search), failures, own.seconds, best.seconds, winner)
