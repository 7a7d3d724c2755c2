"""From a target to a machine description, and from that to the variants that it can run."""

from __future__ import annotations

from collections.abc import Mapping

from tvm.target import Target

from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.gpu.machine import GpuMachine, gpu_machine
from tvm_deconv.schedules.gpu.variants import GPU_VARIANTS

from .variant import Machine, Variant


def machine_of(target: Target) -> Machine:
    """The machine that ``target`` compiles for. Raises TargetError for one without schedules."""
    return cpu_machine(target) if "cpu" in target.keys else gpu_machine(target)


def variants_for(machine: Machine) -> Mapping[str, Variant]:
    """The variants of this kind of machine by name; both kinds have the same names."""
    return GPU_VARIANTS if isinstance(machine, GpuMachine) else VARIANTS
