"""Convolutions of a quantized network, from its float32 form back to integers.

    y = quantize(act(conv(dequantize(x), w) + b))  =>  y = call_tir(integer_conv, (x, words, ...))

x is uint8 or int8 with one scale s_x and zero point; the weights are integers times a scale s_w for
each output channel and phase (``algebra.integers`` finds both). Then

    conv(dequantize(x), w) + b = s_x * s_w * (sum of (x - zero point) * q + b / (s_x * s_w))

where the sum is exact in int32, which is proved from the weights or the layer is refused, and the
store multiplies by ``s_x * s_w / s_y``, rounds half to even, adds y's zero point and saturates, in
the order in which ONNX Runtime does it. Where nothing but a residual sum reads y,

    z = quantize(act(dequantize(y) + dequantize(other)))

is a part of the store, too (``residual``), and so is the dequantization of a network's last y. A
bias that is a multiple of ``s_x * s_w``, as quantizers write it, is added to the sum. Sub-pixel
convolutions were rewritten before this, and are lowered as the transposed convolutions that they
have become.

act may be, in this order, one slope below 0 and bounds from both sides; a leaky ReLU, a ReLU and a
clip, say. Where something else follows, or several readers, the result is stored as float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from tvm import relax

from tvm_deconv.algebra.integers import integer_weights, weight_dtype
from tvm_deconv.patterns.graph import Refused
from tvm_deconv.schedules.choice import Preferences
from tvm_deconv.schedules.cpu.integer.kernel import Store, phase_sums
from tvm_deconv.schedules.cpu.integer.variant import dtype_of_layer
from tvm_deconv.schedules.machines import Machine
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.transform.graph import Graph, dtype_of, op_name, same_shape, shape_of
from tvm_deconv.transform.keep_bytes import BYTES, DEQUANTIZE, QUANTIZE, scale_of

from .epilogue import PRELU, RESHAPE, phase_view
from .integer_choice import IntegerKernel, integer_kernel
from .read import CONV, CONV_TRANSPOSE, Convolution, read
from .residual import residual_of

_INT32 = 2**31
# Products of two scales with which sums are far from where float32 ends: beyond, float32 computes
# other results.
_UNITS = (2.0**-120, 2.0**80)
# How far a bias may be from a multiple of its unit: the rounding of two products of float32.
_ROUNDING = 2.0**-22


@dataclass(frozen=True)
class IntegerLayer:
    """A convolution ``conv`` of ``data``, whose kernel computes ``result``; arrays in its order.

    ``result`` may be a view of the map, phases apart; what the kernel writes is the map. ``weight``
    is the dtype that its weights need, ``reason`` says why the kernel has its tile.
    """

    conv: Convolution
    data: relax.Expr
    result: relax.Var
    kernel: IntegerKernel
    arrays: tuple[np.ndarray, ...] = field(repr=False)
    other: relax.Expr | None = None
    weight: str = "int8"
    reason: str = ""

    @property
    def dtype(self) -> str:
        """Of the layer, for a log."""
        return dtype_of_layer(self.kernel.dtype, self.weight)

    @property
    def sizes(self) -> Sizes:
        """Of the data, as far as they are known."""
        return _sizes(self.data)

    @property
    def operands(self) -> tuple[relax.Expr | np.ndarray, ...]:
        """What the kernel is called with."""
        if self.other is None:
            return (self.data, *self.arrays)
        return (self.data, *self.arrays[:-1], self.other, self.arrays[-1])


@dataclass
class _Following:
    """What comes after a convolution, as far as a store does it; ``shift`` is (O, r_h, r_w)."""

    result: relax.Var
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


@dataclass(frozen=True)
class BytesConvolution:
    """A convolution of dequantized bytes ``data`` by IOHW integers ``weight``, on any device.

    ``units`` are those of a sum: (O, r_h, r_w).
    """

    conv: Convolution
    data: relax.Expr
    zero_point: int
    weight: np.ndarray
    units: np.ndarray

    @property
    def weight_dtype(self) -> str | None:
        """int8 or int16, whatever holds the weights; None for more than that."""
        return weight_dtype(self.weight)


def read_bytes(graph: Graph, var: relax.Var) -> BytesConvolution | Refused | None:
    """The convolution ``var`` in integers; None if its data are no dequantized bytes.

    Refused, with the reason, where its scales are none that integers are multiplied by.
    """
    call = graph.value(var)
    if op_name(call) not in (CONV, CONV_TRANSPOSE):
        return None
    # Asked first, since to read a convolution is to rearrange its weights.
    source = graph.value(call.args[0])
    if op_name(source) != DEQUANTIZE or dtype_of(source.args[0]) not in BYTES:
        return None
    conv = read(graph, var, strided=True)
    if conv is None or isinstance(conv, Refused) or conv.dtype != "float32":
        return None
    known = scale_of(graph, source, dtype_of(source.args[0]))
    if known is None:
        return Refused("its input does not have one positive, constant scale and one zero point")
    found = integer_weights(conv.op, conv.weight)
    if found is None:
        return Refused("its weights are not integers times a scale for each output channel")
    weight, scales = found
    with np.errstate(over="ignore", under="ignore"):
        units = scales * np.float32(known.scale)
    if not ((units > _UNITS[0]) & (units < _UNITS[1])).all():
        extreme = max(units.ravel().tolist(), key=lambda unit: abs(np.log2(unit or 1e-46)))
        return Refused(f"the scales of its input and weights multiply to {extreme:.3g}")
    return BytesConvolution(conv, source.args[0], known.zero_point, weight, units)


def integer_layer(
    graph: Graph, var: relax.Var, machine: Machine, preferences: Preferences
) -> IntegerLayer | Refused | None:
    """The kernel for the convolution ``var``; None if its data are no dequantized bytes.

    Refused, with the reason, if they are and it is computed in float32 nevertheless: the result is
    the same but for ties, of which rounding in float32 moves one in tens of thousands.
    """
    found = read_bytes(graph, var)
    if isinstance(found, BytesConvolution):
        return _layer(graph, found, machine, preferences)
    return found


def _layer(
    graph: Graph, found: BytesConvolution, machine: Machine, preferences: Preferences
) -> IntegerLayer | Refused:
    conv, weight, zero_point = found.conv, found.weight, found.zero_point
    units, data, dtype = found.units, found.data, dtype_of(found.data)
    held_as = found.weight_dtype
    if held_as is None:
        return Refused(f"a weight is {np.abs(weight).max()} times its scale: more than int16 holds")
    op = replace(conv.op, step=conv.step)
    after = _follow(graph, conv)
    bounds = np.iinfo(dtype)
    farthest = max(bounds.max - zero_point, zero_point - bounds.min)
    largest = phase_sums(op, np.abs(weight)) * farthest
    if largest.max() >= _INT32:
        return Refused(f"a sum may be {largest.max()}, which int32 does not hold")
    bias, shift = _bias(after.shift, units, _INT32 - largest)
    is_float = after.scale is None
    per = np.float32(1 if after.scale is None else after.scale)
    result = after.result
    is_map = not is_float and same_shape(shape_of(result), shape_of(conv.var))
    is_map = is_map and graph.op(result) == QUANTIZE
    added = residual_of(graph, result) if is_map else None
    value = _value_of(graph, result) if not is_float and added is None else None
    store = Store(
        "float32" if is_float else dtype_of(result),
        has_shift=shift is not None,
        has_slope=after.slope is not None,
        is_value=value is not None,
        sum=None if added is None else added.sum,
    )
    low, high = (_in_units(bound, per) for bound in (after.low, after.high))
    layer_dtype = dtype_of_layer(dtype, held_as)
    chosen = integer_kernel(op, layer_dtype, store, _sizes(data), machine, preferences)
    if isinstance(chosen, Refused):
        return chosen
    kernel, reason = chosen
    offsets = bias - kernel.corrections(weight, zero_point)
    arrays = [
        kernel.pack(weight),
        kernel.points(zero_point, after.zero_point),
        # Sums wrap around, and so may what they begin with.
        kernel.lines(offsets).astype("int64").astype("int32"),
        kernel.lines((units / per).astype("float32")),
        store.numbers(after.zero_point, low, high, float(per)),
    ]
    for values in (None if shift is None else shift / per, after.slope):
        if values is not None:
            arrays.append(kernel.lines(values.astype("float32")))
    result, other = result if value is None else value, None
    if added is not None:
        arrays.append(added.values)
        result, other = added.result, added.other
    return IntegerLayer(
        conv, data, result, kernel, tuple(arrays), other, weight=held_as, reason=reason
    )


def _sizes(data: relax.Expr) -> Sizes:
    n, _, h, w = (dim if isinstance(dim, int) else None for dim in shape_of(data) or [None] * 4)
    return Sizes(n, h, w)


def _in_units(bound: float, per: np.float32) -> float:
    """In float32, in which it may be infinite."""
    with np.errstate(over="ignore"):
        return float(np.float32(bound) / per)


def _bias(
    shift: np.ndarray, units: np.ndarray, limit: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """``shift`` as multiples of ``units`` under ``limit``, else zeros and what to add later."""
    multiples = np.rint(shift / units.astype("float64"))
    near = np.abs(multiples * units - shift) <= _ROUNDING * np.abs(shift)
    if near.all() and (np.abs(multiples) < limit).all():
        return multiples.astype(np.int64), None
    return np.zeros(shift.shape, np.int64), shift


def _follow(graph: Graph, conv: Convolution) -> _Following:
    """The operators after ``conv`` that its store does, up to the quantization where there is one.

    All or nothing of what is after the bias: without the quantization the rest is fused elsewhere.
    """
    shape = shape_of(conv.var)
    zeros = np.zeros((conv.op.out_channels, *conv.op.strides))
    state = _Following(conv.var, zeros)
    best = _Following(conv.var, zeros)
    view = phase_view(conv, shape) if shape is not None else None
    var = conv.var
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
            best = _Following(var, state.shift)


def _value_of(graph: Graph, result: relax.Var) -> relax.Var | None:
    """What dequantizes the bytes ``result`` for the caller, if nothing else reads either.

    Whatever else reads them is given bytes, which are less to move.
    """
    readers = graph.users.get(result, [])
    if len(readers) != 1 or result in graph.outputs or graph.op(result) != QUANTIZE:
        return None
    (reader,) = readers
    call = graph.value(reader)
    if op_name(call) != DEQUANTIZE or dtype_of(reader) != "float32":
        return None
    own, back = (scale_of(graph, one, dtype_of(result)) for one in (graph.value(result), call))
    is_last = reader in graph.outputs and not graph.users.get(reader)
    return reader if own is not None and own == back and is_last else None


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
    graph: Graph, var: relax.Var, call: relax.Call, x: relax.Var, state: _Following
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


def _per_phase(values: np.ndarray, axes: int, like: np.ndarray) -> np.ndarray | None:
    """A constant that broadcasts to ``axes`` of a map or its phases, as (O, r_h, r_w).

    None if it varies over pixels.
    """
    shape = (1,) * (axes - values.ndim) + values.shape
    n, o, h, rh, w, rw = shape if axes == 6 else (*shape[:3], 1, shape[3], 1)
    if not n == h == w == 1:
        return None
    return np.broadcast_to(values.astype("float64").reshape(o, rh, rw), like.shape)


def _add(graph: Graph, call: relax.Call, var: relax.Var, state: _Following) -> bool:
    constant = _other(graph, call, var)
    if constant is None or state.is_bent or not np.isfinite(constant).all():
        return False
    shift = _per_phase(constant, len(shape_of(var) or ()), state.shift)
    if shift is None:
        return False
    state.shift = state.shift + shift
    return True


def _bounded(extreme: Callable[[float, float], float]) -> _Step:
    """``max`` with a number, or ``min``."""

    def step(graph: Graph, call: relax.Call, var: relax.Var, state: _Following) -> bool:
        bound = _other(graph, call, var)
        if bound is None or bound.size != 1:
            return False
        state.low, state.high = (extreme(value, float(bound)) for value in (state.low, state.high))
        return True

    return step


def _slope(state: _Following, slope: np.ndarray | float) -> bool:
    if state.is_bent:
        return False
    state.slope = np.broadcast_to(np.asarray(slope, "float64"), state.shift.shape)
    return bool(np.isfinite(state.slope).all())


def _leaky_relu(graph: Graph, call: relax.Call, var: relax.Var, state: _Following) -> bool:
    return _slope(state, float(call.attrs.alpha))


def _prelu(graph: Graph, call: relax.Call, var: relax.Var, state: _Following) -> bool:
    slope = graph.constant(call.args[1])
    if slope is None or len(shape_of(var) or ()) != 4 or int(call.attrs.axis) % 4 != 1:
        return False
    return _slope(state, slope.reshape(-1, 1, 1))


_Step = Callable[[Graph, relax.Call, relax.Var, _Following], bool]
_STEPS: dict[str, _Step] = {
    "relax.add": _add,
    "relax.maximum": _bounded(max),
    "relax.minimum": _bounded(min),
    "relax.nn.leakyrelu": _leaky_relu,
    PRELU: _prelu,
}
