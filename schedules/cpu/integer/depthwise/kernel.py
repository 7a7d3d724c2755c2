"""What a kernel of a depthwise layer of bytes is, and how its weights are packed.

A word holds neighbours of a row in place of channels, as they lie in memory: of a row of bytes x,
seen as words of four from byte c on,

    word l = x[c + 4 l], ..., x[c + 4 l + 3]        y[c + 4 l] += word l . (w[0], w[1], w[2], 0)

so vectors that begin at c = 0, 1, 2 and 3 have all outputs of a row, each every fourth. What they
store side by side (``interleaved_bytes``) is the row again, and nothing is packed or shuffled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tvm_deconv.schedules.cpu.integer.kernel import OfBytes, Store

from .tile import DepthwiseTile, words_of


@dataclass(frozen=True)
class DepthwiseInteger(OfBytes):
    """One kernel, of groups of one input channel."""

    tile: DepthwiseTile
    store: Store

    def order(self) -> list[tuple[int, int, int, int]]:
        """(f_h, k_h, f_w, the place of a word in its row) in the order of a channel's weights."""
        h, w = self.op.h, self.op.w
        return [
            (fh, tap.k, fw, place)
            for fh in range(h.stride)
            for tap in h.taps(fh)
            for fw in range(w.stride)
            for place in words_of(w, fw, self.dot)
        ]

    @property
    def words(self) -> int:
        """How many the packed weights are: as many more as may be loaded with the last one."""
        return self.op.out_channels * len(self.order()) + self.dot.weights - 1

    def pack(self, weights: np.ndarray) -> np.ndarray:
        """IOHW integers as words: [output channel][``order``]."""
        op, group = self.op, self.dot.group
        by_channel = weights.reshape(op.out_channels, op.h.kernel, op.w.kernel)
        full = np.pad(by_channel, [(0, 0), (0, 0), (0, 1)])
        taps = []
        for _, kh, fw, place in self.order():
            at = {tap.offset - op.w.halo[0]: tap.k for tap in op.w.taps(fw)}
            taps.append((kh, [at.get(place + i, -1) for i in range(group)]))
        rows = np.array([kh for kh, _ in taps], np.intp)[:, None]
        columns = np.array([columns for _, columns in taps], np.intp).reshape(-1, group)
        words = self.dot.words(full[:, rows, columns]).reshape(-1)
        return np.pad(words, (0, self.words - words.size))

    def lines(self, values: np.ndarray) -> np.ndarray:
        """(O, r_h, r_w) as the kernel reads it."""
        return np.ascontiguousarray(values).reshape(-1)
