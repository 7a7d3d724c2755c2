"""Parameters of the GPU loop nest that ``revd2`` and ``tdc`` share: the tile of a thread and of a
block of threads, and where operands wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_deconv.algebra.geometry import ConvTranspose2d

# ``stage_input``: read it where it lies, test for the border included; copy a block's part to
# shared memory; or have a kernel of its own copy it to global memory with its border.
READ, SHARED, COPY = range(3)


@dataclass(frozen=True)
class GpuTile:
    """One thread: ``channels`` output channels x ``rows`` x ``lanes`` block rows and columns.

    A block column or row is a position of the low-resolution grid, with ``stride`` outputs along
    each axis. ``lanes`` neighbouring columns are one vector. A block of threads has
    ``channel_threads`` x ``row_threads`` x ``column_threads`` of them, columns innermost.
    ``reduction`` input channels at a time are staged: the input as ``stage_input`` says, the
    weights in shared memory if ``stage_weights`` is 1, else (0) they are read where they lie.
    ``reduction`` divides the input channels of a group and, if there are several groups,
    ``block_channels`` divides the output channels of one.
    """

    channels: int
    rows: int
    lanes: int
    channel_threads: int
    row_threads: int
    column_threads: int
    reduction: int
    stage_input: int = SHARED
    stage_weights: int = 1

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.channel_threads * self.row_threads * self.column_threads

    @property
    def block_channels(self) -> int:
        """Output channels of a block of threads."""
        return self.channels * self.channel_threads

    @property
    def block_rows(self) -> int:
        """Block rows of a block of threads."""
        return self.rows * self.row_threads

    @property
    def block_columns(self) -> int:
        """Block columns of a block of threads."""
        return self.lanes * self.column_threads

    def input_elements(self, conv: ConvTranspose2d) -> int:
        """Input values, halo included, that a block stages at a time."""
        down, right = conv.step
        rows = reach(self.block_rows, down) + conv.h.uniform_extent
        return self.reduction * rows * (reach(self.block_columns, right) + conv.w.uniform_extent)

    def weight_elements(self, conv: ConvTranspose2d, phases: int) -> int:
        """Weights of ``phases`` phases that a block stages at a time."""
        taps = conv.h.max_taps * conv.w.max_taps
        return self.reduction * taps * phases * self.block_channels

    def shared_bytes(self, conv: ConvTranspose2d, phases: int) -> int:
        """Shared memory of a block; both operands are counted as float32."""
        staged = self.input_elements(conv) if self.stage_input == SHARED else 0
        staged += self.weight_elements(conv, phases) if self.stage_weights else 0
        return 4 * staged


def reach(count: Any, step: int) -> Any:
    """Samples from the first of ``count`` places to the last, ``step`` apart; int or expression."""
    return count if step == 1 else (count - 1) * step + 1
