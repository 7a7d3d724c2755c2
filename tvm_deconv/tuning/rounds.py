"""MetaSchedule's search in rounds, as it goes for layers and for other functions alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm.ir.utils import derived_object
from tvm.s_tir.meta_schedule import TuneContext
from tvm.s_tir.meta_schedule.database import MemoryDatabase, TuningRecord, Workload
from tvm.s_tir.meta_schedule.measure_callback import PyMeasureCallback
from tvm.s_tir.meta_schedule.runner import RunnerResult
from tvm.s_tir.meta_schedule.search_strategy import MeasureCandidate
from tvm.s_tir.meta_schedule.task_scheduler import RoundRobin

from .build import remove_artifact
from .evaluation import Evaluation

# Candidates between two updates of the cost model: few, since there are few altogether, and a round
# that is interrupted is measured in vain at most once.
ROUND = 16


class Teaching:
    """What a search learns from: its cost model, and the database from whose best it goes on.

    The database is in memory and of one task: the log has all of it in a form of its own.
    """

    def __init__(self, context: TuneContext, cost_model: Any) -> None:
        self.context, self.cost_model, self.database = context, cost_model, MemoryDatabase()

    def learn(
        self, candidates: Sequence[MeasureCandidate], results: Sequence[RunnerResult]
    ) -> None:
        """Take in what was measured, failures included."""
        self.cost_model.update(self.context, candidates, results)
        workload = self._workload
        for candidate, result in zip(candidates, results, strict=True):
            if result.run_secs:
                self.database.commit_tuning_record(
                    TuningRecord(
                        candidate.sch.trace,
                        workload,
                        result.run_secs,
                        self.context.target,
                        candidate.args_info,
                    )
                )

    def best(self) -> TuningRecord | None:
        """The fastest; None where nothing was measured."""
        found = self.database.get_top_k(self._workload, 1)
        return found[0] if found else None

    @property
    def _workload(self) -> Workload:
        return self.database.commit_workload(self.context.mod)


@derived_object
class _AfterRound(PyMeasureCallback):
    """Log, teach, remove the artifacts."""

    def __init__(self, teaching: Teaching, record: Callable[[Any, Any, Any], None]) -> None:
        super().__init__()
        self.teaching, self.record = teaching, record

    def apply(
        self, scheduler: Any, task_id: int, candidates: Any, built: Any, results: Any
    ) -> None:
        self.record(candidates, built, results)
        self.teaching.learn(candidates, results)
        for artifact in built:
            if artifact.error_msg is None:
                remove_artifact(artifact.artifact_path)


def search(
    evaluation: Evaluation,
    teaching: Teaching,
    trials: int,
    record: Callable[[Any, Any, Any], None],
) -> None:
    """Measure so many candidates; ``record(candidates, built, results)`` logs those of a round."""
    RoundRobin().tune(
        [teaching.context],
        [1.0],
        max_trials_global=trials,
        max_trials_per_task=trials,
        num_trials_per_iter=min(ROUND, trials),
        builder=evaluation.builder,
        runner=evaluation.runner,
        measure_callbacks=[_AfterRound(teaching, record)],
        database=teaching.database,
        cost_model=teaching.cost_model,
    )
