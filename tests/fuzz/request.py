"""What becomes of a request, whatever makes its case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import outcome as kinds
from .choices import Choices, choices_of
from .families import Case
from .outcome import Outcome, Progress, escaped


def taken(
    make: Callable[[str, Choices], Case], request: Mapping[str, Any], progress: Progress
) -> dict[str, Any]:
    """What became of the case that ``make`` makes of a family's name and choices.

    See ``pool.Result``.
    """
    if request.get("choices") is None:
        draw = choices_of(request["seed"], request["index"])
    else:
        draw = Choices(given=request["choices"])
    progress("make")
    case = None
    try:
        case = make(request["family"], draw)
        outcome = Outcome(kinds.OK) if request.get("only_text") else case.run(progress)
    except Exception as error:  # a fault of the generator, which must not end the run
        found = escaped(error)
        outcome = Outcome(kinds.BROKEN, found.message, found.detail)
    wanted = case is not None and (outcome.failed or request.get("only_text"))
    return {
        "outcome": outcome.as_json(),
        "choices": draw.taken,
        "spans": draw.spans,
        "text": case.text() if wanted and case is not None else "",
    }
