"""Activation layouts: NCHW and NHWC, and the permutations between them; NCDHW of volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .graph import Builder

LAYOUTS = ("NCHW", "NHWC")
VOLUME = "NCDHW"


def dims(shape: Sequence[Any], layout: str) -> tuple[Any, ...]:
    """The dimensions in the order N, C, H, W, or N, C, D, H, W of a volume."""
    return tuple(shape[layout.index(name)] for name in channels_first(layout))


def channels_first(layout: str) -> str:
    """The layout of the same axes in which rules emit."""
    return VOLUME if "D" in layout else "NCHW"


def permuted_from(axes: Sequence[int] | None, layout: str) -> str | None:
    """Layout of the input of a transposition whose output has ``layout``; None if not a layout."""
    if axes is None or len(axes) != len(layout):
        return None
    names = [""] * len(layout)
    for out, source in enumerate(axes):
        names[source] = layout[out]
    return "".join(names) if "".join(names) in LAYOUTS else None


def to(builder: Builder, value: Any, source: str, target: str) -> Any:
    """Emit the permutation from one layout to another; nothing if they are equal."""
    if source == target:
        return value
    return builder.transpose(value, [source.index(name) for name in target])


def common(*ends: str) -> str | None:
    """The layout of all ends of a pattern, or None if they differ."""
    return ends[0] if len(set(ends)) == 1 else None


def four_paddings(padding: Sequence[int]) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) from TVM's one, two or four numbers."""
    (top, left), (bottom, right) = begins_and_ends(padding, 2)
    return top, left, bottom, right


def begins_and_ends(padding: Sequence[int], axes: int) -> tuple[list[int], list[int]]:
    """Of each axis, of which TVM has one number for all, one for both sides, or one for each."""
    p = [int(value) for value in padding]
    p = p * axes if len(p) == 1 else p
    return p[:axes], p[-axes:]
