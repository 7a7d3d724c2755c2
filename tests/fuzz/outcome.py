"""What became of a case."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

OK = "ok"  # compiled, and right
REFUSED = "refused"  # one line that says why
INVALID = "invalid"  # the reference refuses it, and so do we, or ours is right by another reference
WRONG = "wrong"
ACCEPTED = "accepted"  # what every reference refuses
TRACEBACK = "traceback"  # an exception that is not ours, or a message that is not one line
ABORT = "abort"  # the process died
HANG = "hang"
UNCLEAR = "unclear"  # refused, but not in words of ours
BROKEN = "broken"  # the generator itself failed

FAILURES = (WRONG, ABORT, HANG, TRACEBACK, ACCEPTED, UNCLEAR, BROKEN)

# Called with what is about to be done, so that whoever watches knows what a process died of.
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """``message`` in one line; ``detail`` is for whoever looks at this one case."""

    kind: str
    message: str = ""
    detail: str = ""

    @property
    def failed(self) -> bool:
        return self.kind in FAILURES

    @property
    def pattern(self) -> str:
        """The message without what differs from case to case: numbers, names, types."""
        return pattern(self.message)

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "message": self.message, "detail": self.detail}


def pattern(message: str) -> str:
    """A message with its numbers, names and shapes replaced."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"", "'…'", message)
    text = re.sub(r"/[\w./+-]+", "PATH", text)
    text = re.sub(r"\b[xtk]\d+(_\w+)?\b", "NAME", text)
    text = re.sub(r"-?\d+(\.\d+)?(e[-+]?\d+)?", "N", text)
    text = re.sub(r"[\[(]N?(, ?N)*,?[\])]", "(N)", text)
    return text[:200]
