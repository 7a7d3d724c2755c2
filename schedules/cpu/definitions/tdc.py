"""TDC before it is scheduled: stages, packing, parameters and their cost.

pad        x[n, c, i, j] with a zero border (rows and columns beyond the input read as 0)
phases     sum over channels and taps in registers, one stride-1 convolution per phase
planes     the sums of a whole strip in memory, a plane for each phase (fh, fw)
interleave planes -> high-resolution rows; pure data movement
edge       the same row in memory, for vectors that cross the right edge (absent if none does)
store      one output element each, the only stage with the output's exact shape
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import prod

from tvm import te

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.algebra.packing import Direct
from tvm_deconv.schedules.algorithms import stages
from tvm_deconv.schedules.algorithms.names import PLANES
from tvm_deconv.schedules.cpu.domain import domain_of
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.cpu.tiling import Tiling
from tvm_deconv.schedules.cpu.tiling_choice import choose_tiling, too_many_phases
from tvm_deconv.schedules.cpu.tiling_cycles import outputs_per_thread, tiling_cycles
from tvm_deconv.schedules.cpu.tiling_space import TilingForm, TilingSpace
from tvm_deconv.schedules.variant import Algorithm, Sizes

# Cycles to write a vector of sums to its plane, and to read, shuffle and store it again: fitted to
# the layers of ``tvm_deconv.workloads.design`` with many channels.
PASS_CYCLES = 12.0


def one_phase(conv: ConvTranspose2d) -> ConvTranspose2d:
    """The stride-1 convolution of the longest phase, which keeps the size of its input."""

    def axis(of: Axis) -> Axis:
        reach = of.tap_step * (of.max_taps - 1)
        return Axis(max(of.max_taps, 1), pad_begin=max(reach, 0), dilation=max(of.tap_step, 1))

    return replace(conv, h=axis(conv.h), w=axis(conv.w))


def choose(conv: ConvTranspose2d, sizes: Sizes, machine: CpuMachine) -> Tiling:
    """Tile sizes for a layer; a register tile belongs to one phase."""
    planes = conv.h.stride * conv.w.stride
    return choose_tiling(conv, sizes, machine, tiled=one_phase(conv), planes=planes)


def cycles(conv: ConvTranspose2d, sizes: Sizes, tile: Tiling, machine: CpuMachine) -> float:
    """Cycles of the busiest thread: those of the sums and those of the pass over the planes."""
    sums = tiling_cycles(conv, sizes, tile, machine, tiled=one_phase(conv))
    return sums + outputs_per_thread(conv, sizes, tile, machine) / tile.lanes * PASS_CYCLES


def packing(conv: ConvTranspose2d, tile: Tiling) -> Direct:
    """A phase after the other, each as those of ``revd2``."""
    return Direct(conv, "g fh fw o/n ic th tw o%n", tile.channels)


def compute(conv: ConvTranspose2d, tile: Tiling, x: te.Tensor, packed: te.Tensor) -> te.Tensor:
    """The algorithm: y (NCHW) from x (NCHW) and weights from ``pack_weights``; y has x's dtype."""
    shape = stages.shape_of(x)
    domain = domain_of(conv, tile, shape)
    weight = stages.weights_in(packed, packing(conv, tile))
    phases = stages.phase_sums(conv, domain, stages.padded(conv, domain, x), weight)
    planes = te.compute(phases.shape, phases, name=PLANES)
    rows = stages.interleaved(conv, planes)
    return stages.stored(conv, shape, x.dtype, domain, tile.lanes, rows)


@lru_cache(maxsize=256)
def _form(conv: ConvTranspose2d) -> TilingForm:
    phases = conv.h.stride * conv.w.stride
    copies = prod(axis.stride for axis in (conv.h, conv.w) if axis.is_uneven)
    return TilingForm(conv, one_phase(conv), planes=phases, copies=copies)


SPACE = TilingSpace(_form)

TDC = Algorithm(
    name="tdc",
    summary="a stride-1 convolution per phase, then an interleave",
    parameters=Tiling,
    space=SPACE,
    choose=choose,
    cycles=cycles,
    packing=packing,
    compute=compute,
    refusal=too_many_phases,
)
