"""From a machine description to the variants that it can run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from tvm_deconv.schedules.cpu.integer.variant import (
    INTEGER,
    IntegerVariant,
    dtype_of_layer,
    integer_variant,
    operands_of,
)
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.gpu.machine import GpuMachine
from tvm_deconv.schedules.gpu.variants import GPU_VARIANTS

from .variant import Variant

Machine: TypeAlias = CpuMachine | GpuMachine
# What computes a layer, of floats or of bytes.
AnyVariant: TypeAlias = Variant | IntegerVariant

_VARIANTS: dict[type, Mapping[str, Variant]] = {CpuMachine: VARIANTS, GpuMachine: GPU_VARIANTS}


def variants_for(machine: Machine) -> Mapping[str, Variant]:
    """The variants of this kind of machine by name, in the order in which a tie is decided."""
    return _VARIANTS[type(machine)]


def variants_of_dtype(machine: Machine, dtype: str) -> Mapping[str, AnyVariant]:
    """Those that a layer is tuned in, of floats or of bytes; GPUs' kernels of bytes are not."""
    operands = operands_of(dtype)
    if operands is None:
        return variants_for(machine)
    if not isinstance(machine, CpuMachine):
        return {}
    return {INTEGER: integer_variant(machine, operands[1])}


def all_variants(machine: Machine) -> list[AnyVariant]:
    """Those of every dtype, of each name one."""
    floats = list(variants_for(machine).values())
    return [*floats, *variants_of_dtype(machine, dtype_of_layer("uint8", "int8")).values()]


def variant_names() -> list[str]:
    """Names of the variants of all kinds of machines, each once: some may lack some."""
    return list(dict.fromkeys(name for variants in _VARIANTS.values() for name in variants))
