"""``grid_sample``."""

from __future__ import annotations

from tvm import relax, te

from tvm_deconv.frontends import grids

from .functions import working_dtype
from .translation import Translation


def grid_sample(
    t: Translation,
    x: relax.Expr,
    grid: relax.Expr,
    mode: int,
    padding: int,
    align_corners: bool,
) -> relax.Expr:
    """x [N, C, (D,) H, W] at the places grid [N, (D',) H', W', axes], the width first in it."""

    def grid_sample(x: te.Tensor, grid: te.Tensor) -> te.Tensor:
        return grids.grid_sample(x, grid, mode, padding, align_corners)

    wide = [t.cast(y, working_dtype(t.dtype)) for y in (x, grid)]
    return t.cast(t.te(grid_sample, *wide), t.dtype)
