"""What a worker does with a request: it names an architecture, an exporter, and the sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fuzz import outcome as kinds
from fuzz.outcome import Outcome, escaped

from tvm_deconv.threads import use_threads

from .architectures.table import ARCHITECTURES
from .case import ExportCase
from .exporters import EXPORTERS

FIXED, FREE = "fixed", "free"

use_threads(2)


def take(request: Mapping[str, Any], progress: Callable[[str], None]) -> dict[str, Any]:
    """What became of a case: see ``fuzz.pool.Result``."""
    case = ExportCase(
        ARCHITECTURES[request["architecture"]],
        EXPORTERS[request["exporter"]],
        request["sizes"] == FREE,
    )
    try:
        outcome = case.run(progress)
    except Exception as error:  # a fault of ours, which must not end the run
        found = escaped(error)
        outcome = Outcome(kinds.BROKEN, found.message, found.detail)
    return {"outcome": outcome.as_json(), "facts": case.facts}
