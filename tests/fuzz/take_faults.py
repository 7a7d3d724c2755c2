"""What a worker does that fails on purpose: nothing that takes long is imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .families.faults import fault
from .outcome import Progress
from .request import taken


def take(request: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """What became of a case: see ``pool.Result``."""
    return taken(fault, request, progress)
