"""Recurrent layers, and what undoes a pool."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..graph import Graph, NodeRefused, Value, need_axes

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def recurrent(g: Graph, x: Value) -> Value:
    """An LSTM, GRU or RNN over the first axis; all its states, or those of the last step."""
    need_axes(x, 3)
    if g.dtype != "float32" or g.is_free:
        raise NodeRefused("ONNX Runtime has it for fixed sizes of float32 only")
    features = prod(x.shape[2:])
    lines = x if x.rank == 3 else g.node("Reshape", x, g.ints(*x.shape[:2], features))
    kind = g.draw.pick(tuple(_GATES))
    hidden = g.draw.pick((4, 1, 7, 16, 20))
    direction = g.draw.pick(("forward", "reverse", "bidirectional"))
    directions = 2 if direction == "bidirectional" else 1
    width = _GATES[kind] * hidden
    operands: list[Value | str] = [
        lines,
        g.weight(directions, width, features, terms=features),
        g.weight(directions, width, hidden, terms=2 * hidden),
    ]
    if g.draw.chance(0.7):
        operands.append(g.weight(directions, 2 * width))
    options: dict[str, Any] = {"hidden_size": hidden, "direction": direction}
    if kind == "GRU":
        options["linear_before_reset"] = g.draw.below(2)
    if g.draw.chance(0.2):
        options["clip"] = 1.0
    if kind == "RNN" and g.draw.chance(0.4):
        options["activations"] = ["Relu"] * directions
    found = g.outputs(kind, 2, *operands, **options)
    return found[g.draw.below(2)]


def unpooled(g: Graph, x: Value) -> Value:
    """Values at places of a larger map, in any order, some at one place."""
    need_axes(x, 3, 5)
    if g.dtype != "float32" or g.is_free or g.opset < 9:
        raise NodeRefused("ONNX Runtime has it for fixed sizes of float32 only")
    axes = x.rank - 2
    large = prod(x.shape[:2]) * prod(2 * size for size in x.shape[2:])
    numbers = np.arange(x.array.size, dtype="int64").reshape(x.shape)
    places = numbers * g.draw.pick((2, 3, 5, 7)) % large
    two = [2] * axes
    return g.node("MaxUnpool", x, g.given(places), kernel_shape=two, strides=two)
