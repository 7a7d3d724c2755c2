"""Ctrl-C while tuning: the measurement under way ends, everything is kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class Interrupt:
    """A context in which the first Ctrl-C sets ``event``, and the second one raises as usual."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self.event = threading.Event()
        self._report = report
        self._before: Any = None

    def __enter__(self) -> Interrupt:
        # Only the main thread may change handlers; in others, Ctrl-C is its caller's affair.
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _stop(self, signum: int, frame: FrameType | None) -> None:
        if self.event.is_set():
            raise KeyboardInterrupt
        self.event.set()
        self._report("stopping after this measurement; everything is kept (Ctrl-C again: at once)")
