"""What the functions that enlarge maps of bytes by whole factors have around a row of x."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.tir.edit import in_root, index
from tvm_deconv.schedules.tir.writing import argument, scheduled_function

# Of (x, y, (picture, channel), row of x): writes the rows of y that are made from it.
Row = Callable[[Any, Any, tuple[Any, Any], Any], None]


def write_enlarging(
    factors: tuple[int, int], dtypes: tuple[str, str], shape: Sequence[Any], write: Row
) -> tirx.PrimFunc:
    """x (N, C, H, W) of ``shape``, y (N, C, r_h*H, r_w*W). A size is an int or a variable."""
    n, c, h, w = (index(size) for size in shape)
    (rh, rw), (source, result) = factors, dtypes
    with scheduled_function() as builder:
        x = argument("x", (n, c, h, w), source)
        y = argument("y", (n, c, h * rh, w * rw), result)
        with T.parallel(index(0), n * c * h) as step:
            map_, row = T.bind(step // h), T.bind(step % h)
            write(x, y, (T.bind(map_ // c), T.bind(map_ % c)), row)
    func = builder.get()
    # In a block, as TVM wants it of what has one operand and may be a reshape.
    return func.with_body(in_root(func.body))
