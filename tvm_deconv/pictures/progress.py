"""Lines that say how far long work is, and how long it will take."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

# Between two lines, and before the first.
_EVERY_S = 3.0


def say(line: str) -> None:
    """A line on stderr, in the words of the command."""
    print(f"tvm-deconv: {line}", file=sys.stderr)


class Progress:
    """Tells ``report`` from time to time how many tiles are done."""

    def __init__(
        self, report: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._report, self._clock = report, clock
        self._started = self._said = clock()

    def __call__(self, done: int, of: int) -> None:
        """After each of ``of`` equal parts."""
        now = self._clock()
        if now - self._said < _EVERY_S or done == of:
            return
        self._said = now
        left = (now - self._started) / done * (of - done)
        self._report(f"{done} of {of} tiles, {left:.0f} s to go")
