"""What was measured for a layer: the rows that the choice of a variant asks for.

The order of the lookup, the first that knows the layer decides:

1. A dispatch context of AutoTVM that the caller entered: ``with autotvm.apply_history_best(file)``.
2. The user's own log of the target, then the one that is shipped: ``record_log``.

In each, records for the very weights (those with the same taps that are all zero) come before
those for any. What the processor cannot do is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tvm import autotvm
from tvm.autotvm.task import DispatchContext
from tvm.target import Target

from tvm_deconv.schedules import space
from tvm_deconv.schedules.choice import Row
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.te.variants import TE_VARIANTS
from tvm_deconv.schedules.variant import Variant

from . import record_log
from .layer import Layer, machine_of
from .templates import point_of, sizes_of
from .workloads import arguments_of, task_name

# A workload to the seconds and the configuration that were measured for it, if any were.
_Lookup = Callable[[tuple[Any, ...]], "tuple[float, autotvm.ConfigEntity] | None"]


def rows_for(layer: Layer, target: Target) -> tuple[Row, ...]:
    """The best configuration of each variant that was measured for a layer, fastest first.

    Raises LogError for a damaged log.
    """
    machine = machine_of(target)
    with silent():
        rows = _rows(layer, machine, _dispatched(target), "record of AutoTVM")
    if rows:
        return rows
    for best in record_log.best_of_target(target):
        rows = _rows(layer, machine, _logged(best), "tuning log")
        if rows:
            return rows
    return ()


def _rows(layer: Layer, machine: CpuMachine, lookup: _Lookup, source: str) -> tuple[Row, ...]:
    for same in dict.fromkeys((layer, _for_any_weights(layer))):
        found = []
        for variant in TE_VARIANTS.values():
            measured = lookup((task_name(variant), *arguments_of(same)))
            parameters = measured and _parameters(variant, layer, machine, measured[1])
            if measured and parameters:
                reason = f"{source}: {measured[0] * 1e3:.3g} ms"
                found.append((measured[0], Row(variant.name, parameters, reason)))
        if found:
            return tuple(row for _, row in sorted(found, key=lambda one: one[0]))
    return ()


def _for_any_weights(layer: Layer) -> Layer:
    conv = layer.conv
    h, w = (replace(axis, zero_taps=frozenset()) for axis in (conv.h, conv.w))
    return replace(layer, conv=replace(conv, h=h, w=w))


def _parameters(
    variant: Variant, layer: Layer, machine: CpuMachine, config: autotvm.ConfigEntity
) -> Any:
    """The parameters that a configuration says; None if the variant cannot do them here."""
    point = point_of(variant, config)
    if point is None:
        return None
    parameters = space.parameters_of(variant, point)
    refusal = space.parameters_refusal(variant, layer.conv, sizes_of(layer), parameters, machine)
    return None if refusal else parameters


def _dispatched(target: Target) -> _Lookup:
    def lookup(workload: tuple[Any, ...]) -> tuple[float, autotvm.ConfigEntity] | None:
        config = DispatchContext.current.query(target, workload)
        return None if config.is_fallback else (config.cost or 0.0, config)

    return lookup


def _logged(best: dict[tuple[Any, ...], record_log.Record]) -> _Lookup:
    def lookup(workload: tuple[Any, ...]) -> tuple[float, autotvm.ConfigEntity] | None:
        record = best.get(workload)
        return record and (record.mean, record.config)

    return lookup


@contextmanager
def silent() -> Iterator[None]:
    """Keep AutoTVM from warning of layers without a record: the machine model has them."""
    scope = autotvm.GLOBAL_SCOPE
    before, scope.silent = scope.silent, True
    try:
        yield
    finally:
        scope.silent = before
