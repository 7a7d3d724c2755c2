"""Of OpenCL's built-in functions those that a program names: Clang reads no others.

PoCL 3.0 puts a header of 14,500 declarations before each program, which takes 80 ms; a kernel of
the tests takes 10. Where the header's guard is defined (``SKIP``), it is empty.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Iterable
from pathlib import Path

SKIP = "-D_OPENCL_H_"
# Before the declarations: types and constants, which PoCL puts before each program by itself.
_BASE = '#include "opencl-c-base.h"'

# Those of several lines are for atomic operations, which our kernels do not have.
_DECLARATION = re.compile(r"\w+ __ovld [\w ]*?(\w+)\(.*\);")


def words(source: str) -> set[str]:
    """All names in OpenCL C."""
    return set(re.findall(r"\w+", source))


def declarations(wanted: set[str]) -> str:
    """The lines of PoCL's header that declare functions of these names, and its conditions."""
    return chosen(_header(), wanted | {""})


def chosen(named: Iterable[tuple[str, str]], wanted: set[str]) -> str:
    """Of lines with the name of what they declare those that are wanted."""
    return "".join(f"{line}\n" for name, line in named if name in wanted)


@functools.cache
def _header() -> tuple[tuple[str, str], ...]:
    """The lines of the header and what they declare; "" for those of the preprocessor."""
    package = Path(importlib.util.find_spec("pocl_binary_distribution").origin).parent
    text = (package / ".libs" / "share" / "pocl" / "include" / "opencl-c.h").read_text()
    inside = text.partition(_BASE)[2].rpartition("#endif")[0]
    lines = []
    for line in inside.replace("\\\n", " ").splitlines():
        declared = _DECLARATION.fullmatch(line)
        if declared or line.startswith("#"):
            lines.append((declared[1] if declared else "", line))
    return tuple(lines)
