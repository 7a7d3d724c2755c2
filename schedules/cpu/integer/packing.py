"""Rows of bytes as words of channels, or as they are, with the border on both sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.tir.edit import index
from tvm_deconv.schedules.tir.writing import fill, places, simplified, to_the_end, type_of

from .kernel import OfBytes


@dataclass(frozen=True)
class Source:
    """x (N, C, H, W) of a kernel, and its ``points``; the first of them is a word of border."""

    kernel: OfBytes
    x: Any
    points: Any

    def write_row(
        self, packed: Any, at: Any, columns: Any, batch: Any, word: Any, y: Any, left: int
    ) -> None:
        """``packed[at:at + columns]``: one word of channels of row ``y`` from column ``left`` on.

        Both may be outside.
        """
        dot = self.kernel.dot
        border = tirx.Cast(dot.word, self.points[index(0)])
        value = partial(self._word, batch, word, y)
        self._write(packed, at, columns, y, left, border, dot.lanes, value)

    def copy_row(
        self, packed: Any, at: Any, columns: Any, batch: Any, channel: Any, y: Any, left: int
    ) -> None:
        """The same of the bytes of one channel, as elements of words."""
        dot = self.kernel.dot
        border = tirx.Cast("int8", self.points[index(0)])
        value = partial(self._bytes, batch, channel, y)
        self._write(packed, at, columns, y, left, border, dot.lanes * dot.group, value)

    def _write(
        self,
        packed: Any,
        at: Any,
        columns: Any,
        y: Any,
        left: int,
        border: Any,
        together: int,
        value: Callable[[Any, int], Any],
    ) -> None:
        """``value(x, lanes)`` from column x on, so many ``together``, and the ``border``."""
        _, _, h, w = self.x.shape
        # The first packed column that is not border, the input column there, and how many.
        begin, first = max(0, -left), max(0, left)
        count = simplified(tirx.max(tirx.min(w - first, columns - begin), index(0)))

        def store(x: Any, lanes: int) -> None:
            T.buffer_store(packed, value(first + x, lanes), [places(at + begin + x, lanes)])

        with T.If(tirx.all(y >= 0, y < h)):
            with T.Then():
                fill(packed, border, at, index(begin))
                to_the_end(count, together, store)
                fill(packed, border, at + begin + count, columns - begin - count)
            with T.Else():
                fill(packed, border, at, columns)

    def _bytes(self, batch: Any, channel: Any, y: Any, x: Any, lanes: int) -> Any:
        """``lanes`` bytes from column ``x`` on, shifted."""
        return self.as_words(self.x[batch, channel, y, places(x, lanes)], lanes)

    def as_words(self, value: Any, lanes: int) -> Any:
        """``lanes`` bytes of x, shifted, as elements of words."""
        kind = type_of("int8", lanes)
        if self.kernel.dtype != "int8":
            value = tirx.reinterpret(kind, value)
        # 128 more or less is the other highest bit.
        return value ^ tirx.const(-128, kind) if self.kernel.shift else value

    def _word(self, batch: Any, word: Any, y: Any, x: Any, lanes: int) -> Any:
        """``lanes`` words from column ``x`` on; channels that there are none of count as 0."""
        k, group = self.kernel, self.kernel.dot.group
        kind, columns = type_of(k.dot.word, lanes), places(x, lanes)
        inputs, total = k.op.group_inputs, None
        for i in range(group):
            # A group's channels begin anew with a word.
            channel = word // k.depth * inputs + word % k.depth * group + i
            left = inputs - i
            if left <= 0:
                break
            if inputs % group and i >= inputs % group:
                # The weights are 0 there: any channel will do.
                channel = tirx.min(channel, index(k.op.in_channels - 1))
            value = tirx.Cast(kind, self.x[batch, channel, y, columns])
            if k.shift:
                value = value + tirx.const(k.shift, kind)
            if k.dot.bits < k.dot.word_bits:
                value = value & tirx.const((1 << k.dot.bits) - 1, kind)
            if i:
                value = value << tirx.const(k.dot.bits * i, kind)
            total = value if total is None else total | value
        return total
