"""STRD before it is scheduled: stages, packing, parameters and their cost.

The input with ``s - 1`` zeros between its samples is ``z[s*i] = x[i]``, and the transposed
convolution of ``x`` with stride ``s`` is that of ``z`` with stride 1: the same kernel, dilation and
paddings. Every product with an inserted zero is computed.

    dilate  z with a zero border (rows and columns beyond it read as 0)
    phases  sum over channels and kernel, one stride-1 convolution
    edge    the same rows in memory, for tiles that cross the right edge (absent if none does)
    store   one output element each, the only stage with the output's exact shape
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import prod
from typing import Any

from tvm import te

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.packing import Packing
from tvm_deconv.schedules.algorithms import stages
from tvm_deconv.schedules.algorithms.names import DILATE
from tvm_deconv.schedules.algorithms.tir import tir
from tvm_deconv.schedules.cpu.domain import domain_of
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.cpu.tiling import Tiling
from tvm_deconv.schedules.cpu.tiling_choice import choose_tiling
from tvm_deconv.schedules.cpu.tiling_cycles import tiling_cycles
from tvm_deconv.schedules.cpu.tiling_space import TilingForm, TilingSpace
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, Algorithm, Sizes

from . import revd2


def dense(conv: ConvTranspose2d) -> ConvTranspose2d:
    """The same layer over the dilated map: stride 1."""
    return replace(conv, h=replace(conv.h, stride=1), w=replace(conv.w, stride=1))


def choose(conv: ConvTranspose2d, sizes: Sizes, machine: CpuMachine) -> Tiling:
    """Tile sizes for a layer: those of REVD2 over the dilated map."""
    return choose_tiling(dense(conv), dilated_sizes(conv, sizes), machine)


def cycles(conv: ConvTranspose2d, sizes: Sizes, tile: Tiling, machine: CpuMachine) -> float:
    """Cycles of the busiest thread, products with inserted zeros included.

    Where a size is free, the typical one that is counted is the input's: the dilated map has as
    many times more samples as the stride.
    """
    axes = ((conv.h, sizes.height), (conv.w, sizes.width))
    more = prod(axis.stride for axis, size in axes if size is None)
    return more * tiling_cycles(dense(conv), dilated_sizes(conv, sizes), tile, machine)


def packing(conv: ConvTranspose2d, tile: Tiling) -> Packing:
    """That of ``revd2`` over the dilated map, which has one phase."""
    return revd2.packing(dense(conv), tile)


def compute(conv: ConvTranspose2d, tile: Tiling, x: te.Tensor, packed: te.Tensor) -> te.Tensor:
    """The algorithm: y (NCHW) from x (NCHW) and weights from ``pack_weights``; y has x's dtype."""
    flat, shape = dense(conv), dilated_shape(conv, stages.shape_of(x))
    domain = domain_of(flat, tile, shape)
    return revd2.sums_of(flat, tile, shape, x.dtype, dilated(conv, domain, x), packed)


def dilated_shape(conv: ConvTranspose2d, shape: tuple[Any, ...]) -> tuple[Any, ...]:
    """Shape of an input of ``shape`` with zeros between its samples."""
    batch, channels, height, width = shape
    return batch, channels, _dilated(height, conv.h.stride), _dilated(width, conv.w.stride)


def dilated(conv: ConvTranspose2d, domain: stages.Domain, x: te.Tensor) -> te.Tensor:
    """``dilate[n, c, i, j]``: the input in float32 with zeros in between, and a zero border."""
    batch, channels, height, width = stages.shape_of(x)
    flat = dense(conv)
    (top, _), (left, _) = flat.h.halo, flat.w.halo

    def sample(n, c, i, j):
        (row, no_row), (column, no_column) = (
            (tir.floordiv(place, axis.stride), tir.floormod(place, axis.stride))
            for place, axis in ((i + top, conv.h), (j + left, conv.w))
        )
        inside = tir.all(row >= 0, row < height, column >= 0, column < width)
        value = x[n, c, row, column].astype(ACCUMULATE_DTYPE)
        return tir.if_then_else(tir.all(inside, no_row == 0, no_column == 0), value, stages.zero())

    rows, columns = domain.rows + flat.h.uniform_extent, domain.columns + flat.w.uniform_extent
    return te.compute((batch, channels, rows, columns), sample, name=DILATE)


def _dilated(size: Any, stride: int) -> Any:
    return (size - 1) * stride + 1


def dilated_sizes(conv: ConvTranspose2d, sizes: Sizes) -> Sizes:
    """Sizes of the input with zeros between its samples."""
    batch, height, width = sizes
    return Sizes(
        batch,
        None if height is None else _dilated(height, conv.h.stride),
        None if width is None else _dilated(width, conv.w.stride),
    )


@lru_cache(maxsize=256)
def _form(conv: ConvTranspose2d) -> TilingForm:
    return TilingForm(dense(conv), dense(conv))


SPACE = TilingSpace(_form)

STRD = Algorithm(
    name="strd",
    summary="zeros inserted between the input samples, then a stride-1 convolution",
    parameters=Tiling,
    space=SPACE,
    choose=choose,
    cycles=cycles,
    packing=packing,
    compute=compute,
)
