"""AutoTVM templates: one task for each variant and layer, with the variant's own search space.

    for a layer, for a variant that can compute it:
        knobs       the fields of the variant's parameters, as ``space.fields`` gives values of them
        filter      what ``space.tuning_refusal`` says nothing against
        kernel      input and packed weights to output, as it runs in a network

The kernel takes packed weights, since those of a network are packed while it is compiled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tvm import autotvm, te
from tvm.autotvm.task.topi_integration import TaskExtractEnv
from tvm.target import Target

from tvm_deconv.schedules import space
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.te.variants import TE_VARIANTS
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, Sizes, Variant

from .layer import DTYPE, Layer, machine_of
from .workloads import arguments_of, layer_of, task_name


def register() -> None:
    """Make the tasks known to AutoTVM, once."""
    for variant in TE_VARIANTS.values():
        autotvm.template(task_name(variant), _Template(variant))


def trace(layer: Layer) -> None:
    """Where AutoTVM looks for tasks, say those of a layer: one for each variant that can do it."""
    env = TaskExtractEnv.current
    if env is None or not env.tracing:
        return
    for variant in TE_VARIANTS.values():
        if variant.refusal(layer.conv, ACCUMULATE_DTYPE) is None:
            env.add_task(task_name(variant), arguments_of(layer))


def sizes_of(layer: Layer) -> Sizes:
    batch, _, height, width = layer.shape
    return Sizes(batch, height, width)


@dataclass(frozen=True)
class Feasible:
    """The filter of a layer's space: whether a configuration is worth building."""

    variant: str
    layer: Layer
    machine: CpuMachine

    def __call__(self, chosen: Mapping[str, Any]) -> bool:
        variant = TE_VARIANTS[self.variant]
        parameters = space.parameters_of(variant, {name: chosen[name].val for name in chosen})
        layer = self.layer
        refusal = space.tuning_refusal(
            variant, layer.conv, sizes_of(layer), parameters, self.machine
        )
        return refusal is None


def point_of(variant: Variant, config: Any) -> dict[str, int] | None:
    """What a configuration of AutoTVM says about a variant; None if it is of something else."""
    names = space.names_of(variant)
    if set(config) != set(names):
        return None
    values = {name: getattr(config[name], "val", None) for name in names}
    whole = {name: value for name, value in values.items() if isinstance(value, int)}
    return whole if len(whole) == len(names) else None


class _Template:
    """The function that AutoTVM calls, with a configuration or to learn the space."""

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        # AutoTVM copies what a function has; and a worker finds this one again by its name.
        self.__name__ = self.__qualname__ = task_name(variant)

    def __reduce__(self) -> Any:
        return _template, (self.variant.name,)

    def __call__(self, x: te.Tensor, weight: te.Tensor, *attributes: Any) -> Any:
        variant = self.variant
        layer = layer_of(*(tuple(map(int, t.shape)) for t in (x, weight)), *attributes)
        machine = machine_of(Target.current())
        config = autotvm.get_config()
        values = space.fields(variant, layer.conv, sizes_of(layer), machine)
        for name, candidates in values.items():
            config.define_knob(name, list(candidates))
        config.multi_filter(Feasible(variant.name, layer, machine))
        # Of the layer, which is the same for all variants.
        batch, _, height, width = layer.shape
        config.add_flop(2 * layer.conv.multiply_adds(batch, height, width))
        if isinstance(config, autotvm.ConfigEntity):
            parameters = space.parameters_of(variant, {n: config[n].val for n in values})
        else:
            parameters = variant.choose(layer.conv, sizes_of(layer), machine)
        packed = te.placeholder(
            variant.packed_shape(layer.conv, parameters), dtype=DTYPE, name="packed"
        )
        out = variant.compute(layer.conv, parameters, x, packed)
        return variant.schedule(out, layer.conv, parameters, layer.shape), [x, packed, out]


def _template(name: str) -> _Template:
    return _Template(TE_VARIANTS[name])
