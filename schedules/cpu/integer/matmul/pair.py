"""A product of two matrices of bytes that are both computed, as those of attention are.

    y[..., m, n] = store(sum over k of (x[..., m, k] - z_x) * (w[..., k, n] - z_w))

With x and w shifted as the products want them, and zero points with them, the sum is

    sum of x*w - z_x * (sum of w[k, n] over k) - z_w * (sum of x[m, k] over k) + K * z_x * z_w

of which the sums of columns and of rows are added up where w and x are packed:

    parallel over matrices, and over strips of rows:
        words[tile of columns][word of k][column] of w, and the sums of its columns
        for block of rows: words of x, and the sums of its rows
            for tile of columns: sums of products, as of constant weights; store
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.cpu.dot import Dot
from tvm_deconv.schedules.cpu.integer.kernel import Store
from tvm_deconv.schedules.cpu.integer.products import add_products
from tvm_deconv.schedules.cpu.integer.registers import Registers
from tvm_deconv.schedules.cpu.integer.storing import Result, StoreParameters, flat
from tvm_deconv.schedules.tir.edit import index, ramp
from tvm_deconv.schedules.tir.writing import (
    argument,
    in_vectors,
    named,
    places,
    scheduled_function,
)

from .rows import add_words, element, pack_row, store_columns
from .tile import MatmulTile, Tiled

# Numbers that a kernel reads: the zero point of y, those of x and w, K times the product of both.
_POINTS = 4


@dataclass(frozen=True)
class MatmulPair(Tiled):
    """``inputs`` is K; ``dtypes`` are those of x and w. Scales and zero points are parameters.

    Of the tile, ``strip`` are the rows that a thread computes after it has packed w.
    """

    inputs: int
    dtypes: tuple[str, str]
    dot: Dot
    tile: MatmulTile
    store: Store

    @property
    def row(self) -> int:
        """Words that a row of x is packed to: whole vectors, of which the last may end in zeros."""
        return -(-self.depth // self.dot.lanes) * self.dot.lanes

    def points(self, zero_points: tuple[int, int], stored: int = 0) -> np.ndarray:
        """What the kernel reads of the zero points of x and w, and that of y."""
        z_x = zero_points[0] + self.dot.shift(self.dtypes[0])
        z_w = zero_points[1] + self.dot.weight_shift(self.dtypes[1])
        return np.array([stored, z_x, z_w, self.inputs * z_x * z_w], "int32")


def write_pair(kernel: MatmulPair, shape: Sequence[Any], columns: Any) -> tirx.PrimFunc:
    """The function of the kernel's arguments, y the last of them:

    x (..., M, K) of ``shape``, w (..., K, N), points, scales, numbers[, slopes][, other, values],
    y. ``columns`` is N. A size is an int or a variable of its own. Scales, slopes: one number each.
    """
    return _Writer(kernel, [index(dim) for dim in shape], index(columns)).write()


class _Writer:
    """Writes the function; one use each."""

    def __init__(self, kernel: MatmulPair, shape: list[Any], columns: Any) -> None:
        self.k, self.shape, self.columns = kernel, shape, columns
        self.lanes = kernel.dot.lanes

    def write(self) -> tirx.PrimFunc:
        k, (*batch, rows, inputs) = self.k, self.shape
        count: Any = index(1)
        for size in batch:
            count = count * size
        with scheduled_function() as builder:
            x = argument("x", self.shape, k.dtypes[0])
            w = argument("w", (*batch, inputs, self.columns), k.dtypes[1])
            self.points = argument("points", (index(_POINTS),), "int32")
            self.of_store = StoreParameters.of(k.store, (index(1),), self.points[index(0)])
            result = Result.of(self.of_store, (*batch, rows, self.columns))
            self.rows, self.batch = rows, named(count)
            self.x = flat(x, self.batch * rows * inputs)
            self.w = flat(w, self.batch * inputs * self.columns)
            self.result = result.flat(self.batch * rows * self.columns)
            self._strips()
        return builder.get()

    def _strips(self) -> None:
        k, tile, lanes = self.k, self.k.tile, self.lanes
        self.tiles = T.bind(tirx.ceildiv(self.columns, index(k.wide)))
        strips = T.bind(tirx.ceildiv(self.rows, index(tile.strip)))
        # Each strip packs w anew.
        with T.parallel(index(0), self.batch * strips) as piece:
            matrix, top = T.bind(piece // strips), T.bind(piece % strips * tile.strip)
            words = T.alloc_buffer((self.tiles * (k.depth * k.wide),), k.dot.word)
            offsets = T.alloc_buffer((self.tiles * k.wide,), "int32")
            packed = T.alloc_buffer((index(tile.rows * k.row),), k.dot.word)
            sums_of_rows = T.alloc_buffer((index(tile.rows),), "int32")
            self._pack(words, T.bind(matrix * k.inputs * self.columns))
            with T.serial(index(0), self.tiles * tile.vectors) as vector:
                self._offsets(words, offsets, vector)
            count = T.bind(tirx.min(index(tile.strip), self.rows - top))
            with T.serial(index(0), tirx.ceildiv(count, index(tile.rows))) as block:
                first = T.bind(top + block * tile.rows)
                left = T.bind(tirx.min(index(tile.rows), top + count - first))
                with T.serial(index(0), left) as row:
                    to = T.bind(row * k.row)
                    source = T.bind((matrix * self.rows + first + row) * k.inputs)
                    with T.serial(index(k.row - lanes), index(k.row)) as rest:
                        T.buffer_store(packed, tirx.const(0, k.dot.word), [to + rest])
                    pack_row(k.dot, k.dtypes[0], k.inputs, self.x, source, packed, to)
                    T.buffer_store(sums_of_rows, self._sum_of_row(packed, to), [row])
                with T.serial(index(0), self.tiles) as of:
                    line = T.bind((matrix * self.rows + first) * self.columns)
                    self._block(words, offsets, packed, sums_of_rows, of, line, left)

    def _pack(self, words: Any, source: Any) -> None:
        """w from ``source`` on as words: [tile of columns][word of k][column]."""
        k, dot = self.k, self.k.dot
        shift = dot.weight_shift(k.dtypes[1])

        def pack(word: Any, held: int) -> None:
            def columns(first: Any, lanes: int) -> None:
                total = None
                for i in range(held):
                    place = source + (word * dot.group + i) * self.columns + first
                    part = element(dot, self.w[places(place, lanes)], shift, lanes)
                    part = part << i * dot.bits if i else part
                    total = part if total is None else total | part
                to = (first // k.wide * k.depth + word) * k.wide + first % k.wide
                T.buffer_store(words, total, [places(T.bind(to), lanes)])

            in_vectors(self.columns, self.lanes, columns)

        with T.serial(index(0), index(k.inputs // dot.group)) as word:
            pack(word, dot.group)
        if k.inputs % dot.group:
            pack(index(k.depth - 1), k.inputs % dot.group)

    def _ones(self) -> Any:
        """Words of which each element is 1."""
        dot = self.k.dot
        one = sum(1 << dot.bits * i for i in range(dot.group))
        return tirx.const(one, f"{dot.word}x{self.lanes}")

    def _offsets(self, words: Any, offsets: Any, vector: Any) -> None:
        """What the sums of a vector of columns begin with, but for what rows add."""
        k, lanes = self.k, self.lanes
        total = T.alloc_buffer((index(lanes),), "int32")
        at = ramp(index(0), lanes)
        T.buffer_store(total, tirx.const(0, f"int32x{lanes}"), [at])
        tile, v = T.bind(vector // k.tile.vectors), T.bind(vector % k.tile.vectors)
        with T.serial(index(0), index(k.depth)) as word:
            place = T.bind((tile * k.depth + word) * k.wide + v * lanes)
            weights = words[ramp(place, lanes)]
            T.buffer_store(total, add_products(k.dot, total[at], self._ones(), weights), [at])
        z_x, all_ = (tirx.Broadcast(self.points[index(i)], lanes) for i in (1, 3))
        T.buffer_store(offsets, all_ - total[at] * z_x, [ramp(vector * lanes, lanes)])

    def _sum_of_row(self, packed: Any, first: Any) -> Any:
        """The sum of the elements of a row of words."""
        k, lanes = self.k, self.lanes
        total = T.alloc_buffer((index(lanes),), "int32")
        at = ramp(index(0), lanes)
        T.buffer_store(total, tirx.const(0, f"int32x{lanes}"), [at])
        with T.serial(index(0), index(k.row // lanes)) as vector:
            x = packed[ramp(first + vector * lanes, lanes)]
            T.buffer_store(total, add_products(k.dot, total[at], x, self._ones()), [at])
        value: Any = total[index(0)]
        for lane in range(1, lanes):
            value = value + total[index(lane)]
        return value

    def _block(
        self,
        words: Any,
        offsets: Any,
        packed: Any,
        sums_of_rows: Any,
        of: Any,
        line: Any,
        left: Any,
    ) -> None:
        """Sums of a block of rows and a tile of columns, and their store."""
        k, lanes = self.k, self.lanes
        rows, vectors = k.tile.rows, k.tile.vectors
        sums = Registers(product(range(rows), range(vectors)), lanes)
        begin = T.bind(of * k.wide)
        for row in range(rows):
            moved = T.bind(sums_of_rows[index(row)] * self.points[index(2)])
            for v in range(vectors):
                offset = offsets[ramp(begin + v * lanes, lanes)] - tirx.Broadcast(moved, lanes)
                sums[row, v] = offset
        add_words(k, sums, packed, [index(row * k.row) for row in range(rows)], words, of)

        def vector(buffer: Any) -> Any:
            return tirx.Broadcast(buffer[index(0)], lanes)

        for row in range(rows):
            with T.If(row < left), T.Then():
                for v in range(vectors):
                    value = self.of_store.stored(sums[row, v], vector, lanes)
                    column = T.bind(begin + v * lanes)
                    to = line + self.columns * row
                    store_columns(self.result, value, to, column, self.columns, k.wide)
