"""What a kernel by Winograd's form is, and how its weights are packed.

The algebra is ``tvm_deconv.algebra.exact_winograd``. Transforms are linear, so samples need no zero
point taken off: what it adds to a sum is what it adds to one of the direct form.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tvm_deconv.algebra.exact_winograd import Products, products_of, transformed
from tvm_deconv.schedules.cpu.integer.kernel import OfBlocks, Store

from .tile import PointsTile


@dataclass(frozen=True)
class WinogradInteger(OfBlocks):
    """One kernel; ``shared`` says that phases of two taps have equal sums, hence products."""

    tile: PointsTile
    store: Store
    shared: bool

    @cached_property
    def products(self) -> tuple[Products, Products]:
        """Of height and width."""
        return products_of(self.op, self.shared)

    @property
    def count(self) -> int:
        return self.products[0].count * self.products[1].count

    @property
    def points_count(self) -> int:
        """Transformed samples of a tile."""
        return self.products[0].scheme.points * self.products[1].scheme.points

    def pack(self, weights: np.ndarray) -> np.ndarray:
        """IOHW integers as words: [block][product][word of ic][channel]."""
        op, group, channels = self.op, self.dot.group, self.tile.channels
        made = transformed(op, weights, self.shared)
        full = np.pad(made, [(0, 0), (0, 0), *((0, missing) for missing in self.missing)])
        full = full.reshape(self.count, self.depth, group, self.blocks, channels)
        words = self.dot.words(full.transpose(3, 0, 1, 4, 2)).reshape(-1)
        return np.pad(words, (0, self.words - words.size))
