"""Scheduling steps of the Winograd form; the docstring shows the nest before and after."""

from __future__ import annotations

from math import gcd

from tvm.s_tir import Schedule

from tvm_deconv.schedules.algorithms.names import PREFETCH, PRODUCTS, TRANSFORM
from tvm_deconv.schedules.tir.pieces import join

from .tile import WinogradTile


def tile_products(sch: Schedule, tile: WinogradTile) -> None:
    """Tile the products for registers, with the transformed input of each strip before them.

    transform; for n, sy, sx, f, g, blk, u, v, row, tau: for ic, piece: products += ...
    => parallel n*sy*sx*f*g*split:
           transform of the strip
           for blk, u, v, rows, taus:
               acc = 0; for ic: unrolled piece, row: vectorised tau: acc += ...
               products = acc
    """
    block = sch.get_sblock(PRODUCTS)
    acc = sch.cache_write(block, 0, "global")
    n, sy, sx, f, g, blk, u, v, row, tau, ic, piece = sch.get_loops(block)
    split, blk = sch.split(blk, [tile.channel_splits, None])
    rows, row = sch.split(row, [None, tile.channels])
    taus, vector, lane = sch.split(tau, [None, tile.vectors, tile.lanes])
    ic, ic_in = sch.split(ic, [None, tile.unroll])
    outer = [n, sy, sx, f, g, split]
    sch.reorder(*outer, blk, u, v, rows, taus, ic, ic_in, piece, row, vector, lane)
    parallel = join(sch, outer, tile.parallel, hidden=True)
    for loop in (ic_in, piece, row, vector):
        sch.unroll(loop)
    sch.vectorize(lane)
    if tile.weight_vectors:
        _weights_in_vectors(sch, block, piece, tile)
    sch.annotate(ic, PREFETCH, True)
    init = sch.decompose_reduction(block, ic)
    *unrolled, init_lane = sch.get_loops(init)[-3:]
    for loop in unrolled:
        sch.unroll(loop)
    sch.vectorize(init_lane)

    sch.reverse_compute_at(acc, taus, preserve_unit_loops=True)
    *unrolled, acc_lane = _tile_loops(sch, acc, tile)
    for loop in unrolled:
        sch.unroll(loop)
    sch.vectorize(acc_lane)
    sch.compute_at(sch.get_sblock(TRANSFORM), parallel)


def _weights_in_vectors(sch: Schedule, block, piece, tile: WinogradTile) -> None:
    """Load the weights of an input channel's piece as whole vectors, to multiply by their lanes.

    for piece: for row, tau: acc += transform * packed
    => for piece: w = packed (unrolled, vectorised); for row, tau: acc += transform * w
    """
    weights = sch.cache_read(block, 1, "global")
    sch.compute_at(weights, piece, preserve_unit_loops=True)
    *_, row = sch.get_loops(weights)
    # Less than a vector if a register tile's rows are no whole number of them.
    vector, lane = sch.split(row, [None, gcd(tile.channels, tile.lanes)])
    sch.unroll(vector)
    sch.vectorize(lane)


def _tile_loops(sch: Schedule, block, tile: WinogradTile):
    """Row, vector and lane loops of a copy of one register tile."""
    *_, row, tau = sch.get_loops(block)
    vector, lane = sch.split(tau, [tile.vectors, tile.lanes])
    return row, vector, lane
