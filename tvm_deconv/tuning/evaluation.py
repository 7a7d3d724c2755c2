"""Building and measuring on the device, and writing what came out to the log."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import Any

import tvm
from tvm.s_tir.meta_schedule.builder import Builder, BuilderInput
from tvm.s_tir.meta_schedule.database import TuningRecord
from tvm.s_tir.meta_schedule.runner import RunnerInput, RunnerResult
from tvm.s_tir.meta_schedule.search_strategy import MeasureCandidate
from tvm.target import Target

from tvm_deconv.backends import backend_of
from tvm_deconv.errors import TvmDeconvError
from tvm_deconv.logs.folder import LogFolder
from tvm_deconv.logs.trial import Trial

from .build import remove_artifact
from .definition import candidate_of
from .measure import DEVICE
from .runner import INTERRUPTED, status_of
from .tasks import Task

BUILD_FAILED = "build failed"
# ``status_of`` for a candidate without a device.
LOST = DEVICE.removesuffix(": ")


class Evaluation:
    """The device, the log, and what stands in the way of going on.

    That is ``error``: the search ends in good order, and the caller raises it.
    """

    def __init__(
        self, builder: Builder, runner: Any, log: LogFolder, target: Target, seed: int, stop: Event
    ) -> None:
        self.builder, self.runner, self.log = builder, runner, log
        self.target, self.seed, self.stop = target, seed, stop
        backend = backend_of(target)
        self.machine, self.device_kind = backend.machine(target), backend.device_kind
        self.error: TvmDeconvError | None = None
        self._blamed = False

    @property
    def stopped(self) -> bool:
        """Whether nothing more is to be measured."""
        return self.stop.is_set() or self.error is not None

    def in_turns(
        self, mods: Sequence[tvm.IRModule], arguments: Sequence[Any], turns: int
    ) -> list[list[tuple[Any, RunnerResult]]]:
        """Build each module once and measure all in turns: for each, (artifact, result) by turn.

        ``arguments`` are those that the runner gets for each module.
        """
        built = self.builder.build([BuilderInput(mod, self.target) for mod in mods])
        found: list[list[tuple[Any, RunnerResult]]] = [[] for _ in mods]
        order = list(range(len(mods)))
        for _ in range(turns):
            for i in order:
                if self.stopped or built[i].error_msg is not None:
                    continue
                run = RunnerInput(built[i].artifact_path, self.device_kind, arguments[i])
                (future,) = self.runner.run([run])
                found[i].append((built[i], future.result()))
            # Whoever came first comes last.
            order = [*order[1:], order[0]]
        for artifact in built:
            if artifact.error_msg is None:
                remove_artifact(artifact.artifact_path)
        if self.error is None:
            self.error = self.runner.lost
        return found

    def record(
        self,
        task: Task,
        candidates: Sequence[MeasureCandidate],
        built: Sequence[Any],
        results: Sequence[RunnerResult],
        stage: str,
    ) -> None:
        """Log what became of candidates for a layer."""
        for candidate, artifact, result in zip(candidates, built, results, strict=True):
            status, seconds, failed = outcome_of(artifact, result)
            made = candidate_of(candidate.sch, self.machine)
            self.commit(
                Trial.of(made, task.name, status, seconds, failed, seed=self.seed, stage=stage)
            )

    def commit(self, trial: Trial, record: TuningRecord | None = None) -> None:
        """``LogFolder.commit``, but not of what an interruption or a lost device made fail."""
        lost = self.runner.lost
        if self.error is None:
            self.error = lost
        if self.error is not None and self.error is not lost:
            return
        # What was kept from being built or measured has not failed.
        if trial.status == INTERRUPTED or (self.stop.is_set() and trial.status == BUILD_FAILED):
            return
        if trial.status == LOST:
            # TVM's own server does not survive a kernel that crashes. The candidate that was lost
            # with it is logged, lest the next run begins with it; but a default must be measured.
            if self._blamed or trial.stage != "search":
                return
            self._blamed = True
        try:
            self.log.commit(trial, record)
        except TvmDeconvError as error:
            self.error = error


def outcome_of(artifact: Any, result: RunnerResult) -> tuple[str, list[float], str | None]:
    """Status, seconds and error text of what was built and measured."""
    status = BUILD_FAILED if artifact.error_msg else status_of(result.error_msg)
    error = artifact.error_msg or result.error_msg
    return status, [float(s) for s in result.run_secs or ()], error and str(error)
