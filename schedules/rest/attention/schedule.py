"""How attention is cut into strips, and where that pays."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from tvm import s_tir, tirx

from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.rest.default import finished, with_its_stages
from tvm_deconv.schedules.rest.product.read import Product, product_of
from tvm_deconv.schedules.rest.product.schedule import how_of
from tvm_deconv.schedules.rest.product.tile import Tile, choose_tile
from tvm_deconv.schedules.rest.product.write import How
from tvm_deconv.schedules.tir.last_steps import for_llvm

from .read import Attention, attention_of, is_softmax
from .write import Strips, pitch_of, write

# Fewer rows than this would have keys and values pass by too often.
_FEWEST_ROWS = 8

_FLOAT_BYTES = 4


def schedule_attention(
    scores: tirx.PrimFunc,
    softmax: tirx.PrimFunc,
    values: tirx.PrimFunc,
    place: int,
    machine: CpuMachine,
) -> tirx.PrimFunc | None:
    """Three functions as one, scheduled; None where they are no attention, or better as they are.

    ``softmax`` is given what ``scores`` computes, and ``values`` the result of that as its
    parameter ``place``. The parameters are those of ``scores`` but for its result, and then those
    of ``values`` but for ``place``.
    """
    # Products of the same sizes are one function, whose parameters come twice here.
    before, after = with_its_stages(scores), with_its_stages(s_tir.renew_defs(values))
    if before is None or after is None or not is_softmax(softmax):
        return None
    (first, *stages), (second, *more) = before, after
    products = product_of(*stages), product_of(*more)
    if products[0] is None or products[1] is None:
        return None
    *given, result = first.params
    own = second.params[place]
    if not products[0].store.buffer.same_as(result) or not products[1].a.load.source.same_as(own):
        return None
    found = attention_of(products[0], products[1])
    strips = _strips(found, machine) if found is not None else None
    if found is None or strips is None:
        return None
    params = [*given, *(param for param in second.params if not param.same_as(own))]
    return finished(for_llvm(write(params, found, strips)), machine)


def _strips(found: Attention, machine: CpuMachine) -> Strips | None:
    most = most_rows(found, machine)
    if most < min(found.height, _FEWEST_ROWS) or found.width < machine.lanes:
        return None
    rows = -(-found.height // _count(found, most, machine))
    # Whole tiles: the last one begins early, and computes rows again.
    height = _tile(found.scores, rows, machine).rows
    rows = min(found.height, most, -(-rows // height) * height)
    scores, values = (_tile(p, rows, machine) for p in (found.scores, found.values))
    keys_how = _how(found.scores, scores, machine)
    values_how = _how(found.values, values, machine)
    if keys_how is None or values_how is None:
        return None
    return Strips(rows, machine.lanes, (scores, keys_how), (values, values_how))


def most_rows(found: Attention, machine: CpuMachine) -> int:
    """Rows whose scores fill the level-2 cache, through which keys and values pass.

    The fewer the strips, the less often that is: of 4096 places of 512 channels 202 ms became 281
    with a quarter of it, and three functions take 210.
    """
    return machine.l2_bytes // (_FLOAT_BYTES * pitch_of(found.width))


def _count(found: Attention, most: int, machine: CpuMachine) -> int:
    """Strips of a place, of at most ``most`` rows: few, and as many for each thread."""
    places = prod(axis.size or machine.threads for axis in found.scores.outer)
    fewest = -(-found.height // most)
    counts = range(fewest, min(found.height, fewest + machine.threads) + 1)
    even = (count for count in counts if places * count % machine.threads == 0)
    return next(even, fewest)


def _tile(product: Product, rows: int, machine: CpuMachine) -> Tile:
    """The tile of a strip; all of its rows are one piece."""
    tile = choose_tile(product.with_height(rows), machine)
    return replace(tile, tiles=-(-rows // tile.rows))


def _how(product: Product, tile: Tile, machine: CpuMachine) -> How | None:
    """How keys or values are read; what is packed, once for all strips."""
    how = how_of(product, tile, machine)
    return How.BEFORE if how is How.WITHIN else how
