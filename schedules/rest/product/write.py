"""The function of a product of matrices, written out statement by statement.

    for piece in parallel(outer axes, groups of tiles of rows, panels):
        for tile in the group:
            for k: sums[row, vector] += a[row, k] * b[k, vector]     # in registers
            store(sums)

A panel of b stays in the level-1 cache for a group, or streams from the next, and the group's rows
of a stay in the level-2 cache for all panels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tvm import tirx
from tvm.ir import TensorLoad as Load
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.rest.stage import StageAxis, Var, map_loads, substitute
from tvm_deconv.schedules.tir.expansion import size_of

from .pack import outer_of
from .read import Product
from .tile import Tile

# One core does some 30 multiply-adds per nanosecond: below this many, waking the others (5 to 20
# microseconds) takes longer than the work.
_SERIAL_MULTIPLY_ADDS = 1 << 18

# A store of more names than this is not written out for each row and vector of a tile.
_UNROLLED_NAMES = 24

_FLOAT = "float32"


def write(func: tirx.PrimFunc, product: Product, tile: Tile, packed: Var | None) -> tirx.PrimFunc:
    """``func`` computing ``product``; ``packed`` are the panels of b, a parameter in its place."""
    writer = _Writer(product, tile, packed)
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        writer.write()
    body = builder.get().body
    replaced = product.b.load.source if packed is not None else None
    params = [packed if param.same_as(replaced) else param for param in func.params]
    return tirx.PrimFunc(params, body, func.ret_type, attrs=func.attrs)


def _index(value: Any) -> Any:
    return tirx.const(value, "int64") if isinstance(value, int) else value


def _ramp(base: Any, lanes: int) -> Any:
    return tirx.Ramp(_index(base), tirx.const(1, "int64"), lanes)


class _Writer:
    """Writes the body; one use each."""

    def __init__(self, product: Product, tile: Tile, packed: Var | None) -> None:
        self.p, self.tile, self.panels, self.packed = product, tile, tile.panels, packed
        self.lanes = tile.panels.lanes
        self.is_long = size_of(product.store.value, lambda load: 1) > _UNROLLED_NAMES
        self.line: Any = None

    def write(self) -> None:
        p, rows = self.p, self.tile.rows
        height = _index(1) if p.rows is None else p.rows.extent
        tiles = tirx.ceildiv(height, _index(rows))
        groups = tirx.ceildiv(tiles, _index(self.tile.tiles))
        pieces: Any = groups * self.panels.count
        for axis in p.outer:
            pieces = pieces * axis.extent
        work = p.multiply_adds
        is_parallel = work is None or work >= _SERIAL_MULTIPLY_ADDS
        loop = T.parallel if is_parallel else T.serial
        with loop(_index(0), pieces) as piece:
            panel, rest = piece % self.panels.count, piece // self.panels.count
            group, rest = rest % groups, rest // groups
            at: dict[StageAxis, Any] = {}
            for axis in reversed(p.outer):
                at[axis] = T.bind(rest % axis.extent)
                rest = rest // axis.extent
            if self.is_long:
                self.line = T.alloc_buffer((_index(rows * self.panels.width),), _FLOAT)
            first = T.bind(group * self.tile.tiles)
            count = tirx.min(_index(self.tile.tiles), tiles - first)
            self._panels(panel, at, lambda do: self._tiles(do, first, count, height))

    def _panels(
        self, panel: Any, at: Mapping[StageAxis, Any], over_tiles: Callable[[Any], None]
    ) -> None:
        """The panel's tiles: those of a full one, or of the last one."""
        panels, full = self.panels, self.panels.full
        # Where the panels of this place of b's outer axes begin.
        start: Any = _index(0)
        for axis in outer_of(self.p):
            start = start * axis.extent + at[axis]
        start = start * panels.packed

        def whole(rows: int, m: Any) -> None:
            self._tile(at, m, rows, panel * panels.width, start + panel * panels.width, panels.vectors)

        def last(rows: int, m: Any) -> None:
            width = panels.edge * self.lanes
            self._tile(at, m, rows, _index(panels.columns - width), start + full * panels.width, panels.edge)

        if not panels.edge:
            over_tiles(whole)
        elif not full:
            over_tiles(last)
        else:
            with T.If(panel < full):
                with T.Then():
                    over_tiles(whole)
                with T.Else():
                    over_tiles(last)

    def _tiles(self, do: Callable[[int, Any], None], first: Any, count: Any, height: Any) -> None:
        """``do`` for each tile of rows of a group; ``height`` are the rows of all."""
        rows = self.tile.rows

        def whole_tiles() -> None:
            with T.serial(_index(0), count) as tile:
                do(rows, T.bind(tirx.min((first + tile) * rows, height - rows)))

        if isinstance(height, tirx.IntImm):
            whole_tiles()
            return
        with T.If(height >= rows):
            with T.Then():
                whole_tiles()
            with T.Else(), T.serial(_index(0), height) as row:
                do(1, row)

    def _tile(
        self, at: Mapping[StageAxis, Any], m: Any, rows: int, n: Any, panel: Any, vectors: int
    ) -> None:
        """The tile at row ``m`` and column ``n``; packed columns before its panel are ``panel``."""
        p, lanes = self.p, self.lanes
        width = vectors * lanes
        depth = p.depth.extent
        sums = T.alloc_buffer((_index(rows * width),), _FLOAT, scope="local")
        places = [[_ramp((r * vectors + v) * lanes, lanes) for v in range(vectors)] for r in range(rows)]
        for place in (place for row in places for place in row):
            T.buffer_store(sums, tirx.Broadcast(tirx.const(0, _FLOAT), lanes), [place])
        begin = T.bind(panel * depth) if self.packed is not None else None
        with T.serial(_index(0), depth) as k:
            bs = [T.bind(self._b(at, begin, k, n, v, width)) for v in range(vectors)]
            for r, row in enumerate(places):
                number = self._at(p.a.load, at, {p.depth: k, p.rows: m + r})
                a = T.bind(tirx.Broadcast(number, lanes))
                for place, b in zip(row, bs, strict=True):
                    T.buffer_store(sums, sums[place] + a * b, [place])
        if not self.is_long:
            for r in range(rows):
                for v in range(vectors):
                    self._store(sums, (r * vectors + v) * lanes, at, m + r, n + v * lanes)
            return
        for place in (place for row in places for place in row):
            T.buffer_store(self.line, sums[place], [place])
        with T.serial(_index(0), _index(rows)) as r, T.serial(_index(0), _index(vectors)) as v:
            self._store(self.line, (r * vectors + v) * lanes, at, m + r, n + v * lanes)

    def _b(
        self, at: Mapping[StageAxis, Any], begin: Any, k: Any, n: Any, vector: int, width: int
    ) -> Any:
        lanes = self.lanes
        if self.packed is not None:
            return tirx.BufferLoad(self.packed, [_ramp(begin + k * width + vector * lanes, lanes)])
        load = self._at(self.p.b.load, at, {self.p.depth: k, self.p.columns: n + vector * lanes})
        *outer, column = load.indices
        return tirx.BufferLoad(load.source, [*outer, _ramp(column, lanes)])

    def _store(self, sums: Any, first: Any, at: Mapping[StageAxis, Any], m: Any, n: Any) -> None:
        p = self.p
        with T.vectorized(_index(0), _index(self.lanes)) as lane:

            def own(load: Load) -> Any:
                is_sum = load.source.same_as(p.total)
                return tirx.BufferLoad(sums, [first + lane]) if is_sum else load

            values = self._values(at, {p.rows: m, p.columns: n + lane})
            store = substitute(p.store, values)
            T.buffer_store(store.buffer, map_loads(store.value, own), list(store.indices))

    def _values(self, *places: Mapping[StageAxis | None, Any]) -> dict[Var, Any]:
        return {axis.var: value for at in places for axis, value in at.items() if axis is not None}

    def _at(self, load: Load, *places: Mapping[StageAxis | None, Any]) -> Any:
        values = self._values(*places)
        return tirx.BufferLoad(load.source, [substitute(index, values) for index in load.indices])
