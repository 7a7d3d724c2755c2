"""The smallest case that fails as a given one does: its choices, fewer and smaller."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from .pool import Result

# Words in which messages about wrong results differ; without them, values are wrong.
_TELLING = ("shape", "type", "results", "written", "is a")

# What a list of choices leads to; None where it is not tried because time is up.
Try = Callable[[list[int]], Result]


def shrink(first: Result, attempt: Try, seconds: float = 120.0) -> Result:
    """The smallest case found in that time whose outcome is of the same kind.

    Three passes, again until none helps: leave out what belongs together (a node), leave out single
    choices, and make each smaller.
    """
    end = time.monotonic() + seconds
    best = first
    helped = True
    while helped and time.monotonic() < end:
        helped = False
        for candidates in (_without_spans, _without_parts, _simpler):
            index = 0
            while time.monotonic() < end:
                proposed = next(_from(candidates(best), index), None)
                if proposed is None:
                    break
                found = attempt(proposed) if _key(proposed) < _key(best.choices) else None
                if (
                    found is not None
                    and is_same(found, first)
                    and _key(found.choices) < _key(best.choices)
                ):
                    best, helped = found, True
                else:
                    index += 1
    return best


def is_same(a: Result, b: Result) -> bool:
    """Whether two cases fail in the same way, as far as one can tell."""
    return sign(a) == sign(b)


def sign(result: Result) -> tuple[str, str]:
    """The kind, and of the message what tells one fault from another."""
    outcome = result.outcome
    if outcome.kind in ("traceback", "unclear", "broken", "refused"):
        return outcome.kind, outcome.pattern
    if outcome.kind == "abort":
        return outcome.kind, outcome.pattern[:30]
    if outcome.kind == "wrong":
        who = outcome.pattern.partition(":")[0].partition(" is ")[0]
        words = [word for word in _TELLING if word in outcome.message]
        return outcome.kind, f"{who}: {words[0] if words else 'values'}"
    return outcome.kind, ""


def _key(choices: list[int]) -> tuple[int, list[int]]:
    while choices and choices[-1] == 0:
        choices = choices[:-1]
    return len(choices), choices


def _from(candidates: Iterator[list[int]], index: int) -> Iterator[list[int]]:
    for number, candidate in enumerate(candidates):
        if number >= index:
            yield candidate


def _without_spans(result: Result) -> Iterator[list[int]]:
    for begin, end in sorted(result.spans, key=lambda span: span[0] - span[1]):
        yield result.choices[:begin] + result.choices[end:]


def _without_parts(result: Result) -> Iterator[list[int]]:
    choices = result.choices
    for size in (32, 16, 8, 4, 2, 1):
        for begin in range(len(choices) - size, -1, -size):
            yield choices[:begin] + choices[begin + size :]


def _simpler(result: Result) -> Iterator[list[int]]:
    choices = result.choices
    for size in (8, 4, 2, 1):
        for begin in range(0, len(choices), size):
            part = choices[begin : begin + size]
            if any(part):
                yield choices[:begin] + [0] * len(part) + choices[begin + size :]
    for place, value in enumerate(choices):
        for smaller in {value // 2, value - 1} - {0, value}:
            if 0 < smaller < value:
                yield [*choices[:place], smaller, *choices[place + 1 :]]
