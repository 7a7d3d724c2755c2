"""The arguments of a convolution of bytes, whichever kernel computes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.tir.edit import index

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

        def parameter(name: str, shape: Sequence[Any], dtype: str) -> Any:
            return T.match_buffer(T.arg(name, T.handle()), shape, dtype)

        x = parameter("x", shape, kernel.dtype)
        packed = parameter("words", (index(words),), kernel.dot.word)
        points = parameter("points", (index(POINTS),), "int32")
        values = (index(count),)
        offsets = parameter("offsets", values, "int32")
        of_store = StoreParameters.of(store, parameter, values, points[index(1)])
        out = (shape[0], index(kernel.op.out_channels), *size)
        result = Result.of(store, parameter, out)
        return Arguments(Source(kernel, x, points), packed, offsets, of_store, result)
