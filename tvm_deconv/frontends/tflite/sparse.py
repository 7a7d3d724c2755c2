"""Constants that a file holds without their zeros (``SparsityParameters`` of TFLite's schema).

The elements are stored in the order of a walk over levels: the tensor's axes and, where an axis is
cut into blocks, the place in a block, in the order of ``traversal_order``. ``block_map`` names the
axis of each block. A dense level takes every place in turn; a sparse one takes, behind entry ``i``
of the level above, the places ``indices[segments[i]:segments[i + 1]]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np


class Level(NamedTuple):
    """``size`` is the number of places of a dense level, ``segments`` those of a sparse one."""

    size: int
    segments: np.ndarray | None = None
    indices: np.ndarray | None = None


def read_levels(schema: Any, sparsity: Any) -> list[Level]:
    """The levels of a ``SparsityParameters`` table, by the generated classes of ``tflite``."""
    levels = []
    for number in range(sparsity.DimMetadataLength()):
        table = sparsity.DimMetadata(number)
        if table.Format() == schema.DimensionType.DENSE:
            levels.append(Level(int(table.DenseSize())))
            continue
        segments = _vector(schema, table.ArraySegmentsType(), table.ArraySegments())
        levels.append(
            Level(0, segments, _vector(schema, table.ArrayIndicesType(), table.ArrayIndices()))
        )
    return levels


def _vector(schema: Any, kind: int, union: Any) -> np.ndarray:
    names = {
        number: name for name, number in vars(schema.SparseIndexVector).items() if name[0] != "_"
    }
    vector = getattr(schema, names[kind])()
    vector.Init(union.Bytes, union.Pos)
    return np.asarray(vector.ValuesAsNumpy(), np.int64).reshape(-1)


def dense(
    values: np.ndarray,
    shape: Sequence[int],
    levels: Sequence[Level],
    order: Sequence[int],
    block_map: Sequence[int],
) -> np.ndarray:
    """The tensor of ``shape`` that holds ``values`` where the levels say, and else zeros.

    Raises ValueError where they contradict each other.
    """
    rank = len(shape)
    if len(levels) != rank + len(block_map) or sorted(order) != list(range(len(levels))):
        raise ValueError(f"{len(levels)} levels in the order {list(order)} for rank {rank}")
    at = [np.zeros(1, np.int64)] * len(levels)
    entry = np.zeros(1, np.int64)
    for axis, level in zip(order, levels, strict=True):
        if level.segments is None or level.indices is None:
            counts, first = np.full(len(entry), level.size), entry * level.size
        else:
            counts, first = np.diff(level.segments)[entry], level.segments[:-1][entry]
        # Before the last level there may be more of them than values: rows of zeros.
        if counts.min(initial=0) < 0 or counts.sum() > max(prod(shape), 1):
            raise ValueError(f"{counts.sum()} entries in a tensor of shape {list(shape)}")
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        at = [np.repeat(places, counts) for places in at]
        entry = np.repeat(first, counts) + within
        at[axis] = within if level.indices is None else level.indices[entry]
    if not np.array_equal(entry, np.arange(values.size)):
        raise ValueError(f"{len(entry)} entries for {values.size} values")
    if any(places.min(initial=0) < 0 for places in at):
        raise ValueError("an index is negative")
    places = at[:rank]
    for block, axis in enumerate(block_map):
        size = levels[order.index(rank + block)].size
        places[axis] = places[axis] * size + at[rank + block]
    tensor = np.zeros(shape, values.dtype)
    tensor[tuple(places)] = values
    return tensor
