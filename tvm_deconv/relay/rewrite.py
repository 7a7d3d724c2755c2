"""The pass for Relay: find every candidate, decide, and rebuild only what a plan replaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tvm
from tvm import relay
from tvm.relay.expr_functor import ExprMutator

from tvm_deconv.patterns.decide import decide, plans_of, report_line
from tvm_deconv.report import LayerReport, Report

from .builder import Builder
from .graph import Graph

# Functions that are another compiler's, or one kernel already.
_OTHERS = ("Primitive", "Compiler", "Composite")

Replace = Callable[[Callable[[relay.Expr], relay.Expr]], relay.Expr]


def rewrite_upsampling(mod: tvm.IRModule) -> tuple[tvm.IRModule, Report]:
    """The module with every exact upsampling pattern rewritten, and the report.

    Relay in, Relay out, with types inferred; returns ``mod`` itself if nothing was rewritten. It
    does not look into ``if``, ``let`` and functions inside functions; of a module in A-normal form
    ``relay.transform.ToGraphNormalForm`` makes one that it can read.
    """
    work = relay.transform.InferType()(mod)
    lines: list[LayerReport] = []
    changed: dict[tvm.ir.GlobalVar, relay.Function] = {}
    for name, func in sorted(work.functions.items(), key=lambda item: str(item[0].name_hint)):
        if not isinstance(func, relay.Function) or _is_others(func):
            continue
        func, graph = _readable(func)
        decisions = decide(graph)
        lines += [report_line(graph, str(name.name_hint), d) for d in decisions]
        plans = plans_of(decisions)
        if plans:
            replacing = {
                root: lambda remap, plan=plan: plan.emit(Builder(plan.root.span), remap)
                for root, plan in plans.items()
            }
            changed[name] = _rebuilt(func, graph, replacing)
    if not changed:
        return mod, Report(tuple(lines))
    for name, func in changed.items():
        work.update_func(name, func)
    return relay.transform.InferType()(work), Report(tuple(lines))


def explain(mod: tvm.IRModule) -> Report:
    """What ``RewriteUpsampling`` would do to ``mod``, layer by layer, and why."""
    return rewrite_upsampling(mod)[1]


@tvm.ir.transform.module_pass(opt_level=0, name="tvm_deconv.RewriteUpsampling")
class RewriteUpsampling:
    """Relay module pass: upsampling patterns to ``nn.conv2d_transpose``."""

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.ir.transform.PassContext
    ) -> tvm.IRModule:
        return rewrite_upsampling(mod)[0]


def _is_others(func: relay.Function) -> bool:
    return func.attrs is not None and any(name in func.attrs for name in _OTHERS)


def _readable(func: relay.Function) -> tuple[relay.Function, Graph]:
    """The function without reshapes and transpositions that change nothing, and its graph.

    PyTorch's ONNX exporter writes such reshapes on both sides of a shuffle.
    """
    graph = Graph(func)
    idle = {expr: expr.args[0] for expr in graph.order if _changes_nothing(graph, expr)}
    if not idle:
        return func, graph
    replacing = {
        expr: lambda remap, operand=operand: remap(operand) for expr, operand in idle.items()
    }
    func = _rebuilt(func, graph, replacing)
    typed = relay.transform.InferType()(tvm.IRModule({"main": func}))["main"]
    return typed, Graph(typed)


def _changes_nothing(graph: Graph, expr: relay.Expr) -> bool:
    call = graph.call(expr)
    if call is None or call.op not in ("reshape", "permute_dims"):
        return False
    if call.op == "permute_dims":
        return call.attrs.axes == sorted(call.attrs.axes)
    return graph.same_shape(graph.shape(expr), graph.shape(call.args[0]))


def _rebuilt(
    func: relay.Function, graph: Graph, replacing: Mapping[relay.Expr, Replace]
) -> relay.Function:
    """The function with new values for some expressions; the rest is kept where nothing changes."""
    new: dict[relay.Expr, relay.Expr] = {}

    def remap(expr: relay.Expr) -> relay.Expr:
        return new.get(expr, expr)

    for expr in graph.order:
        if expr in replacing:
            new[expr] = replacing[expr](remap)
            continue
        found = _with_operands(expr, remap, new)
        if found is not expr:
            new[expr] = found
    body = remap(func.body)
    return relay.Function(func.params, body, func.ret_type, func.type_params, func.attrs, func.span)


def _with_operands(
    expr: relay.Expr,
    remap: Callable[[relay.Expr], relay.Expr],
    new: Mapping[relay.Expr, relay.Expr],
) -> relay.Expr:
    if isinstance(expr, relay.Call):
        args, op = [remap(arg) for arg in expr.args], remap(expr.op)
        if op is expr.op and all(a is b for a, b in zip(args, expr.args, strict=True)):
            return expr
        return relay.Call(op, args, expr.attrs, expr.type_args, expr.span)
    if isinstance(expr, relay.Tuple):
        fields = [remap(field) for field in expr.fields]
        return relay.Tuple(fields, expr.span)
    if isinstance(expr, relay.TupleGetItem):
        return relay.TupleGetItem(remap(expr.tuple_value), expr.index, expr.span)
    inside = ExprMutator()
    inside.memo_map.update(new)
    return inside.visit(expr)
