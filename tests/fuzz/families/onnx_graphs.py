"""ONNX graphs: single nodes, what looks like the rewrite's patterns, and graphs of anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..choices import Choices
from ..graph import OPSETS, Finished, Graph, Value
from ..onnx_case import OnnxCase
from ..onnx_nodes import convolutions, others, pads, pointwise, resizes, shuffles
from ..options import draw_options
from ..values import filled

Grow = Callable[..., Value]

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
)


def one_node(draw: Choices) -> OnnxCase:
    """One node with any attributes."""
    g = _graph(draw)
    x = g.input(*_shape(draw))
    return _grown(g, x, [draw.pick(*_weighted(_ANY))])


def anything(draw: Choices) -> OnnxCase:
    """A graph of up to ten nodes of any kind."""
    g = _graph(draw)
    x = g.input(*_shape(draw))
    grow = [draw.pick(*_weighted(_ANY)) for _ in draw.many(1, 10, 0.75)]
    return _grown(g, x, grow)


def subpixel(draw: Choices) -> OnnxCase:
    """A convolution, operators of one element or channel, a shuffle, and what follows it."""
    g = _graph(draw)
    x = g.input(*_shape(draw, rank=4))
    r = draw.pick((2, 3, 4, 8), [6, 3, 3, 0.5])
    outputs = draw.pick((3, 1, 4, 8, 2, 5), [4, 3, 2, 1, 1, 1]) if r < 8 else 1
    usual = draw.chance(0.7)

    def expand(g: Graph, x: Value) -> Value:
        return convolutions.conv(g, x, outputs * r * r, same=usual)

    def shuffle(g: Graph, x: Value) -> Value:
        return shuffles.depth_to_space(g, x, r)

    between = [draw.pick(*_weighted(_BETWEEN)) for _ in draw.many(0, 3, 0.45)]
    return _grown(g, x, [*_before(draw), expand, *between, shuffle, *_after(draw)])


def enlarged(draw: Choices) -> OnnxCase:
    """A nearest resize or something like it, pads, a convolution, and what follows it."""
    g = _graph(draw)
    x = g.input(*_shape(draw, rank=4))
    enlarge = draw.pick((resizes.nearest, resizes.resize, shuffles.repeated), [8, 1, 0.5])
    usual = draw.chance(0.6)

    def convolve(g: Graph, x: Value) -> Value:
        return convolutions.conv(g, x, same=usual)

    between = [draw.pick(*_weighted(_BEHIND_RESIZE)) for _ in draw.many(0, 2, 0.4)]
    return _grown(g, x, [*_before(draw), enlarge, *between, convolve, *_after(draw)])


def constants_and_shuffle(draw: Choices) -> OnnxCase:
    """Constants per channel around a shuffle that stays, because no convolution is before it."""
    g = _graph(draw)
    r = draw.pick((2, 4, 3, 8))
    shape, dims = _shape(draw, rank=4)
    channels = r * r * draw.pick((1, 2, 3, 4))
    x = g.input([shape[0], channels, *shape[2:]], [dims[0], channels, *dims[2:]])
    before = [
        draw.pick((pointwise.constant, pointwise.batch_norm, pointwise.prelu, pointwise.activation))
        for _ in draw.many(1, 3, 0.4)
    ]

    def shuffle(g: Graph, x: Value) -> Value:
        return shuffles.depth_to_space(g, x, r)

    return _grown(g, x, [*before, shuffle, *_after(draw)])


def transposed(draw: Choices) -> OnnxCase:
    """Transposed convolutions and what stands around them."""
    g = _graph(draw)
    x = g.input(*_shape(draw))
    return _grown(g, x, [*_before(draw), convolutions.conv_transpose, *_after(draw)])


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


# What exporters call free dimensions, or do not call.
_NAMES: tuple[dict[str, str | None], ...] = (
    {},
    {"n": "batch-size", "h": "in height", "w": "2w"},
    {"h": None, "w": None, "d": None},
)


def _before(draw: Choices) -> list[Grow]:
    return [draw.pick(*_weighted(_AFTER))] if draw.chance(0.3) else []


def _after(draw: Choices) -> list[Grow]:
    return [draw.pick(*_weighted(_AFTER)) for _ in draw.many(0, 3, 0.4)]


def _weighted(entries: Sequence[tuple[Grow, float]]) -> tuple[list[Grow], list[float]]:
    return [grow for grow, _ in entries], [weight for _, weight in entries]


def _graph(draw: Choices) -> Graph:
    dtype = draw.pick(("float32", "float16", "float64"), [8, 1.5, 0.7])
    return Graph(draw, draw.pick(OPSETS), dtype)


def _shape(draw: Choices, rank: int | None = None) -> tuple[list[int], list[int | str]]:
    """Sizes, and which of them are free."""
    rank = rank or draw.pick((4, 3, 5, 2), [10, 1.5, 1, 0.3])
    sizes = (8, 5, 7, 1, 12, 2, 3, 17, 16, 33)
    shape = [draw.pick((1, 2, 3), [6, 2, 0.5]), draw.pick(convolutions.CHANNELS)]
    shape += [draw.pick(sizes, [6, 4, 3, 1, 2, 1, 2, 1, 1, 0.5]) for _ in range(rank - 2)]
    dims: list[int | str] = list(shape)
    if draw.chance(0.3):
        free = draw.pick(("spatial", "all", "batch", "last"))
        names = ["n", "", "h", "w", "d"][:rank]
        for axis, name in enumerate(names):
            if name and (
                free == "all"
                or ((free == "batch") == (axis == 0) and (free != "last" or axis == rank - 1))
            ):
                dims[axis] = name
    return shape, dims


def _grown(g: Graph, x: Value, steps: Sequence[Grow]) -> OnnxCase:
    """The graph after these steps, with outputs, inputs and options."""
    try:
        for step in steps:
            x = g.attempt(step, x) or x
    except Finished:
        x = g.values[-1]
    if not g.nodes or x in g.inputs:
        x = g.attempt(pointwise.activation, x) or g.node("Identity", x)
    results = [x]
    if not g.refused and g.draw.chance(0.2):
        made = [v for v in g.values if v not in g.inputs and v is not x]
        results += g.draw.some(made[-4:], 0.5)
    model = g.model(
        results,
        shaped=not g.is_free and not g.refused and g.draw.chance(0.5),
        listed=g.draw.chance(0.04),
        names=g.draw.pick(_NAMES, [20, 1, 1]),
    )
    feeds = [{value.name: value.array for value in g.inputs}]
    if g.is_free:
        feeds += [_other_sizes(g, seed) for seed in (1, 2)]
    return OnnxCase(model, feeds, draw_options(g.draw), g.draw.chance(0.12))


def _other_sizes(g: Graph, seed: int) -> dict[str, np.ndarray]:
    """Inputs of other sizes along the free axes: the same for the same name."""
    sizes: dict[str, int] = {}
    feed = {}
    for value in g.inputs:
        shape = [
            sizes.setdefault(dim, _other_size(g.draw, size)) if isinstance(dim, str) else dim
            for dim, size in zip(g.dims[value.name], value.shape, strict=True)
        ]
        feed[value.name] = filled(shape, g.dtype, seed)
    return feed


def _other_size(draw: Choices, size: int) -> int:
    return draw.pick((size, 1, size + 1, 2 * size, 2 * size + 1, max(1, size - 1)))
