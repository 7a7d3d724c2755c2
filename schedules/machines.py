"""From a machine description to the variants that it can run."""

from __future__ import annotations

from collections.abc import Mapping

from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.gpu.machine import GpuMachine
from tvm_deconv.schedules.gpu.variants import GPU_VARIANTS

from .variant import Machine, Variant


def variants_for(machine: Machine) -> Mapping[str, Variant]:
    """The variants of this kind of machine by name; both kinds have the same names."""
    return GPU_VARIANTS if isinstance(machine, GpuMachine) else VARIANTS
