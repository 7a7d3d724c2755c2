"""Which kernel computes a layer of bytes, or why float32 does: no products, or fewer cycles.

On processors, integers take a product for each tap and word, or fewer (``byte_forms``). In float32
Winograd's form takes a quarter of the products of a 3x3, but the bytes have to become floats before
it and bytes again after it. Processors that multiply four bytes at a time are faster in integers;
those that multiply pairs of 16 bits, or single ones, in float32 where that has such a form and
integers have none.

GPUs compute them in integers wherever they have products of bytes; none of that has been timed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any, TypeAlias

from tvm import tirx

from tvm_deconv.algebra.byte_forms import Forms
from tvm_deconv.algebra.exact_winograd import name_of
from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.patterns.graph import Refused
from tvm_deconv.schedules.choice import Preferences, choose
from tvm_deconv.schedules.cpu.integer.depthwise.kernel import DepthwiseInteger
from tvm_deconv.schedules.cpu.integer.depthwise.planes import PlanesInteger
from tvm_deconv.schedules.cpu.integer.depthwise.write import write_depthwise
from tvm_deconv.schedules.cpu.integer.depthwise.write_planes import write_planes
from tvm_deconv.schedules.cpu.integer.kernel import Integer, Store
from tvm_deconv.schedules.cpu.integer.matmul.kernel import Matmul
from tvm_deconv.schedules.cpu.integer.matmul.pair import MatmulPair, write_pair
from tvm_deconv.schedules.cpu.integer.matmul.write import write_matmul
from tvm_deconv.schedules.cpu.integer.unfolded.kernel import UnfoldedInteger
from tvm_deconv.schedules.cpu.integer.unfolded.write import write_unfolded
from tvm_deconv.schedules.cpu.integer.variant import (
    INTEGER,
    integer_variant,
    operands_of,
)
from tvm_deconv.schedules.cpu.integer.winograd.kernel import WinogradInteger
from tvm_deconv.schedules.cpu.integer.winograd.variant import INTEGER_WINOGRAD, is_shared
from tvm_deconv.schedules.cpu.integer.winograd.write import write_winograd
from tvm_deconv.schedules.cpu.integer.write import write
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.gpu.integer.dot import dots_of
from tvm_deconv.schedules.gpu.integer.kernel import GpuInteger, choose_form
from tvm_deconv.schedules.gpu.machine import GpuMachine
from tvm_deconv.schedules.machines import Machine
from tvm_deconv.schedules.typical import means, of_model
from tvm_deconv.schedules.variant import Sizes

from .byte_forms import FormKernel, kernels_of

IntegerKernel: TypeAlias = Integer | FormKernel | GpuInteger

# Cycles of a vector of bytes that become floats, or the reverse, in a pass of its own.
_CONVERT = 12
# What float32 has to win by: neither estimate is better than that.
_CLEARLY = 0.9
# Of a cycle of float32's estimates, which count one vector, where AVX-512 multiplies two in one.
# Code for Skylake on an Intel Xeon takes a millisecond for 8.2 to 9.4 million of these, and for 3.7
# to 5.7 million of the estimates of pairs of int16; for AVX2 for 7 to 9 and 6 to 7 million.
_OF_TWO = 0.58


def multiplies_bytes(machine: Machine) -> bool:
    """Whether there are kernels of bytes for a machine at all."""
    return isinstance(machine, CpuMachine) or dots_of(machine) is not None


def integer_kernel(
    op: ConvTranspose2d,
    dtype: str,
    store: Store,
    sizes: Sizes,
    machine: Machine,
    preferences: Preferences,
    forms: Forms,
) -> tuple[IntegerKernel, str] | Refused:
    """The kernel of a layer of ``dtype``, such as ``uint8xint8``, and in words why this one.

    ``sizes`` are those of the input, ``forms`` what ``forms_of`` says of its weights. On a
    processor a tile is the fastest that the tuning log has for the layer, else the machine model's;
    Refused where float32 is faster by the model. On a GPU it is the model's; Refused where the GPU
    has no products of bytes, or no kernel fits.
    """
    operands = operands_of(dtype)
    assert operands is not None, dtype
    data, weight = operands
    if isinstance(machine, GpuMachine):
        return _gpu_kernel(op, data, weight, store, sizes, machine)
    if not preferences.winograd:
        forms = replace(forms, winograd=None)
    return _cpu_kernel(op, dtype, store, sizes, machine, preferences, forms)


def function_of(kernel: IntegerKernel | Matmul | MatmulPair, shape: Sequence[Any]) -> tirx.PrimFunc:
    """The scheduled function of a kernel for an input of ``shape``; of a pair, N is behind it."""
    if isinstance(kernel, Matmul):
        return write_matmul(kernel, shape)
    if isinstance(kernel, MatmulPair):
        return write_pair(kernel, shape[:-1], shape[-1])
    if isinstance(kernel, GpuInteger):
        return kernel.write(tuple(shape))
    if isinstance(kernel, WinogradInteger):
        return write_winograd(kernel, shape)
    if isinstance(kernel, UnfoldedInteger):
        return write_unfolded(kernel, shape)
    if isinstance(kernel, DepthwiseInteger):
        return write_depthwise(kernel, shape)
    if isinstance(kernel, PlanesInteger):
        return write_planes(kernel, shape)
    return write(kernel, shape)


def _gpu_kernel(
    op: ConvTranspose2d, data: str, weight: str, store: Store, sizes: Sizes, machine: GpuMachine
) -> tuple[GpuInteger, str] | Refused:
    dots = dots_of(machine)
    if dots is None:
        return Refused(f"{machine.name} has no product of four bytes at a time")
    narrow, wide = dots
    dot = narrow if weight == "int8" else wide
    chosen = choose_form(op, dot, sizes, machine)
    if isinstance(chosen, str):
        return Refused(chosen)
    form, tile, cycles = chosen
    reason = (
        f"{of_model(sizes.is_free)}: {INTEGER} {cycles / 1e6:.3g} Mcycles, in the loops of {form}"
    )
    return GpuInteger(op, data, dot, form, tile, store), reason


def _cpu_kernel(
    op: ConvTranspose2d,
    dtype: str,
    store: Store,
    sizes: Sizes,
    machine: CpuMachine,
    preferences: Preferences,
    forms: Forms,
) -> tuple[IntegerKernel, str] | Refused:
    """A processor's kernel, and in words why this one.

    Where float32 or another form than Winograd's is faster by the model, the log does not count:
    such a layer is not tuned in integers.
    """
    data, weight = operands_of(dtype) or ("", "")
    variant = integer_variant(machine, weight)
    refusal = variant.cannot(op)
    if refusal is not None:
        return Refused(refusal)
    tile = variant.choose(op, sizes, machine)
    direct = variant.cycles(op, sizes, tile, machine)
    kernels = kernels_of(op, data, variant.dot, store, sizes, machine, forms)
    others = sorted(kernels, key=itemgetter(1))
    cycles = min([direct, *(other for _, other, _ in others)])
    # Fewer products at a time than float32 has with Winograd's form, or of depthwise layers.
    if variant.dot.group < 4:
        slower = _why_float32(op, sizes, cycles, variant.dot.name, machine, preferences.winograd)
        if slower:
            return Refused(slower)
    expected = f"{of_model(sizes.is_free)}: {INTEGER} {cycles / 1e6:.3g} Mcycles"
    fastest = others[0][0] if cycles < direct else None
    # As of floats, layers with a step are not tuned.
    log = preferences.log if op.step == (1, 1) and is_tuned(fastest) else None
    for row in log.lookup(op, sizes, dtype) if log else ():
        if row.variant == INTEGER:
            return Integer(op, data, variant.dot, row.parameters, store), row.reason
        # Other weights of this layer may have the form, and products in common.
        if row.variant == INTEGER_WINOGRAD and forms.winograd is is_shared(op):
            tuned = WinogradInteger(op, data, machine.wide, row.parameters, store, is_shared(op))
            return tuned, f"{row.reason}, by {name_of(op)}"
    if fastest is None:
        return Integer(op, data, variant.dot, tile, store), expected
    more = (f"{other / 1e6:.3g} {by}" for _, other, by in others[1:])
    reason = f"{expected} {others[0][2]}"
    return fastest, ", ".join([reason, *more, f"{direct / 1e6:.3g} tap by tap"])


def is_tuned(kernel: IntegerKernel | None) -> bool:
    """Whether a log decides where the model takes ``kernel``, or tap by tap if it is None."""
    return kernel is None or isinstance(kernel, Integer | WinogradInteger)


def _why_float32(
    op: ConvTranspose2d, sizes: Sizes, own: float, dot: str, machine: CpuMachine, winograd: bool
) -> str:
    """Why the layer is left to float32, in words; empty where it is not.

    ``sizes`` are those of the input, ``own`` the cycles of integers; ``winograd`` is whether that
    form may be taken.
    """
    choice = choose(op, sizes, "float32", machine, Preferences(winograd=winograd))
    plain = choice.variant.cycles(op, sizes, choice.parameters, machine)
    converted = _CONVERT * (_values(op, sizes) / machine.lanes) / machine.threads
    if machine.has_wide_avx512:
        plain, converted = _OF_TWO * plain, _OF_TWO * converted
    if plain + converted > _CLEARLY * own:
        return ""
    return (
        f"it is faster by the {of_model(sizes.is_free)}: {choice.variant.name} {plain / 1e6:.3g} "
        f"Mcycles and {converted / 1e6:.3g} to convert, integers by {dot} {own / 1e6:.3g}"
    )


def _values(op: ConvTranspose2d, sizes: Sizes) -> float:
    """What is read and written."""
    height, width = means(sizes)
    read = op.in_channels * height * width
    written = op.out_channels * op.h.output_size(height) * op.w.output_size(width)
    return (sizes.batch or 1) * (read + written)
