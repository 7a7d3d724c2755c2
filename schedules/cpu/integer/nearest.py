"""Bytes repeated by whole factors along height and width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.tir.edit import index, interleaved
from tvm_deconv.schedules.tir.writing import broadcast, places, to_the_end

from .enlarging import write_enlarging

# Columns of x at once, of so many copies at the most.
_LANES, _MOST = 64, 8


def repeats(factors: tuple[int, int]) -> bool:
    """Whether there is a kernel for these ``factors``."""
    return factors[1] <= _MOST


def write_nearest(factors: tuple[int, int], dtype: str, shape: Sequence[Any]) -> tirx.PrimFunc:
    """x (N, C, H, W) of ``shape``, y (N, C, r_h*H, r_w*W). A size is an int or a variable."""
    rh, rw = factors

    def write(x: Any, y: Any, at: tuple[Any, Any], row: Any) -> None:
        def repeat(first: Any, lanes: int) -> None:
            own = T.bind(x[at[0], at[1], row, places(first, lanes)])
            wide = broadcast(own, rw) if lanes == 1 else interleaved([own] * rw, lanes)
            for f in range(rh):
                T.buffer_store(y, wide, [*at, row * rh + f, places(first * rw, lanes * rw)])

        to_the_end(index(shape[3]), _LANES, repeat)

    return write_enlarging(factors, (dtype, dtype), shape, write)
