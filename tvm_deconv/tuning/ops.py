"""``--all-ops``: the rest of a network by MetaSchedule's own rules; ``apply`` applies the result.

A function that no template of ours covers competes with the schedule that it gets by default
(``schedules.rest``; on a GPU, TVM's DLight). Only where MetaSchedule's best is faster, in
turns with the default, is it written to the database, so that a record is always worth applying.
Unlike our own candidates, these are TVM's and are timed with random arguments, not compared with a
reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

import tvm
from tvm.ir.utils import derived_object
from tvm.s_tir.meta_schedule import TuneContext
from tvm.s_tir.meta_schedule.arg_info import ArgInfo
from tvm.s_tir.meta_schedule.cost_model import XGBModel
from tvm.s_tir.meta_schedule.cost_model.xgb_model import XGBConfig
from tvm.s_tir.meta_schedule.database import MemoryDatabase, TuningRecord
from tvm.s_tir.meta_schedule.measure_callback import PyMeasureCallback
from tvm.s_tir.meta_schedule.mutator import Mutator
from tvm.s_tir.meta_schedule.postproc import Postproc
from tvm.s_tir.meta_schedule.schedule_rule import ScheduleRule
from tvm.s_tir.meta_schedule.search_strategy import EvolutionarySearch
from tvm.s_tir.meta_schedule.space_generator import PostOrderApply
from tvm.s_tir.meta_schedule.task_scheduler import RoundRobin
from tvm.target import Target

from tvm_deconv.backends import backend_of
from tvm_deconv.errors import TuningError
from tvm_deconv.logs.trial import OK, Trial

from .build import remove_artifact
from .context import tune_context
from .evaluation import BUILD_FAILED, Evaluation, outcome_of
from .progress import Progress
from .tasks import OpTask

# Who scheduled a function, in a trial.
DEFAULT, METASCHEDULE = "default", "metaschedule"
_ROUND, _FINAL_ROUNDS = 16, 3


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


@derived_object
class _Record(PyMeasureCallback):
    """After each round: log, teach the cost model, remove the artifacts."""

    def __init__(self, tuner: OpTuner, task: OpTask, context: TuneContext) -> None:
        super().__init__()
        self.tuner, self.task, self.context = tuner, task, context

    def apply(
        self, scheduler: Any, task_id: int, candidates: Any, built: Any, results: Any
    ) -> None:
        self.tuner.record(self.task, built, results)
        self.tuner.cost_model.update(self.context, candidates, results)
        workload = scheduler.database_.commit_workload(self.task.mod)
        for candidate, result in zip(candidates, results, strict=True):
            if result.run_secs:
                record = TuningRecord(
                    candidate.sch.trace,
                    workload,
                    result.run_secs,
                    self.tuner.evaluation.target,
                    candidate.args_info,
                )
                scheduler.database_.commit_tuning_record(record)
        for artifact in built:
            if artifact.error_msg is None:
                remove_artifact(artifact.artifact_path)


class OpTuner:
    """Tunes functions one after the other, with one cost model."""

    def __init__(self, evaluation: Evaluation, progress: Progress) -> None:
        self.evaluation, self.progress = evaluation, progress
        self.cost_model = XGBModel(
            config=XGBConfig(seed=evaluation.seed, nthread=1), num_warmup_samples=_ROUND
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
        evaluation, database = self.evaluation, MemoryDatabase()
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
        RoundRobin().tune(
            [context],
            [1.0],
            max_trials_global=trials,
            max_trials_per_task=trials,
            num_trials_per_iter=min(_ROUND, trials),
            builder=evaluation.builder,
            runner=evaluation.runner,
            measure_callbacks=[_Record(self, task, context)],
            database=database,
            cost_model=self.cost_model,
        )
        best = database.get_top_k(database.commit_workload(task.mod), 1)
        if not evaluation.stopped:
            self._final(task, best[0] if best else None)

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
        evaluation.commit(own, task.mod)
        if best is None or other is None:
            return
        if own.seconds and other.seconds and other.median < own.median:
            evaluation.commit(other, task.mod, best.trace, other.seconds, best.args_info)
        else:
            evaluation.commit(other, task.mod)

    def _final_trial(self, task: OpTask, variant: str, pairs: list[Any]) -> Trial:
        """One line for all turns of a contestant; a failure if one of them failed."""
        outcomes = [outcome_of(*pair) for pair in pairs] or [(BUILD_FAILED, [], None)]
        failed = next((outcome for outcome in outcomes if outcome[0] != OK), None)
        seconds = [s for _, found, _ in outcomes for s in found]
        status, seconds, error = failed or (OK, seconds, None)
        return self._trial(task, variant, status, [] if failed else seconds, error, "final")

    def record(self, task: OpTask, built: Any, results: Any) -> None:
        """A line of the log for each result of the search."""
        for artifact, result in zip(built, results, strict=True):
            trial = self._trial(task, METASCHEDULE, *outcome_of(artifact, result), "search")
            self.evaluation.commit(trial, task.mod)

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
