"""Stages as TE schedules them: regions in whole vectors, and a copy without a test per element."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import te, tir

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms import stages
from tvm_deconv.schedules.algorithms.names import EDGE, PAD, STORE

from .grid import Grid

# Vectors of all phases of a part of a row, between sums in memory and their interleaving.
VECTORS = "vectors"


def reaching(index: Any, further: int) -> Any:
    """``index``, never negative, for which TE infers a region that ends ``further`` later.

    TE computes exactly what a consumer reads. Here it computes whole vectors instead, since the
    interval of a selection is that of both its sides; once loops have bounds the selection is gone.
    """
    return tir.Select(index < 0, index + further, index) if further else index


@dataclass(frozen=True)
class Reaching:
    """A tensor whose last index is ``reaching``."""

    tensor: te.Tensor
    further: int

    @property
    def shape(self) -> Any:
        return self.tensor.shape

    def __getitem__(self, indices: tuple[Any, ...]) -> Any:
        return self.at(*indices)

    def at(self, *indices: Any) -> Any:
        """One element."""
        *lead, last = indices
        place = (*lead, reaching(last, self.further))
        return self.tensor[place]


def padded(conv: ConvTranspose2d, grid: Grid, x: te.Tensor) -> Reaching:
    """``pad[n, c, i, j]``: the input with a zero border as wide as the halo, as read by phases."""
    (top, _), (left, _) = conv.h.halo, conv.w.halo
    last = top + conv.h.uniform_extent, left + conv.w.uniform_extent
    return bordered(grid, x, (top, last[0]), (left, last[1]))


def bordered(grid: Grid, x: te.Tensor, rows: tuple[int, int], columns: tuple[int, int]) -> Reaching:
    """``padded`` with a border from the first to the last offset that rows and columns read at.

    A vector of columns that lies wholly inside is copied as such. The others, at most a few of a
    row, take every lane from where the input is read at its nearest, or 0.
    """
    batch, channels, height, width = stages.shape_of(x)
    (top, bottom), (left, right) = rows, columns
    lanes = grid.copied

    def value(n, c, i, j):
        row, column = i + top, j + left
        first = j // lanes * lanes + left
        whole = tir.all(first >= 0, first + (lanes - 1) < width)
        nearest = tir.max(tir.min(column, width - 1), 0)
        inside = tir.all(column >= 0, column < width)
        some = tir.Select(inside, x[n, c, row, nearest], stages.zero())
        copied = tir.if_then_else(whole, x[n, c, row, column], some)
        return tir.if_then_else(tir.all(row >= 0, row < height), copied, stages.zero())

    halo = right - left
    beyond = grid.columns_to_copy(halo) - grid.block_columns
    extent = grid.domain.rows + (bottom - top), grid.domain.columns + beyond
    pad = te.compute((batch, channels, *extent), value, name=PAD)
    return Reaching(pad, beyond - halo)


def stored(
    conv: ConvTranspose2d, shape: tuple[Any, ...], grid: Grid, row_element: Callable[..., Any]
) -> te.Tensor:
    """``store``: the output for an input of ``shape``, from ``row_element(n, g, o, fh, y, ow)``.

    Where columns are ragged the stage ``edge`` holds rows in memory.
    """
    batch, _, height, width = shape
    domain, stride = grid.domain, conv.h.stride
    if grid.ragged:
        columns = domain.columns * conv.w.stride
        row_shape = (batch, conv.groups, domain.channels, stride, domain.rows, columns)
        edge = Reaching(te.compute(row_shape, row_element, name=EDGE), grid.ragged)
        row_element = edge.at

    def element(n, c, oh, ow):
        g, o = (0, c) if conv.groups == 1 else (c // conv.group_outputs, c % conv.group_outputs)
        return row_element(n, g, o, oh % stride, oh // stride, ow)

    return te.compute(conv.output_shape(batch, height, width), element, name=STORE)


def rows_of(conv: ConvTranspose2d, sums: te.Tensor) -> Callable[..., Any]:
    """An element (n, g, o, fh, y, ow) of the rows of output columns, from sums in memory.

    Sums go through registers, since LLVM makes shuffles of a gather from those only.
    """
    if conv.w.stride == 1:
        return lambda n, g, o, fh, y, ow: sums[n, g, o, fh, 0, y, ow]
    vectors = te.compute(sums.shape, lambda *index: sums[index], name=VECTORS)
    rows = stages.interleaved(conv, vectors)
    return lambda *index: rows[index]
