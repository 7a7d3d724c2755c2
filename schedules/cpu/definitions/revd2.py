"""REVD2 before it is scheduled: stages, packing, parameters and their cost.

    pad        x[n, c, i, j] with a zero border (rows and columns beyond the input read as 0)
    phases     sum over channels and taps, one stride-1 convolution per phase (fh, fw)
    interleave phases -> high-resolution rows; pure data movement (absent when stride_w = 1)
    edge       the same rows in memory, for tiles that cross the right edge (absent if none does)
    store      one output element each, the only stage with the output's exact shape

Weights are packed as [g][o/tile][fh][ic][th][tw][fw][o%tile], the order in which the inner loop
reads them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from tvm import te

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.packing import Direct
from tvm_deconv.schedules.algorithms import stages
from tvm_deconv.schedules.cpu.domain import domain_of
from tvm_deconv.schedules.cpu.tiling import Tiling
from tvm_deconv.schedules.cpu.tiling_choice import choose_tiling, too_many_phases
from tvm_deconv.schedules.cpu.tiling_cycles import tiling_cycles
from tvm_deconv.schedules.cpu.tiling_space import TilingForm, TilingSpace
from tvm_deconv.schedules.variant import Algorithm


def packing(conv: ConvTranspose2d, tile: Tiling) -> Direct:
    """Blocks of a register tile's output channels, and for each the weights as they are read."""
    return Direct(conv, "g o/n fh ic th tw fw o%n", tile.channels)


def compute(conv: ConvTranspose2d, tile: Tiling, x: te.Tensor, packed: te.Tensor) -> te.Tensor:
    """The algorithm: y (NCHW) from x (NCHW) and weights from ``pack_weights``; y has x's dtype.

    Sums have that of the weights.
    """
    shape = stages.shape_of(x)
    pad = stages.padded(conv, domain_of(conv, tile, shape), x, packed.dtype)
    return sums_of(conv, tile, shape, x.dtype, pad, packed)


def sums_of(
    conv: ConvTranspose2d,
    tile: Tiling,
    shape: tuple[Any, ...],
    dtype: str,
    pad: te.Tensor,
    packed: te.Tensor,
) -> te.Tensor:
    """The stages after ``pad``, for an input of ``shape``; the result is of ``dtype``."""
    domain = domain_of(conv, tile, shape)
    weight = stages.weights_in(packed, packing(conv, tile))
    phases = stages.phase_sums(conv, domain, pad, weight)
    interleave = stages.interleaved(conv, phases) if conv.w.stride > 1 else None

    def row_element(n, g, o, fh, y, ow):
        if interleave is None:
            return phases[n, g, o, fh, 0, y, ow]
        return interleave[n, g, o, fh, y, ow]

    return stages.stored(conv, shape, dtype, domain, tile.tile_columns, row_element)


@lru_cache(maxsize=256)
def _form(conv: ConvTranspose2d) -> TilingForm:
    return TilingForm(conv, conv, tile_of_phases=conv.h.stride > 1)


SPACE = TilingSpace(_form)

REVD2 = Algorithm(
    name="revd2",
    summary="output-stationary over phases, every output written once",
    parameters=Tiling,
    space=SPACE,
    choose=choose_tiling,
    cycles=tiling_cycles,
    packing=packing,
    compute=compute,
    refusal=too_many_phases,
)
