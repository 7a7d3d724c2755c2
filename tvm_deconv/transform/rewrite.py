"""The pass: find every candidate, decide, and rebuild only what a plan replaces.

Matching reads a working copy in which operators that an importer lowered too early are recovered
(``recover``). If no plan comes out of it, the caller gets his own module back, untouched.
"""

from __future__ import annotations

import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.layer_names import layer_name
from tvm_deconv.report import REFUSED, REWRITTEN, LayerReport, Report

from .graph import Graph, Refused
from .rebind import rebind
from .recover import recover
from .rules import RULES
from .rules.rule import Decision, Plan


def rewrite_upsampling(mod: tvm.IRModule) -> tuple[tvm.IRModule, Report]:
    """The module with every exact upsampling pattern rewritten, and the report.

    Relax in, Relax out; returns ``mod`` itself if nothing was rewritten. Branches of ``relax.If``
    are not looked into.
    """
    work = recover(mod)
    lines: list[LayerReport] = []
    changed: dict[tvm.ir.GlobalVar, relax.Function] = {}
    for name, func in sorted(work.functions_items(), key=lambda item: item[0].name_hint):
        if not isinstance(func, relax.Function):
            continue
        graph = Graph(func, work)
        decisions = decide(graph)
        lines += [_line(name.name_hint, d) for d in decisions]
        plans = {d.outcome.root: d.outcome for d in decisions if isinstance(d.outcome, Plan)}
        if plans:
            changed[name] = _Rebuild(plans).visit_expr(func)
    if not changed:
        return mod, Report(tuple(lines))
    work = work.clone()
    for name, func in changed.items():
        work.update_func(name, func)
    return relax.transform.DeadCodeElimination()(work), Report(tuple(lines))


def explain(mod: tvm.IRModule) -> Report:
    """What ``RewriteUpsampling`` would do to ``mod``, layer by layer, and why."""
    return rewrite_upsampling(mod)[1]


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.RewriteUpsampling")
class RewriteUpsampling:
    """Relax module pass: upsampling patterns to ``relax.nn.conv2d_transpose``."""

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return rewrite_upsampling(mod)[0]


def decide(graph: Graph) -> list[Decision]:
    """A decision for every candidate of a function, in the order of the program."""
    decisions: list[Decision] = []
    taken: dict[relax.Var, str] = {}
    for rule in RULES:
        found = rule.decide(graph, taken)
        taken |= {d.outcome.conv: rule.name for d in found if isinstance(d.outcome, Plan)}
        decisions += found
    return sorted(decisions, key=lambda d: graph.position[d.layer])


def _line(function: str, decision: Decision) -> LayerReport:
    layer = layer_name(decision.layer)
    outcome = decision.outcome
    if isinstance(outcome, Refused):
        return LayerReport(function, layer, decision.statement, REFUSED, reason=outcome.reason)
    return LayerReport(
        function,
        layer,
        decision.statement,
        REWRITTEN,
        before=outcome.before,
        after=outcome.after,
    )


@mutator
class _Rebuild(PyExprMutator):
    """Replaces the value of each plan's root; everything else is copied with new types."""

    def __init__(self, plans: dict[relax.Var, Plan]) -> None:
        super().__init__()
        self.plans = plans

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        plan = self.plans.get(binding.var)
        if plan is None:
            super().visit_var_binding_(binding)
            return
        rebind(self, binding, plan.emit(self.builder_, self.visit_expr))
