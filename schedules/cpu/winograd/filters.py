"""The transforms of a filter along one axis, written out; those of a nested one are two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tvm_deconv.algebra.winograd import Filter
from tvm_deconv.schedules.tir.lagrange import lagrange
from tvm_deconv.schedules.tir.straight_line import StraightLine


def transformed(code: StraightLine, known: Filter, values: Sequence[Any]) -> list[Any]:
    """B^T times the samples of a tile: a result for each point, of phases in turn."""
    if known.late:
        own = replace(known, late=())
        parts = (values[late : late + own.inputs] for late in known.late)
        return [value for part in parts for value in transformed(code, own, part)]
    outer, inner = known.levels
    results = []
    # Row by row: the differences of all at once would not fit in registers.
    for row in outer.matrices.data:
        sums = [
            code.combine(row[None], values[at :: inner.outputs][: outer.points])[0]
            for at in range(inner.points)
        ]
        results += lagrange(code, inner.matrices.points, sums)
    return results


def inverted(code: StraightLine, known: Filter, products: Sequence[Any]) -> list[Any]:
    """A^T times the products at all points: the outputs of a tile."""
    outer, inner = known.levels
    results = []
    for row in outer.matrices.inverse:
        sums = [
            code.combine(row[None], products[at :: inner.points])[0] for at in range(inner.points)
        ]
        results += code.combine(inner.matrices.inverse, sums)
    return results
