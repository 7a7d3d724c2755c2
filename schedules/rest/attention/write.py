"""The function of attention, written out statement by statement.

    for strip in parallel(outer axes, strips of rows):
        scores = epilogue(q[rows] keys)                     # in the level-2 cache
        for row: scores[row] = exp(scores[row] - maximum); over[row] = 1 / their sum
        y[rows] = epilogue(scores values * over)

Three functions, one after the other, write a map of all scores and read it four times: of 5120
tokens and two heads 210 MB.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.cache_lines import odd_lines
from tvm_deconv.schedules.rest.lanes import VECTORS, across_lanes
from tvm_deconv.schedules.rest.product.read import Product
from tvm_deconv.schedules.rest.product.tile import Tile
from tvm_deconv.schedules.rest.product.write import (
    SERIAL_MULTIPLY_ADDS,
    How,
    Writer,
    places_of,
    product_of_sizes,
)
from tvm_deconv.schedules.rest.stage import map_loads, substitute
from tvm_deconv.schedules.tir.edit import index, ramp
from tvm_deconv.schedules.tir.vector_math import exp_of_a_difference
from tvm_deconv.schedules.tir.writing import body_of

from .read import Attention

_FLOAT = "float32"


def pitch_of(width: int) -> int:
    """Floats from a row of scores to the next.

    A row of 5120 scores is five pages: the 28 rows of a tile shared one set of the level-1 cache,
    and heads of 8 took 46 ms where they take 19 now (two heads, one thread of a Zen 5).
    """
    return odd_lines(width)


@dataclass(frozen=True)
class Strips:
    """``rows`` of scores at a time, by ``lanes``; the products' tiles are of that many rows."""

    rows: int
    lanes: int
    scores: tuple[Tile, How]
    values: tuple[Tile, How]


def write(params: list[tirx.Var], found: Attention, strips: Strips) -> tirx.PrimFunc:
    """The function of these parameters that computes ``found``."""
    func = tirx.PrimFunc(params, body_of(lambda: _Writer(found, strips).write()))
    return func.with_attr("tirx.noalias", True)


class _Writer:
    """Writes the body; one use each."""

    def __init__(self, found: Attention, strips: Strips) -> None:
        self.found, self.strips = found, strips
        self.lanes, self.width = strips.lanes, found.width
        self.pitch = pitch_of(found.width)

    def write(self) -> None:
        found, strips = self.found, self.strips
        work = found.scores.multiply_adds
        many = T.parallel if work is None or work >= SERIAL_MULTIPLY_ADDS else T.serial
        outer = found.scores.outer
        count = -(-found.height // strips.rows)
        # Packed panels are allocated, and filled, before the loop; a strip in each turn of it.
        packers = [
            Writer(product, *own)
            for product, own in ((found.scores, strips.scores), (found.values, strips.values))
        ]
        for packer in packers:
            packer.pack(many)
        with many(index(0), product_of_sizes(outer) * count) as piece:
            first = T.bind(
                tirx.min((piece % count) * strips.rows, index(found.height - strips.rows))
            )
            at = places_of(piece // count, outer)
            strip = T.alloc_buffer((index(strips.rows * self.pitch),), _FLOAT)
            over = T.alloc_buffer((index(strips.rows),), _FLOAT)
            scores = self._writer(self._scores(first, strip), strips.scores, packers[0])
            self._pad(strip)
            self._multiply(scores, at)
            with T.serial(index(0), index(strips.rows)) as row:
                self._exponentials(strip, over, row)
            here = {mine: at[its] for mine, its in found.same.items()}
            here |= {axis: index(0) for axis in found.values.outer if axis not in here}
            values = self._writer(self._values(first, strip, over), strips.values, packers[1])
            self._multiply(values, here)

    def _writer(self, product: Product, own: tuple[Tile, How], packer: Writer) -> Writer:
        writer = Writer(product, *own)
        writer.packed = packer.packed
        return writer

    def _multiply(self, writer: Writer, at: Any) -> None:
        height = index(self.strips.rows)
        tiles = index(-(-self.strips.rows // writer.tile.rows))
        with T.serial(index(0), index(writer.pieces)) as piece:
            writer.piece(at, piece, index(0), tiles, height)

    def _scores(self, first: Any, strip: Any) -> Product:
        """The first product, whose rows are those of the strip and whose result is the strip."""
        product = self.found.scores.with_height(self.strips.rows)
        row, moved = self._moved(product, first)
        place = row * self.pitch + product.columns.var
        return replace(
            product,
            a=replace(product.a, load=substitute(product.a.load, moved)),
            store=tirx.BufferStore(strip, substitute(product.store.value, moved), [place]),
        )

    def _values(self, first: Any, strip: Any, over: Any) -> Product:
        """The second product, of the strip; its sums are multiplied by ``over``."""
        product = self.found.values.with_height(self.strips.rows)
        row, moved = self._moved(product, first)
        place = row * self.pitch + product.depth.var
        store = substitute(product.store, moved)

        def divided(load: Any) -> Any:
            is_sum = load.source.same_as(product.total)
            return load * tirx.BufferLoad(over, [row]) if is_sum else load

        value = map_loads(store.value, divided)
        return replace(
            product,
            a=replace(product.a, load=tirx.BufferLoad(strip, [place])),
            store=tirx.BufferStore(store.buffer, value, list(store.indices)),
        )

    def _moved(self, product: Product, first: Any) -> tuple[Any, dict[Any, Any]]:
        """A row of the strip, and what it is among all rows."""
        assert product.rows is not None
        row = product.rows.var
        return row, {row: first + row}

    def _pad(self, strip: Any) -> None:
        """Minus infinity behind the scores of each row, up to a whole vector: its weight is 0."""
        if self.width % self.lanes == 0:
            return
        last = self.width // self.lanes * self.lanes
        nothing = tirx.Broadcast(tirx.const(float("-inf"), _FLOAT), self.lanes)
        with T.serial(index(0), index(self.strips.rows)) as row:
            T.buffer_store(strip, nothing, [ramp(row * self.pitch + last, self.lanes)])

    def _exponentials(self, strip: Any, over: Any, row: Any) -> None:
        begin, lanes = T.bind(row * self.pitch), self.lanes
        maximum = T.alloc_buffer((index(1),), _FLOAT, scope="local")

        def score(at: Any) -> Any:
            return strip[ramp(at, lanes)]

        def weight(at: Any) -> Any:
            first = T.bind(at)
            with T.vectorized(index(0), index(lanes)) as i:
                value = exp_of_a_difference(strip[first + i], maximum[index(0)])
                T.buffer_store(strip, value, [first + i])
            return score(first)

        # In memory: TVM would put what a name stands for into the loop of vectors that reads it.
        lowest = tirx.const(float("-inf"), _FLOAT)
        T.buffer_store(maximum, self._reduced(begin, score, lowest, _larger), [index(0)])
        total = self._reduced(begin, weight, tirx.const(0, _FLOAT), lambda a, b: a + b)
        # The largest of the exponentials is 1, so the reciprocal is a normal number, or NaN.
        T.buffer_store(over, tirx.const(1, _FLOAT) / total, [row])

    def _reduced(self, begin: Any, vector: Any, identity: Any, combine: Any) -> Any:
        """A row's numbers, of which ``vector`` gives those from a place on, as one."""
        lanes = self.lanes
        count = -(-self.width // lanes)
        ways = min(VECTORS, count)
        partial = T.alloc_buffer((index(ways * lanes),), _FLOAT, scope="local")
        places = [ramp(way * lanes, lanes) for way in range(ways)]
        for place in places:
            T.buffer_store(partial, tirx.Broadcast(identity, lanes), [place])

        def take(way: int, at: Any) -> None:
            place = places[way]
            T.buffer_store(partial, combine(partial[place], vector(at)), [place])

        with T.serial(index(0), index(count // ways)) as step:
            for way in range(ways):
                take(way, begin + (step * ways + way) * lanes)
        for way in range(count % ways):
            take(way, begin + (count // ways * ways + way) * lanes)
        return across_lanes([partial[place] for place in places], lanes, combine, T.bind)


def _larger(a: Any, b: Any) -> Any:
    """The maximum in one instruction; it may lose NaN, but the exponentials do not."""
    return tirx.Select(a > b, a, b)
