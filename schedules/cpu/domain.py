"""The domain that a kernel's strips and tiles cover."""

from __future__ import annotations

from typing import Any

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms.expressions import round_up
from tvm_deconv.schedules.algorithms.stages import Domain

from .tiling import Tiling


def domain_of(conv: ConvTranspose2d, tile: Tiling, shape: tuple[Any, ...]) -> Domain:
    """Whole tiles and strips that cover the output for an input of ``shape``."""
    _, _, height, width = shape
    return Domain(
        channels=round_up(conv.group_outputs, tile.channels),
        rows=round_up(conv.h.blocks(height), tile.rows),
        columns=round_up(conv.w.blocks(width), tile.block_columns),
    )
