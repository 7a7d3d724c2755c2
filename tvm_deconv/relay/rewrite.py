"""The pass for Relay: find every candidate, decide, and rebuild only what a plan replaces."""

from __future__ import annotations

import tvm
from tvm import relay

from tvm_deconv.patterns.decide import decide, plans_of, report_line
from tvm_deconv.patterns.rule import Plan
from tvm_deconv.report import LayerReport, Report

from .builder import Builder, ChannelsLast
from .graph import Graph
from .rebuild import Make, rebuilt
from .recover import recover

# Functions that are another compiler's, or one kernel already.
_OTHERS = ("Primitive", "Compiler", "Composite")


def rewrite_upsampling(mod: tvm.IRModule) -> tuple[tvm.IRModule, Report]:
    """The module with every exact upsampling pattern rewritten, and the report.

    Relay in, Relay out, with types inferred; returns ``mod`` itself if nothing was rewritten. It
    does not look into ``if``, ``let`` and functions inside functions; of a module in A-normal form
    ``relay.transform.ToGraphNormalForm`` makes one that it can read.
    """
    work = recover(mod, _is_meant)
    lines: list[LayerReport] = []
    changed: dict[tvm.ir.GlobalVar, relay.Function] = {}
    for name, func in sorted(work.functions.items(), key=lambda item: str(item[0].name_hint)):
        if not _is_meant(func):
            continue
        graph = Graph(func)
        decisions = decide(graph)
        lines += [report_line(graph, str(name.name_hint), d) for d in decisions]
        plans = plans_of(decisions)
        if plans:
            new_values = {root: _emit(plan) for root, plan in plans.items()}
            changed[name] = rebuilt(func, graph, new_values)
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


def _emit(plan: Plan) -> Make:
    builder = ChannelsLast if plan.layout == "NHWC" else Builder
    return lambda remap: plan.emit(builder(plan.root.span), remap)


def _is_meant(func: object) -> bool:
    if not isinstance(func, relay.Function):
        return False
    return func.attrs is None or not any(name in func.attrs for name in _OTHERS)
