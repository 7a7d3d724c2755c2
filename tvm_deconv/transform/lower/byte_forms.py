"""Forms in which a processor computes a layer of bytes, besides tap by tap, and their cycles.

They give the same integers. Which of them a layer has its weights decide, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tvm_deconv.algebra import exact_winograd, unfolding
from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.cpu.integer.kernel import Store
from tvm_deconv.schedules.cpu.integer.unfolded.kernel import UnfoldedInteger
from tvm_deconv.schedules.cpu.integer.unfolded.tile import choose_unfolded_tile
from tvm_deconv.schedules.cpu.integer.winograd.kernel import WinogradInteger
from tvm_deconv.schedules.cpu.integer.winograd.tile import choose_points_tile
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.variant import Sizes

FormKernel: TypeAlias = WinogradInteger | UnfoldedInteger

_BITS = (8, 16)


@dataclass(frozen=True)
class Forms:
    """What a layer has: F(2x2, 2x2), and a resize that can be taken out of its kernel.

    ``winograd`` is whether phases share products in the former, ``unfolded`` how many bits hold the
    weights of the latter; None for a layer that has no such form.
    """

    winograd: bool | None = None
    unfolded: int | None = None


def forms_of(op: ConvTranspose2d, weights: np.ndarray) -> Forms:
    """Those of a layer with the IOHW integers ``weights``."""
    return Forms(_winograd_of(op, weights), _unfolded_of(op, weights))


def kernels_of(
    op: ConvTranspose2d,
    data: str,
    store: Store,
    sizes: Sizes,
    machine: CpuMachine,
    forms: Forms,
) -> Iterator[tuple[FormKernel, float, str]]:
    """Each with its cycles, and in words by what it computes. The tiles are the model's."""
    if forms.winograd is not None:
        tile, cycles = choose_points_tile(op, machine.wide, sizes, forms.winograd, machine)
        kernel = WinogradInteger(op, data, machine.wide, tile, store, forms.winograd)
        yield kernel, cycles, "by F(2x2, 2x2)"
    if forms.unfolded is not None:
        dot = machine.narrow if forms.unfolded == min(_BITS) else machine.wide
        unfolded, cycles = choose_unfolded_tile(op, dot, sizes, machine)
        yield UnfoldedInteger(op, data, dot, unfolded, store), cycles, "by unfolded taps"


def _winograd_of(op: ConvTranspose2d, weights: np.ndarray) -> bool | None:
    if exact_winograd.refusal(op) is not None:
        return None
    shared = exact_winograd.shares_sums(op, weights)
    return shared if exact_winograd.fits(op, weights, shared) else None


def _unfolded_of(op: ConvTranspose2d, weights: np.ndarray) -> int | None:
    kernel = None if unfolding.refusal(op) is not None else unfolding.unfolded(op, weights)
    if kernel is None:
        return None
    return next((bits for bits in _BITS if unfolding.fits(kernel, bits)), None)
