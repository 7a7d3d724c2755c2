"""The function of a product of matrices of bytes, written out statement by statement.

    parallel over strips of rows, and over shares of the tiles of columns:
        for row: words[row][0 ... depth] = x[row], shifted and widened as the products want it
        for tile of columns: for block of rows:
            sums[row][vector] = offsets
            for word: sums[row][vector] += words[row][word] to all lanes . weights[word][vector]
            for row, vector: y[row][vector] = store(sums)

A block may go beyond the last row: its sums are of whatever lies there, and are not stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.cpu.integer.registers import Registers
from tvm_deconv.schedules.cpu.integer.storing import Result, StoreParameters, flat
from tvm_deconv.schedules.tir.edit import index, ramp
from tvm_deconv.schedules.tir.writing import argument, named, scheduled_function

from .kernel import Matmul
from .rows import add_words, pack_row, store_columns


def write_matmul(kernel: Matmul, shape: Sequence[Any]) -> tirx.PrimFunc:
    """The function of the kernel's arguments, y the last of them:

    x (..., M, K) of ``shape``, words, points, offsets, scales, numbers[, shifts][, slopes]
    [, other, values], y. A size is an int or a variable of its own. Words, points, offsets, scales,
    shifts and slopes are those that ``kernel`` packs, numbers those of its ``Store``; ``other`` is
    what is added, of y's shape, and ``values`` those of ``Sum``.
    """
    return _Writer(kernel, [index(dim) for dim in shape]).write()


class _Writer:
    """Writes the function; one use each."""

    def __init__(self, kernel: Matmul, shape: list[Any]) -> None:
        self.k, self.shape = kernel, shape
        self.lanes = kernel.dot.lanes

    def write(self) -> tirx.PrimFunc:
        k = self.k
        rows: Any = index(1)
        for size in self.shape[:-1]:
            rows = rows * size
        with scheduled_function() as builder:
            x = argument("x", self.shape, k.dtype)
            self.words = argument("words", (index(k.words),), k.dot.word)
            points = argument("points", (index(1),), "int32")
            values = (index(k.tiles * k.wide),)
            self.offsets = argument("offsets", values, "int32")
            self.of_store = StoreParameters.of(k.store, values, points[index(0)])
            result = Result.of(self.of_store, (*self.shape[:-1], index(k.outputs)))
            self.rows = named(rows)
            self.x = flat(x, self.rows * k.inputs)
            self.result = result.flat(self.rows * k.outputs)
            self._strips()
        return builder.get()

    def _strips(self) -> None:
        k, tile = self.k, self.k.tile
        share = k.tiles // tile.splits
        strips = T.bind(tirx.ceildiv(self.rows, index(tile.strip)))
        # Each split packs the strip anew, for its share of the tiles.
        with T.parallel(index(0), strips * tile.splits) as piece:
            first = T.bind(piece // tile.splits * tile.strip)
            count = T.bind(tirx.min(index(tile.strip), self.rows - first))
            packed = T.alloc_buffer((index(tile.strip * k.depth),), k.dot.word)
            with T.serial(index(0), count) as row:
                source, to = T.bind((first + row) * k.inputs), T.bind(row * k.depth)
                pack_row(k.dot, k.dtype, k.inputs, self.x, source, packed, to)
            with (
                T.serial(index(0), index(share)) as of_share,
                T.serial(index(0), tirx.ceildiv(count, index(tile.rows))) as block,
            ):
                of = T.bind(piece % tile.splits * share + of_share)
                self._block(packed, of, first, T.bind(block * tile.rows), count)

    def _block(self, packed: Any, of: Any, top: Any, first: Any, count: Any) -> None:
        """Sums of a block of rows and a tile of columns, and their store."""
        k, lanes = self.k, self.lanes
        rows, vectors = k.tile.rows, k.tile.vectors
        sums = Registers(product(range(rows), range(vectors)), lanes)
        begin = T.bind(of * k.wide)
        for v in range(vectors):
            offsets = T.bind(self.offsets[ramp(begin + v * lanes, lanes)])
            for row in range(rows):
                sums[row, v] = offsets
        starts = [(first + row) * k.depth for row in range(rows)]
        add_words(k, sums, packed, starts, self.words, of)
        for row in range(rows):
            with T.If(first + row < count), T.Then():
                line = T.bind((top + first + row) * k.outputs)
                for v in range(vectors):
                    self._store(sums[row, v], line, T.bind(begin + v * lanes))

    def _store(self, total: Any, line: Any, column: Any) -> None:
        """A vector of columns of one row, of which a part may be behind the last one."""
        k, lanes = self.k, self.lanes

        def vector(buffer: Any) -> Any:
            return buffer[ramp(column, lanes)]

        value = self.of_store.stored(total, vector, lanes)
        store_columns(self.result, value, line, column, k.outputs, k.wide)
