"""A Relay function with new values for some of its expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from tvm import relay
from tvm.relay.expr_functor import ExprMutator

from .graph import Graph

# Gives the present form of an expression of the original function.
Remap: TypeAlias = Callable[[relay.Expr], relay.Expr]
Make: TypeAlias = Callable[[Remap], relay.Expr]


def rebuilt(
    func: relay.Function,
    graph: Graph,
    new_values: Mapping[relay.Expr, Make],
) -> relay.Function:
    """``func`` with ``new_values`` made of what their operands became; the rest stays as it is."""
    new: dict[relay.Expr, relay.Expr] = {}

    def remap(expr: relay.Expr) -> relay.Expr:
        return new.get(expr, expr)

    for expr in graph.order:
        if expr in new_values:
            new[expr] = new_values[expr](remap)
        elif any(read in new for read in graph.reads[expr]):
            new[expr] = _with_operands(expr, remap, graph.reads[expr])
    body = remap(func.body)
    return relay.Function(func.params, body, func.ret_type, func.type_params, func.attrs, func.span)


def _with_operands(expr: relay.Expr, remap: Remap, reads: Sequence[relay.Expr]) -> relay.Expr:
    if isinstance(expr, relay.Call):
        args = [remap(arg) for arg in expr.args]
        return relay.Call(remap(expr.op), args, expr.attrs, expr.type_args, expr.span)
    if isinstance(expr, relay.Tuple):
        return relay.Tuple([remap(field) for field in expr.fields], expr.span)
    if isinstance(expr, relay.TupleGetItem):
        return relay.TupleGetItem(remap(expr.tuple_value), expr.index, expr.span)
    inside = ExprMutator()
    inside.memo_map.update({read: remap(read) for read in reads})
    return inside.visit(expr)
