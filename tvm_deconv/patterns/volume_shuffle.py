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
from .operators import RESHAPE, TRANSPOSE


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
    last = graph.call(var)
    middle = last.args[0] if last is not None and last.op == RESHAPE else None
    permute = None if middle is None else graph.call(middle)
    if permute is None or permute.op != TRANSPOSE or permute.attrs.axes is None:
        return None
    first = permute.args[0]
    split = graph.call(first)
    if split is None or split.op != RESHAPE:
        return None
    data = split.args[0]
    before, parts, after = (graph.shape(tensor) for tensor in (data, first, var))
    if not graph.is_variable(data) or before is None or parts is None or after is None:
        return None
    if len(before) != 5 or len(after) != 5 or len(parts) < 6:
        return None
    source = _source(graph, before, parts, [int(axis) for axis in permute.attrs.axes], after)
    if source is None or set(source.shape[1:]) == {1}:
        return None
    return VolumeShuffle(var, data, source, frozenset((first, middle, var)))


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
