"""Pieces of networks of several nodes: residual blocks, volumes, branches that are put together."""

from __future__ import annotations

from math import prod

from ..graph import Graph, NodeRefused, Value, need_axes
from . import convolutions, pointwise
from .resizes import resize_attributes, resized

# Axes of (n, O, r, r, r, d, h, w) in the order of a shuffle of volumes; then a near miss.
_VOLUME = (0, 1, 5, 2, 6, 3, 7, 4)
_NEAR_MISS = (0, 1, 5, 3, 6, 2, 7, 4)
_BRANCH_MODES = (("nearest", "linear"), ("nearest",), ("linear",))


def residual(g: Graph, x: Value) -> Value:
    """Convolutions of the same size, perhaps with a norm, added to what they read."""
    need_axes(x, 3, 5)
    y = x
    for last in (False, True):
        y = convolutions.conv(g, y, x.shape[1], same=True)
        if g.draw.chance(0.4):
            y = pointwise.batch_norm(g, y)
        if not last:
            y = pointwise.activation(g, y)
    return g.node("Add", *g.draw.shuffled([y, x]))


def shuffled_volume(g: Graph, x: Value) -> Value:
    """A convolution to r^3 times as many channels and the shuffle of volumes."""
    need_axes(x, 5, 5)
    if g.is_free:
        raise NodeRefused("sizes are free")
    r, outputs = g.draw.pick((2, 3)), g.draw.pick((1, 2, 3))
    y = convolutions.conv(g, x, outputs * r**3, same=True)
    n, _, *sizes = y.shape
    split = g.node("Reshape", y, g.ints(n, outputs, r, r, r, *sizes))
    order = g.draw.pick((_VOLUME, _NEAR_MISS), [6, 1])
    moved = g.node("Transpose", split, perm=order)
    return g.node("Reshape", moved, g.ints(n, outputs, *(r * size for size in sizes)))


def branches(g: Graph, x: Value) -> Value:
    """Two to four tensors, each resized or as it is, side by side.

    They are inputs of the model and what convolutions make of ``x``. With free sizes all are
    enlarged by the same factors; with fixed ones each by those that lead to the same size, or to
    one less along each axis, as in a network that halved odd sizes and rounded up.
    """
    need_axes(x, 4, 5)
    axes = x.rank - 2
    factors = [g.draw.pick((2, 3, 4))] * axes
    if g.draw.chance(0.2):
        factors = [g.draw.pick((2, 1, 3, 4)) for _ in factors]
    modes = g.draw.pick(_BRANCH_MODES)
    if not g.is_free and g.opset >= 11 and max(factors) > 1 and g.draw.chance(0.3):
        parts = _odd(g, x, factors)
    else:
        parts = [_enlarged(g, x, factors, g.draw.pick(modes))]
        for _ in g.draw.many(1, 3, 0.4):
            parts.append(_branch(g, x, factors, g.draw.pick(modes)))
    return g.node("Concat", *g.draw.shuffled(parts), axis=g.draw.pick((1, 1 - x.rank)))


def _odd(g: Graph, x: Value, factors: list[int]) -> list[Value]:
    """``x`` enlarged to one sample less than the factors would give, and others of that size."""
    wanted = [n * f - (f > 1) for n, f in zip(x.shape[2:], factors, strict=True)]

    def to_size(small: Value) -> Value:
        attributes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        sizes = g.ints(*small.shape[:2], *wanted)
        empty = "" if g.opset >= 13 else g.floats()
        return g.node("Resize", small, empty, empty, sizes, mode="nearest", **attributes)

    parts = [to_size(x)]
    for _ in g.draw.many(1, 2, 0.4):
        channels = g.draw.pick(convolutions.CHANNELS[:6])
        if g.draw.chance(0.7):
            parts.append(g.input([x.shape[0], channels, *wanted]))
        else:
            parts.append(to_size(g.input([x.shape[0], channels, *x.shape[2:]])))
    return parts


def _branch(g: Graph, x: Value, factors: list[int], mode: str) -> Value:
    way = g.draw.pick(("input", "whole", "smaller", "convolved", "again"), [4, 2, 2, 3, 0.5])
    if way == "again":
        return _enlarged(g, x, factors, mode)
    if way == "convolved" or (g.is_free and way != "input"):
        return _enlarged(g, convolutions.conv(g, x, same=True), factors, mode)
    channels = g.draw.pick(convolutions.CHANNELS[:6])
    if g.is_free:
        if x not in g.inputs:
            raise NodeRefused("no name for its sizes")
        dims = g.dims[x.name]
        other = g.input([x.shape[0], channels, *x.shape[2:]], [dims[0], channels, *dims[2:]])
        return _enlarged(g, other, factors, mode)
    wanted = [n * f for n, f in zip(x.shape[2:], factors, strict=True)]
    divisors = [1] * len(wanted)
    if way == "input":
        divisors = factors
    elif way == "smaller":
        divisors = [g.draw.pick([d for d in (2, 4, 3, 1) if n % d == 0]) for n in wanted]
    sizes = [n // d for n, d in zip(wanted, divisors, strict=True)]
    other = g.input([x.shape[0], channels, *sizes])
    return other if prod(divisors) == 1 else _enlarged(g, other, divisors, mode)


def _enlarged(g: Graph, x: Value, factors: list[int], mode: str) -> Value:
    """Resized by whole factors; mostly as exporters of the mode write it."""
    attributes = {"mode": mode}
    if mode == "nearest":
        attributes |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    elif g.draw.chance(0.3):
        attributes["coordinate_transformation_mode"] = "align_corners"
    if g.opset >= 11 and g.draw.chance(0.15):
        attributes = resize_attributes(g, mode)
    scales = [1.0, 1.0, *map(float, factors)]
    return resized(g, x, attributes, by_sizes=g.draw.chance(0.2) and not g.is_free, scales=scales)
