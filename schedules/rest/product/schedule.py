"""The default schedule of a product of matrices, and what it wants of constants."""

from __future__ import annotations

from collections.abc import Collection
from math import gcd, prod

from tvm import tirx

from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.rest.lanes import lane_reduction_of
from tvm_deconv.schedules.rest.stage import Stage, static_value

from .pack import Packings, outer_of, packing_of
from .panels import is_in_columns, is_in_rows
from .read import Product, product_of
from .tile import Tile, choose_tile, tiles_of
from .write import How, write

# Level-1 caches have 64 sets of lines of 64 bytes, level-2 caches 1024 or 2048. Rows that are a
# multiple of a power of two apart share few of them; 8 of the 8 to 16 lines of a set count. Of
# 512x1024, rows of 4 KiB, products took twice as long as with packed panels.
_SETS, _LINE, _ROWS_OF_A_SET, _FLOAT_BYTES = (64, 2048), 64, 8, 4

# Quotients by a free size would stand in each index of a tile where there is another one: compiling
# a product of free batch and rows took 1.3 seconds, and 0.1 by the contraction of all else.
_MOST_FREE = 1

# Tiles of rows that read each packed value.
_USES_WORTH_PACKING = 4


def schedule_product(
    func: tirx.PrimFunc, stages: list[Stage], machine: CpuMachine, constants: Collection[int]
) -> tuple[tirx.PrimFunc, Packings] | None:
    """``func``, whose stages are ``stages``, scheduled; None if it is no product of matrices.

    ``constants`` are the positions of parameters that are constants; of those that the function
    then takes packed, by position, the packings.
    """
    product = product_of(stages)
    if product is None or _free_sizes(product) > _MOST_FREE:
        return None
    tile = choose_tile(product, machine)
    source = product.b.load.source
    own = [i for i in constants if func.params[i].same_as(source)]
    packing = packing_of(product, tile.panels) if own and product.reads_b_alone else None
    if packing is not None:
        return write(func, product, tile, How.GIVEN), {own[0]: packing}
    how = how_of(product, tile, machine)
    if how is None or _is_better_by_lanes(stages[0], machine):
        return None
    return write(func, product, tile, how), {}


def _free_sizes(product: Product) -> int:
    rows = [product.rows] if product.rows else []
    return sum(axis.size is None for axis in (*product.outer, *rows))


def how_of(product: Product, tile: Tile, machine: CpuMachine) -> How | None:
    """How b is read that is no constant; None where nothing here does it."""
    if is_in_rows(product):
        if not _collides(product) or tiles_of(product, tile) < _USES_WORTH_PACKING:
            return How.AS_IT_LIES
    elif not is_in_columns(product, tile.panels.lanes):
        return None
    outer = outer_of(product)
    places = prod(axis.size or machine.threads for axis in outer)
    is_apart = len(outer) == len(product.outer) and places >= machine.threads
    return How.WITHIN if is_apart else How.BEFORE


def _collides(product: Product) -> bool:
    """Whether the rows of b that a panel goes through push each other out of the caches."""
    depth, columns = product.depth.size, product.b.load.source.shape[-1]
    width = static_value(columns)
    if depth is None or width is None:
        return False
    caches = (sets * _LINE for sets in _SETS)
    # So many rows are in sets of their own.
    apart = (cache // gcd(_FLOAT_BYTES * width, cache) for cache in caches)
    return any(depth > _ROWS_OF_A_SET * rows for rows in apart)


def _is_better_by_lanes(stage: Stage, machine: CpuMachine) -> bool:
    lanes = lane_reduction_of(stage, machine)
    return lanes is not None and lanes.is_best
