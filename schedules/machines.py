"""From a machine description to the variants that it can run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.gpu.machine import GpuMachine
from tvm_deconv.schedules.gpu.variants import GPU_VARIANTS

from .variant import Variant

Machine: TypeAlias = CpuMachine | GpuMachine

_VARIANTS: dict[type, Mapping[str, Variant]] = {CpuMachine: VARIANTS, GpuMachine: GPU_VARIANTS}


def variants_for(machine: Machine) -> Mapping[str, Variant]:
    """The variants of this kind of machine by name, in the order in which a tie is decided."""
    return _VARIANTS[type(machine)]


def variant_names() -> list[str]:
    """Names of the variants of all kinds of machines, each once: some may lack some."""
    return list(dict.fromkeys(name for variants in _VARIANTS.values() for name in variants))
