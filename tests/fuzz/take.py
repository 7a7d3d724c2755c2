"""What a worker does with a request: the case of a number is made and run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quick_exports import list_operators_once

from tvm_deconv.threads import use_threads

from . import cases
from .choices import Choices
from .families import Case
from .outcome import Progress
from .request import taken
from .runtimes import leave_out_onnxruntime

list_operators_once()
use_threads(2)


def take(request: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """What became of a case: see ``pool.Result``."""

    def make(family: str, draw: Choices) -> Case:
        leave_out_onnxruntime(False)
        case = cases.make(family, draw)
        leave_out_onnxruntime(bool(request.get("no_reference")))
        return case

    return taken(make, request, progress)
