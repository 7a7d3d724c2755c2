"""Constant expressions of a Relay function, evaluated in NumPy without changing the function.

Importers hide biases, slopes and index vectors behind reshape, expand_dims and the like. Only the
operators of ``_EVALUATE`` are understood; anything else is simply not constant. TVM's own
FoldConstant would compile each for the host.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tvm
from tvm import relay


class Constants:
    """Evaluates expressions, each once."""

    def __init__(self) -> None:
        self._known: dict[relay.Expr, np.ndarray | None] = {}

    def evaluate(self, expr: relay.Expr) -> np.ndarray | None:
        """The array that ``expr`` always holds, or None."""
        if isinstance(expr, relay.Constant):
            return expr.data.numpy()
        if not isinstance(expr, relay.Call) or not isinstance(expr.op, tvm.ir.Op):
            return None
        if expr not in self._known:
            self._known[expr] = self._call(expr)
        return self._known[expr]

    def _call(self, call: relay.Call) -> np.ndarray | None:
        name = str(call.op.name)
        function = _EVALUATE.get(name)
        if function is None or (name == "layout_transform" and layout_permutation(call) is None):
            return None
        if not all(isinstance(dim, tvm.tir.IntImm) for dim in call.checked_type.shape):
            return None
        arguments: list[np.ndarray] = []
        # Of what it is to be like, such an operator only takes the shape.
        for operand in call.args[:1] if name == "broadcast_to_like" else call.args:
            value = self.evaluate(operand)
            if value is None:
                return None
            arguments.append(value)
        return np.asarray(function(call, *arguments)).astype(call.checked_type.dtype, copy=False)


def _shape(call: relay.Call) -> list[int]:
    return [int(dim) for dim in call.checked_type.shape]


def _reshape(call: relay.Call, x: np.ndarray) -> np.ndarray:
    return x.reshape(_shape(call))


def _transpose(call: relay.Call, x: np.ndarray) -> np.ndarray:
    axes = call.attrs.axes
    return x.transpose(None if axes is None else [int(axis) for axis in axes])


def layout_permutation(call: relay.Call) -> list[int] | None:
    """The axes of a ``layout_transform`` that only permutes, as ConvertLayout's; None if not."""
    before, after = str(call.attrs.src_layout), str(call.attrs.dst_layout)
    if sorted(before) != sorted(after) or not before.isupper():
        return None
    return [before.index(name) for name in after]


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda call, *arguments: function(*arguments)


_EVALUATE: dict[str, Callable[..., Any]] = {
    "reshape": _reshape,
    "expand_dims": _reshape,
    "squeeze": _reshape,
    "broadcast_to": lambda call, x: np.broadcast_to(x, _shape(call)),
    "broadcast_to_like": lambda call, x: np.broadcast_to(x, _shape(call)),
    "full": lambda call, x: np.full(_shape(call), x),
    "transpose": _transpose,
    "layout_transform": lambda call, x: x.transpose(layout_permutation(call)),
    "repeat": lambda call, x: np.repeat(x, int(call.attrs.repeats), int(call.attrs.axis)),
    "arange": _plain(np.arange),
    "cast": lambda call, x: x,
    "clip": lambda call, x: np.clip(x, call.attrs.a_min, call.attrs.a_max),
    "abs": _plain(np.abs),
    "negative": _plain(np.negative),
    "sqrt": _plain(np.sqrt),
    "rsqrt": lambda call, x: 1 / np.sqrt(x),
    "where": _plain(np.where),
    "add": _plain(np.add),
    "subtract": _plain(np.subtract),
    "multiply": _plain(np.multiply),
    "divide": _plain(np.divide),
    "floor_divide": _plain(np.floor_divide),
    "maximum": _plain(np.maximum),
    "minimum": _plain(np.minimum),
}
