"""The pass: find every candidate, decide, and rebuild only what a plan replaces.

Matching reads a working copy in which operators that an importer lowered too early are recovered
(``recover``). If no plan comes out of it, the caller gets his own module back, untouched.
"""

from __future__ import annotations

import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.annotations import WEIGHTS_BEFORE
from tvm_deconv.patterns.budget import within_budget
from tvm_deconv.patterns.decide import decide, plans_of, report_line
from tvm_deconv.patterns.rule import Plan
from tvm_deconv.report import LayerReport, Report
from tvm_deconv.schedules.budget import NO_LIMIT, Budget, Growth, budget_of

from .builder import Builder
from .graph import Graph
from .rebind import rebind
from .recover import recover


def rewrite_upsampling(mod: tvm.IRModule, budget: Budget = NO_LIMIT) -> tuple[tvm.IRModule, Report]:
    """The module with every exact upsampling pattern rewritten, and the report.

    Relax in, Relax out; returns ``mod`` itself if nothing was rewritten. Branches of ``relax.If``
    are not looked into. A function's convolutions keep within ``budget``.
    """
    work = recover(mod)
    lines: list[LayerReport] = []
    is_changed = False
    for name, func in sorted(work.functions_items(), key=lambda item: item[0].name_hint):
        if not isinstance(func, relax.Function):
            continue
        graph = Graph(func, work)
        decisions = within_budget(graph, decide(graph), budget.most)
        lines += [report_line(graph, name.name_hint, d) for d in decisions]
        plans = plans_of(decisions)
        if plans:
            is_changed = True
            rebuild = _Rebuild(work, plans)
            func = rebuild.visit_expr(func)
            before = {
                graph.name(plan.conv): plan.weights[0]
                for plan in plans.values()
                if plan.weights is not None
            }
            if before:
                known = dict((func.attrs or {}).get(WEIGHTS_BEFORE, {}))
                func = func.with_attr(WEIGHTS_BEFORE, {**known, **before})
            # With the PrimFuncs that plans added.
            work = rebuild.builder_.get()
            work.update_func(name, func)
    report = Report(tuple(lines))
    return (relax.transform.DeadCodeElimination()(work) if is_changed else mod), report


def explain(mod: tvm.IRModule) -> Report:
    """What ``RewriteUpsampling`` would do to ``mod``, layer by layer, and why."""
    return rewrite_upsampling(mod)[1]


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.RewriteUpsampling")
class RewriteUpsampling:
    """Relax module pass: upsampling patterns to ``relax.nn.conv2d_transpose``.

    Folded resizes have more weights than their convolutions; all convolutions together have at most
    ``max_weight_growth`` times as many then (``schedules.budget``), by default any number. Raises
    VariantError for what is no growth.
    """

    def __init__(self, max_weight_growth: Growth = None) -> None:
        self.budget = budget_of(max_weight_growth)

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return rewrite_upsampling(mod, self.budget)[0]


@mutator
class _Rebuild(PyExprMutator):
    """Replaces the value of each plan's root; everything else is copied with new types."""

    def __init__(self, mod: tvm.IRModule, plans: dict[relax.Var, Plan]) -> None:
        super().__init__(mod)
        self.plans = plans

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        plan = self.plans.get(binding.var)
        if plan is None:
            super().visit_var_binding_(binding)
            return
        rebind(self, binding, plan.emit(Builder(self.builder_), self.visit_expr))
