"""Channels that repeat those of another tensor, in whichever way that is written.

Sub-pixel networks add their input to the last convolution before the shuffle. Each channel of it is
there once for every phase: what the shuffle makes of that is a nearest resize of the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .graph import Call, Graph, Tensor
from .operators import CONCAT, REPEAT, RESHAPE


@dataclass(frozen=True)
class Repeated:
    """``result[c] = data[source[c]]`` along the channels; both have the same layout."""

    data: Tensor
    source: np.ndarray


def read_repeats(graph: Graph, var: Tensor, layout: str) -> Repeated | None:
    """The channels of ``var`` as those of another tensor; None if it is no copy of channels."""
    call = graph.call(var)
    if call is None:
        return None
    at = layout.index("C")
    if call.op == RESHAPE:
        return _spread(graph, var, call, layout)
    if call.op == CONCAT:
        return _copies(graph, call, layout) if _axis(call) == at else None
    shape = graph.shape(call.args[0]) if call.op in (REPEAT, "take", "tile") else None
    if shape is None or len(shape) != 4 or not isinstance(shape[at], int):
        return None
    source: np.ndarray | None = np.arange(shape[at])
    if call.op == "tile":
        counts = [int(count) for count in call.attrs.repeats]
        alone = len(counts) <= 4 and all(
            count == 1 for axis, count in enumerate(counts, 4 - len(counts)) if axis != at
        )
        source = np.tile(np.arange(shape[at]), counts[at - 4]) if alone else None
    elif _axis(call) != at:
        return None
    elif call.op == REPEAT:
        source = np.repeat(np.arange(shape[at]), int(call.attrs.repeats))
    else:
        indices = graph.constant(call.args[1])
        inside = indices is not None and indices.ndim == 1 and (indices >= 0).all()
        source = indices if inside and (indices < shape[at]).all() else None
    return None if source is None else Repeated(call.args[0], source)


def _axis(call: Call) -> int | None:
    return None if call.attrs.axis is None else int(call.attrs.axis) % 4


def _copies(graph: Graph, call: Call, layout: str) -> Repeated | None:
    """A Concat of copies of one tensor, some of which may have their channels repeated."""
    parts = []
    for tensor in call.args:
        shape = graph.shape(tensor)
        channels = None if shape is None or len(shape) != 4 else shape[layout.index("C")]
        if not isinstance(channels, int):
            return None
        itself = Repeated(tensor, np.arange(channels))
        parts.append(read_repeats(graph, tensor, layout) or itself)
    first = parts[0]
    if len(parts) < 2 or not graph.is_variable(first.data):
        return None
    if any(part.data != first.data for part in parts):
        return None
    return Repeated(first.data, np.concatenate([part.source for part in parts]))


def _spread(graph: Graph, var: Tensor, call: Call, layout: str) -> Repeated | None:
    """reshape(broadcast_to or tile of x with axes of size 1 among the channels)."""
    spread = graph.call(call.args[0])
    if spread is None or spread.op not in ("broadcast_to", "tile"):
        return None
    narrow = data = spread.args[0]
    while (inner := graph.call(data)) is not None and inner.op in (RESHAPE, "expand_dims"):
        data = inner.args[0]
        if len(graph.shape(data) or ()) == 4:
            break
    shapes = [graph.shape(tensor) for tensor in (data, narrow, call.args[0], var)]
    shape, inserted, wide, merged = (s or () for s in shapes)
    if len(shape) != 4 or len(merged) != 4 or len(inserted) != len(wide) or len(wide) < 5:
        return None
    at, after = layout.index("C"), 3 - layout.index("C")
    middle = slice(at, len(wide) - after)
    before, spread_to = inserted[middle], wide[middle]
    if not all(isinstance(d, int) for d in (*before, *spread_to, shape[at])):
        return None
    outside = [_without(s, at, after) for s in (shape, inserted, wide, merged)]
    if any(not graph.same_shape(outside[0], other) for other in outside[1:]):
        return None
    if np.prod(before) != shape[at] or np.prod(spread_to) != merged[at]:
        return None
    index = np.arange(shape[at]).reshape(before)
    if spread.op == "tile":
        source = np.tile(index, [w // b for w, b in zip(spread_to, before, strict=True)])
    elif all(b in (1, w) for w, b in zip(spread_to, before, strict=True)):
        source = np.broadcast_to(index, spread_to)
    else:
        return None
    return Repeated(data, source.reshape(-1))


def _without(shape: Sequence[Any], at: int, after: int) -> Sequence[Any]:
    """The dimensions other than those of the channels."""
    return (*shape[:at], *shape[len(shape) - after :])
