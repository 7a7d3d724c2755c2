"""Kernels of a processor for a layer of bytes, besides that of tap by tap, and their cycles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from tvm_deconv.algebra.byte_forms import Forms
from tvm_deconv.algebra.exact_winograd import name_of
from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.cpu.dot import Dot
from tvm_deconv.schedules.cpu.integer.depthwise import planes
from tvm_deconv.schedules.cpu.integer.depthwise import tile as depthwise
from tvm_deconv.schedules.cpu.integer.depthwise.kernel import DepthwiseInteger
from tvm_deconv.schedules.cpu.integer.kernel import Store
from tvm_deconv.schedules.cpu.integer.unfolded.kernel import UnfoldedInteger
from tvm_deconv.schedules.cpu.integer.unfolded.tile import choose_unfolded_tile
from tvm_deconv.schedules.cpu.integer.winograd.kernel import WinogradInteger
from tvm_deconv.schedules.cpu.integer.winograd.tile import choose_points_tile
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.variant import Sizes

FormKernel: TypeAlias = WinogradInteger | UnfoldedInteger | DepthwiseInteger | planes.PlanesInteger


def kernels_of(
    op: ConvTranspose2d,
    data: str,
    dot: Dot,
    store: Store,
    sizes: Sizes,
    machine: CpuMachine,
    forms: Forms,
) -> Iterator[tuple[FormKernel, float, str]]:
    """Each with its cycles, and in words by what it computes. The tiles are the model's.

    ``dot`` is what multiplies tap by tap.
    """
    if depthwise.refusal(op, dot) is None:
        of_channel, cycles = depthwise.choose_depthwise_tile(op, dot, sizes, machine)
        yield DepthwiseInteger(op, data, dot, of_channel, store), cycles, "channel by channel"
    if planes.refusal(op, dot, sizes, machine) is None:
        of_map, cycles = planes.choose_planes(op, dot, sizes, machine)
        yield planes.PlanesInteger(op, data, dot, of_map, store), cycles, "map by map"
    if forms.winograd is not None:
        tile, cycles = choose_points_tile(
            op, machine.wide, sizes, forms.winograd, machine, store.dtype
        )
        kernel = WinogradInteger(op, data, machine.wide, tile, store, forms.winograd)
        yield kernel, cycles, f"by {name_of(op)}"
    if forms.unfolded is not None:
        own = machine.narrow if forms.unfolded == 8 else machine.wide
        unfolded, cycles = choose_unfolded_tile(op, own, sizes, machine)
        yield UnfoldedInteger(op, data, own, unfolded, store), cycles, "by unfolded taps"
