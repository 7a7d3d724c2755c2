"""``tvm-deconv logs list``: which logs there are, and what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tvm_deconv.errors import LogError

from .find import folders_below
from .folder import LogFolder
from .layer import Layer
from .reading import MeasuredKernel
from .trial import OK


@dataclass(frozen=True)
class Best:
    """The best row of a layer. ``name`` says where the layer was met."""

    name: str
    layer: Layer
    measured: MeasuredKernel

    @property
    def gflops(self) -> float:
        """1e9 operations per second, two for each multiply-add."""
        return 2 * self.layer.multiply_adds / self.measured.seconds / 1e9


@dataclass(frozen=True)
class Listed:
    """A log, or in ``problem`` why it cannot be read."""

    root: Path
    path: Path
    log: LogFolder | None
    trials: int
    failures: int
    best: tuple[Best, ...]
    problem: str = ""

    def __str__(self) -> str:
        if self.log is None:
            return f"{self.path}\n  {self.problem}"
        header = self.log.header
        lines = [
            f"{header.device}, TVM {header.minor}, in {self.root}",
            f"  measured on {header.description}; target {header.processor}",
            f"  {len(self.best)} layers, {self.trials} trials, {self.failures} of them failed",
        ]
        width = max((len(best.name) for best in self.best), default=0)
        lines += [
            f"  {best.name:<{width}}  {best.measured.seconds * 1e3:8.3g} ms "
            f"{best.gflops:6.3g} {best.layer.unit}  {best.measured.variant.name}"
            for best in self.best
        ]
        return "\n".join(lines)


def list_logs(roots: Sequence[Path]) -> list[Listed]:
    """All logs below the roots, in order; one that cannot be read is listed with the reason."""
    return [_listed(root, folder) for root in roots for folder in folders_below(root)]


def _listed(root: Path, folder: Path) -> Listed:
    try:
        log = LogFolder.open(folder)
        trials = log.trials()
        names = {trial.layer: trial.name for trial in reversed(trials)}
        best = []
        for layer in log.layers:
            measured = log.measured(layer)
            if measured:
                best.append(Best(names[layer], layer, measured[0]))
        failures = sum(trial.status != OK for trial in trials)
        return Listed(root, folder, log, len(trials), failures, tuple(best))
    except LogError as error:
        return Listed(root, folder, None, 0, 0, (), str(error))
