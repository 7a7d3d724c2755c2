"""Vectors whose lanes come from anywhere: windows of memory or registers, put together by shuffles.

A *place* is the number of a value in some sequence, or None for a lane that is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm import tirx

from .edit import shuffle

Places = Sequence[int | None]
# A vector, and the place of each of its lanes.
Source = tuple[Any, Sequence[int]]


def windows(places: Places, size: int, lanes: int) -> list[int]:
    """Where windows of ``lanes`` begin that hold all of ``places``, inside ``size`` values."""
    begins: list[int] = []
    for place in sorted({place for place in places if place is not None}):
        if not begins or place >= begins[-1] + lanes:
            begins.append(min(place, size - lanes))
    return begins


def picked(sources: Sequence[Source], places: Places) -> Any:
    """The vector of ``places``, of float32, each from the first of ``sources`` that has it."""
    found: Any = None
    missing = {place for place in places if place is not None}
    for vector, held in sources:
        if list(held) == list(places):
            return vector
    if None in places or not missing:
        found = tirx.Broadcast(tirx.const(0, "float32"), len(places))
    for vector, held in sources:
        new = missing.intersection(held)
        if not new:
            continue
        missing -= new
        lane_of = {place: lane for lane, place in enumerate(held)}
        if found is None:
            # Lanes of another source are put in later: any will do.
            order = [lane_of.get(place, 0) if place in new else 0 for place in places]
            found = shuffle([vector], order)
        else:
            order = [
                len(places) + lane_of[place] if place in new else lane
                for lane, place in enumerate(places)
            ]
            found = shuffle([found, vector], order)
    return found


def picked_from(load: Callable[[int, int], Any], size: int, places: Places) -> Any:
    """The vector of ``places`` in a run of ``size`` values; ``load(begin, lanes)`` loads some."""
    lanes = len(places)
    while lanes > size:
        lanes //= 2
    begins = windows(places, size, lanes)
    sources = [(load(begin, lanes), range(begin, begin + lanes)) for begin in begins]
    return picked(sources, places)
