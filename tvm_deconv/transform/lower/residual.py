"""A sum of two quantized maps, of which the store of an integer convolution makes one.

    z = quantize(act(dequantize(y) + dequantize(other)))

act is bounds from both sides, or nothing. y is what the convolution would store, and the sum its
only reader. Of two convolutions that are added the later one does it: the other one's bytes are
there by then.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tvm import relax

from tvm_deconv.schedules.cpu.integer.kernel import Sum
from tvm_deconv.transform.graph import Graph, dtype_of, is_var, op_name, same_shape, shape_of
from tvm_deconv.transform.keep_bytes import DEQUANTIZE, QUANTIZE, Scale, scale_of

_ADD = "relax.add"
_BOUNDS = {"relax.maximum": max, "relax.minimum": min}


@dataclass(frozen=True)
class Residual:
    """``result`` is the sum, stored as ``sum`` says; ``values`` are its parameter."""

    result: relax.Var
    other: relax.Var
    sum: Sum
    values: np.ndarray


def residual_of(graph: Graph, y: relax.Var) -> Residual | None:
    """The sum that is the only reader of the bytes ``y``, which a quantization computes."""
    own = scale_of(graph, graph.value(y), dtype_of(y))
    before = _only_reader(graph, y)
    if own is None or before is None or _dequantized(graph, before) != own:
        return None
    total = _only_reader(graph, before)
    if total is None or graph.op(total) != _ADD:
        return None
    others = [term for term in graph.value(total).args if not is_var(term, before)]
    if len(others) != 1 or not isinstance(others[0], relax.Var):
        return None
    scale = _dequantized(graph, others[0])
    if scale is None:
        return None
    other = graph.value(others[0]).args[0]
    if not isinstance(other, relax.Var) or not same_shape(shape_of(other), shape_of(y)):
        return None
    # A parameter is before everything, and the convolution that another one is added to after it.
    if graph.position.get(other, -1) > graph.position[y]:
        return None
    return _stored(graph, total, other, (own, scale))


def _stored(
    graph: Graph, total: relax.Var, other: relax.Var, scales: tuple[Scale, Scale]
) -> Residual | None:
    """The bounds and the quantization after ``total``."""
    own, added = scales
    low, high, var = -np.inf, np.inf, total
    while True:
        reader = _only_reader(graph, var)
        if reader is None:
            return None
        call, name = graph.value(reader), graph.op(reader)
        if name == QUANTIZE:
            break
        extreme = _BOUNDS.get(name or "")
        bounds = [graph.constant(a) for a in call.args if not is_var(a, var)]
        if extreme is None or len(bounds) != 1 or bounds[0] is None or bounds[0].size != 1:
            return None
        if not same_shape(shape_of(reader), shape_of(total)):
            return None
        low, high = (float(extreme(value, bounds[0].item())) for value in (low, high))
        var = reader
    final = scale_of(graph, call, dtype_of(reader)) if is_var(call.args[0], var) else None
    if final is None:
        return None
    made = Sum(added.dtype, final.dtype)
    values = made.values(
        (own.scale, added.scale, final.scale),
        (own.zero_point, added.zero_point, final.zero_point),
        low,
        high,
    )
    return Residual(reader, other, made, values) if np.isfinite(values).all() else None


def _only_reader(graph: Graph, var: relax.Var) -> relax.Var | None:
    readers = graph.users.get(var, [])
    return readers[0] if len(readers) == 1 and var not in graph.outputs else None


def _dequantized(graph: Graph, var: relax.Var) -> Scale | None:
    call = graph.value(var)
    if op_name(call) != DEQUANTIZE or dtype_of(var) != "float32":
        return None
    return scale_of(graph, call, dtype_of(call.args[0]))
