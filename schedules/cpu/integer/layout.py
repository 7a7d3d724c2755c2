"""How the words of a strip of x lie in a kernel's scratch, and what of them a vector of sums reads.

``Rows``: a row of x after the other, with the border at both ends of each. Vectors are of columns
of one row of blocks, so of a row as short as half a vector half of them are thrown away.

``Flat``: for each column that taps read, the samples of all blocks of a strip side by side, row
after row without a border between:

    planes[column offset][row of x][block along the width]

What a tap at (dy, dx) reads for block p, counted through all rows, is place p + dy * width of the
plane of dx. So vectors are of blocks wherever they are: 4x4 blocks fill one of 16 lanes, 7x7 four.
It takes as many copies of x as there are columns of taps, and a width that is known.

Where only every second row or column is computed, those a step apart lie side by side in both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.tir.edit import const_like, index, ramp, shuffle
from tvm_deconv.schedules.tir.writing import in_vectors, named, places, to_the_end, type_of

from .kernel import Integer
from .packing import Source


class Layout(ABC):
    """Of the strips of ``kernel``; ``width`` is how many blocks a row has.

    A strip has lines of blocks that vectors go along: ``rows_of_line`` of its rows are one, or all
    where that is None. ``tiles`` are the tiles of columns that a line has, ``plane`` the words that
    lie side by side for it, ``first_rows`` how many rows of x are packed.
    """

    width: Any
    rows_of_line: int
    tiles: Any

    def __init__(self, kernel: Integer, width: Any) -> None:
        self.kernel, self.width = kernel, width
        self.down, self.right = kernel.op.step
        self.depth = kernel.op.groups * kernel.depth
        self.wide = kernel.dot.lanes * kernel.tile.vectors
        self.packed_rows = (kernel.tile.rows - 1) * self.down + 1 + kernel.op.h.halo_extent
        self.tiles = named(tirx.ceildiv(index(width * self.rows_of_line), index(self.wide)))

    @property
    @abstractmethod
    def size(self) -> Any:
        """Words of a strip."""

    @abstractmethod
    def pack(self, packed: Any, source: Source, batch: Any, top: Any) -> None:
        """A strip of x, of which the first row of blocks is ``top``."""

    @abstractmethod
    def row(self, word: Any, line: Any, dy: Any) -> Any:
        """Where a line begins of what the taps of a row ``dy`` below the first one read."""

    @abstractmethod
    def column(self, dx: int) -> Any:
        """How far from there the taps read that are ``dx`` columns after the first one."""


class Rows(Layout):
    def __init__(self, kernel: Integer, width: Any) -> None:
        self.rows_of_line = 1
        super().__init__(kernel, width)
        beyond = -(-(kernel.op.w.halo_extent + kernel.folded - 1) // self.right)
        # Of the columns that are a step apart, which lie side by side.
        self.plane = named(self.tiles * self.wide + beyond)
        self.packed_columns = named(self.plane * self.right)

    @property
    def size(self) -> Any:
        return self.depth * self.packed_rows * self.packed_columns

    def row(self, word: Any, line: Any, dy: Any) -> Any:
        return (word * self.packed_rows + line * self.down + dy) * self.packed_columns

    def column(self, dx: int) -> Any:
        apart, near = dx % self.right, dx // self.right
        return near + (apart * self.plane if apart else 0)

    def pack(self, packed: Any, source: Source, batch: Any, top: Any) -> None:
        op, dot = self.kernel.op, self.kernel.dot
        # For one row in the order of its columns, where it has another one at the end.
        natural = T.alloc_buffer((self.packed_columns,), dot.word) if self.right > 1 else None
        with (
            T.serial(index(0), index(self.depth)) as word,
            T.serial(index(0), index(self.packed_rows)) as row,
        ):
            to = T.bind((word * self.packed_rows + row) * self.packed_columns)
            first, at = (packed, to) if natural is None else (natural, index(0))
            y = T.bind(top * self.down + row + op.h.halo[0])
            source.write_row(first, at, self.packed_columns, batch, word, y, op.w.halo[0])
            if self.kernel.folded > 1:
                self._fold(first, at)
            if natural is not None:
                self._apart(natural, packed, to)

    def _apart(self, natural: Any, packed: Any, at: Any) -> None:
        """A row with the columns side by side that are a step apart."""
        lanes, step = self.kernel.dot.lanes, self.right
        with T.serial(index(0), self.plane // lanes) as v:
            begin = T.bind(v * (lanes * step))
            parts = [natural[ramp(begin + i * lanes, lanes)] for i in range(step)]
            for i in range(step):
                order = [lane * step + i for lane in range(lanes)]
                to = ramp(at + i * self.plane + v * lanes, lanes)
                T.buffer_store(packed, shuffle(parts, order), [to])
        with T.serial(index(0), self.plane % lanes) as rest:
            x = T.bind(self.plane - self.plane % lanes + rest)
            for i in range(step):
                T.buffer_store(packed, natural[x * step + i], [at + i * self.plane + x])

    def _fold(self, packed: Any, at: Any) -> None:
        """A row of words that hold one tap as words that hold several, from left to right."""
        k = self.kernel

        def words(x: Any, lanes: int) -> None:
            kind, total = type_of("int32", lanes), None
            for i in range(k.folded):
                value = packed[places(at + x + i, lanes)]
                if i:
                    value = value << tirx.const(k.dot.bits * k.op.group_inputs * i, kind)
                total = value if total is None else total | value
            T.buffer_store(packed, total, [places(at + x, lanes)])

        in_vectors(self.packed_columns - (k.folded - 1), k.dot.lanes, words)


class Flat(Layout):
    def __init__(self, kernel: Integer, width: Any) -> None:
        self.rows_of_line = kernel.tile.rows
        super().__init__(kernel, width)
        self.columns = sorted({dx for _, dx in kernel.taps(range(kernel.op.h.stride))})
        self.plane = self.tiles * self.wide + kernel.op.h.halo_extent // self.down * width

    @property
    def size(self) -> Any:
        return self.depth * len(self.columns) * self.down * self.plane

    def row(self, word: Any, line: Any, dy: Any) -> Any:
        return (word * (len(self.columns) * self.down) + dy % self.down) * self.plane + (
            dy // self.down * self.width
        )

    def column(self, dx: int) -> Any:
        return self.columns.index(dx) * self.down * self.plane

    def pack(self, packed: Any, source: Source, batch: Any, top: Any) -> None:
        op, dot = self.kernel.op, self.kernel.dot
        # Of one word all rows first: what has just been stored in parts cannot be loaded at once.
        columns = (self.width - 1) * self.right + 1 + op.w.halo_extent
        natural = T.alloc_buffer((self.packed_rows * columns,), dot.word)
        with T.serial(index(0), index(self.depth)) as word:
            with T.serial(index(0), index(self.packed_rows)) as row:
                y = T.bind(top * self.down + row + op.h.halo[0])
                source.write_row(natural, row * columns, columns, batch, word, y, op.w.halo[0])
            with T.serial(index(0), index(self.packed_rows)) as row:
                first, to = T.bind(row * columns), T.bind(self.row(word, 0, row))

                for dx in self.columns:

                    def copy(x: Any, lanes: int, dx: int = dx) -> None:
                        read = first + x * self.right + dx
                        step = const_like(read, self.right)
                        own = natural[tirx.Ramp(read, step, lanes) if lanes > 1 else read]
                        T.buffer_store(packed, own, [places(to + self.column(dx) + x, lanes)])

                    to_the_end(self.width, dot.lanes, copy)
