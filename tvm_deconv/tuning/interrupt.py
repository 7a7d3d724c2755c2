"""Ctrl-C while tuning: the measurement under way ends, everything is kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any

from tvm_deconv.interrupts import SIGNALS, heeded, held_back


class Interrupt:
    """A context in which Ctrl-C sets ``event``, and does nothing else however often it comes.

    An exception would not help: raised in a callback, it ends the process where TVM has threads of
    its own. What is under way is limited by the timeouts of builder and runner.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self.event = threading.Event()
        self._report = report
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        # Only the main thread may change handlers; in others, Ctrl-C is its caller's affair.
        if threading.current_thread() is threading.main_thread():
            numbers = filter(heeded, SIGNALS)
            self._before = {number: signal.signal(number, self._stop) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, signum: int, frame: FrameType | None) -> None:
        if not self.event.is_set():
            self.event.set()
            # Printing here could meet the main thread in the middle of a line.
            said = "stopping after what is under way; everything that was measured is kept"
            threading.Thread(target=self._report, args=(said,)).start()


def uninterrupted() -> AbstractContextManager[None]:
    """Start processes that Ctrl-C in the terminal, which goes to all of them, does not end."""
    return held_back({signal.SIGINT})


def ignore_interrupts() -> None:
    """For worker processes of MetaSchedule: let them finish what they have begun."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
