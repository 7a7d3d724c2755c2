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
from tvm_deconv.backends import machine_of
from tvm_deconv.logs.find import AUTO as AUTO_LOG
from tvm_deconv.logs.find import LogSpec, resolve_log
from tvm_deconv.patterns.decide import decide, plans_of, report_line
from tvm_deconv.patterns.graph import Refused
from tvm_deconv.patterns.rule import Decision, Plan
from tvm_deconv.report import LayerReport, Report
from tvm_deconv.schedules.budget import Growth, budget_of
from tvm_deconv.schedules.choice import AUTO, Preferences
from tvm_deconv.targets import resolve_target

from .alternatives import Judge, Sides, replaced, slower
from .builder import Builder
from .graph import Graph
from .rebind import rebind
from .recover import recover


def rewrite_upsampling(
    mod: tvm.IRModule, judge: Judge | None = None
) -> tuple[tvm.IRModule, Report]:
    """The module with every exact upsampling pattern rewritten, and the report.

    Relax in, Relax out; returns ``mod`` itself if nothing was rewritten. Branches of ``relax.If``
    are not looked into. With a ``judge``, layers that are faster as they are stay so
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
        new = _rewritten(work, name, func, graph, decisions) if plans_of(decisions) else None
        if new is not None and judge is not None:
            kept = _judged(graph, new, decisions, judge)
            if kept != decisions:
                decisions = kept
                new = _rewritten(work, name, func, graph, kept) if plans_of(kept) else None
        lines += [report_line(graph, name.name_hint, d) for d in decisions]
        if new is not None:
            is_changed = True
            work = new.mod
    report = Report(tuple(lines))
    return (relax.transform.DeadCodeElimination()(work) if is_changed else mod), report


@dataclass(frozen=True)
class _Rewritten:
    """A module in which a function is rewritten, and of each plan, by its root, both sides."""

    mod: tvm.IRModule
    func: relax.Function
    sides: dict[relax.Var, Sides]


def _rewritten(
    work: tvm.IRModule,
    name: tvm.ir.GlobalVar,
    func: relax.Function,
    graph: Graph,
    decisions: list[Decision],
) -> _Rewritten:
    """``work`` with the plans of ``decisions`` carried out in its function ``name``."""
    plans = plans_of(decisions)
    rebuild = _Rebuild(work, graph, plans)
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
    mod = rebuild.builder_.get()
    mod.update_func(name, func)
    return _Rewritten(mod, func, rebuild.sides)


def _judged(
    graph: Graph, new: _Rewritten, decisions: list[Decision], judge: Judge
) -> list[Decision]:
    """``decisions`` without the rewrites that the machine model expects to be slower."""
    roots = list(new.sides)
    reasons = slower(graph, Graph(new.func, new.mod), list(new.sides.values()), judge)
    left = {root: reason for root, reason in zip(roots, reasons, strict=True) if reason}

    def judged(decision: Decision) -> Decision:
        plan = decision.outcome
        if not isinstance(plan, Plan) or plan.root not in left:
            return decision
        return replace(decision, outcome=Refused(left[plan.root]))

    return [judged(decision) for decision in decisions]


def explain(mod: tvm.IRModule) -> Report:
    """What ``RewriteUpsampling`` would do to ``mod``, layer by layer, and why."""
    return rewrite_upsampling(mod)[1]


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.RewriteUpsampling")
class RewriteUpsampling:
    """Relax module pass: upsampling patterns to ``relax.nn.conv2d_transpose``.

    Whether a rewrite pays depends on the machine: given a ``target`` (whatever
    ``tvm_deconv.targets.resolve_target`` takes), the machine model leaves layers that are faster as
    they are, among them those that would be faster only with more weights than
    ``max_weight_growth`` allows. ``variant``, ``winograd``, ``log`` and that are what
    ``LowerConvolutions`` is given. Without a target, all that is exact is rewritten. Raises as that
    pass does.
    """

    def __init__(
        self,
        target: str | Mapping[str, Any] | tvm.target.Target | None = None,
        *,
        variant: str = AUTO,
        winograd: bool = True,
        log: LogSpec = AUTO_LOG,
        max_weight_growth: Growth = AUTO,
    ) -> None:
        self.judge: Judge | None = None
        if target is not None:
            resolved = resolve_target(target)
            preferences = Preferences(variant, winograd, resolve_log(log, resolved)[0])
            budget = budget_of(max_weight_growth)
            self.judge = Judge(machine_of(resolved), preferences, budget)

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return rewrite_upsampling(mod, self.judge)[0]


class _Recorded:
    """A block builder, and what it emitted."""

    def __init__(self, builder: relax.BlockBuilder) -> None:
        self._builder = builder
        self.emitted: list[relax.Var] = []

    def emit(self, *args: Any, **options: Any) -> relax.Var:
        var = self._builder.emit(*args, **options)
        self.emitted.append(var)
        return var

    def __getattr__(self, name: str) -> Any:
        return getattr(self._builder, name)


@mutator
class _Rebuild(PyExprMutator):
    """Replaces the value of each plan's root; everything else is copied with new types."""

    def __init__(self, mod: tvm.IRModule, graph: Graph, plans: dict[relax.Var, Plan]) -> None:
        super().__init__(mod)
        self.graph, self.plans = graph, plans
        self.sides: dict[relax.Var, Sides] = {}

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        plan = self.plans.get(binding.var)
        if plan is None:
            super().visit_var_binding_(binding)
            return
        builder = _Recorded(self.builder_)
        read: list[relax.Var] = []

        def remap(tensor: relax.Expr) -> relax.Expr:
            read.append(tensor)
            return self.visit_expr(tensor)

        rebind(self, binding, plan.emit(Builder(builder), remap))
        before = replaced(self.graph, plan.root, read)
        self.sides[plan.root] = Sides(before, tuple(builder.emitted))
