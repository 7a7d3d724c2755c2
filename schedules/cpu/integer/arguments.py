"""The arguments of a convolution of bytes, whichever kernel computes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm_deconv.schedules.tir.edit import index
from tvm_deconv.schedules.tir.writing import argument

from .kernel import POINTS, OfBytes, Store
from .packing import Source
from .storing import Result, StoreParameters


@dataclass(frozen=True)
class Arguments:
    """As ``write`` lists them; ``source`` has x and points."""

    source: Source
    words: Any
    offsets: Any
    of_store: StoreParameters
    result: Result

    @staticmethod
    def of(
        kernel: OfBytes,
        store: Store,
        words: int,
        count: int,
        shape: Sequence[Any],
        size: tuple[Any, Any],
    ) -> Arguments:
        """Declared in the function that is being written.

        There are so many ``words``, and ``count`` offsets and scales. ``shape`` is that of x,
        ``size`` the rows and columns of y.
        """
        x = argument("x", shape, kernel.dtype)
        packed = argument("words", (index(words),), kernel.dot.word)
        points = argument("points", (index(POINTS),), "int32")
        values = (index(count),)
        offsets = argument("offsets", values, "int32")
        of_store = StoreParameters.of(store, values, points[index(1)])
        out = (shape[0], index(kernel.op.out_channels), *size)
        result = Result.of(of_store, out)
        return Arguments(Source(kernel, x, points), packed, offsets, of_store, result)
