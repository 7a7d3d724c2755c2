"""The search space of Winograd's form: values to try, and what cannot pay."""

from __future__ import annotations

from itertools import product
from math import prod

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.winograd import (
    can_share,
    can_shift,
    depth_filter,
    depth_outputs,
    filters,
    is_exact,
    tile_outputs,
)
from tvm_deconv.schedules.algorithms.expressions import ceil_div
from tvm_deconv.schedules.costs import Cost, waste
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.cpu.tiling import STACK_BYTES
from tvm_deconv.schedules.cpu.tiling_space import (
    idle_threads,
    parallel_values,
    some_parts,
    split_values,
)
from tvm_deconv.schedules.variant import Sizes

from .layout import Layout
from .tile import WinogradTile

# Multiply-adds of the reduction written out.
_MAX_UNROLLED = 256

# The transformed input of a strip may be as many times the level-2 and level-3 cache: the weights
# of a large layer are read again for every strip, which may cost more.
_LEVEL_2, _LEVEL_3 = 4, 2

# Columns of output, before they are interleaved, of a strip where the width is free.
_FREE_COLUMNS = (16, 32, 64, 128)
# Tiles of a row there, where it is the only row.
_FREE_TILES = (16, 32, 64)
# Strips of a single row.
_LINE_STRIPS = (8, 16, 32, 64, 128, 256)

_MOST_ROWS = 64
_DEPTH_TILES = (1, 2, 3, 4, 6, 8, 16)
_VECTORS = (1, 2, 3, 4)
_CHANNELS = (*range(1, 17), 20, 24, 28)
_BLOCKS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
_UNROLLS = (1, 2, 3, 4, 6, 8, 16)


class WinogradSpace:
    """The space of ``WinogradTile``."""

    def fields(
        self, conv: ConvTranspose2d, sizes: Sizes, own: WinogradTile, machine: CpuMachine
    ) -> dict[str, set[int]]:
        """Values of each field besides those that the variant chooses itself."""
        phases, outputs = conv.h.stride * conv.w.stride, conv.group_outputs
        rows, columns = tile_outputs(conv)
        blocks = {n for n in {*_BLOCKS, *some_parts(outputs, 4)} if n <= outputs}
        return {
            "lanes": {n for n in (machine.lanes, machine.lanes // 2) if n >= 4},
            "vectors": set(_VECTORS),
            "channels": {n for n in _CHANNELS if n <= phases * outputs},
            "outputs_h": set(rows),
            "outputs_w": set(columns),
            "tile_rows": _tile_rows(conv, sizes),
            "tile_columns": _tile_columns(conv, sizes),
            "block": blocks,
            "channel_splits": split_values({ceil_div(outputs, n) for n in blocks}, machine),
            "unroll": {n for n in _UNROLLS if Layout(conv, own).group_inputs % n == 0},
            "parallel": parallel_values(conv, sizes, machine),
            "weight_vectors": {0, 1} if machine.multiplies_by_lane else {0},
            "shared": {0, 1} if any(can_share(conv, o) for o in product(rows, columns)) else {0},
            "apart": {0, 1} if max(conv.h.shifts) else {0},
            "shifted": {0, 1} if can_shift(conv) and conv.slices is None else {0},
            "depth_outputs": set(depth_outputs(conv)),
            "depth_tiles": _depth_tiles(conv),
        }

    def refusal(
        self, conv: ConvTranspose2d, sizes: Sizes, tile: WinogradTile, machine: CpuMachine
    ) -> str | None:
        """Why the schedule cannot do these sizes, in words; None if it can."""
        if tile.lanes not in (4, 8, 16) or tile.lanes > machine.lanes:
            return f"no vectors of {tile.lanes} lanes on a machine of {machine.lanes}"
        for name, outputs, known in zip(
            ("height", "width"), tile.outputs, tile_outputs(conv), strict=True
        ):
            if outputs not in known:
                few = ", ".join(map(str, known))
                return f"{outputs} outputs of a tile in {name}: known and of use are {few}"
        refusal = _depth_refusal(conv, tile) or _shift_refusal(conv, tile)
        if refusal is not None:
            return refusal
        layout = Layout(conv, tile)
        late = max(layout.w.shifts)
        if sizes.width is None and not late and layout.w.span % tile.lanes:
            # Constants with a value per phase are read in whole vectors where strips begin at one.
            return (
                f"strips of {layout.w.span} columns, where the width is free, are no whole vectors"
            )
        if tile.block > conv.group_outputs:
            return f"{tile.block} channels in a block, where a group has {conv.group_outputs}"
        if layout.blocks % tile.channel_splits:
            return f"{layout.blocks} blocks are not divisible by {tile.channel_splits} splits"
        if layout.group_inputs % tile.unroll:
            return f"{layout.group_inputs} input channels are not divisible by unroll {tile.unroll}"
        if tile.weight_vectors and not machine.multiplies_by_lane:
            return "weight_vectors needs a machine that multiplies by a lane"
        if tile.weight_vectors and tile.channels % tile.lanes:
            return f"{tile.channels} channels are no whole vectors of {tile.lanes} weights"
        if tile.shared and tile.apart:
            return "phases that are apart share no products"
        if tile.shared and not can_share(conv, tile.outputs):
            return "phases have no products in common for such tiles"
        return None

    def costs(
        self, conv: ConvTranspose2d, sizes: Sizes, tile: WinogradTile, machine: CpuMachine
    ) -> list[Cost]:
        """What the sizes cost; the list is as long for every ``tile``."""
        layout = Layout(conv, tile)
        h, w = layout.h, layout.w
        batch, height, width = sizes
        if layout.depth_slices is not None:
            height = layout.depth_slices.height
        accumulators = tile.vectors * tile.channels
        by_lane = machine.multiplies_by_lane
        weights = ceil_div(tile.channels, tile.lanes) if by_lane else 1
        transformed = h.points * w.filter.transformed * layout.transform_rows
        transformed *= layout.transform_pitch
        scratch = 4 * (transformed + prod(layout.products) * (layout.rows | 1) * layout.pitch)
        caches = _LEVEL_2 * machine.l2_bytes + _LEVEL_3 * machine.l3_bytes
        on_stack = 4 * tile.lanes * tile.channels  # of one vector, see ``Strip``
        costs = [
            Cost(
                "vector registers", accumulators + tile.vectors + weights, machine.vector_registers
            ),
            Cost("bytes of accumulators on the stack", on_stack, STACK_BYTES - 1),
            Cost(
                "multiply-adds written out",
                accumulators * tile.unroll * layout.pieces,
                _MAX_UNROLLED,
            ),
            Cost("bytes of scratch", scratch, caches),
            waste("rows", layout.block_rows, layout.rows),
            waste(
                "tiles", layout.d.tiles * h.tiles * w.tiles * layout.residues, layout.strip_tiles
            ),
        ]
        strips = batch or 1
        if layout.depth_slices is not None:
            strips *= layout.d.strips(layout.depth_slices.depth)
            most = ceil_div(layout.depth_slices.count, layout.d.unit)
            costs.append(Cost("tiles beyond the depth", max(0, layout.d.tiles - most), 0))
        if height is not None:
            # Phases that start late have their last outputs in a tile of their own.
            rows = conv.h.blocks(height) + max(h.shifts)
            useless = max(0, h.tiles - max(1, ceil_div(rows, h.unit)))
            costs.append(Cost("rows of tiles beyond the output", useless, 0))
        if width is not None:
            columns = conv.w.blocks(width) + max(w.shifts)
            useless = max(0, w.tiles - max(1, ceil_div(columns, w.unit)))
            costs.append(Cost("columns of tiles beyond the output", useless, 0))
        if height is not None and width is not None:
            pieces = strips * h.strips(height) * w.strips(width) * h.kinds * conv.groups
            costs.append(idle_threads(pieces * tile.channel_splits, tile.parallel, machine))
        return costs


def _depth_tiles(conv: ConvTranspose2d) -> set[int]:
    """Tiles of a strip along the depth."""
    if depth_outputs(conv) == [0] or conv.slices is None:
        return {0}
    return {n for n in _DEPTH_TILES if n <= conv.slices.count}


def _depth_refusal(conv: ConvTranspose2d, tile: WinogradTile) -> str | None:
    outputs, tiles = tile.depth
    known = depth_outputs(conv)
    if outputs not in {0, *known}:
        few = ", ".join(map(str, known))
        return f"{outputs} outputs of a tile along the depth: known and of use are {few}"
    if (tiles > 0) != (outputs > 0):
        return f"{tiles} tiles along the depth, of {outputs} outputs"
    axes = (depth_filter(conv, outputs), *filters(conv, tile.outputs))
    if outputs > 1 and not is_exact(axes):
        sizes = "x".join(map(str, (outputs, *tile.outputs)))
        return f"tiles of {sizes} outputs round more than those of 6x6 and three taps"
    return None


def _shift_refusal(conv: ConvTranspose2d, tile: WinogradTile) -> str | None:
    if not tile.shifted:
        return None
    if not can_shift(conv):
        return "phases in width start alike, or their taps do not lie side by side"
    if tile.depth[0]:
        return "phases in width have tiles of their own in pictures only"
    return "phases that have tiles of their own share no products" if tile.shared else None


def _tile_rows(conv: ConvTranspose2d, sizes: Sizes) -> set[int]:
    values = {*range(1, 17), 20, 24, 32, 48, _MOST_ROWS}
    if sizes.height is None:
        return {n for n in values if n <= 16}
    most, height = 1, sizes.height if conv.slices is None else conv.slices.height
    for unit in _units(conv)[0]:
        tiles = ceil_div(conv.h.blocks(height) + conv.h.stride, unit)
        most = max(most, tiles)
        values |= some_parts(max(1, tiles), 4)
    return {n for n in values if n <= min(most, _MOST_ROWS)}


def _tile_columns(conv: ConvTranspose2d, sizes: Sizes) -> set[int]:
    """A row of output in a few parts, for every width of tile."""
    late = max(conv.w.shifts)
    values = set()
    for unit in _units(conv)[1]:
        if sizes.width is None:
            values |= {ceil_div(columns, unit) for columns in _FREE_COLUMNS}
        else:
            blocks = max(1, conv.w.blocks(sizes.width))
            parts = set(some_parts(blocks, 6))
            if sizes.height == 1:
                parts |= {ceil_div(blocks, count) for count in _LINE_STRIPS}
            values |= {ceil_div(part + late, unit) for part in parts}
    if sizes.width is None and sizes.height == 1:
        values |= set(_FREE_TILES)
    return values


def _units(conv: ConvTranspose2d) -> tuple[list[int], list[int]]:
    """Samples from one tile to the next (rows, columns), for every tile."""
    rows, columns = tile_outputs(conv)
    return (
        [filters(conv, (n, columns[0]))[0].unit for n in rows],
        [filters(conv, (rows[0], n))[1].unit for n in columns],
    )
