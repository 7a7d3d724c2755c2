"""A working copy in which importers' detours are the operators that they stand for.

- A reshape or a transposition that changes nothing, as PyTorch's ONNX exporter writes on both sides
  of a shuffle, is left out.
- TFLite's PReLU, and ONNX's in some versions of TVM, comes with a slope for every element, as
  ``reshape(prelu(reshape(x, -1), slopes, axis=0))``; where the slopes differ along one axis only it
  is ``prelu(x, slope, axis)``, where they do not differ ``leaky_relu``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tvm
from tvm import relay

from tvm_deconv.patterns.operators import RESHAPE, TRANSPOSE

from .graph import Graph
from .rebuild import Make, rebuilt


def recover(mod: tvm.IRModule, is_meant: Callable[[object], bool]) -> tvm.IRModule:
    """The module with types, its functions recovered that ``is_meant`` says; ``mod`` stays."""
    work = relay.transform.InferType()(mod)  # a copy
    changed: dict[tvm.ir.GlobalVar, relay.Function] = {}
    for name, func in work.functions.items():
        if not is_meant(func):
            continue
        graph = Graph(func)
        found = {e: new for e in graph.order if (new := _recovered(graph, e)) is not None}
        if found:
            changed[name] = rebuilt(func, graph, found)
    for name, func in changed.items():
        work.update_func(name, func)
    return relay.transform.InferType()(work) if changed else work


def _recovered(graph: Graph, expr: relay.Expr) -> Make | None:
    if _changes_nothing(graph, expr):
        operand = expr.args[0]
        return lambda remap: remap(operand)
    return _flat_prelu(graph, expr)


def _changes_nothing(graph: Graph, expr: relay.Expr) -> bool:
    call = graph.call(expr)
    if call is None or call.op not in (RESHAPE, TRANSPOSE):
        return False
    if call.op == TRANSPOSE:
        return call.attrs.axes == sorted(call.attrs.axes)
    return graph.same_shape(graph.shape(expr), graph.shape(call.args[0]))


def _flat_prelu(graph: Graph, expr: relay.Expr) -> Make | None:
    last = graph.call(expr)
    prelu = None if last is None or last.op != RESHAPE else graph.call(last.args[0])
    if prelu is None or prelu.op != "nn.prelu":
        return None
    first, slopes = graph.call(prelu.args[0]), graph.constant(prelu.args[1])
    shape = graph.shape(expr)
    if first is None or first.op != RESHAPE or slopes is None or shape is None:
        return None
    x = first.args[0]
    if not graph.same_shape(graph.shape(x), shape) or slopes.size != np.prod(shape):
        return None
    return _prelu(x, slopes.reshape(shape), expr.span)


def _prelu(x: relay.Expr, slopes: np.ndarray, span: Any) -> Make | None:
    """PReLU of ``x`` with a slope for each element; None if they differ along several axes."""
    if (slopes == slopes.flat[0]).all():
        attrs = relay.nn.leaky_relu(x, float(slopes.flat[0])).attrs
        operator = tvm.ir.Op.get("nn.leaky_relu")
        return lambda remap: relay.Call(operator, [remap(x)], attrs, None, span)
    for axis in range(slopes.ndim):
        rows = np.moveaxis(slopes, axis, -1).reshape(-1, slopes.shape[axis])
        if (rows == rows[0]).all():
            slope = relay.const(rows[0], str(slopes.dtype))
            attrs = relay.nn.prelu(x, slope, axis).attrs
            operator = tvm.ir.Op.get("nn.prelu")
            return lambda remap: relay.Call(operator, [remap(x), slope], attrs, None, span)
    return None
