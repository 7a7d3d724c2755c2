"""Recognising the shuffle of a volume: reshape -> permute_dims -> reshape, in NCDHW.

As ``shuffle`` for pictures: the first reshape splits the channels into factors, the permutation
moves some of them behind D, H and W, the last reshape merges them there, in whatever order.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, pairwise
from math import prod
from typing import Any

import numpy as np

from .graph import Graph, Tensor
from .layouts import VOLUME
from .shuffle import read_reshapes


@dataclass(frozen=True)
class VolumeShuffle:
    """``result[o, r_d*z+f_d, ...] = data[source[o, f_d, f_h, f_w], z, ...]``."""

    result: Tensor
    data: Tensor
    source: np.ndarray
    members: frozenset[Tensor]

    @property
    def factor(self) -> tuple[int, ...]:
        return self.source.shape[1:]


def read_volume_shuffle(graph: Graph, var: Tensor) -> VolumeShuffle | None:
    """The shuffle whose result is ``var``; None if it is something else."""
    found = read_reshapes(graph, var)
    if found is None:
        return None
    if len(found.before) != 5 or len(found.after) != 5 or len(found.parts) < 6:
        return None
    source = _source(graph, found.before, found.parts, found.axes, found.after)
    if source is None or set(source.shape[1:]) == {1}:
        return None
    return VolumeShuffle(var, found.data, source, found.members)


def _source(graph: Graph, before: Any, parts: Any, axes: list[int], after: Any) -> Any:
    """The channel of each (output channel, phase), by following the factors; None if no shuffle."""
    count = len(parts) - 4
    n, channels, *sizes = before
    factors = parts[1 : 1 + count]
    if not all(isinstance(factor, int) for factor in (*factors, channels)):
        return None
    if prod(factors) != channels or not graph.same_shape((n, *sizes), (parts[0], *parts[-3:])):
        return None
    names = ["N", *range(count), *VOLUME[2:]]
    order = [names[axis] for axis in axes]
    places = [order.index(name) for name in VOLUME[2:]]
    if order[0] != "N" or places != sorted(places):
        return None
    ends = [*places, len(order)]
    kept = order[1 : places[0]]
    phases = [order[begin + 1 : end] for begin, end in pairwise(ends)]
    index = np.arange(channels).reshape(factors).transpose([*kept, *chain(*phases)])
    of = [prod(factors[i] for i in group) for group in (kept, *phases)]
    found = index.reshape(of)
    merged = (n, of[0], *(size * r for size, r in zip(sizes, of[1:], strict=True)))
    return found if graph.same_shape(after, merged) else None
