"""Lines that say how tuning goes: best so far, share of the peak, and how long it will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from tvm_deconv.logs.folder import LogFolder
from tvm_deconv.logs.layer import unit_of
from tvm_deconv.logs.trial import SEARCHED

from .outcome import Outcome
from .tasks import Task


class Progress:
    """Reports on all tasks of a run.

    ``peaks`` are the device's multiply-add peaks in operations a second, by ``Layer.product``.
    """

    def __init__(
        self,
        report: Callable[[str], None],
        tasks: Sequence[Task],
        trials: int,
        peaks: Mapping[str, float | None],
    ) -> None:
        self.report, self.tasks, self.trials, self.peaks = report, list(tasks), trials, peaks
        self._started = time.monotonic()
        self._measured = 0
        self._done = 0
        self._known = 0
        for product, peak in peaks.items():
            if peak is not None:
                rate = f"{peak / 1e9:.4g} {unit_of(product)}"
                report(f"multiply-add peak of the device, {product}: {rate}")

    def begin(self, task: Task, known: int) -> None:
        """A layer's turn, of which the log has ``known`` candidates already."""
        self._known = known
        what = f", {known} of {self.trials} candidates are in the log" if known else ""
        self.report(f"[{self._place(task)}] {task.name}{what}")

    def round(self, task: Task, log: LogFolder) -> None:
        """After a round of measurements."""
        trials = [t for t in log.trials_of(task.layer) if t.stage in SEARCHED]
        self._measured += len(trials) - self._known
        self._known = len(trials)
        best = min((t for t in trials if t.seconds), key=lambda t: t.median, default=None)
        words = f"  {len(trials)}/{self.trials}"
        if best is not None:
            words += f"  best {best.median * 1e3:.3g} ms ({best.variant})"
            rate = 2 * task.layer.multiply_adds / best.median
            words += f", {rate / 1e9:.3g} {task.layer.unit}"
            peak = self.peaks.get(task.layer.product)
            if peak is not None:
                words += f", {rate / peak:.0%} of peak"
        failed = sum(t.seconds is None or not t.seconds for t in trials)
        words += f", {failed} failed" if failed else ""
        self.report(f"{words}, {_duration(self._remaining(len(trials)))} to go")

    def end(self, outcome: Outcome) -> None:
        """After a layer."""
        self._done += 1
        self.report(f"  {outcome}")

    def _remaining(self, of_task: int) -> float:
        """Seconds, if the layers to come take as long for a trial as those until now."""
        spent = time.monotonic() - self._started
        later = len(self.tasks) - self._done - 1
        trials = max(self.trials - of_task, 0) + later * self.trials
        return spent / max(self._measured, 1) * trials

    def _place(self, task: Task) -> str:
        return f"{self.tasks.index(task) + 1}/{len(self.tasks)}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
