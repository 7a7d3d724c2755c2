"""Recurrent layers: one product of matrices for all steps, then one function for the loop.

    inputs = x weights^T + biases               (steps * rows, directions * gates * hidden)
    y, last state, last cell = call_tir(recurrence, (inputs, recurrent weights, ...))

The function is ``tvm_deconv.schedules.rest.recurrence``; exporters that write out every step make
networks of thousands of operators of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from tvm_deconv.schedules.algorithms.expressions import static
from tvm_deconv.schedules.rest.recurrence.layer import Recurrence
from tvm_deconv.schedules.rest.recurrence.schedule import plain_function


def recurrent(
    builder: relax.BlockBuilder,
    layer: Recurrence,
    x: relax.Expr,
    weights: relax.Expr,
    biases: relax.Expr | None,
    others: Sequence[relax.Expr],
) -> list[relax.Expr]:
    """All states (steps, directions, rows, hidden), the last state, and the last cell of an LSTM.

    ``x`` is (steps, rows, features), ``weights`` (directions, gates * hidden, features), ``biases``
    (directions, gates * hidden). ``others`` are what ``plain_function`` takes behind the inputs.
    """
    steps, rows, features = (static(size) for size in x.ty.shape.values)
    directions, width = len(layer.reverse), layer.gates * layer.hidden
    columns = directions * width
    flat = builder.emit(relax.op.reshape(x, (steps * rows, features)))
    turned = builder.emit(relax.op.reshape(weights, (columns, features)))
    turned = builder.emit(relax.op.permute_dims(turned))
    inputs = builder.emit(relax.op.matmul(flat, turned))
    if biases is not None:
        inputs = builder.emit(relax.op.add(inputs, relax.op.reshape(biases, (columns,))))
    inputs = builder.emit(relax.op.reshape(inputs, (steps, rows, directions, width)))
    state = [directions, rows, layer.hidden]
    shapes: list[list[Any]] = [[steps, *state], state, *([state] if layer.has_cell else [])]
    kernel = builder.add_func(plain_function(layer), "recurrence")
    types = [relax.TensorType(shape, layer.dtype) for shape in shapes]
    both = builder.emit(relax.call_tir(kernel, relax.Tuple([inputs, *others]), types))
    return [builder.emit(relax.TupleGetItem(both, i)) for i in range(len(types))]


def zero_state(builder: relax.BlockBuilder, layer: Recurrence, x: relax.Expr) -> relax.Expr:
    """A first state, (directions, rows, hidden), of zeros."""
    rows = static(x.ty.shape.values[1])
    shape = relax.ShapeExpr([len(layer.reverse), rows, layer.hidden])
    return builder.emit(relax.op.zeros(shape, layer.dtype))
