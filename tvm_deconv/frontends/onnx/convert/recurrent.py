"""LSTM, GRU and RNN.

Where the standard leaves something open, it is as in ONNX Runtime 1.32: states of steps beyond a
row's length are zeros, and the reverse direction begins with the last step that the row has.
``layout`` 1, which ONNX Runtime refuses, is by the standard; float16 is computed in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import tvm
from tvm import relax

from tvm_deconv.frontends.onnx.nodes import refuse
from tvm_deconv.frontends.recurrence import recurrent, zero_state
from tvm_deconv.schedules.rest.recurrence.activations import FUNCTIONS, Activation
from tvm_deconv.schedules.rest.recurrence.layer import GATES, Recurrence

from .call import Call, dtype_of, is_float, shape_of

_DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
_DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


def recurrent_layer(kind: str) -> Callable[[Call], relax.Expr]:
    """The converter of ``kind``, one of ``GATES``."""

    def convert(call: Call) -> relax.Expr:
        given = dtype_of(call.tensor(0))
        if given == "float16":
            wide = [_as(call, value, "float32") for value in call.inputs]
            made = convert(replace(call, inputs=wide))
            return relax.Tuple([_as(call, each, "float16") for each in made.fields])
        is_by_rows = bool(call.get("layout", 0))
        x = _turned(call, call.tensor(0), is_by_rows)
        weights, own = call.tensor(1), call.tensor(2)
        layer = _layer(call, kind, x, weights, own)
        biases, inner = _biases(call, layer)
        others = [own, *_first_states(call, layer, x, is_by_rows)]
        others += [relax.const(inner, layer.dtype)] if inner is not None else []
        others += [call.tensor(7)] if layer.peepholes else []
        others += [_lengths(call, x)] if layer.lengths else []
        made = recurrent(call.builder, layer, x, weights, biases, others)
        states, *last = made
        # (steps, directions, rows, hidden), or (rows, steps, directions, hidden)
        if is_by_rows:
            states = call.emit(relax.op.permute_dims(states, (2, 0, 1, 3)))
        return relax.Tuple([states, *(_turned(call, each, is_by_rows) for each in last)])

    return convert


def _as(call: Call, value: Any, dtype: str) -> Any:
    """A tensor of floats as ``dtype``; what is left out, and integers, as they are."""
    if value is None or not is_float(value):
        return value
    if isinstance(value, tvm.ir.GenericConst):
        return relax.const(value.value.numpy().astype(dtype), dtype)
    return call.emit(relax.op.astype(value, dtype))


def _turned(call: Call, x: relax.Expr, is_by_rows: bool) -> relax.Expr:
    return call.emit(relax.op.permute_dims(x, (1, 0, 2))) if is_by_rows else x


def _layer(
    call: Call, kind: str, x: relax.Expr, weights: relax.Expr, own: relax.Expr
) -> Recurrence:
    order, reverse = GATES[kind], _DIRECTIONS[call.choice("direction", "forward", _DIRECTIONS)]
    shapes = [shape_of(tensor) for tensor in (x, weights, own)]
    if [len(shape) for shape in shapes] != [3, 3, 3]:
        refuse(f"X, W and R have the shapes {shapes}: each takes 3 axes")
    hidden = shapes[2][2]
    if not isinstance(hidden, int) or call.get("hidden_size", hidden) != hidden:
        refuse(f"hidden_size is {call.get('hidden_size', None)}, R has the shape {shapes[2]}")
    width = len(order) * hidden
    wanted = [len(reverse), width, shapes[0][2]], [len(reverse), width, hidden]
    for name, shape, expected in zip("WR", shapes[1:], wanted, strict=True):
        if shape != expected:
            refuse(f"{name} has the shape {shape}, not {expected}")
    clip = call.get("clip", 0.0)
    if clip < 0 or not np.isfinite(clip):
        refuse(f"clip is {clip:g}: a bound is a positive number")
    peepholes = kind == "LSTM" and call.input(7) is not None
    if peepholes and shape_of(call.tensor(7)) != [len(reverse), 3 * hidden]:
        refuse(f"P has the shape {shape_of(call.tensor(7))}, not {[len(reverse), 3 * hidden]}")
    return Recurrence(
        kind,
        hidden,
        reverse,
        _activations(call, kind, len(reverse)),
        order,
        dtype_of(x),
        float(clip),
        resets_after=kind == "GRU" and bool(call.get("linear_before_reset", 0)),
        couples=kind == "LSTM" and bool(call.get("input_forget", 0)),
        peepholes=peepholes,
        lengths=call.input(4) is not None,
    )


def _activations(call: Call, kind: str, directions: int) -> tuple[tuple[Activation, ...], ...]:
    """Those of each direction; numbers go to the functions that take some, in their order."""
    given = [_text(name) for name in call.get("activations", ())]
    names = given or [*_DEFAULTS[kind]] * directions
    count = len(_DEFAULTS[kind])
    if len(names) != count * directions:
        refuse(f"activations are {', '.join(names)}: {count} are needed for each direction")
    alphas, betas = (iter(call.get(f"activation_{which}", ())) for which in ("alpha", "beta"))
    made = []
    for name in names:
        known = FUNCTIONS.get(name.lower())
        if known is None:
            refuse(f"the activation {name!r} is not computed")
        alpha, beta = (
            0.0 if own is None else next(left, own)
            for own, left in ((known.numbers.alpha, alphas), (known.numbers.beta, betas))
        )
        for which, value in (("alpha", alpha), ("beta", beta)):
            if np.isnan(value):
                refuse(f"{name} has no {which} of its own: give activation_{which}")
        made.append(Activation(name.lower(), alpha, beta))
    left = [*alphas, *betas]
    if left:
        refuse(f"activation_alpha and activation_beta hold {len(left)} numbers that nothing takes")
    return tuple(tuple(made[d * count : (d + 1) * count]) for d in range(directions))


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _biases(call: Call, layer: Recurrence) -> tuple[relax.Expr | None, np.ndarray | None]:
    """What is added to all inputs, and what a resetting gate adds to its recurrent product."""
    directions, hidden = len(layer.reverse), layer.hidden
    width = layer.gates * hidden
    both = call.constant(3, "biases")
    if both is None:
        both = np.zeros((directions, 2 * width), layer.dtype)
    if both.shape != (directions, 2 * width):
        refuse(f"B has the shape {list(both.shape)}, not {[directions, 2 * width]}")
    outer, inner = both[:, :width], both[:, width:].copy()
    kept = None
    if layer.resets_after:
        kept = inner[:, 2 * hidden :].copy()
        inner[:, 2 * hidden :] = 0
    total = outer + inner
    return (relax.const(total, layer.dtype) if total.any() else None), kept


def _first_states(
    call: Call, layer: Recurrence, x: relax.Expr, is_by_rows: bool
) -> list[relax.Expr]:
    found = []
    for place in (5, 6) if layer.has_cell else (5,):
        if call.input(place) is None:
            found.append(zero_state(call.builder, layer, x))
            continue
        state = _turned(call, call.tensor(place), is_by_rows)
        expected = [len(layer.reverse), shape_of(x)[1], layer.hidden]
        _require(call, state, expected, "the first state" if place == 5 else "the first cell")
        found.append(state)
    return found


def _lengths(call: Call, x: relax.Expr) -> relax.Expr:
    lengths, rows = call.tensor(4), shape_of(x)[1]
    if dtype_of(lengths) != "int32":
        refuse(f"sequence_lens are {dtype_of(lengths)}: the standard has int32")
    _require(call, lengths, [rows], "sequence_lens")
    known = call.input(4)
    steps = shape_of(x)[0]
    if isinstance(known, tvm.ir.GenericConst) and isinstance(steps, int):
        values = known.value.numpy()
        if (values < 0).any() or (values > steps).any():
            refuse(f"sequence_lens are {values.tolist()}, of {steps} steps")
    return lengths


def _require(call: Call, tensor: relax.Expr, expected: list[Any], what: str) -> None:
    """Raise ModelError where ``tensor`` never has the shape; else ask when the model runs."""
    shape = shape_of(tensor)
    if len(shape) != len(expected):
        refuse(f"{what} has the shape {shape}, not {expected}")
    call.require(
        list(tensor.ty.shape.values), f"{what} has the shape {shape}, not {expected}", expected
    )
