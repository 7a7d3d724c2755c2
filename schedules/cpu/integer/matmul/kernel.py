"""What a product of matrices of bytes is, and how its constant operand is packed.

    y[..., m, n] = store(sum over k of (x[..., m, k] - z_x) * w[k, n])

A convolution of bytes has pixels side by side and vectors of them; a row of x has its channels side
by side, so here vectors are of columns of w, and a word of x is broadcast: packing x is a copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tvm_deconv.schedules.cpu.dot import Dot
from tvm_deconv.schedules.cpu.integer.kernel import Store

from .tile import MatmulTile, Tiled


@dataclass(frozen=True)
class Matmul(Tiled):
    """``inputs`` x ``outputs`` weights, kind of x, and store; all numbers are parameters.

    Weights and what belongs to columns come as those of a convolution do: values of a column are
    (N, 1, 1).
    """

    inputs: int
    outputs: int
    dtype: str
    dot: Dot
    tile: MatmulTile
    store: Store

    @property
    def tiles(self) -> int:
        return -(-self.outputs // self.wide)

    @property
    def words(self) -> int:
        """How many the packed weights are."""
        return self.tiles * self.depth * self.wide

    def pack(self, weights: np.ndarray) -> np.ndarray:
        """(K, N) integers as words: [tile of columns][word of k][column]."""
        group = self.dot.group
        beyond = self.depth * group - self.inputs, self.tiles * self.wide - self.outputs
        full = np.pad(weights, [(0, count) for count in beyond])
        full = full.reshape(self.depth, group, self.tiles, self.wide)
        return self.dot.words(full.transpose(2, 0, 3, 1)).reshape(-1)

    def lines(self, values: np.ndarray) -> np.ndarray:
        """(N, 1, 1) as the kernel reads it: with zeros for the columns that a tile has beyond."""
        return np.pad(values.reshape(-1), (0, self.tiles * self.wide - self.outputs))

    def corrections(self, weights: np.ndarray, zero_point: int) -> np.ndarray:
        """(N, 1, 1): what the sums are too large by where x has ``zero_point``."""
        sums = weights.astype(np.int64).sum(0)
        return (zero_point + self.dot.shift(self.dtype)) * sums.reshape(-1, 1, 1)

    def points(self, zero_point: int, stored: int = 0) -> np.ndarray:
        """[the zero point ``stored`` of y]; that of x is in the corrections."""
        return np.array([stored % 2**32], "uint32").view("int32")
