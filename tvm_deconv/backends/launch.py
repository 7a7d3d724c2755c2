"""What starts the parallel loops of a library: ``launch.c``, which is compiled into it.

Only into libraries: what ``tvm_deconv.compile`` returns runs in memory on TVM's own pool, and so
does a library that is linked by other means than ``compile_library``.
"""

from __future__ import annotations

from pathlib import Path

_SOURCE = Path(__file__).with_name("launch.c")


def launch_words(triple: str) -> list[str]:
    """Words for a compiler that links: none for a system other than Linux."""
    if "linux" not in triple or "android" in triple:
        return []
    return ["-O2", "-pthread", "-x", "c", str(_SOURCE), "-x", "none"]
