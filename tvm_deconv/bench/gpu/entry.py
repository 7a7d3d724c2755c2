"""What can be timed, and a contestant that is ready for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from .device import BenchDevice, Call


class Runner(Protocol):
    """What can be timed."""

    def warm_up(self) -> None: ...
    def record(self, count: int) -> Call: ...


R = TypeVar("R", bound=Runner)


@runtime_checkable
class Checkable(Runner, Protocol):
    """What has a result, too."""

    def poison(self) -> None: ...
    def result(self, number: int) -> np.ndarray: ...


@dataclass
class Entry:
    """A contestant that is ready: a recorded pass of ``calls`` calls."""

    record: dict[str, Any]
    runner: Runner
    replay: Call
    calls: int

    def look(self, device: BenchDevice) -> float:
        """Milliseconds of a call in one replay."""
        return device.time(self.replay) / self.calls
