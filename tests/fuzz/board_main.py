"""What an emulated board does: libraries are loaded and run, one line of JSON each, see ``board``.

It has TVM's runtime, and neither its compiler nor what makes cases.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import numpy as np
import tvm

from .execution import run_guarded, run_kernel
from .outcome import Outcome


def main() -> None:
    """Take libraries until stdin ends."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    print(json.dumps({"ready": True}), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(_taken(json.loads(line))), file=out, flush=True)


def _taken(request: dict[str, Any]) -> dict[str, Any]:
    """Arrays come as one file and go as another; ``kernel``: the last one is to be written."""
    with np.load(request["inputs"]) as file:
        arrays = [file[f"arr_{i}"] for i in range(len(file.files))]
    library = tvm.runtime.load_module(request["library"])
    run = run_kernel if request["kernel"] else run_guarded
    found = run(library, arrays)
    if isinstance(found, Outcome):
        return {"outcome": found.as_json()}
    if isinstance(found, Exception):
        return {"error": f"{type(found).__name__}: {found}"}
    np.savez(request["outputs"], *found)
    return {"count": len(found)}


if __name__ == "__main__":
    main()
