"""Activations that are computed where convolutions read, in place of a kernel of their own.

    y = relu(x); a = conv(y, v); b = conv(y, w) + x
    => a = conv of relu(x), b = conv of relu(x) + x

Behind a convolution an activation is a part of its store, unless others read what it is computed
of: in blocks that begin with one, as those of vocoders do, the residual is added to that. Kernels
that copy their input anyway compute it on the way, once for each reader, which takes less than to
write a map and to read it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tvm import relax

from tvm_deconv.transform.graph import op_name, same_shape, shape_of

from .layers import LoweredLayer

# Those of a few instructions: each reader computes them anew.
_CHEAP = frozenset(f"relax.{name}" for name in ("nn.relu", "nn.leakyrelu"))


def with_activations(layers: Sequence[LoweredLayer]) -> list[LoweredLayer]:
    """``layers`` of one function, those with their activation that all readers of one can take."""
    stored = {var for layer in layers for var in layer.epilogue.members}
    readers: dict[relax.Expr, list[LoweredLayer]] = {}
    for layer in layers:
        readers.setdefault(layer.conv.data, []).append(layer)
    moved = {data for data, own in readers.items() if data not in stored and _can_move(data, own)}
    return [
        replace(layer, activation=layer.graph.value(layer.conv.data))
        if layer.conv.data in moved
        else layer
        for layer in layers
    ]


def _can_move(data: relax.Expr, readers: list[LoweredLayer]) -> bool:
    """Whether nobody but ``readers``, which can all compute it, needs ``data``."""
    graph = readers[0].graph
    call = graph.value(data)
    if op_name(call) not in _CHEAP or data in graph.outputs:
        return False
    if set(graph.users.get(data, ())) != {layer.conv.var for layer in readers}:
        return False
    if not same_shape(shape_of(call.args[0]), shape_of(data)):
        return False
    return all(r.choice.variant.maps_input and r.conv.stack is None for r in readers)
