"""The domain that a kernel's tiles cover, in the very terms in which loops are split."""

from __future__ import annotations

from typing import Any

from tvm import tirx

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms.expressions import round_up
from tvm_deconv.schedules.algorithms.stages import Domain

from .tile import GpuTile


def domain_of(conv: ConvTranspose2d, tile: GpuTile, shape: tuple[Any, ...]) -> Domain:
    """Whole blocks of threads that cover the output for an input of ``shape``.

    Of symbolic sizes it takes the form that ``Schedule.split`` gives to the number of tiles of the
    output, so that TVM sees that no tile reaches beyond the domain.
    """
    _, _, height, width = conv.output_shape(shape[0], *shape[2:])
    rows = tiles_of(height, tile.block_rows * conv.h.stride) * tile.block_rows
    columns = tiles_of(width, tile.block_columns * conv.w.stride)
    return Domain(
        channels=round_up(conv.group_outputs, tile.block_channels),
        rows=rows,
        columns=columns * tile.block_columns,
    )


def tiles_of(size: Any, tile: int) -> Any:
    """Tiles that cover ``size``, an int or an expression, in the form that ``split`` gives it."""
    if isinstance(size, int):
        return -(-size // tile)
    return tirx.floordiv(size + (tile - 1), tile)
