"""A residual that is a nearest resize: its rows are read as often as they repeat, not written.

    store y[n, c, i, j] + resize(x, (rh, rw))[n, c, i, j]
    => store y[n, c, i, j] + z[n, c, i div rh, j],    z = resize(x, (1, rw))

The large map is never written; z, of as many rows as x, is, unless rw = 1, since a vector that is
stored would otherwise be gathered of elements. (The input that mobile super-resolution networks add
before their shuffle; the coarser level of a feature pyramid.)
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from tvm import relax, te
from tvm.sym import Analyzer

from tvm_deconv.algebra.axis_map import AxisMap
from tvm_deconv.patterns.copying import Copying, read_copying
from tvm_deconv.transform.builder import Builder
from tvm_deconv.transform.graph import Graph, same

from .read import LAYOUT


@dataclass(frozen=True)
class RepeatedRows:
    """A map that is ``data`` (NCHW) with each row ``rows`` times, each column ``columns`` times."""

    data: relax.Var
    rows: int
    columns: int

    def small_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Of z for a map of ``shape``; None if its rows are not provably a multiple."""
        n, c, h, w = shape
        height = h // self.rows if isinstance(h, int) else Analyzer().simplify(h // self.rows)
        return (n, c, height, w) if same(height * self.rows, h) else None

    def emit_small(self, builder: relax.BlockBuilder, data: relax.Expr) -> relax.Expr:
        """z of ``data`` in the terms of ``builder``."""
        return data if self.columns == 1 else Builder(builder).nearest(data, (1, self.columns))

    def emit_large(
        self, builder: relax.BlockBuilder, small: relax.Expr, shape: tuple[Any, ...]
    ) -> relax.Var:
        """The map of ``shape`` as an index map of z, for a kernel to inline."""

        def repeated(z: te.Tensor) -> te.Tensor:
            return te.compute(shape, lambda n, c, i, j: z[n, c, i // self.rows, j])

        return builder.emit_te(repeated, small, primfunc_name_hint="repeated_rows")


def read_repeated_rows(
    graph: Graph, var: relax.Expr, readers: Set[relax.Var]
) -> RepeatedRows | None:
    """What ``var`` repeats; None if rows do not, or if others need the map.

    ``readers`` are those that would read the small map in its place.
    """
    if not isinstance(var, relax.Var) or var in graph.outputs:
        return None
    found = read_copying(graph, var, LAYOUT)
    if not isinstance(found, Copying) or not set(graph.users.get(var, ())) <= readers:
        return None
    maps = found.apply((AxisMap(None), AxisMap(None)))
    if not isinstance(maps, tuple) or any(
        axis.begin or axis.end or any(axis.cropped) for axis in maps
    ):
        return None
    rows, columns = (axis.factor for axis in maps)
    return RepeatedRows(found.data, rows, columns) if rows > 1 else None
