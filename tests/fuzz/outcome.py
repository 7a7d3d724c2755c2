"""What became of a case."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tvm_deconv.errors import TvmDeconvError

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

_OURS, _SCHEDULES = "/tvm_deconv/", "/schedules/"

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


def refusal(error: TvmDeconvError) -> Outcome:
    """An error of ours: one line, or else unclear."""
    message = str(error)
    if "\n" in message.strip() or not message.strip():
        return Outcome(UNCLEAR, f"not one line: {_first_line(error)}", message)
    # What TVM stumbles over is refused before, in words of ours.
    unclear = ("Traceback", "AssertionError", "TVM cannot compile this model")
    if any(words in message for words in unclear):
        return Outcome(UNCLEAR, message)
    return Outcome(REFUSED, message)


def escaped(error: Exception, when: str = "") -> Outcome:
    """An exception that is not ours, and the innermost function of ours that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _OURS in frame.filename or _SCHEDULES in frame.filename]
    place = f" (in {ours[-1].name} of {Path(ours[-1].filename).name})" if ours else ""
    message = f"{when}{type(error).__name__}{place}: {_first_line(error)}"
    lines = "".join(traceback.format_exception(error)).splitlines()
    return Outcome(TRACEBACK, message, "\n".join(lines[-30:]))


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    # TVM puts the reason last, behind a traceback of C++.
    last = [line for line in lines if "Error" in line or "Check failed" in line]
    return (last[-1] if last else lines[0] if lines else "").strip()[:300]
