"""Names that we make up for what a model has no name for."""

from __future__ import annotations


def unused(name: str, taken: set[str], joint: str = "/") -> str:
    """``name``, with a number behind it where it is in ``taken``; it is in there then."""
    found, count = name, 1
    while found in taken:
        count += 1
        found = f"{name}{joint}{count}"
    taken.add(found)
    return found
