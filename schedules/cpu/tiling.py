"""Tile sizes of the REVD2 template: the numbers.

``tiling_choice`` chooses them for a machine, by what they cost (``tiling_cycles``).
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d, stepped
from tvm_deconv.schedules.typical import TYPICAL_LENGTHS, TYPICAL_SIZES
from tvm_deconv.schedules.variant import Sizes

from .machine import CpuMachine

# Below this many multiply-adds for each core, waking the other cores costs more than they save:
# a parallel region costs about 5 us, in which one core does about 0.25 M multiply-adds.
MIN_WORK_PER_THREAD = 250_000

# runtime::kMaxStackAlloca of TVM 0.27.
STACK_BYTES = 1024


@dataclass(frozen=True)
class Tiling:
    """Sizes of the loop nest in ``revd2``; the other variants that tile by it say what differs.

    The register tile is ``channels`` x (phases: ``stride_w``, and ``stride_h`` too if ``inner_fh``)
    x ``vectors`` accumulators of ``lanes`` columns. A strip has ``rows`` block rows and
    ``column_tiles`` register tiles; ``channel_splits`` strips of equal place run in parallel, each
    with its share of the output channels. ``unroll_fh`` writes out the phases in height around the
    reduction, ``unroll_th`` the taps in height within it. ``weight_vectors`` loads the weights of a
    tap ``lanes`` at a time.

    ``channels`` is at most the channels of a group (rounded up to a power of two in ``revd``), and
    ``channel_splits`` divides the tiles that these make.
    """

    lanes: int
    vectors: int
    channels: int
    rows: int
    column_tiles: int
    inner_fh: bool = False
    unroll_fh: bool = False
    unroll_th: bool = True
    channel_splits: int = 1
    parallel: bool = True
    weight_vectors: bool = False

    @property
    def tile_columns(self) -> int:
        return self.vectors * self.lanes

    @property
    def block_columns(self) -> int:
        return self.column_tiles * self.tile_columns


@dataclass(frozen=True)
class RegisterTile:
    """Sums that are in registers at once, as ``Tiling`` says."""

    lanes: int
    vectors: int
    channels: int
    inner_fh: bool

    @property
    def columns(self) -> int:
        return self.lanes * self.vectors

    def accumulators(self, conv: ConvTranspose2d) -> int:
        phases = conv.w.stride * (conv.h.stride if self.inner_fh else 1)
        return phases * self.vectors * self.channels

    def weights_per_load(self, conv: ConvTranspose2d, machine: CpuMachine) -> int:
        """Weights of one tap that one load brings."""
        whole_vectors = conv.w.stride * self.channels % self.lanes == 0
        return self.lanes if machine.multiplies_by_lane and whole_vectors else 1


@dataclass(frozen=True)
class Strip:
    """What of a layer a thread computes at a time, in register tiles."""

    rows: int
    column_tiles: int
    channel_splits: int


def block_columns(conv: ConvTranspose2d, sizes: Sizes) -> list[int]:
    """Block columns to do well on: those of the width, or typical ones."""
    if sizes.width is not None:
        return [conv.w.blocks(sizes.width)]
    return list(TYPICAL_LENGTHS if sizes.height == 1 else TYPICAL_SIZES)


def lanes_of(machine: CpuMachine) -> list[int]:
    """Lanes of the vectors that a machine has; a machine of single floats has the one."""
    return [n for n in (32, 16, 8, 4) if n <= machine.lanes] or [1]


def distinct_columns(conv: ConvTranspose2d) -> int:
    """Column offsets at which the taps of one row read the input."""
    return conv.w.halo_extent // max(conv.w.tap_step, 1) + 1


def blocks_of(axis: Axis, step: int, size: int) -> int:
    """Block rows or columns that are computed for an input of ``size``."""
    return max(1, stepped(axis.blocks(size), step))


def distinct_rows(conv: ConvTranspose2d) -> int:
    """Rows of the input that the phases of a block read together."""
    return conv.h.halo_extent // max(conv.h.tap_step, 1) + 1


def round_up(size: int, unit: int) -> int:
    """The next multiple of ``unit``: of numbers alone, for loops over thousands of tiles."""
    return -(-size // unit) * unit
