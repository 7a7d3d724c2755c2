"""A network on a picture in tiles, all of one size, with the result that the whole would have.

A picture is first reflected at its bottom and right border up to sizes that the network can have:
multiples of its period (a network of two strides of 2 wants multiples of 4), or the size that the
library is for. Then, along each axis, tiles of ``size`` samples begin at multiples of the period;
each but the first has ``before`` samples more than its share in front, each but the last ``after``
behind, and the last ends where the picture does::

    picture     0 . . . . . . . . . . . . . . . . . . .
    tiles       [ share          after ]
                    [ before  share         after ]
                                  [ before  share     ]

The shares of the results, ``scale`` samples for each of the picture, are the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, floor

import numpy as np

from tvm_deconv.algebra.reach import Overlap
from tvm_deconv.errors import ImageError


@dataclass(frozen=True)
class Cut:
    """A tile along one axis: from ``begin`` on, for the samples ``first`` to ``last``."""

    begin: int
    first: int
    last: int


@dataclass(frozen=True)
class Plan:
    """The tiles along one axis: of ``size`` samples, of a picture of ``given`` made ``padded``."""

    given: int
    padded: int
    size: int
    cuts: tuple[Cut, ...]
    overlap: Overlap

    def result_size(self, of_tile: int) -> int:
        """Samples of the whole result, where a tile's has ``of_tile``; what is padded left out."""
        more = floor((self.padded - self.size) * self.overlap.scale)
        return max(of_tile + more - floor((self.padded - self.given) * self.overlap.scale), 0)

    def places(self, cut: Cut, of_tile: int) -> tuple[slice, slice]:
        """Where the share of a tile lies: in the tile's result, and in the whole."""
        scale, whole = self.overlap.scale, self.result_size(of_tile)
        begin = int(cut.begin * scale)
        first = min(int(cut.first * scale), whole)
        last = whole if cut is self.cuts[-1] else min(int(cut.last * scale), whole)
        return slice(first - begin, last - begin), slice(first, last)


def plan(given: int, overlap: Overlap, *, fixed: int | None, at_most: int | None) -> Plan:
    """The tiles for ``given`` samples along an axis.

    ``fixed`` is the size that the library is for, None for one of free sizes, whose tiles are as
    large as they can be up to ``at_most`` (None: one tile), or a little smaller where that leaves
    no more of them. Raises ImageError for tiles with no room between their overlaps.
    """
    period = overlap.period
    if fixed is not None:
        more = -max(given - fixed, 0) % period
        padded, size = max(given + more, fixed), fixed
    else:
        padded = _up(given, period)
        size = padded if at_most is None else min(padded, at_most // period * period)
        if size < padded:
            size = _evened(padded, size, overlap)
    before, after = _up(overlap.before, period), _up(overlap.after, period)
    if size < padded and size - before - after < period:
        raise ImageError(
            f"tiles of {size if size else at_most} pixels are too small: the network needs "
            f"{before} pixels before and {after} behind those that it is right for; take "
            f"{before + after + period} or more"
        )
    cuts, first = [], 0
    while True:
        begin = max(first - before, 0)
        if begin + size >= padded:
            cuts.append(Cut(padded - size, first, padded))
            return Plan(given, padded, size, tuple(cuts), overlap)
        last = (begin + size - overlap.after) // period * period
        cuts.append(Cut(begin, first, last))
        first = last


def run(
    network: Callable[[np.ndarray], np.ndarray],
    samples: np.ndarray,
    rows: Plan,
    columns: Plan,
    done: Callable[[int, int], None],
) -> np.ndarray:
    """The network's result for ``samples`` (channels, height, width), in tiles.

    ``network`` maps a tile of as many axes to its result. ``done`` is told, after each tile, how
    many there were and how many there are.
    """
    whole = None
    of = len(rows.cuts) * len(columns.cuts)
    for count, (row, column, tile) in enumerate(cut(samples, rows, columns), 1):
        result = network(tile)
        height, width = result.shape[1:]
        if whole is None:
            shape = (len(result), rows.result_size(height), columns.result_size(width))
            whole = np.empty(shape, result.dtype)
        (from_rows, to_rows), (from_columns, to_columns) = (
            rows.places(row, height),
            columns.places(column, width),
        )
        whole[:, to_rows, to_columns] = result[:, from_rows, from_columns]
        done(count, of)
    assert whole is not None
    return whole


def cut(samples: np.ndarray, rows: Plan, columns: Plan) -> Iterator[tuple[Cut, Cut, np.ndarray]]:
    """The tiles of ``samples`` (channels, height, width), from the top left, with their places."""
    for row in rows.cuts:
        for column in columns.cuts:
            at_rows = _reflected(row.begin, rows)
            at_columns = _reflected(column.begin, columns)
            yield row, column, samples[:, at_rows[:, None], at_columns]


def _reflected(begin: int, axis: Plan) -> np.ndarray:
    """Places in the picture of a tile's samples, those behind its last reflected about it."""
    turn = max(2 * axis.given - 2, 1)
    places = np.arange(begin, begin + axis.size) % turn
    return np.minimum(places, turn - places) if axis.given > 1 else np.zeros_like(places)


def _evened(padded: int, size: int, overlap: Overlap) -> int:
    """The smallest size of tiles of which no more are needed than of ``size``."""
    period = overlap.period
    shared = _up(overlap.before, period) + _up(overlap.after, period)
    if size - shared < period:
        return size
    count = ceil((padded - shared) / (size - shared))
    return min(size, _up(ceil((padded - shared) / count) + shared, period))


def _up(value: int, period: int) -> int:
    return -(-value // period) * period
