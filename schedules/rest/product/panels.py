"""Panels of a right operand that is no constant: packed by the function that multiplies it.

Columns that are neighbours in memory are copied by vectors. Where b is transposed, so that its
depth lies along memory, squares of vectors are transposed in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.rest.stage import StageAxis, substitute
from tvm_deconv.schedules.tir.edit import index, ramp
from tvm_deconv.schedules.tir.squares import transposed

from .read import Product
from .tile import Panels


def of_panel(panels: Panels, panel: Any, do: Callable[[Any, Any, int], None]) -> None:
    """``do(first column, packed columns before, vectors)`` of a full panel, or of the last one."""
    width = panels.width

    def whole() -> None:
        do(panel * width, panel * width, panels.vectors)

    def last() -> None:
        do(index(panels.full * width), index(panels.full * width), panels.edge)

    if not panels.edge:
        whole()
    elif not panels.full:
        last()
    else:
        with T.If(panel < panels.full):
            with T.Then():
                whole()
            with T.Else():
                last()


def column_of(panels: Panels, first: Any, vector: Any) -> Any:
    """The first column of a vector of the panel that begins at column ``first``."""
    place = first + vector * panels.lanes
    # Only the last panel, or a single one, begins at a number.
    is_last = isinstance(first, tirx.IntImm)
    return tirx.min(place, index(panels.columns - panels.lanes)) if is_last else place


def write_panels(
    product: Product,
    panels: Panels,
    packed: Any,
    at: Mapping[StageAxis, Any],
    start: Any,
) -> None:
    """All panels of one place ``at`` of the outer axes, one after the other."""
    with T.serial(index(0), index(panels.count)) as panel:
        write_panel(product, panels, packed, at, start, panel)


def write_panel(
    product: Product,
    panels: Panels,
    packed: Any,
    at: Mapping[StageAxis, Any],
    start: Any,
    panel: Any,
) -> None:
    """One panel; ``start`` are the packed columns in front of those of this place."""
    depth, lanes = product.depth.extent, panels.lanes
    is_transposed = not is_in_rows(product)

    def write(n: Any, before: Any, vectors: int) -> None:
        begin, width = T.bind((start + before) * depth), vectors * lanes
        if is_transposed:
            with T.serial(index(0), tirx.ceildiv(depth, index(lanes))) as block:
                # The last square overlaps the one in front of it.
                k = T.bind(tirx.min(block * lanes, depth - lanes))
                for v in range(vectors):
                    rows = [
                        T.bind(load(product, at, k, column_of(panels, n, v) + i, lanes))
                        for i in range(lanes)
                    ]
                    for i, row in enumerate(transposed(rows, lanes)):
                        T.buffer_store(
                            packed, row, [ramp(begin + (k + i) * width + v * lanes, lanes)]
                        )
            return
        with T.serial(index(0), depth) as k:
            for v in range(vectors):
                row = load(product, at, k, column_of(panels, n, v), lanes)
                T.buffer_store(packed, row, [ramp(begin + k * width + v * lanes, lanes)])

    of_panel(panels, panel, write)


def is_in_rows(product: Product) -> bool:
    """Whether neighbouring columns of b are neighbours in memory."""
    return _lies_along(product, product.columns)


def is_in_columns(product: Product, lanes: int) -> bool:
    """Whether b lies along its depth, which squares of vectors fit into."""
    return (product.depth.size or 0) >= lanes and _lies_along(product, product.depth)


def _lies_along(product: Product, axis: StageAxis) -> bool:
    return product.b.dimension_of(axis) == len(product.b.steps) - 1 and (
        product.b.steps[-1] == {axis: 1}
    )


def load(product: Product, at: Mapping[StageAxis, Any], k: Any, n: Any, lanes: int) -> Any:
    """``lanes`` neighbours of b in memory from row ``k`` and column ``n`` on."""
    values = {axis.var: place for axis, place in at.items()}
    values |= {product.depth.var: k, product.columns.var: n}
    *outer, last = (substitute(place, values) for place in product.b.load.indices)
    return tirx.BufferLoad(product.b.load.source, [*outer, ramp(last, lanes)])
