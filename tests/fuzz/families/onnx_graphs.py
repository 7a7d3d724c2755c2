"""ONNX graphs: single nodes, what looks like the rewrite's patterns, and graphs of anything."""

from __future__ import annotations

from ..choices import Choices
from ..graph import Graph, Value
from ..onnx_case import OnnxCase
from ..onnx_nodes import convolutions, others, pads, pointwise, recurrent, resizes, shuffles
from .growing import Grow, graph_of, grown, shape_of, weighted

_ANY: tuple[tuple[Grow, float], ...] = (
    (convolutions.conv, 8),
    (convolutions.conv_transpose, 4),
    (shuffles.depth_to_space, 5),
    (resizes.resize, 4),
    (resizes.nearest, 4),
    (pads.pad, 4),
    (pointwise.activation, 8),
    (pointwise.constant, 6),
    (pointwise.batch_norm, 2),
    (pointwise.joined, 6),
    (shuffles.space_to_depth, 1.5),
    (shuffles.channel_shuffle, 1),
    (shuffles.repeated, 1),
    (others.pool, 3),
    (others.norm, 2),
    (others.reduction, 2),
    (others.slices, 2),
    (others.split, 1.5),
    (others.gather, 1),
    (others.transpose, 1.5),
    (others.reshape, 1.5),
    (others.squeezed, 1),
    (others.product, 1),
    (others.attention, 0.5),
    (others.arg_max, 0.3),
    (others.odd, 1.5),
    (resizes.grid_sample, 0.5),
    (recurrent.recurrent, 0.7),
    (recurrent.unpooled, 0.5),
)


def one_node(draw: Choices) -> OnnxCase:
    """One node with any attributes."""
    g = graph_of(draw)
    x = g.input(*shape_of(draw))
    return grown(g, x, [draw.pick(*weighted(_ANY))])


def anything(draw: Choices) -> OnnxCase:
    """A graph of up to ten nodes of any kind."""
    g = graph_of(draw)
    x = g.input(*shape_of(draw))
    grow = [draw.pick(*weighted(_ANY)) for _ in draw.many(1, 10, 0.75)]
    return grown(g, x, grow)


def subpixel(draw: Choices) -> OnnxCase:
    """A convolution, operators of one element or channel, a shuffle, and what follows it."""
    g = graph_of(draw)
    x = g.input(*shape_of(draw, rank=4))
    r = draw.pick((2, 3, 4, 8), [6, 3, 3, 0.5])
    outputs = draw.pick((3, 1, 4, 8, 2, 5), [4, 3, 2, 1, 1, 1]) if r < 8 else 1
    usual = draw.chance(0.7)

    def expand(g: Graph, x: Value) -> Value:
        return convolutions.conv(g, x, outputs * r * r, same=usual)

    def shuffle(g: Graph, x: Value) -> Value:
        return shuffles.depth_to_space(g, x, r)

    between = [draw.pick(*weighted(_BETWEEN)) for _ in draw.many(0, 3, 0.45)]
    return grown(g, x, [*_before(draw), expand, *between, shuffle, *_after(draw)])


def enlarged(draw: Choices) -> OnnxCase:
    """A nearest resize or something like it, pads, a convolution, and what follows it."""
    g = graph_of(draw)
    x = g.input(*shape_of(draw, rank=4))
    enlarge = draw.pick((resizes.nearest, resizes.resize, shuffles.repeated), [8, 1, 0.5])
    usual = draw.chance(0.6)

    def convolve(g: Graph, x: Value) -> Value:
        return convolutions.conv(g, x, same=usual)

    between = [draw.pick(*weighted(_BEHIND_RESIZE)) for _ in draw.many(0, 2, 0.4)]
    return grown(g, x, [*_before(draw), enlarge, *between, convolve, *_after(draw)])


def constants_and_shuffle(draw: Choices) -> OnnxCase:
    """Constants per channel around a shuffle that stays, because no convolution is before it."""
    g = graph_of(draw)
    r = draw.pick((2, 4, 3, 8))
    shape, dims = shape_of(draw, rank=4)
    channels = r * r * draw.pick((1, 2, 3, 4))
    x = g.input([shape[0], channels, *shape[2:]], [dims[0], channels, *dims[2:]])
    before = [
        draw.pick((pointwise.constant, pointwise.batch_norm, pointwise.prelu, pointwise.activation))
        for _ in draw.many(1, 3, 0.4)
    ]

    def shuffle(g: Graph, x: Value) -> Value:
        return shuffles.depth_to_space(g, x, r)

    return grown(g, x, [*before, shuffle, *_after(draw)])


def transposed(draw: Choices) -> OnnxCase:
    """Transposed convolutions and what stands around them."""
    g = graph_of(draw)
    x = g.input(*shape_of(draw))
    return grown(g, x, [*_before(draw), convolutions.conv_transpose, *_after(draw)])


_BETWEEN: tuple[tuple[Grow, float], ...] = (
    (pointwise.activation, 4),
    (pointwise.constant, 3),
    (pointwise.batch_norm, 1.5),
    (pointwise.prelu, 1.5),
    (pointwise.joined, 1),
    (pads.pad, 0.5),
    (others.slices, 0.3),
)
_BEHIND_RESIZE: tuple[tuple[Grow, float], ...] = (
    (pads.pad, 5),
    (pointwise.activation, 2),
    (pointwise.constant, 1.5),
    (pointwise.joined, 1),
    (others.pool, 0.3),
    (others.crop, 1.5),
)
_AFTER: tuple[tuple[Grow, float], ...] = (
    (pointwise.activation, 4),
    (pointwise.constant, 2),
    (convolutions.conv, 2),
    (pointwise.joined, 2),
    (pads.pad, 1),
    (others.slices, 0.5),
    (others.reduction, 0.3),
)


def _before(draw: Choices) -> list[Grow]:
    return [draw.pick(*weighted(_AFTER))] if draw.chance(0.3) else []


def _after(draw: Choices) -> list[Grow]:
    return [draw.pick(*weighted(_AFTER)) for _ in draw.many(0, 3, 0.4)]
