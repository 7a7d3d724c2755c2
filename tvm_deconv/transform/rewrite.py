"""The pass: find every candidate, decide, and rebuild only what a plan replaces.

Matching reads a working copy in which operators that an importer lowered too early are recovered
(``recover``). If no plan comes out of it, the caller gets his own module back, untouched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.annotations import WEIGHTS_BEFORE
from tvm_deconv.patterns.decide import decide, plans_of, report_line
from tvm_deconv.patterns.graph import Refused
from tvm_deconv.patterns.rule import Decision, Plan
from tvm_deconv.report import LayerReport, Report
from tvm_deconv.schedules.chooser import Chooser

from .alternatives import Sides, replaced, slower
from .builder import Builder
from .choosing import ChooserSpec, chooser_for, refuse_ignored
from .graph import Graph
from .rebind import WithValues, rebind
from .recover import recover


def rewrite_upsampling(
    mod: tvm.IRModule, chooser: Chooser | None = None
) -> tuple[tvm.IRModule, Report]:
    """The module with every exact upsampling pattern rewritten, and the report.

    Relax in, Relax out; returns ``mod`` itself if nothing was rewritten. Branches of ``relax.If``
    are not looked into. With a ``chooser``, layers that are faster as they are stay so
    (``alternatives``).
    """
    work = recover(mod)
    lines: list[LayerReport] = []
    is_changed = False
    for name, func in sorted(work.functions_items(), key=lambda item: item[0].name_hint):
        if not isinstance(func, relax.Function):
            continue
        graph = Graph(func, work)
        decisions = decide(graph)
        if plans_of(decisions):
            decisions, rewritten = _rewritten(work, name, graph, decisions, chooser)
            if plans_of(decisions):
                is_changed, work = True, rewritten
        lines += [report_line(graph, name.name_hint, d) for d in decisions]
    report = Report(tuple(lines))
    return (relax.transform.DeadCodeElimination()(work) if is_changed else mod), report


def _rewritten(
    work: tvm.IRModule,
    name: tvm.ir.GlobalVar,
    graph: Graph,
    decisions: list[Decision],
    chooser: Chooser | None,
) -> tuple[list[Decision], tvm.IRModule]:
    """``decisions`` less the plans that would be slower, and ``work`` with the others carried out.

    ``graph`` is that of the function ``name``.
    """
    rebuild = _Rebuild(work, graph, plans_of(decisions))
    func = rebuild.visit_expr(graph.func)
    # With the PrimFuncs that plans added.
    mod = rebuild.builder_.get()
    if chooser is not None:
        left = _slower(graph, Graph(func, mod), rebuild.carried_out, chooser)
        decisions = [_judged(decision, left) for decision in decisions]
        if left:
            plans = [rebuild.carried_out[root] for root in left]
            func = WithValues({plan.new_root: plan.undo for plan in plans}).visit_expr(func)
    before = {
        graph.name(plan.conv): plan.weights[0]
        for plan in plans_of(decisions).values()
        if plan.weights is not None
    }
    if before:
        known = dict((func.attrs or {}).get(WEIGHTS_BEFORE, {}))
        func = func.with_attr(WEIGHTS_BEFORE, {**known, **before})
    mod.update_func(name, func)
    return decisions, mod


@dataclass(frozen=True)
class _CarriedOut:
    """A plan in a new function: what each of the tensors that it reads and gives became there.

    ``value`` is what the result was, in terms of the new function.
    """

    read: Mapping[relax.Expr, relax.Expr]
    root: relax.Var
    new_root: relax.Var
    value: relax.Expr

    def undo(self, rebuild: PyExprMutator) -> relax.Expr:
        """The value that the root had."""
        return rebuild.visit_expr(self.value)


def _slower(
    before: Graph, after: Graph, plans: Mapping[relax.Var, _CarriedOut], chooser: Chooser
) -> dict[relax.Var, Refused]:
    """Of the plans, by their roots, those that are slower than what they replace."""
    sides = [
        Sides(
            replaced(before, plan.root, plan.read.keys()),
            replaced(after, plan.new_root, plan.read.values()),
        )
        for plan in plans.values()
    ]
    reasons = slower(before, after, sides, chooser)
    return {root: Refused(reason) for root, reason in zip(plans, reasons, strict=True) if reason}


def _judged(decision: Decision, left: Mapping[relax.Var, Refused]) -> Decision:
    plan = decision.outcome
    reason = left.get(plan.root) if isinstance(plan, Plan) else None
    return decision if reason is None else replace(decision, outcome=reason)


def explain(mod: tvm.IRModule) -> Report:
    """What ``RewriteUpsampling`` would do to ``mod``, layer by layer, and why."""
    return rewrite_upsampling(mod)[1]


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.RewriteUpsampling")
class RewriteUpsampling:
    """Relax module pass: upsampling patterns to ``relax.nn.conv2d_transpose``.

    Whether a rewrite pays depends on the machine: given a ``target``, the machine model leaves
    layers that are faster as they are, among them those that would be faster only with more weights
    than ``max_weight_growth`` allows. Without one, all that is exact is rewritten, and there are
    no options. ``target``, ``options`` and what is raised are those of ``LowerConvolutions``.
    """

    def __init__(self, target: ChooserSpec | None = None, **options: Any) -> None:
        if target is None:
            refuse_ignored(options, "without a target nothing is chosen, give one")
        self.chooser = None if target is None else chooser_for(target, options)

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return rewrite_upsampling(mod, self.chooser)[0]


@mutator
class _Rebuild(PyExprMutator):
    """Replaces the value of each plan's root; everything else is copied with new types.

    So is what plans replace, which nothing may read any more.
    """

    def __init__(self, mod: tvm.IRModule, graph: Graph, plans: dict[relax.Var, Plan]) -> None:
        super().__init__(mod)
        self.graph, self.plans = graph, plans
        self.carried_out: dict[relax.Var, _CarriedOut] = {}

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        plan = self.plans.get(binding.var)
        if plan is None:
            super().visit_var_binding_(binding)
            return
        value = self.visit_expr(binding.value)
        read: dict[relax.Expr, relax.Expr] = {}

        def remap(tensor: relax.Expr) -> relax.Expr:
            read[tensor] = self.visit_expr(tensor)
            return read[tensor]

        rebind(self, binding, plan.emit(Builder(self.builder_), remap))
        new_root = self.visit_expr(binding.var)
        self.carried_out[plan.root] = _CarriedOut(read, plan.root, new_root, value)
