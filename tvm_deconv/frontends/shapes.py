"""The argument ``shapes``, by which a caller fixes the sizes of a model's inputs."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tvm_deconv.errors import ModelError

# Models hold sizes in int64.
_MOST = (1 << 63) - 1

Shapes: TypeAlias = Mapping[str, Sequence[int]]


def read_shapes(
    shapes: Shapes | None, ranks: Mapping[str, int | None], name: str
) -> dict[str, tuple[int, ...]]:
    """``shapes`` as tuples of ints, {} for None.

    ``ranks`` are the numbers of axes of the inputs of the model called ``name``, None where not
    known. Sizes may be any integers, NumPy's too.

    Raises ModelError for what is no mapping of inputs to positive sizes, one for each axis.
    """
    if shapes is None:
        return {}
    if not isinstance(shapes, Mapping):
        raise ModelError(
            f"shapes is {_short(shapes)}: give a mapping such as {{'x': (1, 3, 64, 64)}}"
        )
    found = {}
    for key, wanted in shapes.items():
        if key not in ranks:
            raise ModelError(f"{name} has no input {key!r}: its inputs are {list(ranks)}")
        sizes = _integers(wanted)
        if sizes is None or any(size < 1 for size in sizes):
            raise ModelError(f"shape {_short(wanted)} of input {key!r} must hold positive integers")
        if max(sizes, default=0) > _MOST:
            raise ModelError(f"shape {_short(wanted)} of input {key!r} is too large to compute")
        if ranks[key] is not None and ranks[key] != len(sizes):
            raise ModelError(f"input {key!r} of {name} has {ranks[key]} axes, got {sizes}")
        found[key] = sizes
    return found


def _integers(wanted: Any) -> tuple[int, ...] | None:
    if isinstance(wanted, (str, bytes, Mapping)):
        return None
    try:
        sizes = list(wanted)
        if any(isinstance(size, bool) for size in sizes):
            return None
        return tuple(map(operator.index, sizes))
    except TypeError:
        return None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
