"""Finding the pointwise region that ends in a tensor, by walking back to its one source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax

from tvm_deconv.transform import layouts
from tvm_deconv.transform.graph import (
    BROADCAST,
    UNARY,
    Graph,
    Refused,
    is_var,
    op_name,
    same,
    shape_of,
    shape_text,
)
from tvm_deconv.transform.pointwise import LAYOUT_CHANGE, PRELU, Channel, Region, Step

BATCH_NORM = "relax.nn.batch_norm"


def collect(graph: Graph, result: relax.Var, layout: str) -> Region | Refused:
    """The largest region that ends in ``result``, whose layout is ``layout``.

    If ``result`` is not computed pointwise, the region is empty and ``result`` its source.
    """
    seen: dict[relax.Var, str] = {}
    sources: dict[relax.Var, str] = {}
    todo = [(result, layout)]
    while todo:
        var, at = todo.pop()
        if (seen | sources).get(var, at) != at:
            return Refused(f"{graph.describe(var)} is read both as {at} and as another layout")
        if var in seen or var in sources:
            continue
        inputs = _inputs(graph, var, at)
        if inputs is None:
            sources[var] = at
        else:
            seen[var] = at
            todo += inputs
    if len(sources) != 1:
        names = " and ".join(graph.describe(v) for v in sorted(sources, key=_order(graph)))
        return Refused(f"pointwise operators join {names}; only constants may join the convolution")
    ((source, at),) = sources.items()
    steps: list[Step] = []
    for var in sorted(seen, key=_order(graph)):
        made = _steps(graph, var, seen[var], source, at)
        if isinstance(made, Refused):
            return made
        steps += made
    values = (graph.value(var) for var in seen)
    tuples = {value.tuple_value for value in values if isinstance(value, relax.TupleGetItem)}
    return Region(source, at, tuple(_find_prelu(steps)), result, frozenset(seen) | tuples)


def _order(graph: Graph) -> Callable[[relax.Var], int]:
    return lambda var: graph.position.get(var, -1)


def _inputs(graph: Graph, var: relax.Var, layout: str) -> list[tuple[relax.Var, str]] | None:
    """The tensors that a pointwise ``var`` reads, with their layouts; None if not pointwise."""
    value = graph.value(var)
    if isinstance(value, relax.TupleGetItem):
        norm = graph.value(value.tuple_value)
        if value.index == 0 and op_name(norm) == BATCH_NORM:
            return [(norm.args[0], layout)]
        return None
    op = op_name(value)
    if op == LAYOUT_CHANGE:
        before = layouts.permuted_from(value.attrs.axes, layout)
        return None if before is None else [(value.args[0], before)]
    if op == PRELU:
        return [(value.args[0], layout)]
    if op not in UNARY and op not in BROADCAST:
        return None
    tensors = [a for a in value.args if isinstance(a, relax.Var) and _is_tensor(a)]
    return [(a, layout) for a in tensors if graph.constant(a) is None]


def _is_tensor(expr: relax.Expr) -> bool:
    return isinstance(expr.ty, relax.TensorType)


def _steps(
    graph: Graph, var: relax.Var, layout: str, source: relax.Var, source_layout: str
) -> list[Step] | Refused:
    """The steps that compute ``var``; more than one for a batch norm."""
    here, there = shape_of(var), shape_of(source)
    if here is None or there is None or len(here) != 4 or len(there) != 4:
        return Refused(f"{graph.describe(var)} does not have a known shape of 4 axes")
    canonical = layouts.dims(there, source_layout)
    if not all(same(a, b) for a, b in zip(layouts.dims(here, layout), canonical, strict=True)):
        return Refused(
            f"{graph.describe(var)} broadcasts {shape_text(there)} to {shape_text(here)}"
        )
    value = graph.value(var)
    if isinstance(value, relax.TupleGetItem):
        return _batch_norm(graph, var, graph.value(value.tuple_value), layout)
    op = op_name(value)
    if op == LAYOUT_CHANGE:
        return [Step(var, op, (value.args[0],))]
    if op == PRELU:
        return _prelu(graph, var, value, layout)
    operands: list[Any] = []
    for argument in value.args:
        known = graph.constant(argument) if _is_tensor(argument) else None
        if known is None:
            operands.append(argument)
            continue
        channel = _per_channel(graph, var, known, layout, canonical[1])
        if isinstance(channel, Refused):
            return channel
        operands.append(channel)
    return [Step(var, str(op), tuple(operands), value.attrs)]


def _per_channel(
    graph: Graph, var: relax.Var, values: np.ndarray, layout: str, channels: Any
) -> Channel | Refused:
    if values.size == 1:
        return Channel(values.reshape(()))
    full = values.reshape((1,) * (4 - values.ndim) + values.shape)
    rows = np.moveaxis(full, layouts.axis(layout, "C"), -1).reshape(
        -1, full.shape[layouts.axis(layout, "C")]
    )
    first = rows[0]
    if first.size not in (1, channels) or (rows != first).any():
        return Refused(
            f"constant operand of {graph.describe(var)} has shape {values.shape}: "
            "it varies over pixels"
        )
    return Channel(first if first.size > 1 else first.reshape(()))


def _prelu(graph: Graph, var: relax.Var, call: relax.Call, layout: str) -> list[Step] | Refused:
    slope = graph.constant(call.args[1])
    if slope is None:
        return Refused(f"slope of {graph.describe(var)} is not constant")
    if slope.size > 1 and int(call.attrs.axis) % 4 != layouts.axis(layout, "C"):
        return Refused(f"{graph.describe(var)} has axis {call.attrs.axis}, not the channels")
    slope = slope.reshape(-1) if slope.size > 1 else slope.reshape(())
    return [Step(var, PRELU, (call.args[0], Channel(slope)))]


def _batch_norm(
    graph: Graph, var: relax.Var, call: relax.Call, layout: str
) -> list[Step] | Refused:
    attrs = call.attrs
    if attrs.training:
        return Refused(f"{graph.describe(var)} has training=True")
    if int(attrs.axis) % 4 != layouts.axis(layout, "C"):
        return Refused(f"{graph.describe(var)} has axis {attrs.axis}, which is not the channels")
    gamma, beta, mean, variance = (graph.constant(a) for a in call.args[1:5])
    if gamma is None or beta is None or mean is None or variance is None:
        return Refused(f"parameters of {graph.describe(var)} are not constant")
    scale = 1 / np.sqrt(variance.astype(np.float64) + float(attrs.epsilon))
    if attrs.scale:
        scale = scale * gamma
    shift = -mean * scale
    if attrs.center:
        shift = shift + beta
    x, dtype = call.args[0], str(var.ty.dtype)
    scaled = relax.Var(f"{var.name}_scaled", var.ty)
    return [
        Step(scaled, "relax.multiply", (x, Channel(scale.astype(dtype)))),
        Step(var, "relax.add", (scaled, Channel(shift.astype(dtype)))),
    ]


def _find_prelu(steps: list[Step]) -> list[Step]:
    """Replace ``where(x > 0, x, a*x)``, as torch.export decomposes PReLU, by one step."""
    by_var = {step.var: step for step in steps}
    drop: set[relax.Var] = set()
    found: dict[relax.Var, Step] = {}
    for step in steps:
        ends = step.operands[::2] if step.op == "relax.where" else ()
        if not ends or not all(isinstance(o, relax.Var) and o in by_var for o in ends):
            continue
        positive, scaled = (by_var[o] for o in ends)
        x = step.operands[1]
        slope = _scaled_by(scaled, x)
        if slope is None or not _is_positive(positive, x):
            continue
        inner = (positive.var, scaled.var)
        readers = [o for s in steps for o in s.operands if any(is_var(o, v) for v in inner)]
        if len(readers) == 2:
            drop |= {positive.var, scaled.var}
            found[step.var] = Step(step.var, PRELU, (x, slope))
    return [found.get(step.var, step) for step in steps if step.var not in drop]


def _is_positive(step: Step, x: Any) -> bool:
    if step.op != "relax.greater" or not is_var(step.operands[0], x):
        return False
    bound = step.operands[1]
    return isinstance(bound, Channel) and not bound.values.any()


def _scaled_by(step: Step, x: Any) -> Channel | None:
    if step.op != "relax.multiply":
        return None
    for a, b in (step.operands, step.operands[::-1]):
        if is_var(a, x) and isinstance(b, Channel):
            return b
    return None
