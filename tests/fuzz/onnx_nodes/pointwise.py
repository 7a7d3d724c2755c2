"""Activations, and constants per channel, element and graph."""

from __future__ import annotations

import numpy as np

from ..graph import Graph, Value

# (operator, first opset, attributes that may be given)
_UNARY: tuple[tuple[str, int, dict[str, tuple[float, ...]]], ...] = (
    ("Relu", 9, {}),
    ("LeakyRelu", 9, {"alpha": (0.1, 0.2, -0.5, 0.0)}),
    ("Sigmoid", 9, {}),
    ("Tanh", 9, {}),
    ("Elu", 9, {"alpha": (1.0, 0.5, 2.0)}),
    ("Selu", 9, {"alpha": (1.7, 0.5), "gamma": (1.05, 2.0)}),
    ("ThresholdedRelu", 10, {"alpha": (1.0, 0.5, -0.5)}),
    ("HardSigmoid", 9, {"alpha": (0.2, 0.5), "beta": (0.5, 0.25)}),
    ("HardSwish", 14, {}),
    ("Softplus", 9, {}),
    ("Softsign", 9, {}),
    ("Mish", 18, {}),
    ("Celu", 12, {"alpha": (1.0, 0.5, 2.0)}),
    ("Gelu", 20, {}),
    ("Erf", 9, {}),
    ("Exp", 9, {}),
    ("Neg", 9, {}),
    ("Abs", 9, {}),
    ("Sin", 9, {}),
    ("Cos", 9, {}),
    ("Identity", 9, {}),
)


def activation(g: Graph, x: Value) -> Value:
    """Any function of one element; Clip, PRelu and the compositions that exporters write."""
    ways = (_unary, clip, prelu, _swish, _gelu)
    return g.draw.pick(ways, [6, 2, 2, 0.5, 0.5])(g, x)


def _unary(g: Graph, x: Value) -> Value:
    known = [entry for entry in _UNARY if entry[1] <= g.opset]
    name, _, options = g.draw.pick(known)
    attributes = {
        key: g.draw.pick(values) if g.draw.chance(0.6) else None for key, values in options.items()
    }
    if name == "Gelu":
        attributes["approximate"] = g.draw.pick(("none", "tanh"))  # type: ignore[assignment]
    return g.node(name, x, **attributes)


def clip(g: Graph, x: Value) -> Value:
    """By attributes or operands; one side, both, or none."""
    low = g.draw.pick((-0.5, 0.0, None, -1.25))
    high = g.draw.pick((1.0, 6.0, None, 0.75))
    if g.opset < 11:
        return g.node("Clip", x, min=low, max=high)
    operands = ["" if v is None else g.scalar(v) for v in (low, high)]
    while operands and not operands[-1]:
        operands.pop()
    return g.node("Clip", x, *operands)


def prelu(g: Graph, x: Value) -> Value:
    """A slope for each channel, for all, or of more axes."""
    channels = x.shape[1] if x.rank > 1 else 1
    ones = [1] * max(0, x.rank - 2)
    shape = g.draw.pick(
        ((channels, *ones), (1,), (1, channels, *ones), (), x.shape), [6, 2, 1, 1, 0.5]
    )
    return g.node("PRelu", x, g.weight(*shape))


def _swish(g: Graph, x: Value) -> Value:
    return g.node("Mul", x, g.node("Sigmoid", x))


def _gelu(g: Graph, x: Value) -> Value:
    half = g.node("Mul", x, g.scalar(0.5))
    scaled = g.node("Div", x, g.scalar(1.41421))
    return g.node("Mul", half, g.node("Add", g.node("Erf", scaled), g.scalar(1.0)))


def constant(g: Graph, x: Value) -> Value:
    """Add, Mul and their kin with a constant: per channel, column, for all, or of more axes."""
    operator = g.draw.pick(
        ("Add", "Mul", "Sub", "Div", "Max", "Min", "Pow", "Where"), [6, 4, 2, 2, 1, 1, 0.5, 0.5]
    )
    operand = g.positive(*_shape(g, x)) if operator in ("Div", "Pow") else g.weight(*_shape(g, x))
    if operator == "Where":
        mask = g.given(np.arange(max(x.shape[-1], 1)) % 3 != 0)
        return g.node("Where", mask, *g.draw.shuffled([x, operand]))
    if operator == "Pow":
        return g.node("Pow", g.node("Abs", x), operand)
    turned = g.draw.chance(0.25)
    if operator == "Div" and turned:
        x = g.node("Add", g.node("Abs", x), g.scalar(0.5))  # rounding decides what 1/0 is
    return g.node(operator, *((operand, x) if turned else (x, operand)))


def _shape(g: Graph, x: Value) -> tuple[int, ...]:
    channels = x.shape[1] if x.rank > 1 else 1
    ones = (1,) * max(0, x.rank - 2)
    shapes = ((channels, *ones), (1, channels, *ones), (), (1,), x.shape[-1:], x.shape[1:], x.shape)
    return g.draw.pick(shapes, [8, 3, 2, 1, 1, 0.5, 0.3])


def batch_norm(g: Graph, x: Value) -> Value:
    """BatchNormalization as at inference."""
    channels = x.shape[1] if x.rank > 1 else 1
    parameters = [g.weight(channels), g.weight(channels), g.weight(channels), g.positive(channels)]
    epsilon = g.draw.pick((None, 1e-3, 0.1))
    return g.node("BatchNormalization", x, *parameters, epsilon=epsilon)


def joined(g: Graph, x: Value) -> Value:
    """With another value of the graph: Add, Mul, Concat and the like."""
    others = [v for v in g.values if v.rank == x.rank and v.array.dtype == x.array.dtype]
    other = others[-1 - g.draw.below(len(others))]
    if not g.is_free and g.draw.chance(0.08):
        other = g.input(x.shape)
    operator = g.draw.pick(("Add", "Concat", "Mul", "Sub", "Max", "Sum"), [5, 4, 2, 1, 1, 0.5])
    operands = g.draw.shuffled([x, other])
    if operator == "Concat":
        axis = g.draw.pick((1, -3, x.rank - 1, 0), [8, 1, 1, 1])
        return g.node("Concat", *operands, *([x] if g.draw.chance(0.1) else []), axis=axis)
    return g.node(operator, *operands)
