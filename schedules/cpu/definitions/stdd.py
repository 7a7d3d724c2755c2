"""STDD before it is scheduled: stages, packing, parameters and their cost.

    pad        x[n, c, i, j] with a zero border (rows and columns beyond the input read as 0)
    phases     the sums of a whole strip in memory, a plane for each phase (fh, fw)
    interleave planes -> high-resolution rows; pure data movement
    edge       the same row in memory, for vectors that cross the right edge (absent if none does)
    store      one output element each, the only stage with the output's exact shape

The sums are stated from the output's side; a schedule makes the loops input-stationary.
"""

from __future__ import annotations

from tvm import te

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.packing import Direct
from tvm_deconv.schedules.algorithms import stages
from tvm_deconv.schedules.cpu.domain import domain_of
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.cpu.tiling import Tiling
from tvm_deconv.schedules.cpu.tiling_choice import choose_strip
from tvm_deconv.schedules.cpu.tiling_cycles import outputs_per_thread, weight_cycles
from tvm_deconv.schedules.cpu.tiling_space import TilingSpace, sums_in_scratch
from tvm_deconv.schedules.variant import Algorithm, Sizes

from .tdc import PASS_CYCLES

# Input channels whose products are summed before they are added to the strip.
_TOGETHER = 4

# Low strips are wide ones: a row of many vectors is what hides the latency of its sums.
_MAX_ROWS = 4

# Cycles to fetch and copy a vector of input, halos included: 64->1 with a kernel of 2 and a stride
# of 2 takes 1.5 ms, of which 0.5 ms are multiply-adds.
_COPY = 18

# Taps that are written out at most: more take LLVM more than a few seconds.
_MAX_TAPS = 512

# Phases of a row, whose interleaving is written out: 100 take 8 seconds, 300 a minute.
_MAX_PHASES = 64


def together(conv: ConvTranspose2d) -> int:
    """Input channels that are read together: at most four, and a divisor of all."""
    return next(n for n in range(_TOGETHER, 0, -1) if conv.group_inputs % n == 0)


def refusal(conv: ConvTranspose2d, accumulate: str) -> str | None:
    """Why a layer has more code than anyone would wait for; None if it has not."""
    taps = conv.h.useful_taps * conv.w.useful_taps
    if taps > _MAX_TAPS:
        return f"{taps} taps would have to be written out, at most {_MAX_TAPS} are"
    if conv.w.stride > _MAX_PHASES:
        return f"a row has {conv.w.stride} phases that are written out, at most {_MAX_PHASES} are"
    return None


def choose(conv: ConvTranspose2d, sizes: Sizes, machine: CpuMachine) -> Tiling:
    """Tile sizes for a layer: strips whose input and sums stay in the level-2 cache."""
    return choose_strip(conv, sizes, machine, channels=1, max_rows=_MAX_ROWS)


def cycles(conv: ConvTranspose2d, sizes: Sizes, tile: Tiling, machine: CpuMachine) -> float:
    """Cycles of the busiest thread: loads and stores of the sums, and of the strip."""
    vectors = outputs_per_thread(conv, sizes, tile, machine) / tile.lanes
    taps = conv.h.useful_taps * conv.w.useful_taps / (conv.h.stride * conv.w.stride)
    adds = vectors * conv.group_inputs / together(conv) * taps
    inputs = vectors * conv.in_channels / (conv.out_channels * conv.h.stride * conv.w.stride)
    passes = vectors * PASS_CYCLES + inputs * _COPY
    passes += weight_cycles(conv, tile, machine)
    return adds * (3.0 + 1.5 * together(conv)) + passes


def packing(conv: ConvTranspose2d, tile: Tiling) -> Direct:
    """Weights of the input channels that are read together side by side."""
    return Direct(conv, "g ic/n o fh th fw tw ic%n", together(conv))


def compute(conv: ConvTranspose2d, tile: Tiling, x: te.Tensor, packed: te.Tensor) -> te.Tensor:
    """The algorithm: y (NCHW) from x (NCHW) and weights from ``pack_weights``; y has x's dtype."""
    shape = stages.shape_of(x)
    domain = domain_of(conv, tile, shape)
    weight = stages.weights_in(packed, packing(conv, tile))
    phases = stages.phase_sums(conv, domain, stages.padded(conv, domain, x), weight)
    rows = stages.interleaved(conv, phases)
    return stages.stored(conv, shape, x.dtype, domain, tile.lanes, rows)


def _one_channel(conv: ConvTranspose2d, tile: Tiling) -> str | None:
    if tile.channels != 1:
        return f"stdd has no tiles of channels, so channels is 1, not {tile.channels}"
    return None


SPACE = TilingSpace(sums_in_scratch, lambda conv, machine: {1}, _one_channel)

STDD = Algorithm(
    name="stdd",
    summary="input-stationary scatter, overlapping sums",
    parameters=Tiling,
    space=SPACE,
    choose=choose,
    cycles=cycles,
    packing=packing,
    compute=compute,
    refusal=refusal,
)
