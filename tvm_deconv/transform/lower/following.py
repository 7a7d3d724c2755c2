"""What comes after a convolution or a product of bytes, as far as its store does it.

In this order: values that are added for each channel, one slope below 0, bounds from both sides,
and a quantization.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax

from tvm_deconv.transform.graph import Graph, dtype_of, op_name, same_shape, shape_of
from tvm_deconv.transform.keep_bytes import QUANTIZE, scale_of

from .epilogue import PRELU, RESHAPE


@dataclass(frozen=True)
class Channels:
    """Values for output channels and phases, ``shape`` is (O, r_h, r_w): where channels are.

    ``are_last``: along the last axis of any tensor; otherwise along the second of a map.
    """

    shape: tuple[int, int, int]
    are_last: bool = False

    @property
    def zeros(self) -> np.ndarray:
        return np.zeros(self.shape)

    def is_axis(self, axis: int, rank: int) -> bool:
        """Whether the channels of a tensor of ``rank`` axes, phases not apart, are there."""
        if self.are_last:
            return axis % rank == rank - 1
        return rank == 4 and axis % rank == 1

    def spread(self, values: np.ndarray, rank: int) -> np.ndarray | None:
        """A constant that broadcasts to ``rank`` axes, of a map perhaps with its phases apart.

        None if it varies over anything but channels and phases.
        """
        shape = (1,) * (rank - values.ndim) + values.shape
        if self.are_last:
            others, own = shape[:-1], (shape[-1], 1, 1)
        else:
            n, o, h, rh, w, rw = shape if rank == 6 else (*shape[:3], 1, shape[3], 1)
            others, own = (n, h, w), (o, rh, rw)
        fits = all(size in (1, most) for size, most in zip(own, self.shape, strict=True))
        if not fits or any(size != 1 for size in others):
            return None
        return np.broadcast_to(values.astype("float64").reshape(own), self.shape)


@dataclass
class Following:
    """What comes after a sum, as far as a store does it; ``shift`` is (O, r_h, r_w)."""

    result: relax.Var
    channels: Channels
    shift: np.ndarray
    slope: np.ndarray | None = None
    low: float = -np.inf
    high: float = np.inf
    scale: float | None = None
    zero_point: int = 0

    @property
    def is_bent(self) -> bool:
        """Whether more than a shift is done."""
        return self.slope is not None or (self.low, self.high) != (-np.inf, np.inf)


def follow(
    graph: Graph, var: relax.Var, channels: Channels, view: tuple[Any, ...] | None = None
) -> Following:
    """The operators after ``var`` that its store does, up to the quantization where there is one.

    All or nothing of what is after the bias: without the quantization the rest is fused elsewhere.
    ``view`` is the shape of a map with its phases apart, which may be quantized, too.
    """
    shape = shape_of(var)
    state = Following(var, channels, channels.zeros)
    best = Following(var, channels, channels.zeros)
    while True:
        readers = graph.users.get(var, [])
        if len(readers) != 1 or var in graph.outputs:
            return best
        (reader,) = readers
        call = graph.value(reader)
        name = op_name(call)
        if name == QUANTIZE:
            is_whole = any(same_shape(shape_of(reader), one) for one in (shape, view))
            if not is_whole or not _quantizes(graph, reader, call, var, state):
                return best
            state.result = _brought_back(graph, reader, shape)
            return state
        if name == RESHAPE:
            own = shape_of(reader)
            if not (same_shape(own, shape) or (view is not None and same_shape(own, view))):
                return best
        else:
            step = _STEPS.get(name or "")
            fits = step is not None and same_shape(shape_of(reader), shape_of(var))
            if step is None or not fits or not step(graph, call, var, state):
                return best
        var = reader
        if same_shape(shape_of(var), shape) and not state.is_bent:
            best = Following(var, channels, state.shift)


def _brought_back(graph: Graph, stored: relax.Var, shape: tuple[Any, ...] | None) -> relax.Var:
    """The map that bytes of phases apart are reshaped to, if nothing else is made of them.

    The kernel writes the map: both reshapes would be copies where sizes are free.
    """
    readers = graph.users.get(stored, [])
    if len(readers) != 1 or stored in graph.outputs or same_shape(shape_of(stored), shape):
        return stored
    is_back = graph.op(readers[0]) == RESHAPE and same_shape(shape_of(readers[0]), shape)
    return readers[0] if is_back else stored


def _quantizes(
    graph: Graph, var: relax.Var, call: relax.Call, x: relax.Var, state: Following
) -> bool:
    known = scale_of(graph, call, dtype_of(var)) if call.args[0].same_as(x) else None
    if known is None:
        return False
    state.result, state.scale, state.zero_point = var, known.scale, known.zero_point
    return True


def _other(graph: Graph, call: relax.Call, var: relax.Var) -> np.ndarray | None:
    """The constant operand of an operator of two, of which the other is ``var``."""
    others = [a for a in call.args if not (isinstance(a, relax.Var) and a.same_as(var))]
    return graph.constant(others[0]) if len(call.args) == 2 and len(others) == 1 else None


def _add(graph: Graph, call: relax.Call, var: relax.Var, state: Following) -> bool:
    constant = _other(graph, call, var)
    if constant is None or state.is_bent or not np.isfinite(constant).all():
        return False
    shift = state.channels.spread(constant, len(shape_of(var) or ()))
    if shift is None:
        return False
    state.shift = state.shift + shift
    return True


def _bounded(extreme: Callable[[float, float], float]) -> _Step:
    """``max`` with a number, or ``min``."""

    def step(graph: Graph, call: relax.Call, var: relax.Var, state: Following) -> bool:
        bound = _other(graph, call, var)
        if bound is None or bound.size != 1:
            return False
        state.low, state.high = (extreme(value, float(bound)) for value in (state.low, state.high))
        return True

    return step


def _slope(state: Following, slope: np.ndarray | float) -> bool:
    if state.is_bent:
        return False
    state.slope = np.broadcast_to(np.asarray(slope, "float64"), state.shift.shape)
    return bool(np.isfinite(state.slope).all())


def _leaky_relu(graph: Graph, call: relax.Call, var: relax.Var, state: Following) -> bool:
    return _slope(state, float(call.attrs.alpha))


def _prelu(graph: Graph, call: relax.Call, var: relax.Var, state: Following) -> bool:
    slope = graph.constant(call.args[1])
    if slope is None or not state.channels.is_axis(int(call.attrs.axis), len(shape_of(var) or ())):
        return False
    # A product of two computed matrices has one slope for all columns.
    if slope.size not in (1, state.channels.shape[0]):
        return False
    return _slope(state, slope.reshape(-1, 1, 1))


_Step = Callable[[Graph, relax.Call, relax.Var, Following], bool]
_STEPS: dict[str, _Step] = {
    "relax.add": _add,
    "relax.maximum": _bounded(max),
    "relax.minimum": _bounded(min),
    "relax.nn.leakyrelu": _leaky_relu,
    PRELU: _prelu,
}
