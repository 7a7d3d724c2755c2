"""Bytes repeated by whole factors along height and width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.tir.edit import in_root, index, interleaved
from tvm_deconv.schedules.tir.writing import (
    argument,
    broadcast,
    places,
    scheduled_function,
    to_the_end,
)

# Columns of x at once, of so many copies at the most.
_LANES, _MOST = 64, 8


def repeats(factors: tuple[int, int]) -> bool:
    """Whether there is a kernel for these ``factors``."""
    return factors[1] <= _MOST


def write_nearest(factors: tuple[int, int], dtype: str, shape: Sequence[Any]) -> tirx.PrimFunc:
    """x (N, C, H, W) of ``shape``, y (N, C, r_h*H, r_w*W). A size is an int or a variable."""
    n, c, h, w = (index(size) for size in shape)
    rh, rw = factors
    with scheduled_function() as builder:
        x = argument("x", (n, c, h, w), dtype)
        y = argument("y", (n, c, h * rh, w * rw), dtype)
        with T.parallel(index(0), n * c * h) as step:
            map_, row = T.bind(step // h), T.bind(step % h)
            at = T.bind(map_ // c), T.bind(map_ % c)

            def repeat(first: Any, lanes: int) -> None:
                own = T.bind(x[at[0], at[1], row, places(first, lanes)])
                wide = broadcast(own, rw) if lanes == 1 else interleaved([own] * rw, lanes)
                for f in range(rh):
                    T.buffer_store(y, wide, [*at, row * rh + f, places(first * rw, lanes * rw)])

            to_the_end(w, _LANES, repeat)
    func = builder.get()
    # In a block, as TVM wants it of what has one operand and may be a reshape.
    return func.with_body(in_root(func.body))
