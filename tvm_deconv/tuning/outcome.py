"""What tuning a layer came to."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_deconv.logs.layer import Candidate

from .tasks import Task


@dataclass(frozen=True)
class Outcome:
    """What tuning a layer came to, in seconds; ``best`` is None where nothing was measured.

    ``default`` and ``best`` are medians of the final, where both took turns.
    """

    task: Task
    trials: int
    failures: int
    default: float | None = None
    best: float | None = None
    winner: Candidate | None = None

    def __str__(self) -> str:
        if self.best is None or self.default is None or self.winner is None:
            return f"{self.task.name}: {self.trials} trials, {self.failures} failed, no final"
        return (
            f"{self.task.name}: {self.best * 1e3:.3g} ms with {self.winner.variant.name}, "
            f"{self.default / self.best:.2f} times as fast as the default "
            f"({self.default * 1e3:.3g} ms); {self.trials} trials, {self.failures} failed"
        )
