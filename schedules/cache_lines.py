"""Rows of float32 in lines of the cache, of 64 bytes."""

from __future__ import annotations

from typing import Any

LINE = 16
"""Values of a line."""


def odd_lines(values: Any) -> Any:
    """So many values, a number or an array of them, in whole lines, of which there are an odd
    number.

    Rows so far apart spread over all sets of a cache; a power of two apart they would evict each
    other.
    """
    return (-(-values // LINE) | 1) * LINE
