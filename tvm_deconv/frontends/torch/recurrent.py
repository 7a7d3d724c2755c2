"""LSTM, GRU and RNN of several layers, a call of the function of the loop for each.

PyTorch's decomposition writes out every step: of 200 steps it makes 3,000 operators.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.recurrence import recurrent
from tvm_deconv.schedules.rest.recurrence.activations import Activation
from tvm_deconv.schedules.rest.recurrence.layer import Recurrence

from .functions import working_dtype
from .nodes import name_of
from .translation import Converter, Translation
from .values import shape_of

op = relax.op

# PyTorch's order of the gates, in the letters of the standard of ONNX.
_ORDER = {"LSTM": "ifco", "GRU": "rzh", "RNN": "h"}
_FUNCTIONS = {"LSTM": ("sigmoid", "tanh", "tanh"), "GRU": ("sigmoid", "tanh")}


def has_projection(node: Any) -> bool:
    """Whether the node is an LSTM with ``proj_size``, which is left to PyTorch's decomposition."""
    if name_of(node) != "aten.lstm.input":
        return False
    _, _, weights, has_biases, layers, _, _, bidirectional, *_ = node.args
    return len(weights) != (4 if has_biases else 2) * layers * (1 + bidirectional)


def recurrent_layers(kind: str, *functions: str) -> Converter:
    """A converter of ``kind`` with these activations, by default those of the kind."""
    own = tuple(Activation(name) for name in functions or _FUNCTIONS[kind])

    def convert(
        t: Translation,
        x: relax.Expr,
        first: Any,
        weights: Sequence[relax.Expr],
        has_biases: bool,
        layers: int,
        _dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool = False,
    ) -> list[relax.Expr]:
        states = list(first) if isinstance(first, (list, tuple)) else [first]
        if train:
            raise ModelError("it drops out between layers: export the module after .eval()")
        dtype, directions = working_dtype(t.dtype), 1 + bidirectional
        each = 4 if has_biases else 2
        x = t.cast(x, dtype)
        weights = [t.cast(weight, dtype) for weight in weights]
        states = [t.cast(state, dtype) for state in states]
        hidden = shape_of(weights[1])[1]
        layer = Recurrence(
            kind,
            hidden,
            (False, True)[:directions],
            (own,) * directions,
            _ORDER[kind],
            dtype,
            resets_after=kind == "GRU",
        )
        if batch_first:
            x = t.emit(op.permute_dims(x, (1, 0, 2)))
        ends: list[list[relax.Expr]] = [[] for _ in states]
        for number in range(layers):
            begin = number * directions * each
            parts = [weights[begin + d * each : begin + (d + 1) * each] for d in range(directions)]
            mine = [
                _slice(t, state, number * directions, directions, layers * directions)
                for state in states
            ]
            x, *last = _one(t, layer, x, parts, mine)
            for kept, state in zip(ends, last, strict=True):
                kept.append(state)
        if batch_first:
            x = t.emit(op.permute_dims(x, (1, 0, 2)))
        return [t.cast(y, t.dtype) for y in (x, *(_joined(t, kept) for kept in ends))]

    return convert


def _one(
    t: Translation,
    layer: Recurrence,
    x: relax.Expr,
    parts: Sequence[Sequence[relax.Expr]],
    states: Sequence[relax.Expr],
) -> list[relax.Expr]:
    """One layer: its states (steps, rows, directions * hidden), and the last ones."""
    columns = [_stacked(t, [own[place] for own in parts]) for place in range(len(parts[0]))]
    weights, own, *biases = columns
    others = [own, *states]
    total = None
    if biases:
        total, inner = biases
        if layer.resets_after:
            kept = 2 * layer.hidden
            others.append(_columns(t, inner, kept, 3 * layer.hidden))
            outer = _columns(t, inner, 0, kept)
            nothing = t.emit(op.zeros_like(others[-1]))
            inner = t.emit(op.concat([outer, nothing], 1))
        total = t.emit(op.add(total, inner))
    elif layer.resets_after:
        shape = relax.ShapeExpr([len(layer.reverse), layer.hidden])
        others.append(t.emit(op.zeros(shape, layer.dtype)))
    made = recurrent(t.builder, layer, x, weights, total, others)
    y = t.emit(op.permute_dims(made[0], (0, 2, 1, 3)))
    steps, rows, directions, hidden = shape_of(y)
    return [t.reshape(y, (steps, rows, directions * hidden)), *made[1:]]


def _stacked(t: Translation, tensors: Sequence[relax.Expr]) -> relax.Expr:
    """With an axis of directions before the others."""
    whole = [t.reshape(tensor, (1, *shape_of(tensor))) for tensor in tensors]
    return _joined(t, whole)


def _joined(t: Translation, tensors: Sequence[relax.Expr]) -> relax.Expr:
    return tensors[0] if len(tensors) == 1 else t.emit(op.concat(list(tensors), 0))


def _columns(t: Translation, x: relax.Expr, begin: int, end: int) -> relax.Expr:
    return t.emit(op.strided_slice(x, [1], [begin], [end], [1]))


def _slice(t: Translation, x: relax.Expr, begin: int, count: int, whole: int) -> relax.Expr:
    if count == whole:
        return x
    return t.emit(op.strided_slice(x, [0], [begin], [begin + count], [1]))
