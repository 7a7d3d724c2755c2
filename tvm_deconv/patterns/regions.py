"""Finding the pointwise region that ends in a tensor, by walking back to its one source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import layouts
from .graph import Call, Graph, Refused, Tensor, is_same
from .operators import (
    BATCH_NORM,
    BIAS,
    BROADCAST,
    DEQUANTIZE,
    PRELU,
    QUANTIZE,
    TRANSPOSE,
    UNARY,
)
from .pointwise import Between, Channel, Given, Region, Step


def collect(
    graph: Graph,
    result: Tensor,
    layout: str,
    joins: Callable[[Tensor, str], bool] = lambda tensor, layout: False,
) -> Region | Refused:
    """The largest region that ends in ``result``, whose layout is ``layout``.

    If ``result`` is not computed pointwise, the region is empty and ``result`` its source.
    ``joins`` says of a tensor in a layout that it may join the source: it is one of the sides.
    """
    sides: dict[Tensor, str] = {}
    seen: dict[Tensor, str] = {}
    sources: dict[Tensor, str] = {}
    todo = [(result, layout)]
    # Two sources are one too many: a sum of residuals may lead to hundreds.
    while todo and len(sources) < 2:
        var, at = todo.pop()
        if (seen | sources | sides).get(var, at) != at:
            return Refused(f"{graph.describe(var)} is read both as {at} and as another layout")
        if var in seen or var in sources or var in sides:
            continue
        if joins(var, at):
            sides[var] = at
            continue
        inputs = _inputs(graph, var, at)
        if inputs is None:
            sources[var] = at
        else:
            seen[var] = at
            todo += inputs
    if not sources:
        # Nothing that they could join.
        return collect(graph, result, layout)
    if len(sources) != 1:
        names = " and ".join(graph.describe(v) for v in sorted(sources, key=_order(graph)))
        return Refused(f"pointwise operators join {names}; only constants may join the convolution")
    ((source, at),) = sources.items()
    uneven = next(
        (side for side in sides if not _alike(graph, side, sides[side], source, at)), None
    )
    if uneven is not None:
        return Refused(f"{graph.describe(uneven)} has another shape than {graph.describe(source)}")
    steps: list[Step] = []
    for var in sorted(seen, key=_order(graph)):
        made = _steps(graph, var, seen[var], source, at)
        if isinstance(made, Refused):
            return made
        steps += made
    calls = (graph.call(var) for var in seen)
    inner = {tensor for call in calls if call is not None for tensor in call.inner}
    return Region(source, at, tuple(_find_prelu(steps)), result, frozenset(seen) | inner, sides)


def _alike(graph: Graph, a: Tensor, a_layout: str, b: Tensor, b_layout: str) -> bool:
    shapes = [(graph.shape(a) or (), a_layout), (graph.shape(b) or (), b_layout)]
    if any(len(shape) != len(layout) for shape, layout in shapes):
        return False
    return graph.same_shape(*(layouts.dims(shape, layout) for shape, layout in shapes))


def _order(graph: Graph) -> Callable[[Tensor], int]:
    return lambda var: graph.position.get(var, -1)


def _inputs(graph: Graph, var: Tensor, layout: str) -> list[tuple[Tensor, str]] | None:
    """The tensors that a pointwise ``var`` reads, with their layouts; None if not pointwise."""
    call = graph.call(var)
    if call is None:
        return None
    if call.op == TRANSPOSE:
        before = layouts.permuted_from(call.attrs.axes, layout)
        return None if before is None else [(call.args[0], before)]
    if call.op in _WITH_AXIS:
        return [(call.args[0], layout)]
    if call.op not in UNARY and call.op not in BROADCAST:
        return None
    tensors = [a for a in call.args if graph.is_tensor(a)]
    return [(a, layout) for a in tensors if graph.constant(a) is None]


def _steps(
    graph: Graph, var: Tensor, layout: str, source: Tensor, source_layout: str
) -> list[Step] | Refused:
    """The steps that compute ``var``; more than one for a batch norm."""
    here, there = graph.shape(var), graph.shape(source)
    axes = len(layout)
    if here is None or there is None or len(here) != axes or len(there) != axes:
        return Refused(f"{graph.describe(var)} does not have a known shape of {axes} axes")
    canonical = layouts.dims(there, source_layout)
    if not graph.same_shape(layouts.dims(here, layout), canonical):
        return Refused(
            f"{graph.describe(var)} broadcasts {graph.shape_text(there)} "
            f"to {graph.shape_text(here)}"
        )
    call = graph.call(var)
    assert call is not None
    if call.op == TRANSPOSE:
        return [Step(var, TRANSPOSE, (call.args[0],))]
    if call.op in _WITH_AXIS:
        return _WITH_AXIS[call.op](graph, var, call, layout)
    operands: list[Any] = []
    for argument in call.args:
        if not graph.is_tensor(argument):
            operands.append(Given(argument))
            continue
        known = graph.constant(argument)
        if known is None:
            operands.append(argument)
            continue
        channel = _per_channel(graph, var, known, layout, canonical[1])
        if isinstance(channel, Refused):
            return channel
        operands.append(channel)
    return [Step(var, call.op, tuple(operands), call.attrs)]


def _per_channel(
    graph: Graph, var: Tensor, values: np.ndarray, layout: str, channels: Any
) -> Channel | Refused:
    if values.size == 1:
        return Channel(values.reshape(()))
    full = values.reshape((1,) * (len(layout) - values.ndim) + values.shape)
    rows = np.moveaxis(full, layout.index("C"), -1).reshape(-1, full.shape[layout.index("C")])
    first = rows[0]
    if first.size not in (1, channels) or (rows != first).any():
        return Refused(
            f"constant operand of {graph.describe(var)} has shape {values.shape}: "
            "it varies over pixels"
        )
    return Channel(first if first.size > 1 else first.reshape(()))


def _prelu(graph: Graph, var: Tensor, call: Call, layout: str) -> list[Step] | Refused:
    slope = graph.constant(call.args[1])
    if slope is None:
        return Refused(f"slope of {graph.describe(var)} is not constant")
    if slope.size > 1 and int(call.attrs.axis) % len(layout) != layout.index("C"):
        return Refused(f"{graph.describe(var)} has axis {call.attrs.axis}, not the channels")
    slope = slope.reshape(-1) if slope.size > 1 else slope.reshape(())
    return [Step(var, PRELU, (call.args[0], Channel(slope)))]


def _bias(graph: Graph, var: Tensor, call: Call, layout: str) -> list[Step] | Refused:
    bias = graph.constant(call.args[1])
    if bias is None:
        return Refused(f"bias of {graph.describe(var)} is not constant")
    if int(call.attrs.axis) % len(layout) != layout.index("C"):
        return Refused(f"{graph.describe(var)} has axis {call.attrs.axis}, not the channels")
    return [Step(var, "add", (call.args[0], Channel(bias)))]


def _batch_norm(graph: Graph, var: Tensor, call: Call, layout: str) -> list[Step] | Refused:
    attrs = call.attrs
    if attrs.training:
        return Refused(f"{graph.describe(var)} has training=True")
    if int(attrs.axis) % len(layout) != layout.index("C"):
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
    x, dtype, scaled = call.args[0], graph.dtype(var), Between()
    return [
        Step(scaled, "multiply", (x, Channel(scale.astype(dtype)))),
        Step(var, "add", (scaled, Channel(shift.astype(dtype)))),
    ]


def _quantized(graph: Graph, var: Tensor, call: Call, layout: str) -> list[Step] | Refused:
    """To or from integers of one scale and zero point, whatever the axis."""
    constants = []
    for what, argument in zip(("scale", "zero point"), call.args[1:], strict=True):
        value = graph.constant(argument)
        if value is None or value.size != 1:
            held = "not constant" if value is None else f"of {value.size} values, not of one"
            return Refused(f"{what} of {graph.describe(var)} is {held}")
        constants.append(Channel(value.reshape(())))
    return [Step(var, call.op, (call.args[0], *constants), call.attrs)]


_WITH_AXIS: dict[str, Callable[[Graph, Tensor, Call, str], list[Step] | Refused]] = {
    BATCH_NORM: _batch_norm,
    BIAS: _bias,
    DEQUANTIZE: _quantized,
    PRELU: _prelu,
    QUANTIZE: _quantized,
}


def _find_prelu(steps: list[Step]) -> list[Step]:
    """Replace ``where(x > 0, x, a*x)``, as torch.export decomposes PReLU, by one step."""
    by_var = {step.var: step for step in steps}
    drop: set[Tensor] = set()
    found: dict[Tensor, Step] = {}
    for step in steps:
        ends = step.operands[::2] if step.op == "where" else ()
        if not ends or any(isinstance(o, (Channel, Given)) or o not in by_var for o in ends):
            continue
        positive, scaled = (by_var[o] for o in ends)
        x = step.operands[1]
        slope = _scaled_by(scaled, x)
        if slope is None or not _is_positive(positive, x):
            continue
        inner = (positive.var, scaled.var)
        readers = [o for s in steps for o in s.operands if any(is_same(o, v) for v in inner)]
        if len(readers) == 2:
            drop |= {positive.var, scaled.var}
            found[step.var] = Step(step.var, PRELU, (x, slope))
    return [found.get(step.var, step) for step in steps if step.var not in drop]


def _is_positive(step: Step, x: Any) -> bool:
    if step.op != "greater" or not is_same(step.operands[0], x):
        return False
    bound = step.operands[1]
    return isinstance(bound, Channel) and not bound.values.any()


def _scaled_by(step: Step, x: Any) -> Channel | None:
    if step.op != "multiply":
        return None
    for a, b in (step.operands, step.operands[::-1]):
        if is_same(a, x) and isinstance(b, Channel):
            return b
    return None
