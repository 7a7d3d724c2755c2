"""The process in which cases run: it reads which on stdin and says on stdout what became of each.

Both are lines of JSON. What TVM, LLVM or a dying C library write goes to a file, of which a case
gets what was written for it. ``python -m fuzz.worker FILE MODULE`` starts one; ``take`` of that
module runs a case, see ``fuzz.take``.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import resource
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

# More than any case needs; one that goes on taking memory must not take the machine's.
_MOST_BYTES = 5 << 30


def main(log: str, module: str) -> None:
    """Take cases until stdin ends."""
    out = os.fdopen(os.dup(1), "w")
    with open(log, "wb", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    faulthandler.enable()
    warnings.simplefilter("ignore")

    # Imports everything before memory is bounded.
    take = import_module(module).take
    # What is imported stays, and is not looked through for garbage in every case.
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = taken * resource.getpagesize() + _MOST_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _say(out, ready=True)
    for line in sys.stdin:
        written = os.path.getsize(log)

        def progress(step: str) -> None:
            nonlocal written
            if step == "compile":  # what exporters and references write does not count
                written = os.path.getsize(log)
            _say(out, step=step)

        found = take(json.loads(line), progress)
        _say(out, **found, noise=_since(log, written))


def _say(out: TextIO, **values: Any) -> None:
    out.write(json.dumps(values) + "\n")
    out.flush()


def _since(log: str, begin: int) -> str:
    """What was written to the file since then."""
    with open(log, "rb") as file:
        file.seek(begin)
        return file.read(20_000).decode(errors="replace")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
