"""What an integer convolution is: its geometry, form and store, and how its operands are packed.

The sums are of ``x + shift``; ``corrections`` takes ``(zero point + shift) * sum of the weights``
off, the same for each pixel because borders hold the zero point, too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.known_weights import phase_sums
from tvm_deconv.schedules.cpu.dot import Dot

from .tile import Tile, depth_of, folded_taps

Dim = Any
# How many ``Sum.values``, ``Store.numbers`` and ``Integer.points`` are.
SUM_VALUES = 7
NUMBERS = 3
POINTS = 3
# A phase and one of its taps: (f_h, f_w, k_h, and k_w for each tap of a word, -1 for none).
Read: TypeAlias = tuple[int, int, int, tuple[int, ...]]


@dataclass(frozen=True)
class Sum:
    """Bytes that are added to those of a store, and what the sum is stored as.

    y = quantize(act(dequantize(own) + dequantize(other))), all of one scale each. ``other`` and
    ``dtype`` are the types of what is added and of y. The scales are a parameter of the kernel, so
    that the blocks of a network share one (``values``).
    """

    other: str
    dtype: str

    def values(
        self,
        scales: tuple[float, float, float],
        zero_points: tuple[int, int, int],
        low: float,
        high: float,
    ) -> np.ndarray:
        """The parameter, for scales and zero points of own, other and y; act are two bounds.

        [z_own, s_own/s_y, z_other, s_other/s_y, low, high, z_y], bounds in units of y less z_y.
        """
        own, other, y = scales
        bounds = bounds_of(self.dtype, zero_points[2], low / y, high / y)
        z_own, z_other, z_y = zero_points
        return np.array([z_own, own / y, z_other, other / y, *bounds, z_y], "float32")


@dataclass(frozen=True)
class Store:
    """What is made of a sum: ``scale * sum + shift``, sloped below 0, held within bounds.

    ``dtype`` is uint8 or int8, for which values are rounded and a zero point is added, or float32.
    ``has_shift`` and ``has_slope`` say that the kernel has a parameter for them. With ``is_value``
    what is stored is not a byte, but the float32 that it stands for. ``sum`` is what is added to
    the bytes, which then are not stored themselves. Bounds, zero point and what a byte stands for
    are parameters (``numbers``).
    """

    dtype: str
    has_shift: bool = False
    has_slope: bool = False
    is_value: bool = False
    sum: Sum | None = None

    @property
    def result(self) -> str:
        """The dtype of what is stored."""
        if self.is_value:
            return "float32"
        return self.dtype if self.sum is None else self.sum.dtype

    def numbers(
        self,
        zero_point: int = 0,
        low: float = -np.inf,
        high: float = np.inf,
        scale: float = 1,
    ) -> np.ndarray:
        """[low, high, scale]: bounds in units of the result less ``zero_point``; a unit."""
        return np.array([*bounds_of(self.dtype, zero_point, low, high), scale], "float32")


def bounds_of(dtype: str, zero_point: int, low: float, high: float) -> tuple[float, float]:
    """The bounds and those of ``dtype`` in one, of what is rounded or stored as float32."""
    if dtype == "float32":
        return low, high
    kind = np.iinfo(dtype)
    least, most = kind.min - zero_point, kind.max - zero_point
    return min(max(low, least), most), max(min(high, most), least)


@dataclass(frozen=True)
class OfBytes:
    """What kernels of a convolution of bytes have in common: geometry, kind of x, and products.

    Zero points, scales and weights are parameters, so that the layers of a network share one.
    """

    op: ConvTranspose2d
    dtype: str
    dot: Dot

    @property
    def shift(self) -> int:
        return self.dot.shift(self.dtype)

    @property
    def depth(self) -> int:
        """Words of channels that a group has."""
        return depth_of(self.op, self.dot)

    @property
    def held(self) -> int:
        """Channels that a word of x holds."""
        return self.dot.group

    def corrections(self, weights: np.ndarray, zero_point: int) -> np.ndarray:
        """(O, r_h, r_w): what the sums are too large by where x has ``zero_point``."""
        return (zero_point + self.shift) * phase_sums(self.op, weights)

    def points(self, zero_point: int, stored: int = 0) -> np.ndarray:
        """[a border's word, where x has ``zero_point``; the zero point ``stored`` of y; ``depth``].

        The last is for loops that LLVM should not write out (``Writer.depth``).
        """
        bits = self.dot.bits
        element = (zero_point + self.shift) & ((1 << bits) - 1)
        word = sum(element << (bits * i) for i in range(self.held))
        return np.array([word, stored % 2**32, self.depth], "uint32").view("int32")


@dataclass(frozen=True)
class OfBlocks(OfBytes, ABC):
    """Kernels of one group, in blocks of output channels: those of fewer products."""

    tile: Any
    store: Store

    @property
    @abstractmethod
    def count(self) -> int:
        """Products of an output channel for each word."""

    @property
    def blocks(self) -> int:
        """Of output channels."""
        return -(-self.op.out_channels // self.tile.channels)

    @property
    def words(self) -> int:
        """How many the packed weights are: as many more as may be loaded with the last one."""
        weights = self.blocks * self.tile.channels * self.depth * self.count
        return weights + self.dot.weights - 1

    @property
    def missing(self) -> tuple[int, int]:
        """Input and output channels that fill up words and blocks."""
        op = self.op
        inputs, outputs = self.depth * self.dot.group, self.blocks * self.tile.channels
        return inputs - op.in_channels, outputs - op.out_channels

    def lines(self, values: np.ndarray) -> np.ndarray:
        """(O, r_h, r_w) as the kernel reads it."""
        return np.ascontiguousarray(values).reshape(-1)


@dataclass(frozen=True)
class Integer(OfBytes):
    """One kernel that sums over taps as they are: its form and store."""

    tile: Tile
    store: Store

    @property
    def folded(self) -> int:
        """Neighbouring taps along the width that a word holds."""
        return folded_taps(self.op, self.dot)

    @property
    def held(self) -> int:
        return self.dot.group if self.folded == 1 else self.op.group_inputs

    @property
    def tiles(self) -> int:
        """Tiles of channels that a group has."""
        return -(-self.op.group_outputs // self.tile.channels)

    @property
    def words(self) -> int:
        """How many the packed weights are: as many more as may be loaded with the last one."""
        channels = self.tile.channels * self.op.groups * self.tiles
        return len(self.order()) * self.depth * channels + self.dot.weights - 1

    @property
    def row_phases(self) -> tuple[tuple[int, ...], ...]:
        """Phases along the height whose sums are in registers at once."""
        phases = tuple(range(self.op.h.stride))
        return (phases,) if self.tile.joined else tuple((f,) for f in phases)

    def taps(self, row_phases: Sequence[int]) -> dict[tuple[int, int], list[Read]]:
        """By (row, column) of a packed input: what reads it."""
        op, found = self.op, dict[tuple[int, int], list[Read]]()
        for fh, fw in product(row_phases, range(op.w.stride)):
            columns, count = op.w.taps(fw), self.folded
            for th, i in product(op.h.taps(fh), range(0, len(columns), count)):
                at = th.offset - op.h.halo[0], columns[i].offset - op.w.halo[0]
                word = [tap.k for tap in columns[i : i + count]]
                word += [-1] * (count - len(word))
                found.setdefault(at, []).append((fh, fw, th.k, tuple(word)))
        return dict(sorted(found.items()))

    def order(self) -> list[Read]:
        """Phases and taps in the order of the weights of one word."""
        return [one for rows in self.row_phases for at in self.taps(rows).values() for one in at]

    def pack(self, weights: np.ndarray) -> np.ndarray:
        """IOHW integers as words: [tile of channels][row phases][word of ic][tap][channel]."""
        op, group, channels = self.op, self.dot.group, self.tile.channels
        by_group = weights.reshape(op.groups, op.group_inputs, *weights.shape[1:])
        widths = [(0, 0)] * 5
        widths[1] = (0, self.depth * self.held - op.group_inputs)
        widths[2] = (0, self.tiles * channels - op.group_outputs)
        # For the taps that there are none of.
        widths[4] = (0, 1)
        full = np.pad(by_group, widths)
        full = full.reshape(op.groups, self.depth, self.held, self.tiles, channels, *full.shape[3:])
        # [g][tile][word][k_h][k_w][channel][element]
        full = full.transpose(0, 3, 1, 5, 6, 4, 2)
        parts = []
        for rows in self.row_phases:
            taps = [one for at in self.taps(rows).values() for one in at]
            kh = np.array([one[2] for one in taps], np.intp)
            kw = np.array([one[3] for one in taps], np.intp).reshape(-1, self.folded)
            elements = np.concatenate([full[:, :, :, kh, column] for column in kw.T], axis=-1)
            missing = [(0, 0)] * 5 + [(0, group - elements.shape[-1])]
            words = self.dot.words(np.pad(elements, missing))
            parts.append(words.reshape(op.groups * self.tiles, -1))
        flat = np.concatenate(parts, axis=1).reshape(-1)
        return np.pad(flat, (0, self.words - flat.size))

    def lines(self, values: np.ndarray) -> np.ndarray:
        """(O, r_h, r_w) as the kernel reads it: [tile of channels][f_h][f_w][channel]."""
        op, channels = self.op, self.tile.channels
        full = values.reshape(op.groups, op.group_outputs, *values.shape[1:])
        full = np.pad(full, [(0, 0), (0, self.tiles * channels - op.group_outputs), (0, 0), (0, 0)])
        full = full.reshape(op.groups, self.tiles, channels, *values.shape[1:])
        return np.ascontiguousarray(full.transpose(0, 1, 3, 4, 2)).reshape(-1)
