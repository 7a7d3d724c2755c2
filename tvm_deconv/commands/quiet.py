"""Standard error without what TVM says to nobody.

TVM's C++ and LLVM write warnings to it, with no switch: TVM's BlockBuilder where an exception ends
a conversion or a pass, and one for each power of three or more, whether or not its base may be
negative; LLVM for a feature of a processor that it does not know. Beside our line that says what
was wrong, or a right library, they only frighten.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_NOISE = (
    b"BlockBuilder destroyed with remaining blocks!",
    b"Warning: Detected pow(x, y) where y >= 3",
    b"is not a recognized feature for this target (ignoring feature)",
)
_STDERR = 2
# To read what is left, where a child process still has the pipe open.
_PATIENCE_S = 5


@contextmanager
def quiet() -> Iterator[None]:
    """Pass standard error on line by line, also that of C++ and of child processes, less the noise.

    For a process of our own: it redirects the file descriptor.
    """
    kept = os.dup(_STDERR)
    ours, theirs = os.pipe()
    os.dup2(theirs, _STDERR)
    os.close(theirs)
    reader = threading.Thread(target=_pass_on, args=(ours, kept), daemon=True)
    reader.start()
    try:
        yield
    finally:
        os.dup2(kept, _STDERR)
        reader.join(_PATIENCE_S)


def _pass_on(source: int, target: int) -> None:
    with os.fdopen(source, "rb") as lines:
        for line in lines:
            if not any(noise in line for noise in _NOISE):
                os.write(target, line)
    os.close(target)
