"""The search space of the variants that tile by ``Tiling``: values to try, and what cannot pay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms.expressions import ceil_div
from tvm_deconv.schedules.costs import Cost, waste
from tvm_deconv.schedules.typical import TYPICAL_SIZES
from tvm_deconv.schedules.variant import Sizes

from .machine import CpuMachine
from .tiling import MIN_WORK_PER_THREAD, STACK_BYTES, Tiling, lanes_of

# Multiply-adds written out: twice what ``choose_tiling`` goes to. LLVM takes 2 s for that many.
_MAX_UNROLLED = 2048

# A strip's scratch may be as many times the level-2 cache: a level-3 cache or a prefetcher may
# still keep up where each value is used by many channels.
_CACHES = 4

# Block columns of a strip where the width is free: a narrow input pays for all of them.
_FREE_COLUMNS = 256

_MOST_ROWS = 64
_VECTORS = (1, 2, 3, 4, 5, 6, 8)
_CHANNELS = (*range(1, 17), 20, 24, 28)

# With so much work for each thread there is no question that all of them should take part.
_CERTAINLY_PARALLEL = 16 * MIN_WORK_PER_THREAD


@dataclass(frozen=True)
class TilingForm:
    """How a variant uses ``Tiling`` for a layer.

    ``strip`` is the layer whose blocks a strip counts. ``tiled`` is the convolution whose phases a
    register tile holds; None where all sums of a strip are in scratch. ``planes`` is the number of
    sums for each block and channel that a strip keeps there, and ``copies`` how often the code of
    a register tile is written out. ``tile_of_phases`` says whether a tile may hold all phases in
    height.
    """

    strip: ConvTranspose2d
    tiled: ConvTranspose2d | None
    planes: int = 0
    copies: int = 1
    tile_of_phases: bool = False

    def rows(self, conv: ConvTranspose2d, height: int) -> int:
        """Rows of blocks of the output."""
        return max(1, ceil_div(conv.h.output_size(height), self.strip.h.stride))

    def columns(self, conv: ConvTranspose2d, width: int) -> int:
        return max(1, ceil_div(conv.w.output_size(width), self.strip.w.stride))

    def accumulators(self, tile: Tiling) -> int:
        if self.tiled is None:
            return 0
        phases = self.tiled.w.stride * (self.tiled.h.stride if tile.inner_fh else 1)
        return phases * tile.vectors * tile.channels

    def scratch_bytes(self, tile: Tiling) -> int:
        """Input and sums of a strip, for one share of its channels."""
        conv = self.strip
        rows, columns = tile.rows + conv.h.uniform_extent, conv.w.uniform_extent
        tiles = ceil_div(conv.group_outputs, tile.channels)
        channels = ceil_div(tiles, tile.channel_splits) * tile.channels
        sums = self.planes * channels * tile.rows * tile.block_columns
        return 4 * (conv.group_inputs * rows * (tile.block_columns + columns) + sums)


@lru_cache(maxsize=256)
def sums_in_scratch(conv: ConvTranspose2d) -> TilingForm:
    """The form of a variant that keeps all sums of a strip in scratch."""
    return TilingForm(conv, None, planes=conv.h.stride * conv.w.stride)


def some_channels(conv: ConvTranspose2d, machine: CpuMachine) -> set[int]:
    """Channels of a tile, up to those of a group."""
    outputs = conv.group_outputs
    return {n for n in (*_CHANNELS, *some_parts(outputs, 4)) if n <= min(outputs, max(_CHANNELS))}


def fitting_channels(conv: ConvTranspose2d, tile: Tiling) -> str | None:
    """Why a tile has too many channels, in words; None if it has not."""
    if tile.channels > conv.group_outputs:
        return f"{tile.channels} channels in a tile, where a group has {conv.group_outputs}"
    return None


@dataclass(frozen=True)
class TilingSpace:
    """The space of a variant that tiles by ``Tiling``.

    ``form`` says how it does for a layer (cache it: it is asked for every point), ``channels``
    gives the values of that field and ``channels_refusal`` says what is wrong with one.
    """

    form: Callable[[ConvTranspose2d], TilingForm]
    channels: Callable[[ConvTranspose2d, CpuMachine], set[int]] = some_channels
    channels_refusal: Callable[[ConvTranspose2d, Tiling], str | None] = fitting_channels

    def fields(
        self, conv: ConvTranspose2d, sizes: Sizes, own: Tiling, machine: CpuMachine
    ) -> dict[str, set[int]]:
        """Values of each field besides those of ``own``, which the variant chooses itself."""
        form = self.form(conv)
        tiled = form.tiled
        lanes = set(lanes_of(machine)[:2])
        vectors = set(_VECTORS) if tiled else {1}
        channels = self.channels(conv, machine)
        tiles = {ceil_div(conv.group_outputs, n) for n in channels}
        even = tiled is not None and not form.strip.h.is_uneven
        by_lane = tiled is not None and machine.multiplies_by_lane
        uneven = form.tile_of_phases and form.strip.h.is_uneven
        return {
            "lanes": lanes,
            "vectors": vectors,
            "channels": channels,
            "rows": _rows(form, conv, sizes),
            "column_tiles": _column_tiles(form, conv, sizes, product(lanes, vectors), machine),
            "inner_fh": {0, 1} if form.tile_of_phases else set(),
            # Nothing is gained by it where the taps are even, a must or useless where they are not.
            "unroll_fh": {0, 1} if uneven else set(),
            "unroll_th": {0, 1} if even and form.strip.h.max_taps > 1 else set(),
            "channel_splits": split_values(tiles, machine),
            "parallel": parallel_values(conv, sizes, machine),
            "weight_vectors": {0, 1} if by_lane else set(),
        }

    def refusal(
        self, conv: ConvTranspose2d, sizes: Sizes, tile: Tiling, machine: CpuMachine
    ) -> str | None:
        """Why the variant cannot do these sizes, in words; None if it can."""
        form = self.form(conv)
        if tile.lanes not in lanes_of(machine):
            return f"no vectors of {tile.lanes} lanes on a machine of {machine.lanes}"
        if form.tiled is None and tile.vectors != 1:
            return f"one vector is computed at a time, not {tile.vectors}"
        found = self.channels_refusal(conv, tile)
        if found is not None:
            return found
        tiles = ceil_div(conv.group_outputs, tile.channels)
        unequal = unequal_shares(tiles, "tiles of channels", tile.channel_splits)
        return unequal or _loop_refusal(form, tile, machine)

    def costs(
        self, conv: ConvTranspose2d, sizes: Sizes, tile: Tiling, machine: CpuMachine
    ) -> list[Cost]:
        """What the sizes cost; the list is as long for every ``tile``."""
        form = self.form(conv)
        accumulators = form.accumulators(tile)
        tiles = ceil_div(conv.group_outputs, tile.channels)
        batch, height, width = sizes
        costs = [
            Cost("bytes of scratch", form.scratch_bytes(tile), _CACHES * machine.l2_bytes),
            waste("channels", conv.group_outputs, tiles * tile.channels),
        ]
        if form.tiled is not None:
            taps = form.tiled.w.max_taps * (form.tiled.h.max_taps if tile.unroll_th else 1)
            copies = form.copies * (form.tiled.h.stride if tile.unroll_fh else 1)
            on_stack = machine.sum_bytes * tile.lanes * accumulators
            costs += [
                Cost("vector registers", accumulators + tile.vectors + 1, machine.vector_registers),
                Cost("bytes of accumulators on the stack", on_stack, STACK_BYTES - 1),
                Cost("multiply-adds written out", accumulators * taps * copies, _MAX_UNROLLED),
            ]
        blocks = 1
        if width is None:
            costs.append(
                Cost("columns of a strip of free width", tile.block_columns, _FREE_COLUMNS)
            )
        else:
            columns = form.columns(conv, width)
            needed = ceil_div(columns, tile.tile_columns)
            useless = tile.vectors - ceil_div(columns, tile.lanes)
            costs += [
                Cost("register tiles beyond the output", max(0, tile.column_tiles - needed), 0),
                Cost("vectors beyond the output", max(0, useless), 0),
            ]
            blocks = ceil_div(needed, tile.column_tiles)
        if height is not None:
            rows = form.rows(conv, height)
            costs.append(Cost("rows of blocks in a strip", tile.rows, rows))
            if width is not None:
                pieces = (batch or 1) * blocks * ceil_div(rows, tile.rows) * conv.groups
                pieces *= tile.channel_splits
                costs.append(idle_threads(pieces, tile.parallel, machine))
        return costs


def _loop_refusal(form: TilingForm, tile: Tiling, machine: CpuMachine) -> str | None:
    if tile.inner_fh and not form.tile_of_phases:
        return "inner_fh needs a register tile that holds the phases in height"
    if form.tiled is None:
        return None
    if tile.inner_fh and tile.unroll_fh:
        return "unroll_fh has nothing to write out where inner_fh puts the phases inside"
    if form.strip.h.is_uneven:
        # The taps that some phases lack would be tested for in the reduction.
        if not tile.unroll_th:
            return "phases in height have unlike taps, which needs unroll_th"
        if form.tile_of_phases and not (tile.unroll_fh or tile.inner_fh):
            return "phases in height have unlike taps, which needs unroll_fh or inner_fh"
    if machine.sum_bytes < 4 and machine.multiplies_by_lane and not tile.weight_vectors:
        return "sums of float16 need weight_vectors: weights of a tap in whole vectors"
    if tile.weight_vectors:
        weights = form.tiled.w.stride * tile.channels
        if not machine.multiplies_by_lane:
            return "weight_vectors needs a machine that multiplies by a lane"
        if weights % tile.lanes:
            return f"{weights} weights of a tap are no whole vectors of {tile.lanes}"
    return None


def idle_threads(pieces: int, parallel: bool, machine: CpuMachine) -> Cost:
    """Threads for which there is no piece: less than half of them, if the loop is parallel."""
    idle = max(0, machine.threads - pieces) if parallel else 0
    return Cost("threads without work", idle, (machine.threads - 1) // 2)


def parallel_values(conv: ConvTranspose2d, sizes: Sizes, machine: CpuMachine) -> set[int]:
    """Whether to use threads: a question only where there is little work for them."""
    if machine.threads == 1:
        return {0}
    batch, height, width = (
        size if size is not None else typical
        for size, typical in zip(sizes, (1, max(TYPICAL_SIZES), max(TYPICAL_SIZES)), strict=True)
    )
    work = conv.multiply_adds(batch, height, width)
    return {1} if work > _CERTAINLY_PARALLEL * machine.threads else {0, 1}


def split_values(things: set[int], machine: CpuMachine) -> set[int]:
    """Shares: up to two for each thread, if they divide at least a quarter of the ``things``.

    ``things`` are the numbers of tiles or blocks that there may be; every share copies the input.
    """
    enough = range(1, 2 * machine.threads + 1)
    return {n for n in enough if 4 * sum(thing % n == 0 for thing in things) >= len(things)}


def unequal_shares(things: int, what: str, splits: int) -> str | None:
    """Why so many tiles or blocks have no such shares, in words; None if they have."""
    return f"{things} {what} are not divisible by {splits} splits" if things % splits else None


def some_parts(whole: int, parts: int) -> set[int]:
    """``whole`` divided by 1, 2, ..., ``parts``, rounded up."""
    return {ceil_div(whole, n) for n in range(1, parts + 1)}


def _rows(form: TilingForm, conv: ConvTranspose2d, sizes: Sizes) -> set[int]:
    values = {*range(1, 17), 20, 24, 32, 48, _MOST_ROWS}
    if sizes.height is None:
        return {n for n in values if n <= 32}
    rows = form.rows(conv, sizes.height)
    return {n for n in values | some_parts(rows, 8) if n <= min(rows, _MOST_ROWS)}


def _column_tiles(
    form: TilingForm, conv: ConvTranspose2d, sizes: Sizes, tiles: product, machine: CpuMachine
) -> set[int]:
    """A row of output in a few parts, for every width of register tile."""
    values = {1, 2, 3, 4}
    columns = _FREE_COLUMNS if sizes.width is None else form.columns(conv, sizes.width)
    for lanes, vectors in tiles:
        values |= some_parts(ceil_div(columns, lanes * vectors), 4)
    # Beyond these no register tile is narrow enough.
    narrowest = 4 * form.strip.group_inputs * (1 + form.strip.h.uniform_extent) * machine.lanes // 2
    most = min(ceil_div(columns, 4), max(4, _CACHES * machine.l2_bytes // narrowest))
    return {n for n in values if n <= most}
