"""How a variant uses a tile: the kernels that come of it, and what they ask of a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tvm_deconv.algebra.geometry import ConvTranspose2d, stepped
from tvm_deconv.schedules.algorithms.expressions import ceil_div
from tvm_deconv.schedules.typical import GPU_SIZE
from tvm_deconv.schedules.variant import Sizes

from .machine import GpuMachine
from .tile import COPY, GpuTile, reach


@dataclass(frozen=True)
class GpuForm:
    """How a variant uses a tile: on which layer of which size, and the phases that a thread holds.

    ``by_element`` says that a second kernel, of an element a thread, writes the output, and
    ``loops_taps`` that taps are outside, so that ``reduction`` matters also where nothing is
    staged. ``sums_in_shared`` gives the bytes of a block's shared memory where that holds the sums.
    """

    conv: ConvTranspose2d
    sizes: Sizes
    phases: int
    by_element: bool = False
    loops_taps: bool = False
    sums_in_shared: Callable[[ConvTranspose2d, GpuTile], int] | None = None

    @property
    def blocks(self) -> tuple[int, int]:
        """Block rows and columns of the output; typical ones where a size is not known."""
        return blocks(self.conv, self.sizes)

    def sums(self, tile: GpuTile) -> int:
        """Those that a thread has in registers; inputs, where the sums are in shared memory."""
        if self.sums_in_shared:
            return tile.reduction
        return tile.channels * tile.rows * tile.lanes * self.phases

    def shared_bytes(self, tile: GpuTile) -> int:
        """Shared memory of a block."""
        if self.sums_in_shared:
            return self.sums_in_shared(self.conv, tile)
        return tile.shared_bytes(self.conv, self.phases)

    def refusal(self, tile: GpuTile, machine: GpuMachine) -> str | None:
        """Why a device cannot start the kernels of a tile, in words; None if it can."""
        if tile.threads > machine.max_threads:
            return f"{tile.threads} threads of a block, more than {machine.max_threads}"
        shared = self.shared_bytes(tile)
        if shared > machine.shared_bytes:
            return f"{shared} bytes of shared memory, more than {machine.shared_bytes}"
        most = machine.most("blockIdx.y")
        if self.rows(tile) > most:
            return f"{self.rows(tile)} blocks along y, more than {most}"
        return None

    def rows(self, tile: GpuTile) -> int:
        """Blocks along y of the kernel that has the most; an unknown height counts as 1."""
        conv, height = self.conv, self.sizes.height or 1
        rows = ceil_div(stepped(conv.h.blocks(height), conv.step[0]), tile.block_rows)
        found = [rows]
        if tile.stage_input == COPY:
            found.append(reach(rows * tile.block_rows, conv.step[0]) + conv.h.uniform_extent)
        if self.by_element:
            found.append(stepped(conv.h.output_size(height), conv.step[0]))
        return max(found)


def blocks(conv: ConvTranspose2d, sizes: Sizes) -> tuple[int, int]:
    """Block rows and columns of the output; typical ones where a size is not known."""
    return (
        stepped(conv.h.blocks(sizes.height or GPU_SIZE), conv.step[0]),
        stepped(conv.w.blocks(sizes.width or GPU_SIZE), conv.step[1]),
    )
