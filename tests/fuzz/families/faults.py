"""Cases that fail in every way on purpose, so that a test can see that each is noticed.

They are drawn in no run: a worker of ``take_faults`` has no others.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from .. import outcome as kinds
from ..choices import Choices
from ..outcome import Outcome, Progress


@dataclass(frozen=True)
class Fault:
    """Does to its process what its name says, unless one of its numbers is 0."""

    name: str
    numbers: list[int]

    def text(self) -> str:
        return f"{self.name} {self.numbers}"

    def run(self, progress: Progress) -> Outcome:
        progress("compile")
        if 0 in self.numbers:
            return Outcome(kinds.OK)
        if self.name == "abort":
            os.abort()
        if self.name == "memory":
            return Outcome(kinds.OK, str(len(bytearray(64 << 30))))
        while self.name == "hang":
            pass
        return Outcome(kinds.WRONG, "shape")


def fault(name: str, draw: Choices) -> Fault:
    return Fault(name, [draw.below(100) for _ in draw.many(1, 6, 0.9)])
