"""Depthwise layers of small maps: a channel's whole map is one vector of 64 bytes.

AVX-512 VBMI puts the bytes of a vector into any order by one instruction (``vpermb``). So a word of
an output holds four taps, whichever they are, and a vector the words of every fourth output:

    word l of turn t = the four bytes that output t + 4 l reads at the taps 4 g, ..., 4 g + 3

A byte behind the map is the border. What the four turns store side by side is the map of outputs,
without a gap, whatever steps there are: nothing is copied row by row. 3x3 taps are 3 words and 12
instructions for each of both, products and orders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.cpu.dot import Dot
from tvm_deconv.schedules.cpu.integer.kernel import OfBytes, Store
from tvm_deconv.schedules.cpu.integer.tile import blocks_of
from tvm_deconv.schedules.variant import Sizes

if TYPE_CHECKING:
    from tvm_deconv.schedules.cpu.machine import CpuMachine

# Bytes of a vector, and of them those of a map: one is the border.
VECTOR, MOST_SAMPLES = 64, 63
_MOST_PLANES, _MOST_WORDS = 32, 16
# Cycles of a vector: of words that are put into order, of products, of outputs; and of a channel.
_ORDER, _PRODUCT, _OUTPUT, _CHANNEL = 1.0, 0.6, 4.0, 6.0


@dataclass(frozen=True)
class PlanesTile:
    """A piece of work has ``planes`` input channels."""

    planes: int


@dataclass(frozen=True)
class PlanesInteger(OfBytes):
    """One kernel, of groups of one input channel."""

    tile: PlanesTile
    store: Store

    @property
    def taps(self) -> list[tuple[int, int, int, int]]:
        """(k_h, k_w, row and column of the sample that the first output reads)."""
        h, w = self.op.h, self.op.w
        return [(a.k, b.k, a.offset, b.offset) for a in h.taps(0) for b in w.taps(0)]

    @property
    def words_of_channel(self) -> int:
        return _words_of_channel(self.op, self.dot)

    @property
    def words(self) -> int:
        """How many the packed weights are."""
        return self.op.out_channels * self.words_of_channel

    def order(self, word: int, turn: int, size: tuple[int, int]) -> list[int]:
        """Which bytes of a map of ``size`` the words of a turn are; ``MOST_SAMPLES`` is the border.

        Bytes that no weight or no output is for are any.
        """
        (height, width), group, taps = size, self.dot.group, self.taps
        (down, right), columns = self.op.step, _outputs(self.op, size)[1]
        made = []
        for lane in range(self.dot.lanes):
            y, x = divmod(turn + group * lane, columns)
            for i in range(word * group, (word + 1) * group):
                _, _, row, column = taps[i % len(taps)]
                row, column = y * down + row, x * right + column
                inside = 0 <= row < height and 0 <= column < width
                made.append(row * width + column if inside else MOST_SAMPLES)
        return made

    def pack(self, weights: np.ndarray) -> np.ndarray:
        """IOHW integers as words: [output channel][word]."""
        op, taps = self.op, self.taps
        by_channel = weights.reshape(op.out_channels, op.h.kernel, op.w.kernel)
        rows, columns = ([tap[i] for tap in taps] for i in (0, 1))
        missing = self.words_of_channel * self.dot.group - len(taps)
        full = np.pad(by_channel[:, rows, columns], [(0, 0), (0, missing)])
        return self.dot.words(full).reshape(-1)

    def lines(self, values: np.ndarray) -> np.ndarray:
        """(O, 1, 1) as the kernel reads it."""
        return np.ascontiguousarray(values).reshape(-1)


def _words_of_channel(op: ConvTranspose2d, dot: Dot) -> int:
    return -(-op.h.useful_taps * op.w.useful_taps // dot.group)


def _outputs(op: ConvTranspose2d, size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of outputs of a map."""
    _, _, rows, columns = op.output_shape(1, *size)
    return rows, columns


def refusal(op: ConvTranspose2d, dot: Dot, sizes: Sizes, machine: CpuMachine) -> str | None:
    """Why maps are no vectors, in words; None if they can be."""
    if not machine.orders_bytes or not dot.broadcasts or dot.bits != 8:
        return "no instruction puts the bytes of a vector into any order"
    if op.group_inputs != 1:
        return f"a group has {op.group_inputs} input channels, not 1"
    if op.strides != (1, 1):
        return f"strides of {op.strides} are phases"
    if sizes.height is None or sizes.width is None:
        return "the size of a map is free"
    size = sizes.height, sizes.width
    samples, outputs = size[0] * size[1], np.prod(_outputs(op, size))
    if samples > MOST_SAMPLES or not 0 < outputs <= VECTOR:
        return f"maps of {samples} samples and {outputs} outputs are no vectors of {VECTOR} bytes"
    words = _words_of_channel(op, dot)
    if not 0 < words <= _MOST_WORDS:
        return f"{words} words of taps, at most {_MOST_WORDS} are written out"
    return None


def choose_planes(
    op: ConvTranspose2d, dot: Dot, sizes: Sizes, machine: CpuMachine
) -> tuple[PlanesTile, float]:
    """The tile, and the cycles of the busiest thread."""
    runs = -(-op.in_channels // _MOST_PLANES)
    runs = min(-(-runs // machine.threads) * machine.threads, op.in_channels)
    planes = -(-op.in_channels // runs)
    batch, _, _ = blocks_of(op, sizes)
    turns = -(-batch * -(-op.in_channels // planes) // machine.threads)
    words = dot.group * _words_of_channel(op, dot)
    output = words * _PRODUCT + dot.group * _OUTPUT
    cycles = turns * planes * (words * _ORDER + op.group_outputs * output + _CHANNEL)
    return PlanesTile(planes), cycles
