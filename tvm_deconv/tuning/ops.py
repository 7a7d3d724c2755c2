"""``--all-ops``: the rest of a network by MetaSchedule's own rules; ``apply`` applies the result.

A function that no template of ours covers competes with the schedule that it gets by default
(``schedules.rest``; on a GPU, TVM's DLight). Only where MetaSchedule's best is faster, in
turns with the default, is it written to the database, so that a record is always worth applying.
Unlike our own candidates, these are TVM's and are timed with random arguments, not compared with a
reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import tvm
from tvm.s_tir.meta_schedule.arg_info import ArgInfo
from tvm.s_tir.meta_schedule.cost_model import XGBModel
from tvm.s_tir.meta_schedule.cost_model.xgb_model import XGBConfig
from tvm.s_tir.meta_schedule.database import TuningRecord
from tvm.s_tir.meta_schedule.mutator import Mutator
from tvm.s_tir.meta_schedule.postproc import Postproc
from tvm.s_tir.meta_schedule.schedule_rule import ScheduleRule
from tvm.s_tir.meta_schedule.search_strategy import EvolutionarySearch
from tvm.s_tir.meta_schedule.space_generator import PostOrderApply
from tvm.target import Target

from tvm_deconv.backends import backend_of
from tvm_deconv.errors import TuningError
from tvm_deconv.logs.trial import OK, Trial

from .context import tune_context
from .evaluation import BUILD_FAILED, Evaluation, outcome_of
from .progress import Progress
from .rounds import ROUND, Teaching, search
from .tasks import OpTask

# Who scheduled a function, in a trial.
DEFAULT, METASCHEDULE = "default", "metaschedule"
_FINAL_ROUNDS = 3


@dataclass(frozen=True)
class OpOutcome:
    """What tuning a function came to: medians of the final in seconds, None if there was none."""

    task: OpTask
    trials: int
    default: float | None = None
    best: float | None = None

    def __str__(self) -> str:
        if self.default is None or self.best is None:
            return f"{self.task.name}: {self.trials} trials, nothing faster"
        gain = self.default / self.best
        kept = f"{gain:.2f} times as fast as" if gain > 1 else "no faster than"
        return (
            f"{self.task.name}: {self.best * 1e3:.3g} ms by MetaSchedule, {kept} the default "
            f"({self.default * 1e3:.3g} ms); {self.trials} trials"
        )


def check_rules(target: Target) -> None:
    """Raise TuningError for a target whose functions MetaSchedule has no rules for."""
    backend = backend_of(target)
    if backend.rules is None:
        raise TuningError(
            f"MetaSchedule has rules for CUDA but none for {backend.name}, whose GPUs have other "
            "memories: leave --all-ops out; the other functions keep the schedules of TVM's DLight"
        )


def _with_seconds(record: TuningRecord, seconds: Sequence[float]) -> TuningRecord:
    """The same schedule with the samples of a final."""
    return TuningRecord(
        record.trace, record.workload, list(seconds), record.target, record.args_info
    )


class OpTuner:
    """Tunes functions one after the other, with one cost model."""

    def __init__(self, evaluation: Evaluation, progress: Progress) -> None:
        self.evaluation, self.progress = evaluation, progress
        self.cost_model = XGBModel(
            config=XGBConfig(seed=evaluation.seed, nthread=1), num_warmup_samples=ROUND
        )

    def tune(self, task: OpTask, trials: int) -> OpOutcome:
        """Search, and a final against the default; a function that had its final is left alone.

        An interrupted search begins anew. Raises DeviceError and LogError where it cannot go on.
        """
        log = self.evaluation.log
        self.progress.report(f"[other operators] {task.name}")
        if not any(trial.stage == "final" for trial in log.trials_of(task.digest)):
            self._tune(task, trials)
        if self.evaluation.error is not None:
            raise self.evaluation.error
        outcome = self._outcome(task)
        self.progress.report(f"  {outcome}")
        return outcome

    def _tune(self, task: OpTask, trials: int) -> None:
        evaluation = self.evaluation
        # The rules for any CPU, or any CUDA: those that a target adds are for integers or tensor
        # cores, and need intrinsics.
        kind = backend_of(evaluation.target).rules
        rules = PostOrderApply(
            sch_rules=ScheduleRule.create(kind),
            postprocs=Postproc.create(kind),
            mutator_probs=Mutator.create(kind),
        )
        context = tune_context(
            task.mod,
            evaluation.target,
            space=rules,
            strategy=EvolutionarySearch(),
            name=task.name,
            seed=evaluation.seed + 1,
        )
        teaching = Teaching(context, self.cost_model)

        def record(_candidates: Any, built: Any, results: Any) -> None:
            for artifact, result in zip(built, results, strict=True):
                outcome = outcome_of(artifact, result)
                evaluation.commit(self._trial(task, METASCHEDULE, *outcome, "search"))

        search(evaluation, teaching, trials, record)
        if not evaluation.stopped:
            self._final(task, teaching.best())

    def _final(self, task: OpTask, best: TuningRecord | None) -> None:
        """Measure the default and the best in turns; keep the best's record if it is faster.

        Lines of the final say also of a function that it has had its turn where there is no best.
        """
        evaluation = self.evaluation
        func, target = task.mod["main"], evaluation.target
        default = backend_of(target).default_schedule(func, target, task.name)
        mods = {DEFAULT: tvm.IRModule({"main": default})}
        if best is not None:
            mods[METASCHEDULE] = best.as_measure_candidate().sch.mod
        arguments = ArgInfo.from_entry_func(task.mod, remove_preproc=False)
        turns = evaluation.in_turns(list(mods.values()), [arguments] * len(mods), _FINAL_ROUNDS)
        if evaluation.stopped:
            return
        trials = {
            variant: self._final_trial(task, variant, pairs)
            for variant, pairs in zip(mods, turns, strict=True)
        }
        own, other = trials[DEFAULT], trials.get(METASCHEDULE)
        evaluation.commit(own)
        if best is None or other is None:
            return
        faster = own.seconds and other.seconds and other.median < own.median
        evaluation.commit(other, _with_seconds(best, other.seconds) if faster else None)

    def _final_trial(self, task: OpTask, variant: str, pairs: list[Any]) -> Trial:
        """One line for all turns of a contestant; a failure if one of them failed."""
        outcomes = [outcome_of(*pair) for pair in pairs] or [(BUILD_FAILED, [], None)]
        failed = next((outcome for outcome in outcomes if outcome[0] != OK), None)
        seconds = [s for _, found, _ in outcomes for s in found]
        status, seconds, error = failed or (OK, seconds, None)
        return self._trial(task, variant, status, [] if failed else seconds, error, "final")

    def _trial(
        self,
        task: OpTask,
        variant: str,
        status: str,
        seconds: list[float],
        error: str | None,
        stage: str,
    ) -> Trial:
        seed = self.evaluation.seed
        return Trial.of_function(
            task.digest, task.name, variant, status, seconds, error, seed=seed, stage=stage
        )

    def _outcome(self, task: OpTask) -> OpOutcome:
        trials = self.evaluation.log.trials_of(task.digest)
        finals = {
            name: [s for t in trials for s in t.seconds if (t.stage, t.variant) == ("final", name)]
            for name in (DEFAULT, METASCHEDULE)
        }
        searched = sum(trial.stage != "final" for trial in trials)
        if not all(finals.values()):
            return OpOutcome(task, searched)
        return OpOutcome(task, searched, median(finals[DEFAULT]), median(finals[METASCHEDULE]))
