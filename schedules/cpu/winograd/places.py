"""Where slices and rows of strips lie in the picture: one of slices below each other, or one slice.

Strips are counted along depth and height together, and so are the rows of their input. Of a stack
(``algebra.slices``) a strip has some slices, and some rows of each: none is of the gap between two.
"""

from __future__ import annotations

from typing import Any

from .layout import Layout


class Places:
    """Those of strips of a picture that has ``height`` rows."""

    def __init__(self, layout: Layout, height: Any) -> None:
        self.d, self.h = layout.d, layout.h
        self.slices = layout.depth_slices
        self.height = height if self.slices is None else self.slices.height
        # Strips along the height.
        self.rows = self.h.strips(self.height)

    @property
    def strips(self) -> Any:
        """Along depth and height."""
        return self.rows if self.slices is None else self.d.strips(self.slices.depth) * self.rows

    @property
    def first_row(self) -> int:
        """Row of the picture that is the first of the first slice."""
        return 0 if self.slices is None else -self.slices.first * self.slices.pitch

    def of_strip(self, strip: Any) -> tuple[Any, Any]:
        """Its number along the depth and that along the height."""
        return (0, strip) if self.slices is None else (strip // self.rows, strip % self.rows)

    def read(self, strip: Any, kind: Any, k: Any, i: Any) -> tuple[Any, list[Any]]:
        """Row of the picture that is row ``i`` of slice ``k`` of a strip's input.

        And what must hold for there to be one.
        """
        deep, down = self.of_strip(strip)
        row = down * self.h.span + self.h.first + self.h.later(kind) + i
        inside = [row >= 0, row < self.height]
        if self.slices is None:
            return row, inside
        k = deep * self.d.span + self.d.first + k
        inside += [k >= 0, k < self.slices.depth]
        return (k - self.slices.first) * self.slices.pitch + row, inside

    def written(self, q: Any, row: Any) -> Any:
        """Row of the output's picture that is ``row`` of slice ``q``."""
        if self.slices is None:
            return row
        return q * (self.slices.pitch * self.h.axis.stride) + row
