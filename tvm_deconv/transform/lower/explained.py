"""What ``LowerConvolutions`` would do, in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import tvm
from tvm import relax

from tvm_deconv.layer_names import layer_name
from tvm_deconv.patterns.graph import Refused
from tvm_deconv.report import KernelReport, Weights
from tvm_deconv.schedules.chooser import Chooser
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE
from tvm_deconv.transform.graph import Graph

from .budget import within_budget
from .layers import LoweredLayer, RefusedLayer, describe, describe_layer, layers_of, short

OfBytes = Callable[[Graph, relax.Var], KernelReport | Refused | None]
Products = Callable[[Graph], list[KernelReport]]


def explain_kernels(
    mod: tvm.IRModule,
    chooser: Chooser,
    of_bytes: OfBytes = lambda *_: None,
    products: Products = lambda _: [],
) -> tuple[tuple[KernelReport, ...], Weights | None]:
    """What ``LowerConvolutions`` would do with each convolution of ``mod``, in order, and why.

    And how many weights their kernels have; None where there are none. A kernel is called after its
    result, with whatever is stored with it. ``of_bytes`` says of a convolution what computes it
    before that pass sees it; Refused, why nothing does. ``products`` reports those of matrices of
    bytes.
    """
    lines: list[KernelReport] = []
    sums: list[Weights] = []
    for name, func in sorted(mod.functions_items(), key=lambda item: item[0].name_hint):
        if not isinstance(func, relax.Function):
            continue
        graph = Graph(func, mod)
        found = layers_of(graph, chooser)
        early = [of_bytes(graph, _var(layer)) for layer in found]
        seen = [not isinstance(report, KernelReport) for report in early]
        lowered = [
            layer
            for layer, is_seen in zip(found, seen, strict=True)
            if is_seen and isinstance(layer, LoweredLayer)
        ]
        budgeted = within_budget(lowered, chooser)
        sums += [budgeted.weights] if lowered else []
        chosen = iter(budgeted.layers)
        for layer, report in zip(found, early, strict=True):
            if isinstance(report, KernelReport):
                lines.append(replace(report, function=name.name_hint))
                continue
            line = _line(name.name_hint, layer if isinstance(layer, RefusedLayer) else next(chosen))
            if report is not None:
                line = replace(line, reason=f"{line.reason}; in float32, because {report.reason}")
            lines.append(line)
        lines += [replace(report, function=name.name_hint) for report in products(graph)]
    return tuple(lines), sum(sums[1:], sums[0]) if sums else None


def _var(layer: LoweredLayer | RefusedLayer) -> relax.Var:
    return layer.var if isinstance(layer, RefusedLayer) else layer.conv.var


def _line(function: str, layer: LoweredLayer | RefusedLayer) -> KernelReport:
    if isinstance(layer, RefusedLayer):
        what = describe(layer.graph, layer.var)
        return KernelReport(function, layer_name(layer.var), what, reason=layer.reason)
    choice = layer.choice
    parameters = short(choice.parameters)
    if choice.variant.accumulate != ACCUMULATE_DTYPE:
        parameters += f" sums={choice.variant.accumulate}"
    return KernelReport(
        function,
        layer_name(layer.epilogue.result),
        describe_layer(layer),
        choice.variant.name,
        parameters,
        choice.reason,
    )
