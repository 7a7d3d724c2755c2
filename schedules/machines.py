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
from tvm_deconv.schedules.cpu.integer.winograd.variant import PointsVariant
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.cpu.variants import IN_HALF, VARIANTS
from tvm_deconv.schedules.gpu.machine import GpuMachine
from tvm_deconv.schedules.gpu.variants import GPU_IN_HALF, GPU_VARIANTS

from .variant import ACCUMULATE_DTYPE, HALF, Variant

Machine: TypeAlias = CpuMachine | GpuMachine
# What computes a layer, of floats or of bytes.
AnyVariant: TypeAlias = Variant | IntegerVariant

_VARIANTS: dict[type, Mapping[str, Variant]] = {CpuMachine: VARIANTS, GpuMachine: GPU_VARIANTS}
_IN_HALF: dict[type, Mapping[str, Variant]] = {CpuMachine: IN_HALF, GpuMachine: GPU_IN_HALF}


def variants_for(machine: Machine, accumulate: str = ACCUMULATE_DTYPE) -> Mapping[str, Variant]:
    """The variants of this kind of machine by name, in the order in which a tie is decided.

    With sums of ``accumulate`` those that have such a form, and as others those in float32, for
    layers that the former refuse; the rest sum in float32.
    """
    variants = _VARIANTS[type(machine)]
    if accumulate != HALF:
        return variants
    halved = _IN_HALF[type(machine)]
    others = {f"{name} in {ACCUMULATE_DTYPE}": variants[name] for name in halved}
    return {**variants, **halved, **others}


def variants_of_dtype(machine: Machine, dtype: str) -> Mapping[str, AnyVariant]:
    """Those that a layer is tuned in, of floats or of bytes; GPUs' kernels of bytes are not."""
    operands = operands_of(dtype)
    if operands is None:
        return variants_for(machine)
    if not isinstance(machine, CpuMachine):
        return {}
    points = PointsVariant(machine.wide)
    return {INTEGER: integer_variant(machine, operands[1]), points.name: points}


def all_variants(machine: Machine) -> list[AnyVariant]:
    """Those of every dtype, of each name one."""
    floats = list(variants_for(machine).values())
    return [*floats, *variants_of_dtype(machine, dtype_of_layer("uint8", "int8")).values()]


def variant_names() -> list[str]:
    """Names of the variants of all kinds of machines, each once: some may lack some."""
    return list(dict.fromkeys(name for variants in _VARIANTS.values() for name in variants))
