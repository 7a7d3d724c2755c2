"""Depth to space and back, in every spelling, and what only looks like it."""

from __future__ import annotations

import numpy as np

from ..graph import Graph, NodeRefused, Value, need_axes

FACTORS = (2, 3, 4, 8)

# Axes of (n, O, r, r, h, w), the channels of CRD, in the order of a shuffle; then of (n, r, r, O,
# h, w), those of DCR. Others are no shuffle: swapped phases, rows and columns exchanged, blocks of
# the input.
_CRD = (0, 1, 4, 2, 5, 3)
_DCR = (0, 3, 4, 1, 5, 2)
_NEAR_MISSES = (
    (0, 1, 4, 3, 5, 2),  # phases of rows and columns exchanged
    (0, 1, 5, 3, 4, 2),  # transposed
    (0, 1, 2, 4, 3, 5),  # blocks and not phases
    (0, 1, 2, 4, 5, 3),
    (0, 1, 4, 2, 3, 5),
    (0, 4, 1, 2, 5, 3),
    (0, 1, 5, 2, 4, 3),
    (0, 2, 4, 1, 5, 3),
)


def depth_to_space(g: Graph, x: Value, factor: int | None = None) -> Value:
    """Any spelling of a shuffle, or of a near miss."""
    need_axes(x, 4, 4)
    r = factor or _factor(g, x.shape)
    way = g.draw.pick(("operator", "reshapes", "near miss", "flat"), [4, 3, 2, 1])
    if way == "operator":
        mode = g.draw.pick(("CRD", "DCR"))
        if g.opset < 11:
            mode = None  # always DCR
        return g.node("DepthToSpace", x, blocksize=r, mode=mode)
    if way == "flat":
        return _one_reshape_less(g, x, r)
    if way == "near miss":
        return _transposed(g, x, g.draw.pick(_NEAR_MISSES), _factors(g, x, r), g.draw.chance(0.5))
    outside = g.draw.chance(0.4)
    return _transposed(g, x, _DCR if outside else _CRD, _factors(g, x, r), not outside)


def space_to_depth(g: Graph, x: Value) -> Value:
    """SpaceToDepth, or its reshapes in the order of a pixel unshuffle."""
    need_axes(x, 4, 4)
    fitting = [r for r in FACTORS if x.shape[2] % r == 0 and x.shape[3] % r == 0]
    if not fitting:
        raise NodeRefused("no factor fits")
    r = g.draw.pick(fitting)
    if g.draw.chance(0.5) or g.is_free:
        return g.node("SpaceToDepth", x, blocksize=r)
    n, c, h, w = x.shape
    split = g.node("Reshape", x, g.ints(n, c, h // r, r, w // r, r))
    order = g.draw.pick(((0, 1, 3, 5, 2, 4), (0, 3, 5, 1, 2, 4), (0, 1, 5, 3, 2, 4)))
    moved = g.node("Transpose", split, perm=order)
    return g.node("Reshape", moved, g.ints(n, c * r * r, h // r, w // r))


def channel_shuffle(g: Graph, x: Value) -> Value:
    """ShuffleNet's: groups of channels are interleaved."""
    need_axes(x, 4, 4)
    groups = [n for n in (2, 3, 4) if x.shape[1] % n == 0]
    if not groups or g.is_free:
        raise NodeRefused("no groups")
    n, c, h, w = x.shape
    count = g.draw.pick(groups)
    split = g.node("Reshape", x, g.ints(n, count, c // count, h, w))
    return g.node("Reshape", g.node("Transpose", split, perm=(0, 2, 1, 3, 4)), g.ints(n, c, h, w))


def _transposed(
    g: Graph, x: Value, order: tuple[int, ...], factors: tuple[int, int], inside: bool
) -> Value:
    """Reshape, transpose, reshape: sizes that are free are 0 and -1."""
    n, c, h, w = x.shape
    rh, rw = factors
    o = c // (rh * rw)
    shape = (n, o, rh, rw, h, w) if inside else (n, rh, rw, o, h, w)
    if g.is_free:
        return _transposed_free(g, x, order, shape)
    split = g.node("Reshape", x, g.ints(*shape))
    moved = g.node("Transpose", split, perm=order)
    if g.draw.chance(0.1):
        moved = g.node("Relu", moved)
    sizes = [shape[axis] for axis in order]
    joined = (sizes[0], sizes[1], sizes[2] * sizes[3], sizes[4] * sizes[5])
    if g.draw.chance(0.2):
        joined = (joined[0], joined[1], -1, joined[3])
    return g.node("Reshape", moved, g.ints(*joined))


def _transposed_free(g: Graph, x: Value, order: tuple[int, ...], shape: tuple[int, ...]) -> Value:
    """The same with the sizes taken from Shape, as PyTorch writes it for free sizes."""
    whole = g.node("Shape", x)
    one = [g.node("Slice", whole, g.ints(i), g.ints(i + 1)) for i in (0, 2, 3)]
    free = {0: one[0], 4: one[1], 5: one[2]}
    parts = [free[i] if i in free else g.ints(size) for i, size in enumerate(shape)]
    split = g.node("Reshape", x, g.node("Concat", *parts, axis=0))
    moved = g.node("Transpose", split, perm=order)
    sizes = [parts[axis] for axis in order]
    ends = [sizes[0], sizes[1]]
    ends += [_product(g, *sizes[2:4]), _product(g, *sizes[4:6])]
    return g.node("Reshape", moved, g.node("Concat", *ends, axis=0))


def _product(g: Graph, a: Value | str, b: Value | str) -> Value | str:
    if isinstance(a, str) and isinstance(b, str):
        return g.ints(*(g.constants[a] * g.constants[b]))
    return g.node("Mul", a, b)


def _one_reshape_less(g: Graph, x: Value, r: int) -> Value:
    """A reshape of the same sizes as a shuffle, without the transposition: no shuffle."""
    if g.is_free:
        raise NodeRefused("sizes are free")
    n, c, h, w = x.shape
    return g.node("Reshape", x, g.ints(n, c // (r * r), h * r, w * r))


def _factor(g: Graph, shape: tuple[int, ...]) -> int:
    fitting = [r for r in FACTORS if shape[1] % (r * r) == 0]
    if not fitting:
        raise NodeRefused("no factor fits the channels")
    return g.draw.pick(fitting)


def _factors(g: Graph, x: Value, r: int) -> tuple[int, int]:
    """Rows and columns: the same factor, or all in one of them."""
    return g.draw.pick(((r, r), (1, r * r), (r * r, 1)), [8, 1, 1])


def repeated(g: Graph, x: Value) -> Value:
    """Nearest by a reshape and Tile or Expand, as some exporters write it."""
    need_axes(x, 4, 4)
    if g.is_free:
        raise NodeRefused("sizes are free")
    n, c, h, w = x.shape
    rh, rw = g.draw.pick(((2, 2), (3, 3), (2, 3), (4, 4)))
    split = g.node("Reshape", x, g.ints(n, c, h, 1, w, 1))
    if g.draw.chance(0.5):
        wide = g.node("Tile", split, g.ints(1, 1, 1, rh, 1, rw))
    else:
        wide = g.node("Expand", split, g.given(np.array((n, c, h, rh, w, rw), "int64")))
    if g.draw.chance(0.2):  # whole copies side by side and not pixels
        return g.node("Tile", x, g.ints(1, 1, rh, rw))
    return g.node("Reshape", wide, g.ints(n, c, h * rh, w * rw))
