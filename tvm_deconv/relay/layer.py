"""Reading ``nn.conv2d_transpose`` of Relay: its geometry, and which variant computes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from tvm import tir
from tvm.target import Target

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.errors import GeometryError, VariantError
from tvm_deconv.patterns.layouts import four_paddings
from tvm_deconv.schedules import llvm
from tvm_deconv.schedules.choice import Choice, Preferences, Row, choose
from tvm_deconv.schedules.cpu.machine import CpuMachine, cpu_machine
from tvm_deconv.schedules.te.layouts import NCHW, NHWC, permuted
from tvm_deconv.schedules.te.variants import TE_VARIANTS
from tvm_deconv.schedules.variant import Sizes

DTYPE = "float32"
LAYOUTS, KERNEL_LAYOUT = (NCHW, NHWC), "IOHW"


@dataclass(frozen=True)
class Layer:
    """A transposed convolution and the shape of its input, always in the order NCHW.

    ``layout`` is that of input and output in memory.
    """

    conv: ConvTranspose2d
    shape: tuple[int, int, int, int]
    layout: str = NCHW

    @property
    def out_shape(self) -> tuple[int, int, int, int]:
        """Of the output, in the order NCHW."""
        batch, _, height, width = self.shape
        return self.conv.output_shape(batch, height, width)


def read(attrs: Any, data: Any, kernel: Any, out_dtype: str) -> Layer | str:
    """The layer of a call with these attributes; in words why it is left to TVM, if it is.

    ``data`` and ``kernel`` are the types of the arguments, or tensors.
    """
    layout = str(attrs.data_layout)
    kernel_layout, out_layout = str(attrs.kernel_layout), str(attrs.out_layout or layout)
    if layout not in LAYOUTS or (kernel_layout, out_layout) != (KERNEL_LAYOUT, layout):
        return (
            f"layouts are {layout}, {kernel_layout} and {out_layout}, not {' or '.join(LAYOUTS)}, "
            f"{KERNEL_LAYOUT} and as the input's"
        )
    if {str(data.dtype), str(kernel.dtype), out_dtype} != {DTYPE}:
        return f"dtypes are {data.dtype}, {kernel.dtype} and {out_dtype}, not {DTYPE}"
    stored, weight = static(data.shape), static(kernel.shape)
    if stored is None or weight is None:
        return f"the shapes {list(data.shape)} and {list(kernel.shape)} are not known"
    top, left, bottom, right = four_paddings(attrs.padding)
    (sh, sw), (dh, dw) = _ints(attrs.strides), _ints(attrs.dilation)
    oph, opw = _ints(attrs.output_padding)
    groups = int(attrs.groups)
    try:
        h = Axis(weight[2], sh, top, bottom, oph, dh)
        w = Axis(weight[3], sw, left, right, opw, dw)
        conv = ConvTranspose2d(weight[0], weight[1] * groups, h, w, groups)
    except GeometryError as error:
        return str(error)
    layer = Layer(conv, permuted(stored, layout, NCHW), layout)
    if min(*layer.shape, *layer.out_shape) < 1:
        return f"the output {list(layer.out_shape)} is empty"
    return layer


def has_schedules(target: Target) -> bool:
    """Whether there are variants for a target: CPUs that LLVM generates code for."""
    return str(target.kind.name) == "llvm" and "cpu" in target.keys


def machine_of(target: Target) -> CpuMachine:
    """The machine that kernels for a target are made for.

    Where a RISC-V processor has no vectors, one of single floats in 32 registers: there the LLVM of
    a vendor's TVM (hhb-tvm 3.2) ends the process at a vector instead of taking it apart.
    """
    machine = cpu_machine(target)
    triple = str(target.attrs.get("mtriple") or llvm.default_triple())
    if triple.startswith("riscv") and not llvm.has_feature(target, "v"):
        return replace(machine, name="scalar", lanes=1, vector_registers=32)
    return machine


def choose_for(layer: Layer, target: Target, variant: str, rows: tuple[Row, ...]) -> Choice | str:
    """The variant and its parameters; in words why there is none.

    ``rows`` are what was measured for the layer, best first.
    """
    try:
        return _choose(layer, machine_of(target), variant, _Measured(rows))
    except VariantError as error:
        return str(error)


@dataclass(frozen=True)
class _Measured:
    """A tuning log of one layer."""

    rows: tuple[Row, ...]

    def lookup(self, conv: ConvTranspose2d, sizes: Sizes, dtype: str) -> tuple[Row, ...]:
        return self.rows


@lru_cache(maxsize=256)
def _choose(layer: Layer, machine: CpuMachine, variant: str, log: _Measured) -> Choice:
    batch, _, height, width = layer.shape
    preferences = Preferences(variant=variant, variants=TE_VARIANTS, log=log)
    return choose(layer.conv, Sizes(batch, height, width), DTYPE, machine, preferences)


def _ints(values: Sequence[Any]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def static(dims: Sequence[Any]) -> tuple[int, ...] | None:
    """Dimensions as ints; None if one is free."""
    if not all(isinstance(dim, (int, tir.IntImm)) for dim in dims):
        return None
    return _ints(dims)
