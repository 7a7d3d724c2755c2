"""A row of samples of a row of tiles, transformed: what pictures and volumes have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx

from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.straight_line import StraightLine

from .dealing import Slice
from .filters import transformed
from .strip import Strip


@dataclass(frozen=True)
class Row:
    """Of the tiles in row ``ty`` of a slice; ``unit`` is its residue in height and its point."""

    strip: Strip
    at: Slice
    ty: Any
    unit: Any

    @property
    def residue(self) -> Any:
        h = self.strip.layout.h
        return self.unit // h.points if h.step > 1 else edit.zero_like(self.unit)

    @property
    def point(self) -> Any:
        h = self.strip.layout.h
        if h.points == 1:
            return edit.zero_like(self.unit)
        return self.unit % h.points if h.step > 1 else self.unit

    @property
    def line(self) -> Any:
        """Its number in the strip, of those of one residue in width each."""
        layout = self.strip.layout
        line = (self.ty * layout.h.step + self.residue) * layout.abreast
        return self.at.deep * layout.slice_lines + line

    def stored(self, code: StraightLine, samples: Sequence[Any], tau: Any) -> list[tirx.Stmt]:
        """transform[u, v, ic, k, tau] = samples B, of a vector of tiles."""
        strip, place = self.strip, self.at.k * self.strip.layout.point_tiles + tau
        values = transformed(code, strip.layout.w.filter, samples)
        puts = [
            strip.put(strip.transform, [self.point, v, self.at.channel, place], value)
            for v, value in enumerate(values)
        ]
        return [*code.statements, *puts]

    def from_dealt(self, buffer: Any, row: Any) -> tirx.Stmt:
        """for residue, vector of tiles: transform[u, v, ic, k, tiles] = buffer[row] B.

        What the next tile begins with is where that is.
        """
        w = self.strip.layout.w

        def place(b: int, residue: Any) -> tuple[Any, int]:
            later, column = divmod(b, w.outputs)
            return column * w.step + residue, later

        return self._transformed(buffer, row, place)

    def from_all_dealt(self, buffer: Any, row: Any) -> tirx.Stmt:
        """The same, where that was dealt out for both."""
        step = self.strip.layout.w.step
        return self._transformed(buffer, row, lambda b, residue: (b * step + residue, 0))

    def _transformed(
        self, buffer: Any, row: Any, place: Callable[[int, Any], tuple[Any, int]]
    ) -> tirx.Stmt:
        """``place`` says where sample b of a residue's tiles is, and how many tiles later.

        The last vector of a row of tiles may reach into the next row's place; that row comes later.
        """
        strip, w = self.strip, self.strip.layout.w
        residue, chunk = strip.loop("rw", w.step), strip.loop("tx", strip.layout.chunks)
        first = chunk.loop_var * strip.lanes
        tau = (self.line * w.step + residue.loop_var) * w.positions + first
        code = StraightLine()

        def sample(b: int) -> Any:
            column, later = place(b, residue.loop_var)
            return code.name(strip.load(buffer, [row, column, first + later]))

        samples = [sample(b) for b in range(w.filter.inputs)]
        return edit.rebuild([residue, chunk], tirx.SeqStmt(self.stored(code, samples, tau)))
