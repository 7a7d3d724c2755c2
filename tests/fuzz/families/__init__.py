"""Families of cases: each makes of choices something to compile, and what it has to give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..choices import Choices
from ..outcome import Outcome, Progress


class Case(Protocol):
    """What a family makes."""

    def text(self) -> str:
        """For a reader, who wants to see what it is and to repeat it."""

    def run(self, progress: Progress) -> Outcome:
        """Compile, run and compare."""


Family = Callable[[Choices], Case]
