"""Recognising a pixel shuffle: the operator itself, or reshape -> permute_dims -> reshape.

The first reshape splits the channels into factors, the permutation moves some of them next to H
and W, the last reshape merges them there. Following the factors through, rather than comparing
with a list of permutations, covers CRD, DCR, their NHWC forms, transposed phases and forms that
leave out a factor of 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np

from tvm_deconv.algebra import weights
from tvm_deconv.errors import GeometryError

from . import layouts
from .graph import Call, Graph, Refused, Tensor
from .operators import RESHAPE, SHUFFLE, TRANSPOSE


@dataclass(frozen=True)
class Shuffle:
    """``result[o, r_h*y+f_h, r_w*x+f_w] = data[source[o, f_h, f_w], y, x]``."""

    result: Tensor
    data: Tensor
    data_layout: str
    result_layout: str
    source: np.ndarray
    members: frozenset[Tensor]

    @property
    def factor(self) -> tuple[int, int]:
        return self.source.shape[1], self.source.shape[2]

    @property
    def order(self) -> str:
        """``CRD``, ``DCR`` or ``other``, for the report."""
        for name in ("CRD", "DCR"):
            if (weights.phase_channels(self.source.size, self.factor, name) == self.source).all():
                return name
        return "other"


def read_shuffle(graph: Graph, var: Tensor) -> Shuffle | Refused | None:
    """The pixel shuffle whose result is ``var``; None if it is something else."""
    last = graph.call(var)
    if last is None:
        return None
    if last.op == SHUFFLE:
        return _read_operator(graph, var, last)
    found = read_reshapes(graph, var)
    if found is None:
        return None
    for layout in layouts.LAYOUTS:
        read = _follow(graph, layout, found.before, found.parts, found.axes, found.after)
        if read is not None and read[0].shape[1:] != (1, 1):
            return Shuffle(var, found.data, layout, read[1], read[0], found.members)
    return None


class Reshapes(NamedTuple):
    """reshape -> permute_dims -> reshape: of ``before`` to ``parts``, by ``axes``, to ``after``."""

    data: Tensor
    before: Sequence[Any]
    parts: Sequence[Any]
    axes: list[int]
    after: Sequence[Any]
    members: frozenset[Tensor]


def read_reshapes(graph: Graph, var: Tensor) -> Reshapes | None:
    """The three operators whose result is ``var``, all of known rank; None if it is another's."""
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
    axes = [int(axis) for axis in permute.attrs.axes]
    return Reshapes(data, before, parts, axes, after, frozenset((first, middle, var)))


def _read_operator(graph: Graph, var: Tensor, call: Call) -> Shuffle | Refused:
    data, r, layout = call.args[0], int(call.attrs.block_size), str(call.attrs.layout)
    shape = graph.shape(data)
    if not graph.is_variable(data) or shape is None or len(shape) != 4:
        return Refused(f"the shape of {graph.describe(data)} is not known or not of 4 axes")
    if layout not in layouts.LAYOUTS:
        return Refused(f"{graph.describe(var)} has layout {layout}")
    channels = layouts.dims(shape, layout)[1]
    if not isinstance(channels, int):
        return Refused(f"{graph.describe(data)} has a free number of channels")
    try:
        source = weights.phase_channels(channels, r, str(call.attrs.mode))
    except GeometryError as error:
        return Refused(f"{graph.describe(var)}: {error}")
    return Shuffle(var, data, layout, layout, source, frozenset((var,)))


def _follow(
    graph: Graph,
    layout: str,
    data: Sequence[Any],
    split: Sequence[Any],
    axes: Sequence[int],
    merged: Sequence[Any],
) -> tuple[np.ndarray, str] | None:
    """(source, layout of the result) if the three shapes and the permutation are a shuffle."""
    factors = len(split) - 3
    if len(data) != 4 or len(merged) != 4 or factors < 1:
        return None
    # Name each axis of the first reshape: N, H, W, or the number of a channel factor.
    names: list[Any] = []
    for name in layout:
        names += list(range(factors)) if name == "C" else [name]
    n, channels, h, w = layouts.dims(data, layout)
    sizes = dict(zip(names, split, strict=True))
    parts = [sizes[i] for i in range(factors)]
    if not all(isinstance(p, int) for p in (*parts, channels)) or prod(parts) != channels:
        return None
    if not all(graph.same(sizes[k], size) for k, size in (("N", n), ("H", h), ("W", w))):
        return None
    order = [names[a] for a in axes]
    if order[0] != "N" or order.index("H") > order.index("W"):
        return None
    at_h, at_w = order.index("H"), order.index("W")
    before, phases_h, after = order[1:at_h], order[at_h + 1 : at_w], order[at_w + 1 :]
    ways = [("NCHW", before, after)]
    if not before:
        ways += [("NHWC", after[cut:], after[:cut]) for cut in range(len(after) + 1)]
    for result_layout, kept, phases_w in ways:
        source = _source(parts, kept, phases_h, phases_w)
        o, rh, rw = source.shape
        out = layouts.dims(merged, result_layout)
        if all(graph.same(a, b) for a, b in zip(out, (n, o, h * rh, w * rw), strict=True)):
            return source, result_layout
    return None


def _source(
    parts: Sequence[int], kept: Sequence[int], phases_h: Sequence[int], phases_w: Sequence[int]
) -> np.ndarray:
    """The channel of each (output channel, phase), from the factors' places."""
    index = np.arange(prod(parts)).reshape(parts).transpose([*kept, *phases_h, *phases_w])
    return index.reshape(
        prod(parts[i] for i in kept),
        prod(parts[i] for i in phases_h),
        prod(parts[i] for i in phases_w),
    )
