"""From a target to a machine description, and from that to the variants that it can run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from tvm.target import Target

from tvm_deconv.schedules.cpu.machine import CpuMachine, cpu_machine
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.gpu.machine import GpuMachine, gpu_machine
from tvm_deconv.schedules.gpu.variants import GPU_VARIANTS

from .variant import Variant

Machine: TypeAlias = CpuMachine | GpuMachine

_VARIANTS: dict[type, Mapping[str, Variant]] = {CpuMachine: VARIANTS, GpuMachine: GPU_VARIANTS}


def machine_of(target: Target) -> Machine:
    """The machine that ``target`` compiles for. Raises TargetError for one without schedules."""
    return cpu_machine(target) if "cpu" in target.keys else gpu_machine(target)


def variants_for(machine: Machine) -> Mapping[str, Variant]:
    """The variants of this kind of machine by name, in the order in which a tie is decided."""
    return _VARIANTS[type(machine)]


def variant_names() -> list[str]:
    """Names of the variants of all kinds of machines, each once: some may lack some."""
    return list(dict.fromkeys(name for variants in _VARIANTS.values() for name in variants))
