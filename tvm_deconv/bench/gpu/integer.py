"""Compiles one layer of bytes, and keeps what its kernel is called with beside it.

Operands are packed here, where TVM's compiler is: the run only uploads them. So both draw the same
numbers, with one seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from tvm import tirx
from tvm.target import Target

from tvm_deconv.algebra.byte_forms import Forms
from tvm_deconv.algebra.integers import weight_dtype
from tvm_deconv.backends import machine_of
from tvm_deconv.patterns.graph import Refused
from tvm_deconv.schedules.choice import Preferences
from tvm_deconv.schedules.cpu.integer.kernel import Store
from tvm_deconv.schedules.cpu.integer.variant import dtype_of_layer
from tvm_deconv.schedules.gpu.integer.kernel import FORMS, GpuInteger
from tvm_deconv.schedules.gpu.machine import GpuMachine
from tvm_deconv.schedules.gpu.tile import GpuTile
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.transform.lower.integer_choice import IntegerKernel, function_of, integer_kernel
from tvm_deconv.workloads.spec import LayerSpec

from .eight_bits import SEED, ZERO_POINT, EightBits
from .kernel import ENTRY
from .layer import per_phase
from .points import points

INTEGER = "integer"


def kernel_of(
    spec: LayerSpec, target: Target, point: Mapping[str, int] | None = None
) -> IntegerKernel | Refused:
    """The kernel that a user gets for the layer; Refused where it is computed in float32.

    ``point`` is the tile of another, of the same form.
    """
    bits = EightBits.draw(spec, SEED)
    held_as = weight_dtype(bits.deconv_weights)
    assert held_as is not None, "a few bytes add up to each"
    batch, _, height, width = spec.geometry_shape
    store = Store("uint8", has_slope=bits.slope is not None)
    chosen = integer_kernel(
        spec.geometry(),
        dtype_of_layer("uint8", held_as),
        store,
        Sizes(batch, height, width),
        machine_of(target),
        Preferences(winograd=False),
        Forms(),
    )
    if isinstance(chosen, Refused):
        return chosen
    kernel, _ = chosen
    if isinstance(kernel, GpuInteger) and point is not None:
        return replace(kernel, tile=GpuTile(**point))
    return kernel


def candidates(
    kernel: IntegerKernel, spec: LayerSpec, target: Target, count: int
) -> list[dict[str, int]]:
    """Tiles to try beside that of a GPU's kernel, as ``points`` draws them."""
    machine = machine_of(target)
    if not (isinstance(kernel, GpuInteger) and isinstance(machine, GpuMachine)):
        return []
    batch, _, height, width = spec.geometry_shape
    sizes, scalar = Sizes(batch, height, width), replace(machine, lanes=1)
    return points(FORMS[kernel.form], kernel.words, sizes, scalar, count)


def scheduled(kernel: IntegerKernel, spec: LayerSpec) -> tirx.PrimFunc:
    """The function of a kernel for the layer's input."""
    return function_of(kernel, spec.geometry_shape).with_attr("global_symbol", ENTRY)


def arrays_of(kernel: IntegerKernel, bits: EightBits) -> list[np.ndarray]:
    """What the kernel is called with between x and y."""
    weights = bits.deconv_weights
    bias = per_phase(bits.layer, bits.bias) - kernel.corrections(weights, ZERO_POINT)
    scales = per_phase(bits.layer, bits.scales)
    arrays = [
        kernel.pack(weights),
        kernel.points(ZERO_POINT, ZERO_POINT),
        kernel.lines(bias).astype("int32"),
        kernel.lines(scales),
        kernel.store.numbers(ZERO_POINT, low=bits.low),
    ]
    if bits.slope is not None:
        arrays.append(kernel.lines(np.full_like(scales, bits.slope)))
    return arrays


def keep(arrays: list[np.ndarray], path: Path) -> None:
    """Write arrays to a file, in their order (``ours`` reads it)."""
    np.savez(path, *arrays)
