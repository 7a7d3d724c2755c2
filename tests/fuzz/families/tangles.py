"""Networks whose maps are read more than once: split, put together, added up and given back.

Maps have thousands of elements, which it takes for parts to be read and written where they lie.
"""

from __future__ import annotations

from ..choices import Choices
from ..graph import Graph, NodeRefused, Value, need_axes
from ..onnx_case import OnnxCase
from ..onnx_nodes import convolutions, networks, others, pointwise, resizes, shuffles
from .growing import Grow, Sizes, graph_of, grown, shape_of, weighted

_SIZES: Sizes = ((24, 16, 32, 20, 33), [4, 3, 2, 1, 1])
_CHANNELS = (16, 8, 24, 32, 12)
# Values that a step may take, latest first.
_LATEST = 6


def tangle(draw: Choices) -> OnnxCase:
    """A graph whose nodes read any of the values before them; what none reads is an output."""
    g = graph_of(draw)
    shape, dims = shape_of(draw, 4, _SIZES)
    shape[1] = dims[1] = draw.pick(_CHANNELS)
    x = g.input(shape, dims)
    if draw.chance(0.3):
        g.input(shape, dims)
    steps = [_anywhere(draw.pick(*weighted(_STEPS))) for _ in draw.many(3, 14, 0.85)]
    return grown(g, x, steps, ends=True)


def _anywhere(grow: Grow) -> Grow:
    """A step that goes on with the last value, or with one of those before it."""

    def step(g: Graph, x: Value) -> Value:
        found = [v for v in g.values[::-1] if v.rank == 4][:_LATEST]
        return grow(g, g.draw.pick(found) if found and g.draw.chance(0.6) else x)

    return step


def _layer(g: Graph, x: Value) -> Value:
    channels = g.draw.pick((*_CHANNELS, x.shape[1]))
    return _activation(g, convolutions.conv(g, x, channels, same=True))


def _activation(g: Graph, x: Value) -> Value:
    """One without a jump: behind many layers rounding would decide on which side a value is."""
    ways = ("Relu", "LeakyRelu", "Sigmoid", "Tanh", "Softplus", "Elu")
    return pointwise.clip(g, x) if g.draw.chance(0.2) else g.node(g.draw.pick(ways), x)


def _enlarging(g: Graph, x: Value) -> Value:
    """A map of half the size, made as large as it was."""
    small = g.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    channels = g.draw.pick(_CHANNELS)
    if g.draw.chance(0.5):
        weight = g.weight(x.shape[1], channels, 2, 2, terms=x.shape[1])
        return g.node("ConvTranspose", small, weight, strides=[2, 2])
    wide = convolutions.conv(g, small, 4 * channels, same=True)
    return shuffles.depth_to_space(g, wide, 2)


def _concat(g: Graph, x: Value) -> Value:
    """Of several maps of one size, most of them no inputs; the same one may be among them twice."""
    need_axes(x, 4)
    axis = g.draw.pick((1, 2, 3), [12, 1, 1])
    like = [v for v in g.values if _is_alike(v, x, axis)]
    parts = [x, *(g.draw.pick(like[::-1]) for _ in g.draw.many(1, 3, 0.4))]
    if sum(part.shape[1] for part in parts) > 128:
        raise NodeRefused("too wide")
    return g.node("Concat", *g.draw.shuffled(parts), axis=axis)


def _is_alike(v: Value, x: Value, axis: int) -> bool:
    if v.rank != x.rank or v.array.dtype != x.array.dtype:
        return False
    return all(v.shape[at] == x.shape[at] for at in range(x.rank) if at != axis)


def _halves(g: Graph, x: Value) -> Value:
    """Two parts of the channels or of the rows, both of which go on, put together again or not."""
    axis = g.draw.pick((1, 2), [5, 1])
    if g.opset < 13 or x.shape[axis] < 2:
        raise NodeRefused("nothing to split")
    first = g.draw.pick((x.shape[axis] // 2, g.draw.integer(1, x.shape[axis] - 1)))
    parts = g.outputs("Split", 2, x, g.ints(first, x.shape[axis] - first), axis=axis)
    kept, rest = g.draw.shuffled(parts)
    made = _layer(g, rest)
    if g.draw.chance(0.3):
        made = pointwise.joined(g, made)
    if g.draw.chance(0.7) and _is_alike(made, kept, 1):
        return g.node("Concat", *g.draw.shuffled([kept, made]), axis=1)
    return made


def _gate(g: Graph, x: Value) -> Value:
    """Half of the channels times a sigmoid of the others."""
    if g.opset < 13 or x.shape[1] % 2:
        raise NodeRefused("nothing to split")
    half = x.shape[1] // 2
    a, b = g.outputs("Split", 2, x, g.ints(half, half), axis=1)
    return g.node("Mul", a, g.node("Sigmoid", b))


# No norms: of maps that are nearly constant, rounding is all that they show.
_STEPS: tuple[tuple[Grow, float], ...] = (
    (_layer, 6),
    (_concat, 6),
    (_halves, 4),
    (pointwise.joined, 4),
    (_activation, 2),
    (_gate, 2),
    (_enlarging, 2),
    (networks.residual, 1.5),
    (others.split, 1.5),
    (others.slices, 1),
    (resizes.nearest, 0.5),
    (others.pool, 0.5),
    (others.reshape, 0.5),
    (others.transpose, 0.3),
    (shuffles.channel_shuffle, 0.5),
    (shuffles.space_to_depth, 0.3),
)
