"""How a family of ONNX graphs grows one: its input, its nodes, its outputs, its options."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..choices import Choices
from ..graph import OPSETS, Finished, Graph, Value
from ..onnx_case import OnnxCase
from ..onnx_nodes import convolutions, pointwise
from ..options import draw_options
from ..values import filled

Grow = Callable[..., Value]
Sizes = tuple[Sequence[int], Sequence[float]]

_SIZES: Sizes = ((8, 5, 7, 1, 12, 2, 3, 17, 16, 33), (6, 4, 3, 1, 2, 1, 2, 1, 1, 0.5))

# What exporters call free dimensions, or do not call.
_NAMES: tuple[dict[str, str | None], ...] = (
    {},
    {"n": "batch-size", "h": "in height", "w": "2w"},
    {"h": None, "w": None, "d": None},
)


def weighted(entries: Sequence[tuple[Grow, float]]) -> tuple[list[Grow], list[float]]:
    """Steps and their shares, as ``Choices.pick`` takes them."""
    return [grow for grow, _ in entries], [weight for _, weight in entries]


def graph_of(draw: Choices) -> Graph:
    """An empty graph of any opset and type."""
    dtype = draw.pick(("float32", "float16", "float64"), [8, 1.5, 0.7])
    return Graph(draw, draw.pick(OPSETS), dtype)


def shape_of(
    draw: Choices, rank: int | None = None, sizes: Sizes | None = None
) -> tuple[list[int], list[int | str]]:
    """Sizes, and which of them are free; ``sizes`` are those of space and their shares."""
    rank = rank or draw.pick((4, 3, 5, 2), [10, 1.5, 1, 0.3])
    shape = [draw.pick((1, 2, 3), [6, 2, 0.5]), draw.pick(convolutions.CHANNELS)]
    shape += [draw.pick(*(sizes or _SIZES)) for _ in range(rank - 2)]
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


def grown(g: Graph, x: Value, steps: Sequence[Grow], ends: bool = False) -> OnnxCase:
    """The graph after these steps, with outputs, inputs and options.

    ``ends``: all that no node reads is an output.
    """
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
    if ends:
        read = {name for node in g.nodes for name in node.input} | {v.name for v in results}
        results += [v for v in g.values if v.name not in read and v not in g.inputs]
    model = g.model(
        results,
        shaped=not g.is_free and not g.refused and g.draw.chance(0.5),
        listed=g.draw.chance(0.04),
        names=g.draw.pick(_NAMES, [20, 1, 1]),
    )
    return OnnxCase(model, feeds_of(g), draw_options(g.draw), g.draw.chance(0.12))


def feeds_of(g: Graph) -> list[dict[str, np.ndarray]]:
    """The inputs that the graph was grown on, and others where sizes are free."""
    feeds = [{value.name: value.array for value in g.inputs}]
    if g.is_free:
        feeds += [_other_sizes(g, seed) for seed in (1, 2)]
    return feeds


def _other_sizes(g: Graph, seed: int) -> dict[str, np.ndarray]:
    """Inputs of other sizes along the free axes: the same for the same name."""
    sizes: dict[str, int] = {}
    feed = {}
    for value in g.inputs:
        shape = [
            sizes.setdefault(dim, _other_size(g.draw, size)) if isinstance(dim, str) else dim
            for dim, size in zip(g.dims[value.name], value.shape, strict=True)
        ]
        feed[value.name] = filled(shape, str(value.array.dtype), seed)
    return feed


def _other_size(draw: Choices, size: int) -> int:
    return draw.pick((size, 1, size + 1, 2 * size, 2 * size + 1, max(1, size - 1)))
