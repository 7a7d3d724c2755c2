"""The function of a product of matrices, written out statement by statement.

    for piece in parallel(outer axes, groups of tiles of rows, panels):
        for tile in the group:
            for k: sums[row, vector] += a[row, k] * b[k, vector]     # in registers
            store(sums)

A panel of b stays in the level-1 cache for a group, or streams from the next, and the group's rows
of a stay in the level-2 cache for all panels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import reduce
from operator import mul
from typing import Any

from tvm import tirx
from tvm.ir import TensorLoad as Load
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.rest.stage import StageAxis, Var, map_loads, substitute
from tvm_deconv.schedules.tir.edit import index, ramp
from tvm_deconv.schedules.tir.expansion import size_of
from tvm_deconv.schedules.tir.writing import body_of

from .pack import outer_of
from .panels import column_of, load, of_panel, write_panel, write_panels
from .read import Product
from .tile import Tile

# One core does some 30 multiply-adds per nanosecond: below this many, waking the others (5 to 20
# microseconds) takes longer than the work.
SERIAL_MULTIPLY_ADDS = 1 << 18

# A store of more names than this is not written out for each row and vector of a tile.
_UNROLLED_NAMES = 24

_FLOAT = "float32"


class How(Enum):
    """Where the columns of b that a panel holds are read: where they lie, or packed.

    ``GIVEN`` are panels that were packed before, ``BEFORE`` those that the function packs first,
    and ``WITHIN`` those of one place of the outer axes, packed when its turn comes.
    """

    AS_IT_LIES = 0
    GIVEN = 1
    BEFORE = 2
    WITHIN = 3


def write(func: tirx.PrimFunc, product: Product, tile: Tile, how: How) -> tirx.PrimFunc:
    """``func`` computing ``product``; if that is how, with the panels of b as a parameter for b."""
    writer = Writer(product, tile, how)
    body = body_of(writer.write)
    if how is not How.GIVEN:
        return func.with_body(body)
    params = [
        writer.packed if param.same_as(product.b.load.source) else param for param in func.params
    ]
    return tirx.PrimFunc(params, body, func.ret_type, attrs=func.attrs)


def product_of_sizes(axes: Sequence[StageAxis]) -> Any:
    return reduce(mul, [axis.extent for axis in axes], index(1))


def places_of(place: Any, outer: Sequence[StageAxis]) -> dict[StageAxis, Any]:
    """Where the ``place``-th of all places of the outer axes is."""
    at: dict[StageAxis, Any] = {}
    for axis in reversed(outer):
        at[axis] = T.bind(place % axis.extent)
        place = place // axis.extent
    return at


@dataclass(frozen=True)
class _Block:
    """Steps along the depth from ``first`` on; ``partial`` has the sums of those before, if any.

    Those of a tile begin at ``at`` there, and those of the next one ``size`` numbers further.
    """

    first: Any
    steps: Any
    partial: Any = None
    at: Any = 0
    size: int = 0

    def of_tile(self, number: Any) -> _Block:
        return self if self.partial is None else replace(self, at=self.at + number * self.size)


class Writer:
    """Writes the body; one use each.

    Another function that has a product among its statements calls ``pack``, and within its own
    loops ``piece``.
    """

    def __init__(self, product: Product, tile: Tile, how: How) -> None:
        self.p, self.tile, self.panels, self.how = product, tile, tile.panels, how
        self.lanes = tile.panels.lanes
        self.is_long = size_of(product.store.value, lambda load: 1) > _UNROLLED_NAMES
        self.line: Any = None
        self.packed: Any = None
        if how is How.GIVEN:
            size = self._packed_size([axis.extent for axis in outer_of(product)])
            source = product.b.load.source
            self.packed = tirx.decl_buffer((size,), _FLOAT, f"{source.name}_packed")

    def _packed_size(self, outer: list[Any]) -> Any:
        size = self.p.depth.extent * self.panels.packed
        for extent in outer:
            size = size * extent
        return size

    def write(self) -> None:
        p = self.p
        is_long = p.multiply_adds is None or p.multiply_adds >= SERIAL_MULTIPLY_ADDS
        many = T.parallel if is_long else T.serial
        height = index(1) if p.rows is None else p.rows.extent
        tiles = tirx.ceildiv(height, index(self.tile.rows))
        groups = tirx.ceildiv(tiles, index(self.tile.tiles))
        count = self.pieces
        if self.how is How.WITHIN:
            with many(index(0), product_of_sizes(p.outer)) as place:
                at = places_of(place, p.outer)
                self.packed = T.alloc_buffer((self._packed_size([]),), _FLOAT)
                write_panels(self.p, self.panels, self.packed, at, index(0))
                with T.serial(index(0), groups * count) as piece:
                    self.piece(at, piece % count, piece // count, tiles, height)
            return
        self.pack(many)
        with many(index(0), groups * count * product_of_sizes(p.outer)) as piece:
            rest = T.bind(piece // count)
            at = places_of(rest // groups, p.outer)
            self.piece(at, piece % count, rest % groups, tiles, height)

    @property
    def pieces(self) -> int:
        """Of the columns: panels, or as many of them as are abreast."""
        return -(-self.panels.count // self.tile.abreast)

    def pack(self, many: Callable[[Any, Any], Any]) -> None:
        """The panels of all places, in a loop of the kind ``many``, where that is how."""
        if self.how is not How.BEFORE:
            return
        outer, panels = outer_of(self.p), self.panels.count
        self.packed = T.alloc_buffer((self._packed_size([a.extent for a in outer]),), _FLOAT)
        with many(index(0), product_of_sizes(outer) * panels) as piece:
            at = places_of(piece // panels, outer)
            write_panel(self.p, self.panels, self.packed, at, self._start(at), piece % panels)

    def _start(self, at: Mapping[StageAxis, Any]) -> Any:
        """The packed columns of places before this one of b's outer axes."""
        start: Any = index(0)
        if self.how in (How.GIVEN, How.BEFORE):
            for axis in outer_of(self.p):
                start = start * axis.extent + at[axis]
        return start * self.panels.packed

    def piece(
        self, at: Mapping[StageAxis, Any], panel: Any, group: Any, tiles: Any, height: Any
    ) -> None:
        """A group's tiles of one panel, or of all that are abreast."""
        if self.is_long:
            self.line = T.alloc_buffer((index(self.tile.rows * self.panels.width),), _FLOAT)
        first = T.bind(group * self.tile.tiles)
        count = tirx.min(index(self.tile.tiles), tiles - first)
        start = T.bind(self._start(at))

        def panel_of(panel: Any, block: _Block) -> None:
            def tile(n: Any, packed: Any, vectors: int) -> None:
                def at_row(number: Any, rows: int, m: Any) -> None:
                    self._tile(at, m, rows, n, start + packed, vectors, block.of_tile(number))

                self._tiles(at_row, first, count, height)

            of_panel(self.panels, panel, tile)

        depth, steps = self.p.depth.extent, self.tile.steps
        if not steps:
            panel_of(panel, _Block(index(0), depth))
            return
        size = self.tile.rows * self.panels.width * self.tile.tiles
        partial = T.alloc_buffer((index(size * self.tile.abreast),), _FLOAT)
        with T.serial(index(0), index(size * self.tile.abreast // self.lanes)) as v:
            zeros = tirx.Broadcast(tirx.const(0, _FLOAT), self.lanes)
            T.buffer_store(partial, zeros, [ramp(v * self.lanes, self.lanes)])
        abreast = tirx.min(index(self.tile.abreast), self.panels.count - panel * self.tile.abreast)
        with (
            T.serial(index(0), tirx.ceildiv(depth, index(steps))) as block,
            T.serial(index(0), abreast) as beside,
        ):
            k = T.bind(block * steps)
            until = tirx.min(index(steps), depth - k)
            own = _Block(k, until, partial, beside * size, self.tile.rows * self.panels.width)
            panel_of(panel * self.tile.abreast + beside, own)

    def _tiles(
        self, do: Callable[[Any, int, Any], None], first: Any, count: Any, height: Any
    ) -> None:
        """``do`` for each tile of rows of a group; ``height`` are the rows of all."""
        rows = self.tile.rows

        def whole_tiles() -> None:
            with T.serial(index(0), count) as tile:
                do(tile, rows, T.bind(tirx.min((first + tile) * rows, height - rows)))

        if isinstance(height, tirx.IntImm):
            whole_tiles()
            return
        with T.If(height >= rows):
            with T.Then():
                whole_tiles()
            with T.Else(), T.serial(index(0), height) as row:
                do(row, 1, row)

    def _tile(
        self,
        at: Mapping[StageAxis, Any],
        m: Any,
        rows: int,
        n: Any,
        panel: Any,
        vectors: int,
        block: _Block,
    ) -> None:
        """The tile at row ``m`` and column ``n``; packed columns before its panel are ``panel``."""
        p, lanes = self.p, self.lanes
        width = vectors * lanes
        sums = T.alloc_buffer((index(rows * width),), _FLOAT, scope="local")
        places = [
            [ramp((r * vectors + v) * lanes, lanes) for v in range(vectors)] for r in range(rows)
        ]
        every = [place for row in places for place in row]
        for i, place in enumerate(every):
            before = tirx.Broadcast(tirx.const(0, _FLOAT), lanes)
            if block.partial is not None:
                before = block.partial[ramp(block.at + i * lanes, lanes)]
            T.buffer_store(sums, before, [place])
        begin = None
        if self.packed is not None:
            begin = T.bind(panel * p.depth.extent + block.first * width)
        with T.serial(index(0), block.steps) as step:
            k = block.first + step
            bs = [T.bind(self._b(at, begin, step, n, v, width, k)) for v in range(vectors)]
            for r, row in enumerate(places):
                number = self._at(p.a.load, at, {p.depth: k, p.rows: m + r})
                a = T.bind(tirx.Broadcast(number, lanes))
                for place, b in zip(row, bs, strict=True):
                    T.buffer_store(sums, sums[place] + a * b, [place])
        if block.partial is None:
            self._finish(sums, every, at, m, rows, n, vectors)
            return
        with T.If(block.first + block.steps < p.depth.extent):
            with T.Then():
                for i, place in enumerate(every):
                    to = ramp(block.at + i * lanes, lanes)
                    T.buffer_store(block.partial, sums[place], [to])
            with T.Else():
                self._finish(sums, every, at, m, rows, n, vectors)

    def _finish(
        self,
        sums: Any,
        places: Sequence[Any],
        at: Mapping[StageAxis, Any],
        m: Any,
        rows: int,
        n: Any,
        vectors: int,
    ) -> None:
        """The stores of a tile: written out, or in a loop over what is copied from registers."""
        lanes = self.lanes
        if not self.is_long:
            for r in range(rows):
                for v in range(vectors):
                    column = column_of(self.panels, n, v)
                    self._store(sums, (r * vectors + v) * lanes, at, m + r, column)
            return
        for place in places:
            T.buffer_store(self.line, sums[place], [place])
        with T.serial(index(0), index(rows)) as r, T.serial(index(0), index(vectors)) as v:
            column = column_of(self.panels, n, v)
            self._store(self.line, (r * vectors + v) * lanes, at, m + r, column)

    def _b(
        self,
        at: Mapping[StageAxis, Any],
        begin: Any,
        step: Any,
        n: Any,
        vector: int,
        width: int,
        k: Any,
    ) -> Any:
        lanes = self.lanes
        if self.packed is not None:
            place = begin + step * width + vector * lanes
            return tirx.BufferLoad(self.packed, [ramp(place, lanes)])
        return load(self.p, at, k, column_of(self.panels, n, vector), lanes)

    def _store(self, sums: Any, first: Any, at: Mapping[StageAxis, Any], m: Any, n: Any) -> None:
        p = self.p
        with T.vectorized(index(0), index(self.lanes)) as lane:

            def own(load: Load) -> Any:
                is_sum = load.source.same_as(p.total)
                return tirx.BufferLoad(sums, [first + lane]) if is_sum else load

            values = self._values(at, {p.rows: m, p.columns: n + lane})
            store = substitute(p.store, values)
            T.buffer_store(store.buffer, map_loads(store.value, own), list(store.indices))

    def _values(self, *places: Mapping[Any, Any]) -> dict[Var, Any]:
        return {axis.var: value for at in places for axis, value in at.items() if axis is not None}

    def _at(self, load: Load, *places: Mapping[Any, Any]) -> Any:
        values = self._values(*places)
        return tirx.BufferLoad(load.source, [substitute(index, values) for index in load.indices])
