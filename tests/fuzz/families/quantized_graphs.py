"""Quantized networks: the integers of each result are ONNX Runtime's but for ties.

Some are compiled as qonnx has them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import outcome as kinds
from ..bounds import Bounded, bounded, outside
from ..choices import Choices
from ..graph import OPSETS, Finished, Graph, Value
from ..onnx_case import Feed, OnnxCase
from ..onnx_nodes import quantized as steps
from ..onnx_nodes import quantized_maps as maps
from ..onnx_nodes.qonnx import with_quant_nodes
from ..onnx_nodes.quantized import Quantized
from ..options import draw_options
from ..outcome import Outcome
from .growing import Sizes, feeds_of, shape_of

_Steps = tuple[tuple[Callable[..., Quantized], float], ...]
_STEPS: _Steps = (
    (steps.layer, 6),
    (steps.qlinear_conv, 4),
    (steps.expanding, 5),
    (steps.enlarging, 3),
    (steps.moved, 3),
    (steps.bounded, 2),
    (steps.averaged, 1),
    (steps.added, 2),
    (steps.concatenated, 2),
)
_JOINING = (steps.added, steps.concatenated, maps.multiplied)
# On maps no wider than a vector of a processor, mostly of an even number of rows.
_OF_MAPS: _Steps = (
    (maps.plain, 4),
    (maps.strided, 4),
    (maps.resized, 5),
    (maps.mean, 2),
    (maps.branched, 3),
    (maps.multiplied, 3),
    (steps.added, 2),
    (steps.expanding, 1),
)
_MAPS = (8, 16, 4, 12, 14, 2, 6, 7, 1, 15, 17), (4, 4, 3, 2, 2, 2, 1, 1, 1, 1, 1)


@dataclass(frozen=True)
class QuantizedCase(OnnxCase):
    """Judged by bounds: a unit is right only where a tie allows it."""

    def _expected(self, feed: Feed) -> Bounded:
        return bounded(self.model, feed)

    def _judge(self, found: Any, want: Any, feed: Feed) -> Outcome:
        if not isinstance(found, list) or not isinstance(want, Bounded):
            return super()._judge(found, want, feed)
        if len(found) != len(want.ends):
            return Outcome(kinds.WRONG, f"{len(found)} results, expected {len(want.ends)}")
        wrong = outside(found, want)
        return Outcome(kinds.WRONG, wrong) if wrong else Outcome(kinds.OK)


def quantized_network(draw: Choices) -> QuantizedCase:
    """One to five layers of bytes; of the first the input is float32, uint8 or int8."""
    return _network(draw, _STEPS)


def quantized_maps(draw: Choices) -> QuantizedCase:
    """As that: layers of many channels on small maps, and resizes, means, joins, products."""
    return _network(draw, _OF_MAPS, _MAPS)


def _network(draw: Choices, of: _Steps, sizes: Sizes | None = None) -> QuantizedCase:
    g = Graph(draw, draw.pick([opset for opset in OPSETS if opset >= 10]))
    x = _input(g, sizes)
    made = [x]
    for _ in draw.many(1, 5, 0.6):
        step = draw.pick([s for s, _ in of], [share for _, share in of])
        try:
            y = g.attempt(step, x, *([made] if step in _JOINING else []))
        except Finished:
            return _case(g, [g.values[-1]])
        if y is not None:
            x = y
            made.append(y)
    results = [x.value]
    try:
        if draw.chance(0.4) or x.value in g.inputs:
            results = [steps.real(g, x)]
    except Finished:
        return _case(g, [g.values[-1]])
    further = [y.value for y in made if y.value not in g.inputs and y is not x]
    return _case(g, [*results, *draw.some(further[-2:], 0.15)])


def _input(g: Graph, sizes: Sizes | None) -> Quantized:
    shape, dims = shape_of(g.draw, rank=4, sizes=sizes)
    way = g.draw.pick(("float32", "uint8", "int8"), [6, 1, 1])
    x = g.input(shape, dims, way)
    if way == "float32":
        return steps.quantized(g, x)
    return Quantized(x, *steps.parameters(g, -1.0, 1.0, way))


def _case(g: Graph, results: list[Value]) -> QuantizedCase:
    model, feeds, options = g.model(results), feeds_of(g), draw_options(g.draw)
    explained = g.draw.chance(0.12)
    source = with_quant_nodes(model) if g.opset >= 13 and g.draw.chance(0.2) else None
    return QuantizedCase(model, feeds, options, explained, source)
