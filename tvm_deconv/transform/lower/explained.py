"""What ``LowerIntegers`` and ``LowerConvolutions`` would do, in words."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import tvm
from tvm import relax

from tvm_deconv.annotations import TAPS_BEFORE
from tvm_deconv.layer_names import layer_name
from tvm_deconv.patterns.graph import Refused
from tvm_deconv.report import KernelReport, Weights
from tvm_deconv.schedules.chooser import Chooser
from tvm_deconv.schedules.cpu.integer.variant import INTEGER
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE
from tvm_deconv.size_errors import readable
from tvm_deconv.transform.graph import Graph, dtype_of, shape_of

from .budget import within_budget
from .byte_layer import ByteLayer
from .integer_products import PairLayer, ProductLayer
from .integers import IntegerLayer, integer_layer
from .layers import LoweredLayer, RefusedLayer, describe, describe_layer, layers_of, short
from .lower_integers import products_of_bytes


def explain_kernels(
    mod: tvm.IRModule, chooser: Chooser
) -> tuple[tuple[KernelReport, ...], Weights | None]:
    """What would compute each convolution of ``mod``, in order, and why.

    And each product of matrices of bytes; and how many weights the kernels of floats have, None
    where there are none. A kernel is called after its result, with whatever is stored with it.
    """
    integers = chooser.preferences.allow_integers
    lines: list[KernelReport] = []
    sums: list[Weights] = []
    for name, func in sorted(mod.functions_items(), key=lambda item: item[0].name_hint):
        if not isinstance(func, relax.Function):
            continue
        graph = Graph(func, mod)
        found = layers_of(graph, chooser)
        early = [_of_bytes(graph, _var(layer), chooser) if integers else None for layer in found]
        seen = [not isinstance(report, KernelReport) for report in early]
        lowered = [
            layer
            for layer, is_seen in zip(found, seen, strict=True)
            if is_seen and isinstance(layer, LoweredLayer)
        ]
        budgeted = within_budget(lowered, chooser)
        sums += [budgeted.weights] if lowered else []
        chosen, taps = iter(budgeted.layers), (func.attrs or {}).get(TAPS_BEFORE, {})
        for layer, report in zip(found, early, strict=True):
            if isinstance(report, KernelReport):
                line = replace(report, function=name.name_hint)
            else:
                is_left = isinstance(layer, RefusedLayer)
                line = _line(name.name_hint, layer if is_left else next(chosen))
            reasons = [line.reason]
            if isinstance(report, Refused):
                reasons.append(f"in float32, because {report.reason}")
            cut = taps.get(layer_name(_var(layer)))
            if cut is not None:
                reasons.append(f"cut from {cut}: no other tap meets the map")
            lines.append(replace(line, reason="; ".join(reasons)))
        for product in products_of_bytes(graph, chooser) if integers else ():
            lines.append(replace(_product(graph, *product), function=name.name_hint))
    return tuple(lines), sum(sums[1:], sums[0]) if sums else None


def _of_bytes(graph: Graph, var: relax.Var, chooser: Chooser) -> KernelReport | Refused | None:
    """The kernel of integers of a convolution; Refused, why none, and None of one of floats."""
    layer = integer_layer(graph, var, chooser.machine, chooser.preferences)
    if not isinstance(layer, IntegerLayer):
        return layer
    reason = _sums(graph, layer, f"int{min(layer.kernel.dot.bits, 16)}")
    return _integer(layer, describe(graph, var), f"{reason}; {layer.reason}")


def _product(
    graph: Graph, var: relax.Var, layer: ProductLayer | PairLayer | Refused
) -> KernelReport:
    """What computes a product of dequantized matrices."""
    *rows, inputs = shape_of(graph.value(var).args[0]) or ("?",)
    outputs = (shape_of(var) or ("?",))[-1]
    sizes = "x".join(map(readable, rows))
    what = f"matmul {readable(inputs)}->{readable(outputs)}, {sizes}"
    if isinstance(layer, Refused):
        return KernelReport("", layer_name(var), what, reason=f"in float32, because {layer.reason}")
    bits = min(layer.kernel.dot.bits, 16)
    by = dtype_of(layer.right) if isinstance(layer, PairLayer) else f"int{bits}"
    return _integer(layer, what, _sums(graph, layer, by))


def _sums(graph: Graph, layer: ByteLayer, by: str) -> str:
    """``uint8 by int8, sums in int32 (vnni), stored as uint8``, and what is added."""
    kernel, other = layer.kernel, layer.other
    added = "" if other is None else f" with {graph.describe(other)} added"
    return (
        f"{dtype_of(layer.data)} by {by}, sums in int32 ({kernel.dot.name}), "
        f"stored as {kernel.store.result}{added}"
    )


def _integer(layer: ByteLayer, what: str, reason: str) -> KernelReport:
    name, tile = layer_name(layer.result), short(layer.kernel.tile)
    return KernelReport("", name, what, INTEGER, tile, reason)


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
        _multiply_adds(layer),
    )


def _multiply_adds(layer: LoweredLayer) -> int | None:
    sizes = shape_of(layer.conv.var)
    if sizes is None or not all(isinstance(size, int) for size in sizes):
        return None
    choice = layer.choice
    return round(prod(sizes) * choice.variant.multiply_adds(layer.conv.op, choice.parameters))
