"""Processes that compute all the time, beside those that are measured."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# It ends with the process that began it, should that be killed.
_COMPUTE = """
import os
parent = os.getppid()
while os.getppid() == parent:
    sum(range(1000000))
"""


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Within the context, ``count`` processes of one thread each compute without a pause."""
    processes = [subprocess.Popen([sys.executable, "-c", _COMPUTE]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
