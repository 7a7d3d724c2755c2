"""The default schedule of a product of matrices, and what it wants of constants."""

from __future__ import annotations

from collections.abc import Collection

from tvm import tirx
from tvm.tirx import decl_buffer

from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.rest.lanes import lane_reduction_of
from tvm_deconv.schedules.rest.stage import Stage

from .pack import Packings, packing_of
from .read import Product, product_of
from .tile import choose_tile
from .write import write

def schedule_product(
    func: tirx.PrimFunc, stages: list[Stage], machine: CpuMachine, constants: Collection[int]
) -> tuple[tirx.PrimFunc, Packings] | None:
    """``func``, whose stages are ``stages``, scheduled; None if it is no product of matrices.

    ``constants`` are the positions of parameters that are constants; of those that the function
    then takes packed, by position, the packings.
    """
    product = product_of(stages)
    if product is None:
        return None
    tile = choose_tile(product, machine)
    (place,) = (i for i, p in enumerate(func.params) if p.same_as(product.b.load.source)) or (None,)
    packing = packing_of(product, tile.panels) if place in constants else None
    if packing is not None:
        load = product.b.load
        packed = decl_buffer((packing.count,), load.source.dtype, f"{load.source.name}_packed")
        return write(func, product, tile, packed), {place: packing}
    if not _lies_right(product) or _is_better_by_lanes(stages[0], machine):
        return None
    return write(func, product, tile, None), {}


def _lies_right(product: Product) -> bool:
    """Whether neighbouring columns of b are neighbours in memory."""
    b = product.b
    return b.is_contiguous_along(product.columns) and product.columns in b.steps[-1]


def _is_better_by_lanes(stage: Stage, machine: CpuMachine) -> bool:
    lanes = lane_reduction_of(stage, machine)
    return lanes is not None and lanes.is_best
