"""The loop nest of ``depthwise`` for maps of known size that are narrower than some vectors.

    parallel over images, runs of channels:
        for channel of the run:
            of strides s: copy the map to scratch, every s-th column and row together
            for output channel of the group, phase, vectors over all rows:
                sums = 0; for taps: sums += vector of inputs * weight
            put the outputs of phases together, store vectors over all rows

A vector runs on from one row to the next: 7x7 outputs are 4 vectors of 16 lanes, where vectors of
columns would be 7 with 7 lanes used. A tap of all rows is a vector of the map further on, less the
lanes whose column is in another row: those are zero by a mask that is known at compile time. So
nothing is copied, unless outputs lie apart in the input: then rows of scratch have zeros behind
them, and outputs between rows are thrown away.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.tir import writing
from tvm_deconv.schedules.tir.edit import index
from tvm_deconv.schedules.tir.picks import Places, picked, picked_from

from .common import DepthWriter, taps_of
from .tile import copied_pitch, vectors_of


class FlatWriter(DepthWriter):
    """Writes the nest above."""

    def strips(self) -> Any:
        return index(1)

    def prepare(self) -> None:
        conv, lanes = self.conv, self.tile.lanes
        rows, columns = int(self.block_rows), int(self.block_columns)
        (down, right), is_plain = conv.step, str(self.x.ty.dtype) == "float32"
        self.copies = conv.step != (1, 1) or not is_plain
        if not self.copies:
            self.pitch = columns
            self.begins = vectors_of(rows * columns, lanes)
            return
        self.pitch = copied_pitch(conv, int(self.width), columns)
        self.begins = list(range(0, rows * self.pitch, lanes))
        beyond = conv.h.halo_extent // down * self.pitch + conv.w.halo_extent // right
        # Every row and column that a tap reads, in whole vectors.
        self.copied = -(-(self.begins[-1] + lanes + beyond) // lanes)
        size = self.copied * lanes
        self.scratch = T.alloc_buffer((index(down * right * size),), "float32")

    def plane(self, batch: Any, channel: Any, strip: Any) -> None:
        conv = self.conv
        if self.copies:
            self._copy(batch, channel)
        with T.serial(index(0), index(conv.group_outputs)) as output:
            weights = self.weights_of(channel, output)
            sums = {
                (fh, fw, begin): self._sum(batch, channel, weights, fh, fw, begin)
                for fh, fw in product(range(conv.h.stride), range(conv.w.stride))
                for begin in self.begins
            }
            self._store(batch, channel * conv.group_outputs + output, sums)

    def _places(self, begin: int, down: int, right: int, above: int, left: int) -> Places:
        """Places in the map of a vector: its row i and column j are i*down+above, j*right+left."""
        height, width = int(self.height), int(self.width)
        found: list[int | None] = []
        for place in range(begin, begin + self.tile.lanes):
            y, x = place // self.pitch * down + above, place % self.pitch * right + left
            found.append(y * width + x if 0 <= y < height and 0 <= x < width else None)
        return found

    def _picked(self, batch: Any, channel: Any, places: Places) -> Any:
        """A vector of the map."""

        def load(begin: int, lanes: int) -> Any:
            # The map is one run of numbers: a place in it may be given as a column of row 0.
            return self.load((batch, channel, index(0), index(begin)), lanes)

        return picked_from(load, int(self.height) * int(self.width), places)

    def _copy(self, batch: Any, channel: Any) -> None:
        (down, right), lanes = self.conv.step, self.tile.lanes
        above, left = self.conv.h.halo[0], self.conv.w.halo[0]
        for p, q, vector in product(range(down), range(right), range(self.copied)):
            places = self._places(vector * lanes, down, right, p + above, q + left)
            at = ((p * right + q) * self.copied + vector) * lanes
            value = self._picked(batch, channel, places)
            T.buffer_store(self.scratch, value, [writing.places(index(at), lanes)])

    def _sum(self, batch: Any, channel: Any, weights: Any, fh: int, fw: int, begin: int) -> Any:
        (down, right), lanes = self.conv.step, self.tile.lanes
        (above, _), (left, _) = self.conv.h.halo, self.conv.w.halo
        total: Any = writing.broadcast(tirx.const(0, "float32"), lanes)
        rows, columns = taps_of(self.conv.h, fh), taps_of(self.conv.w, fw)
        for th, a in enumerate(rows):
            for tw, b in enumerate(columns):
                weight = writing.broadcast(weights[fh, fw, th, tw], lanes)
                if self.copies:
                    at = (a % down * right + b % right) * self.copied * lanes
                    at += a // down * self.pitch + b // right + begin
                    total = total + self.scratch[writing.places(index(at), lanes)] * weight
                    continue
                places = self._places(begin, 1, 1, a + above, b + left)
                if any(place is not None for place in places):
                    total = total + self._picked(batch, channel, places) * weight
            # One statement for a row of taps: TVM takes the square of their number.
            total = T.bind(total)
        return total

    def _store(self, batch: Any, channel: Any, sums: dict[tuple[int, int, int], Any]) -> None:
        h, w, lanes = self.conv.h, self.conv.w, self.tile.lanes
        rows, columns = int(self.rows_out), int(self.columns_out)
        size = rows * columns
        held = self.begins[-1] + lanes
        sources = [
            (value, range(at, at + lanes))
            for (fh, fw, begin), value in sums.items()
            for at in [(fh * w.stride + fw) * held + begin]
        ]
        while lanes > size:
            lanes //= 2
        for begin in vectors_of(size, lanes):
            places = []
            for i in range(begin, begin + lanes):
                oh, ow = divmod(i, columns)
                phase = oh % h.stride * w.stride + ow % w.stride
                places.append(phase * held + oh // h.stride * self.pitch + ow // w.stride)
            kept = T.alloc_buffer((index(lanes),), "float32")
            T.buffer_store(kept, picked(sources, places), [writing.places(index(0), lanes)])
            self._elements(batch, channel, kept, begin, lanes)

    def _elements(self, batch: Any, channel: Any, kept: Any, begin: int, lanes: int) -> None:
        columns = int(self.columns_out)

        def element(lane: Any) -> None:
            oh, ow = (lane + begin) // columns, (lane + begin) % columns
            self.elements.store((batch, channel, oh, ow), kept[lane])

        writing.lane_by_lane(lanes, element)
