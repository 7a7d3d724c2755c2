"""Networks of volumes, (N, C, D, H, W), and what is resized and put together, in two axes or three.

The spatial sizes are small: a volume has as many elements as a picture of many times its height.
"""

from __future__ import annotations

from ..choices import Choices
from ..graph import Graph, Value
from ..onnx_case import OnnxCase
from ..onnx_nodes import convolutions, networks, others, pads, pointwise, resizes
from .growing import Grow, Sizes, graph_of, grown, shape_of, weighted

_STEPS: tuple[tuple[Grow, float], ...] = (
    (convolutions.conv, 6),
    (convolutions.conv_transpose, 6),
    (networks.residual, 4),
    (resizes.nearest, 5),
    (resizes.resize, 4),
    (networks.shuffled_volume, 1.5),
    (networks.branches, 2),
    (pointwise.activation, 5),
    (pointwise.constant, 3),
    (pointwise.batch_norm, 3),
    (pointwise.joined, 3),
    (others.pool, 3),
    (pads.pad, 3),
    (others.slices, 0.7),
    (others.crop, 1.5),
    (others.norm, 0.7),
    (others.reduction, 0.5),
)
_BEHIND: tuple[tuple[Grow, float], ...] = (
    (pads.pad, 3),
    (others.crop, 1.5),
    (pointwise.batch_norm, 2),
    (pointwise.activation, 2),
    (pointwise.constant, 1),
)
_SIZES: Sizes = ((5, 4, 3, 1, 2, 6, 8), [5, 5, 4, 1, 3, 2, 1])


def volume(draw: Choices) -> OnnxCase:
    """A graph of volumes; in half of the cases a layer that enlarges and a convolution first."""
    g = graph_of(draw)
    x = g.input(*shape_of(draw, 5, _SIZES))
    steps: list[Grow] = []
    if draw.chance(0.5):
        enlarge = draw.pick((resizes.nearest, resizes.resize, convolutions.conv_transpose))
        steps = [enlarge, *_some(draw, _BEHIND, 2), _same]
    return grown(g, x, [*steps, *_some(draw, _STEPS, 5, least=0 if steps else 1)])


def branches(draw: Choices) -> OnnxCase:
    """Several inputs, resized and put together before a convolution."""
    g = graph_of(draw)
    rank = draw.pick((4, 5), [3, 2])
    x = g.input(*shape_of(draw, rank, None if rank == 4 else _SIZES))
    before = _some(draw, _BEHIND, 1)
    between = _some(draw, _BEHIND, 2)
    return grown(g, x, [*before, networks.branches, *between, _same, *_some(draw, _STEPS, 2)])


def _same(g: Graph, x: Value) -> Value:
    return convolutions.conv(g, x, same=g.draw.chance(0.7))


def _some(
    draw: Choices, entries: tuple[tuple[Grow, float], ...], most: int, least: int = 0
) -> list[Grow]:
    return [draw.pick(*weighted(entries)) for _ in draw.many(least, most, 0.5)]
