"""What the fold of a resize does at the border of a map, as tensor expressions.

``algebra.outside`` says why, ``patterns.graph.BorderBuilder`` what these give. Both take maps in
NCHW, or seen so (``schedules.te.layouts``), or volumes in NCDHW, whose sizes are of type ``index``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tvm import te

from .interpolation import interpolated
from .tir import tir

# Of each axis, how many outputs at begin and end.
Counts = tuple[tuple[int, int], ...]


def border_faces(
    x: Any,
    axis: int,
    ends: tuple[bool, bool],
    factors: Sequence[int],
    copies: Sequence[tuple[int, int]],
    linear: bool,
    index: str = "int64",
) -> te.Tensor:
    """The outermost faces of ``x`` along ``axis``, enlarged. Sums are float32.

    (N, S*C, 1, L) of a picture, (N, S*C, L_1, L_2) of a volume.
    """
    n, channels, *sides = x.shape
    across = sides.pop(axis - 2)
    first_and_last = tir.const(0, index), across - tir.const(1, index)
    places = [place for place, is_read in zip(first_and_last, ends, strict=True) if is_read]

    def sample(b: Any, c: Any, *at: Any) -> Any:
        place = places[0]
        if len(places) == 2:
            place = tir.Select(c < channels, places[0], places[1])
        own = c % channels if len(places) == 2 else c
        inside = [tir.max(tir.min(m, size - 1), 0) for m, size in zip(at, sides, strict=True)]
        inside.insert(axis - 2, place)
        element = (b, own, *inside)
        return x[element].astype("float32")

    def enlarged(at: list[Any], read: Callable[..., Any], *before: Any) -> Any:
        """Sample ``at`` of the face, enlarged along the axes that ``before`` has no sample of."""
        if len(before) == len(sides):
            return read(*before)
        place, factor = at[len(before)], factors[len(before)]
        if linear:
            return interpolated(lambda m: enlarged(at, read, *before, m), place, factor)
        return enlarged(at, read, *before, tir.floordiv(place, factor))

    def value(*indices: Any) -> Any:
        b, c, *at = indices
        of_face = zip(at[-len(sides) :], copies, strict=True)
        uncropped = [j - begin for j, (begin, _) in of_face]
        return enlarged(uncropped, partial(sample, b, c)).astype(x.dtype)

    of_axes = zip(sides, factors, copies, strict=True)
    sizes = [size * factor + sum(pair) for size, factor, pair in of_axes]
    shape = n, channels * len(places), *[1] * (2 - len(sizes)), *sizes
    return te.compute(shape, value, name="border_faces")


def with_border(
    y: Any,
    faces: Sequence[te.Tensor],
    counts: Counts,
    index: str = "int64",
    volume: tuple[Sequence[Any], Callable[..., tuple[Any, Any]]] | None = None,
) -> Callable[..., Any]:
    """An element of ``y`` with ``faces`` added, those that ``counts`` ask for.

    ``y`` is a picture or a volume, or a picture of a volume's slices: then ``volume`` has the
    volume's sizes, and says of a row of the picture in which slice it is, and in which row.
    """
    _, channels, *sides = y.shape
    if volume is not None:
        sides = [*volume[0]]
    axes = [axis for axis, pair in enumerate(counts) if any(pair)]

    def value(*indices: Any) -> Any:
        b, o, *at = indices
        total, zero = y[indices], tir.const(0, y.dtype)
        if volume is not None:
            at = [*volume[1](at[0]), at[1]]
        for axis, face in zip(axes, faces, strict=True):
            # A row is inside or outside as a whole; of columns, single lanes of a vector are.
            choose = tir.Select if axis == len(at) - 1 else tir.if_then_else
            along = [0] * (3 - len(at)) + [*at[:axis], *at[axis + 1 :]]
            blocks = [(side, count) for side, count in enumerate(counts[axis]) if count]
            for block, (side, count) in enumerate(blocks):
                for p in range(count):
                    last = sides[axis] - tir.const(p + 1, index)
                    is_here = tir.EQ(at[axis], last if side else tir.const(p, index))
                    channel = (o + block * channels) * max(counts[axis]) + p
                    element = (b, channel, *along)
                    total = total + choose(is_here, face[element], zero)
        return total

    return value
