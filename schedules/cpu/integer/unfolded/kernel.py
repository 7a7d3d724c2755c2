"""What a kernel by unfolded taps is, and how its weights are packed.

The algebra is ``tvm_deconv.algebra.unfolding``. Each output adds up the sums of all taps, so what a
zero point adds to it is what it adds in the direct form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tvm_deconv.algebra.unfolding import taps, unfolded
from tvm_deconv.schedules.cpu.integer.kernel import OfBlocks, Store

from .tile import UnfoldedTile


@dataclass(frozen=True)
class UnfoldedInteger(OfBlocks):
    """One kernel; its weights are given as folded ones."""

    tile: UnfoldedTile
    store: Store

    @property
    def taps(self) -> tuple[int, int]:
        """Rows and columns of the unfolded kernel."""
        return taps(self.op.h), taps(self.op.w)

    @property
    def count(self) -> int:
        rows, columns = self.taps
        return rows * columns

    def pack(self, weights: np.ndarray) -> np.ndarray:
        """IOHW integers as words: [block][k_h][taps of k_w][word of ic][channel][tap]."""
        op, group, channels = self.op, self.dot.group, self.tile.channels
        kernel = unfolded(op, weights)
        assert kernel is not None
        full = np.pad(kernel, [*((0, missing) for missing in self.missing), (0, 0), (0, 0)])
        (rows, columns), taps = self.taps, self.tile.taps
        shape = self.depth, group, self.blocks, channels, rows, columns // taps, taps
        words = self.dot.words(full.reshape(shape).transpose(2, 4, 5, 0, 3, 6, 1)).reshape(-1)
        return np.pad(words, (0, self.words - words.size))
