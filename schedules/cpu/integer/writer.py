"""What all that write the function of a convolution of bytes do alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from itertools import product
from typing import Any

import numpy as np
from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.tir.edit import index, prefetch
from tvm_deconv.schedules.tir.hiding import unforeseen
from tvm_deconv.schedules.tir.writing import (
    own_size,
    places,
    scheduled_function,
    to_the_end,
)

from .arguments import Arguments
from .products import add_products, weights_of
from .registers import Registers

# Of a cache, on x86 and most ARM cores.
_LINE_BYTES = 64


class Writer(ABC):
    """Writes the function of one kernel ``k``; one use each.

    ``parameters`` is how many offsets, scales and the like there are: one for each output channel
    and phase, if not for more. ``given`` are the arguments, ``batch`` is which picture the strip is
    of that is written.
    """

    given: Arguments
    batch: Any

    def __init__(self, kernel: Any, shape: list[Any], parameters: int) -> None:
        self.k, self.shape, self.lanes = kernel, shape, kernel.dot.lanes
        self.parameters = parameters
        # Free sizes are variables, not the formulas that they are: those would stand in each index
        # of hundreds of statements, and be simplified in each.
        _, _, rows, columns = kernel.op.output_shape(*shape[:1], *shape[2:])
        self.rows_out, self.columns_out = own_size("rows", rows), own_size("columns", columns)

    def write(self) -> tirx.PrimFunc:
        k = self.k
        with scheduled_function() as builder:
            size = self.rows_out, self.columns_out
            self.given = Arguments.of(k, k.store, k.words, self.parameters, self.shape, size)
            self._strips()
        return builder.get()

    @property
    def depth(self) -> Any:
        """Words of channels, of which loops stay loops.

        Written out, a 1x1 convolution of 24 channels to 144 took three times as long.
        """
        return unforeseen(self.k.depth, self.given.source.points[index(2)])

    @abstractmethod
    def _strips(self) -> None:
        """The body."""

    def _parameter(self, buffer: Any, at: Any) -> Any:
        """The one at a place, in all lanes."""
        return tirx.Broadcast(buffer[at], self.lanes)

    def _store_row(self, lines: Any, first: Any, channel: Any, y: Any, together: int) -> None:
        """A row of the result is ``lines[first:]``, copied so many elements at a time."""

        def copy(x: Any, lanes: int) -> None:
            at = [self.batch, channel, y, places(x, lanes)]
            self.given.result.write(lines[places(first + x, lanes)], at, lanes)

        # What is added is float32 for a while: of wider vectors LLVM makes 4 % more time of a 3x3.
        store = self.k.store
        own = self.lanes if store.is_value or store.sum is not None else together
        to_the_end(self.columns_out, own, copy)

    @property
    def of_line(self) -> int:
        """Elements of the result in a line of a cache."""
        return _LINE_BYTES // np.dtype(self.k.store.result).itemsize

    def _fetch(self, channel: Any, y: Any, x: Any, lines: Any) -> None:
        """Fetch so many lines of the result, to write to them; beyond it that does no harm.

        One that is in no core's own cache is read before it is written, and the store waits.
        """
        with T.serial(index(0), index(lines)) as line:
            place = self.given.result.y[self.batch, channel, y, x + line * self.of_line]
            T.evaluate(prefetch(place, write=True).value)


class BlockWriter(Writer):
    """That of a kernel in blocks of output channels (``OfBlocks``)."""

    def __init__(self, kernel: Any, shape: list[Any]) -> None:
        op = kernel.op
        super().__init__(kernel, shape, op.out_channels * op.h.stride * op.w.stride)
        self.wide = self.lanes * kernel.tile.vectors

    def _added(
        self,
        weights: Any,
        rows: Sequence[Hashable],
        vectors: int,
        samples: Callable[[Any], list[Any]],
        modular: bool = False,
    ) -> Registers:
        """Sums over the words of channels, by (row, vector).

        ``samples(word)`` are the vectors of one; its weights, one for each row, follow each other
        from ``weights`` on. ``modular`` is what ``add_products`` takes.
        """
        k, lanes = self.k, self.lanes
        sums = Registers(product(rows, range(vectors)), lanes)
        for row, v in product(rows, range(vectors)):
            sums[row, v] = tirx.const(0, f"int32x{lanes}")
        with T.serial(index(0), self.depth) as word:
            xs = samples(word)
            loaded = weights_of(k.dot, self.given.words, weights + word * len(rows), len(rows))
            for row, weight in zip(rows, loaded, strict=True):
                for v, x in enumerate(xs):
                    sums[row, v] = add_products(k.dot, sums[row, v], x, weight, modular)
        return sums
