"""The products' nest, on the scratch of a strip, with prefetches of weights and outputs."""

from __future__ import annotations

from itertools import product
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import TensorLoad, TensorRegion

from tvm_deconv.schedules.algorithms.names import OUTPUTS, PREFETCH, PRODUCTS, TRANSFORM
from tvm_deconv.schedules.cache_lines import LINE
from tvm_deconv.schedules.tir import edit

from .strip import Strip
from .tile import MOST_FETCHED

# Register tiles of rows up to which transformed inputs are prefetched.
_FEW_ROW_STEPS = 4

# Lanes from which outputs are prefetched in the turns of the reduction.
_LANES_IN_TURNS = 16


def in_scratch(strip: Strip, products: tirx.Stmt) -> tirx.Stmt:
    """The products' nest on buffers of one strip: [u, v, ic or row, tile]."""
    own = {
        strip.definition[TRANSFORM].writes[0].source: (strip.transform, 5),
        strip.definition[OUTPUTS].reads[0].source: (strip.products, 6),
    }

    def load(node: TensorLoad) -> Any:
        buffer, skipped = own.get(node.source, (None, 0))
        return node if buffer is None else tirx.BufferLoad(buffer, node.indices[skipped:])

    def store(node: tirx.BufferStore) -> Any:
        buffer, skipped = own.get(node.buffer, (None, 0))
        if buffer is None:
            return node
        return tirx.BufferStore(buffer, node.value, node.indices[skipped:])

    def region(node: TensorRegion) -> Any:
        buffer, skipped = own.get(node.source, (None, 0))
        return node if buffer is None else TensorRegion(buffer, node.region[skipped:], node.ty)

    def loop(node: tirx.For) -> Any:
        return _prefetching(strip, node) if PREFETCH in node.annotations else node

    callbacks = [
        (TensorLoad, load),
        (tirx.BufferStore, store),
        (TensorRegion, region),
        (tirx.For, loop),
    ]
    parts = _in_parts(strip, tvm_ffi.structural_map(products, callbacks))
    return _in_registers(strip, parts)


def _in_registers(strip: Strip, products: tirx.Stmt) -> tirx.Stmt:
    """Sums, and copies of weights, in buffers of a register tile: [row, lane of vectors], [row].

    for tile: ... for vector: sums[..., row, tau] ...
    => for tile: ... sums0[row, lane]; sums1[row, lane]; ...
    """
    parts = strip.accumulators
    *_, first_row, first_tau = _tile_origin(strip, products)
    wide = int(parts[0].shape[-1])

    def in_part(number: int) -> list[Any]:
        def place(indices: Any) -> list[Any]:
            *_, row, tau = indices
            return [row - first_row, tau - first_tau - number * wide]

        return edit.moving(strip.sums, parts[number], place, lambda extents: extents[-2:])

    def of_lanes(indices: Any) -> list[Any]:
        return [indices[-1]]

    def loop(node: tirx.For) -> Any:
        lanes = node.body
        is_inner = isinstance(lanes, tirx.For) and lanes.kind == tirx.ForKind.VECTORIZED
        if not is_inner or int(node.extent) != len(parts) or not _touches(lanes, strip.sums):
            return node
        return tirx.SeqStmt([one(node, number) for number in range(len(parts))])

    def one(node: tirx.For, number: int) -> tirx.Stmt:
        vector = edit.const_like(node.loop_var, number)
        own = in_part(number)
        return tvm_ffi.structural_map(
            node.body, [*own, (tirx.Var, lambda var: vector if var.same_as(node.loop_var) else var)]
        )

    def allocated(node: tirx.For) -> Any:
        if not node.loop_var.same_as(strip.register_tiles[-1].loop_var):
            return node
        return edit.with_loop(node, body=edit.allocating(strip.in_registers, [node.body]))

    changes = [(tirx.For, loop)] if len(parts) > 1 else in_part(0)
    products = tvm_ffi.structural_map(products, changes)
    if strip.copied is not None:
        moves = edit.moving(strip.copied, strip.lane_weights, of_lanes, of_lanes)
        products = tvm_ffi.structural_map(products, moves)
    return tvm_ffi.structural_map(products, (tirx.For, allocated))


def _tile_origin(strip: Strip, products: tirx.Stmt) -> list[Any]:
    """Where a register tile of sums begins."""
    init = edit.find_block(products, PRODUCTS + "_init")
    around = {loop.loop_var for loop in strip.register_tiles}
    inner = edit.loops_to(products, init)
    within = {loop.loop_var: 0 for loop in inner[1:] if loop.loop_var not in around}
    return [edit.bind(value, within) for value in init.iter_values]


def _touches(stmt: tirx.Stmt, buffer: Any) -> bool:
    found: list[Any] = []
    tvm_ffi.structural_walk(stmt, (TensorRegion, found.append))
    return any(region.source.same_as(buffer) for region in found)


def _in_parts(strip: Strip, products: tirx.Stmt) -> tirx.Stmt:
    """Sum the terms in parts of ``turns`` turns of the reduction, each rounded as a short sum is.

    acc = 0; prefetch; for ic: acc += ...; products = acc
    => prefetch; for part: acc = 0; for ic of it: acc += ...; products = (products +) acc
    """
    layout = strip.layout
    *outer, tile, reduction = _loops_around(products)
    all_turns = int(reduction.extent)
    if all_turns == layout.turns:
        return products
    clear, *fetches, _, copy = tile.body.seq
    part = strip.loop("part", -(-all_turns // layout.turns))
    first = part.loop_var * layout.turns
    turns = edit.const_like(first, layout.turns)
    if all_turns % layout.turns:
        turns = tirx.min(turns, all_turns - first)
    terms = edit.with_loop(reduction, min=first, extent=turns)
    copies = tirx.IfThenElse(part.loop_var == 0, copy, _added(strip, copy))
    parts = edit.rebuild([part], tirx.SeqStmt([clear, terms, copies]))
    return edit.rebuild([*outer, tile], edit.sequence([*fetches, parts]))


def _loops_around(products: tirx.Stmt) -> list[tirx.For]:
    """The loops of the products' nest, down to that over input channels, which is the last."""
    init = edit.find_block(products, PRODUCTS + "_init")
    update = edit.find_block(products, PRODUCTS + "_update")
    around, down = edit.loops_to(products, init), edit.loops_to(products, update)
    shared = [loop for loop, other in zip(down, around, strict=False) if loop.same_as(other)]
    return down[: len(shared) + 1]


def _added(strip: Strip, copy: tirx.Stmt) -> tirx.Stmt:
    """products = acc  =>  products += acc"""

    def add(node: tirx.BufferStore) -> tirx.BufferStore:
        held = tirx.BufferLoad(node.buffer, node.indices)
        return tirx.BufferStore(node.buffer, held + node.value, node.indices)

    return tvm_ffi.structural_map(copy, (tirx.BufferStore, add))


def _prefetching(strip: Strip, reduction: tirx.For) -> tirx.Stmt:
    """for ic: products  =>  for ic: prefetch next rows' weights, and outputs; products.

    Where vectors are short, outputs are prefetched before the loop.

    The weights of a large layer are in no core's own cache. Measured on two cores of Zen 4:
    2 to 5 % for layers of 128 to 512 channels, nothing for fewer.
    """
    tile = strip.layout.tile
    realize = edit.find_block(reduction, PRODUCTS + "_update")
    inner = {loop.loop_var: 0 for loop in edit.loops_to(reduction, realize)[1:]}
    values = [edit.bind(value, inner) for value in realize.iter_values]
    _, _, _, f, g, block, u, v, row, tau, channel, _ = values
    fetches = []
    turn = strip.layout.pieces * tile.channels
    for first in range(0, tile.unroll * turn, LINE):
        later, within = divmod(first, turn)
        piece, lane = divmod(within, tile.channels)
        place = [g, f, block, u, v, row // tile.channels + 1, channel + later, piece, lane]
        line = tirx.BufferLoad(strip.weights, place)
        fetches.append(edit.prefetch(line))
    fetches += _fetch_next_point(strip, u, v, channel, tau)
    before = []
    if strip.lanes < _LANES_IN_TURNS:
        before = _fetch_outputs(strip)
    else:
        fetches += _fetch_outputs(strip, reduction)
    body = tirx.SeqStmt([*fetches, reduction.body])
    return edit.sequence([*before, edit.with_loop(reduction, body=body, annotations={})])


def _fetch_next_point(strip: Strip, u: Any, v: Any, channel: Any, tau: Any) -> list[tirx.Stmt]:
    """Prefetch what the next point of the depth reads, of the input channels at hand.

    Intel Xeon (model 207), one thread: 96->32 channels of volumes, four register tiles of rows,
    take 0.95 of the time; with 8 of them it changes nothing, and 16 take 1.03 times as long.
    """
    layout, d = strip.layout, strip.layout.d
    if d.points == 1 or layout.row_steps > _FEW_ROW_STEPS:
        return []
    at = layout.h.filter.point(u), layout.w.filter.point(v // d.points)
    tiles = (v % d.points + 1) * layout.point_tiles + tau
    loads = [
        tirx.BufferLoad(strip.transform, [*at, channel + later, tiles + vector * strip.lanes])
        for later, vector in product(range(layout.tile.unroll), range(layout.tile.vectors))
    ]
    return [edit.prefetch(load) for load in loads]


def _fetch_outputs(strip: Strip, reduction: tirx.For | None = None) -> list[tirx.Stmt]:
    """Prefetch a register tile's share of the lines that the block's outputs are stored to, and of
    what is added there: all, or what a turn of the reduction has of it.

    A line that is in no core's own cache is read before it is written, and the store waits.
    Measured on an Intel Xeon (Emerald Rapids): 5 to 18 % of the time of ten layers whose maps
    are in the level-3 cache. A core waits for 16 lines at most, and when more are prefetched at
    once the products wait: in turns, layers of 28 to 64 channels take 0.94 to 1.00 of the time.
    With vectors of AVX2 a turn is short, and they take 1.00 to 1.05. A prefetch beyond the output
    does no harm, nor does one of a line that is on its way: of those that have no line of their own
    none is jumped over, for LLVM loaded all weights ahead of a jump, and spilled sums. With a map
    that is added, layers of 64 channels take 0.86 to 0.89 of the time where its lines are
    prefetched, too (AMD EPYC, Zen 5, one thread; maps of 96x96 and 256x256).
    """
    d, h, w = strip.layout.d, strip.layout.h, strip.layout.w
    n, sy, sx, f, g, block = strip.place
    y = strip.store.block.writes[0].source
    values = LINE * 4 // (y.dtype.bits // 8)
    rows, lines = strip.layout.output_rows, strip.layout.row_lines(values)
    if strip.layout.fetched_lines(values) > MOST_FETCHED:
        return []
    number, tiles = tirx.const(0, strip.index), 1
    for loop in strip.register_tiles:
        number, tiles = number * loop.extent + loop.loop_var, tiles * int(loop.extent)
    slices = d.unit * d.tiles
    all_rows = strip.layout.tile.block * slices * rows
    runs, each, share = shares_of(all_rows, lines, tiles)
    turn, turns = tirx.const(0, strip.index), 1
    if reduction is not None:
        turn, turns = reduction.loop_var, int(reduction.extent)
    a_turn = -(-share // turns)
    run, line = strip.loop("run", each), strip.loop("line", a_turn)
    used = -(-share // a_turn)
    place, last = number * each + run.loop_var, all_rows * runs - 1
    if tiles * each - 1 > last:
        place = tirx.min(place, edit.const_like(place, last))
    if used < turns:
        turn = turn * used // turns
    at = turn * a_turn + line.loop_var
    channel, k, row = (
        place // (slices * rows * runs),
        place // (rows * runs),
        place // runs % rows,
    )
    z, sy = strip.places.of_strip(sy)
    o = g * strip.conv.group_outputs + block * strip.layout.tile.block + channel
    down, left = h.axis.stride, sx * w.span * w.axis.stride
    top = strip.places.written(z * d.span + k % slices, sy * h.span * down + f)
    column = left + (place % runs * share + at) * values
    added = _added_maps(strip.store.block)
    line_at = [n, o, top + row * h.kinds, column]
    fetches = [edit.prefetch(tirx.BufferLoad(y, line_at), write=True)]
    fetches += [edit.prefetch(tirx.BufferLoad(x, line_at)) for x in added]
    return [edit.rebuild([run, line], edit.sequence(fetches))]


def _added_maps(block: Any) -> list[Any]:
    """The maps that ``block`` reads where it stores, of the output's shape: those of a residual."""
    (written,) = block.writes
    place = [axis.var for axis in block.iter_vars]
    shape = list(written.source.shape)

    def is_added(read: Any) -> bool:
        if read.source.name == OUTPUTS:
            return False
        at = [axis.min for axis in read.region]
        same = tvm_ffi.structural_equal(list(read.source.shape), shape)
        return same and all(i.same_as(own) for i, own in zip(at, place, strict=True))

    return [read.source for read in block.reads if is_added(read)]


def shares_of(rows: int, lines: int, tiles: int) -> tuple[int, int, int]:
    """How ``rows`` of ``lines`` are dealt to ``tiles``: runs of a row, runs a tile, lines a run.

    A run lies in one row. Where each line had a place of its own, quotients and remainders took up
    to 5 % of a layer of 28 channels on an Intel Xeon (Emerald Rapids).
    """
    share = -(-lines // max(1, tiles // rows))
    runs = -(-lines // share)
    return runs, -(-rows * runs // tiles), share
