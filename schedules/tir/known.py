"""What is known inside a nest of loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.ir import Range
from tvm.sym import Analyzer


@dataclass(frozen=True)
class Known:
    """The loops around a statement, and with them the ranges of their variables."""

    loops: tuple[tirx.For, ...] = ()

    def inside(self, *loops: tirx.For) -> Known:
        """What is known inside of further loops."""
        return Known((*self.loops, *loops))

    def unproved(self, conditions: list[Any]) -> Any:
        """Those conditions, joined, that some iteration may fail; None if there is none."""
        analyzer = Analyzer()
        for loop in self.loops:
            analyzer.bind(loop.loop_var, Range.from_min_extent(loop.min, loop.extent))
        left = [c for c in conditions if not analyzer.can_prove(c)]
        return tirx.all(*left) if left else None
