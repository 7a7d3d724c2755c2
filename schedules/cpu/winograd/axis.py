"""One axis of the Winograd form: where the tiles of its phases lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_deconv.algebra.cook_toom import Transforms
from tvm_deconv.algebra.geometry import Axis
from tvm_deconv.algebra.winograd import Filter
from tvm_deconv.schedules.algorithms.expressions import by_phase, ceil_div


@dataclass(frozen=True)
class WinogradAxis:
    """One axis: where the phases' tiles lie in the input and in the output.

    All phases share the transformed input. Their first taps read at different offsets, so phase f
    finds its outputs ``shifts[f]`` samples later in its tiles. In width a strip interleaves the
    phases, so it needs all of them for each of its blocks (``together``) and its tiles overlap the
    next strip's; in height the phases are rows of their own, and a strip has other rows of each.
    Or a strip is of one phase (``apart``), and its tiles begin where that phase reads: none has a
    row of outputs before the first of the map. Or, in width, phases have tiles of their own, whose
    samples start where each reads (``Filter.late``): then no outputs are later in a tile.

    Taps that lie ``step`` samples apart make the samples of each residue by ``step`` a convolution
    of its own, with taps side by side: ``tiles`` counts the tiles of one residue.
    """

    axis: Axis
    filter: Filter
    tiles: int
    together: bool
    apart: bool = False

    @property
    def outputs(self) -> int:
        return self.filter.outputs

    @property
    def taps(self) -> int:
        """Of one piece."""
        return self.filter.taps

    @property
    def pieces(self) -> int:
        return self.filter.pieces

    @property
    def points(self) -> int:
        """Products of a phase for each piece, and what its tile's inputs are transformed to."""
        return self.filter.points

    @property
    def products(self) -> int:
        """Of all phases that are no rows, together."""
        return self.filter.products

    @property
    def kinds(self) -> int:
        """Of strips: one for each phase where these are apart."""
        return self.axis.stride if self.apart else 1

    @property
    def phases(self) -> int:
        """Of a strip."""
        return self.axis.stride // self.kinds

    @property
    def row_phases(self) -> int:
        """Phases of a strip that are rows of the products: all, or 1 where products are theirs."""
        return self.phases // self.filter.phases

    def row(self, channel: Any, phase: Any) -> Any:
        """A phase's row among those of all rows ``channel`` of phases."""
        return channel * self.row_phases + (phase if self.row_phases > 1 else 0)

    def product(self, point: int, phase: Any) -> Any:
        """A phase's product at a point."""
        return self.filter.product(point, phase if self.filter.phases > 1 else 0)

    @property
    def step(self) -> int:
        return self.filter.step

    @property
    def unit(self) -> int:
        return self.filter.unit

    @property
    def positions(self) -> int:
        """Tiles of one residue that are transformed: the last piece reads the latest."""
        return self.tiles + self.pieces - 1

    @property
    def first(self) -> int:
        """Input offset of a tile's first sample from its block; of the earliest strip's."""
        return min(self.axis.first_offsets)

    @property
    def shifts(self) -> tuple[int, ...]:
        """For each phase of a strip, how much later than a tile's start its outputs start."""
        if self.filter.late:
            return (0,) * self.axis.stride
        return (0,) if self.apart else self.axis.shifts

    def later(self, kind: Any) -> Any:
        """How much later than the earliest strip's the tiles of another kind of strip start."""
        return by_phase(self.axis.shifts, kind) if self.apart else 0

    @property
    def span(self) -> int:
        """Blocks of output of each phase that a strip covers."""
        return self.unit * self.tiles - (max(self.shifts) if self.together else 0)

    def strips(self, size: Any) -> Any:
        """Strips that cover the output for an input of ``size`` samples."""
        late = 0 if self.together else max(self.shifts)
        return ceil_div(self.axis.blocks(size) + late, self.span)

    @property
    def inputs(self) -> int:
        """Input samples that a strip reads."""
        return self.unit * self.positions + (self.filter.inputs - self.outputs) * self.step

    @property
    def matrices(self) -> Transforms:
        return self.filter.matrices
