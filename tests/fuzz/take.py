"""What a worker does with a request: the case of a number is made and run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import cases
from . import outcome as kinds
from .choices import Choices
from .onnx_case import escaped
from .outcome import Outcome
from .runtimes import leave_out_onnxruntime


def take(request: Mapping[str, Any], progress: Callable[[str], None]) -> dict[str, Any]:
    """What became of a case: see ``pool.Result``."""
    if request.get("choices") is None:
        draw = cases.choices_of(request["seed"], request["index"])
    else:
        draw = Choices(given=request["choices"])
    progress("make")
    case = None
    leave_out_onnxruntime(False)
    try:
        case = cases.make(request["family"], draw)
        leave_out_onnxruntime(bool(request.get("no_reference")))
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
