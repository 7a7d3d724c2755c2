"""Sizes of the Winograd form for a layer and a machine: those of the fewest cycles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import product
from math import gcd
from typing import Any

import numpy as np

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.winograd import (
    can_share,
    can_shift,
    depth_filter,
    depth_outputs,
    filters,
    is_exact,
    is_line,
    row_phases,
    tile_outputs,
)
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.cpu.tiling import MIN_WORK_PER_THREAD, STACK_BYTES
from tvm_deconv.schedules.typical import TYPICAL_SIZES
from tvm_deconv.schedules.variant import Sizes

from .cycles import register_cycles, tile_cycles
from .layout import Layout
from .tile import WinogradTile

_MAX_TILE_ROWS = 16
_MAX_COLUMN_STRIPS = 4

# Of a strip where the width is free: images of a few dozen columns must not pay for wide ones.
_FREE_COLUMNS = 64
# Vectors of tiles of a row where it is free and there is one row: sounds are longer than pictures
# are wide, and a strip must have enough outputs for weights that are read again for each.
_FREE_VECTORS = (1, 2, 4)

# A row of a line is cut into more strips, since there are no rows to cut: in powers of two, and
# such that a strip has so many vectors of tiles.
_MAX_LINE_STRIPS = 1024
_LINE_VECTORS = (1, 2, 3, 4, 6, 8, 16)
# Those of a row of a picture where AVX-512 is wide, Intel's and Zen 5; on others they were not
# measured.
_ROW_VECTORS = (1, 2, 3)

# Tiles of a register tile: more would be computed for nothing with few tiles in a strip. A line has
# more, and fewer loads for each multiply-add make it 15 to 20 % faster: two vectors by 8 rows.
_MOST_TILES, _MOST_LINE_TILES = 16, 32
# Up to so many vectors of tiles are weighed if they make a multiply-add cheaper by this much; of a
# line in any case, which has few: 40 of 200 samples fill three vectors, and waste a third of four.
_MOST_VECTORS, _WORTH_MORE = 3, 0.98

# Rows of blocks up to which phases in height are tried apart: of more, a row of tiles is little.
_MOST_ROWS_APART = 40

# Of strips of a line that are expected to be as fast, the shortest is: 0.80 of the time of four
# times the length for 32 channels and 7 taps 3 apart, 0.91 for 64 and 3 taps (Intel Xeon, busy
# caches).
_AS_FAST = 1.02

# Tiles of a strip of a volume along the depth, and rows of them, besides all that there are.
_DEPTH_TILES, _VOLUME_ROWS = (1, 2, 4, 8), (1, 2, 3, 4, 8)

# Vectors of outputs that are interleaved at once for a dilated layer. They do not fit in registers,
# but 7 taps 12 apart take 0.7 to 0.9 of the time with 48 vectors that they take with 24.
_MAX_INTERLEAVED = 48


def choose_tile(conv: ConvTranspose2d, sizes: Sizes, machine: CpuMachine) -> WinogradTile:
    """The tile with the least ``tile_cycles``; the layer must not be one that is refused."""
    _, best = min(_best_of_each(conv, sizes, machine), key=lambda found: found[0])
    return best


def choose_tiles(
    conv: ConvTranspose2d, sizes: Sizes, machine: CpuMachine
) -> tuple[WinogradTile, ...]:
    """The tile with the least cycles for each number of outputs, with and without products that
    phases share, with phases apart and shifted: most differ in their weights."""
    return tuple(tile for _, tile in _best_of_each(conv, sizes, machine))


@lru_cache(maxsize=256)
def _best_of_each(
    conv: ConvTranspose2d, sizes: Sizes, machine: CpuMachine
) -> tuple[tuple[float, WinogradTile], ...]:
    """Cycles and tile, the best of each of ``_forms``."""
    best = (_best(conv, sizes, many, machine) for many in _candidates(conv, sizes, machine))
    # What matters less, or not at all for the others, is settled last.
    return tuple((cycles, replace(tile, unroll=_unroll(conv, tile))) for cycles, tile in best)


def _best(
    conv: ConvTranspose2d, sizes: Sizes, many: WinogradTile, machine: CpuMachine
) -> tuple[float, WinogradTile]:
    """The fewest cycles among tiles that differ in fields that are arrays, and a tile of them.

    There are thousands for a layer: one by one they would take a tenth of a second.
    """
    cycles: Any = tile_cycles(conv, sizes, many, machine)
    first = int(np.argmin(cycles))
    if is_line(conv):
        near = cycles <= _AS_FAST * cycles[first]
        first = int(np.argmin(np.where(near, many.tiles[0] * many.tiles[1], np.inf)))

    def one(values: Any) -> int:
        """Of what is said to be an int and is an array of them."""
        return int(values[first])

    channels = one(many.channels)
    return cycles[first], replace(
        many,
        vectors=one(many.vectors),
        channels=channels,
        tiles=(one(many.tiles[0]), one(many.tiles[1])),
        block=one(many.block),
        channel_splits=one(many.channel_splits),
        depth=(many.depth[0], one(many.depth[1]) if many.depth[0] else 0),
        weight_vectors=_weights_in_vectors(channels, machine),
    )


def _weights_in_vectors(channels: int, machine: CpuMachine) -> bool:
    """Whether a register tile's weights of one input channel are loaded as whole vectors."""
    return machine.multiplies_by_lane and channels % machine.lanes == 0


def _candidates(conv: ConvTranspose2d, sizes: Sizes, machine: CpuMachine) -> Iterator[WinogradTile]:
    """Tiles to weigh, all of one of ``_forms`` in one, whose other fields are arrays."""
    work = conv.multiply_adds(
        sizes.batch or 1,
        sizes.height or max(TYPICAL_SIZES),
        sizes.width or max(TYPICAL_SIZES),
    )
    parallel = machine.threads > 1 and work >= 2 * MIN_WORK_PER_THREAD
    row_vectors = _ROW_VECTORS if machine.has_wide_avx512 else ()
    for form in _forms(conv, sizes, machine):
        known = filters(conv, form.outputs, form.shared, form.shifted)
        phases = row_phases(conv, known, form.apart)
        shapes = [
            ((block, *shape), _splits(conv, block, machine))
            for block in _blocks(conv, machine)
            for shape in _register_tiles(block * phases, is_line(conv), machine)
        ]
        planes = list(_strips(conv, sizes, form, row_vectors))
        strips: list[tuple[int, ...]] = [*planes]
        deep = form.depth[0]
        if deep:
            strips = [(*s, n) for s, n in product(_few_rows(planes), _slices(conv, deep))]
        varied = [
            (*shape, *strip, n) for shape, splits in shapes for strip in strips for n in splits
        ]
        if not varied:
            continue
        block, vectors, channels, rows, columns, *tiles, splits = np.array(varied, "int64").T
        yield replace(
            form,
            vectors=vectors,
            channels=channels,
            tiles=(rows, columns),
            block=block,
            channel_splits=splits,
            parallel=parallel,
            weight_vectors=_weights_in_vectors(channels, machine),
            depth=(deep, tiles[0] if deep else 0),
        )


def _forms(conv: ConvTranspose2d, sizes: Sizes, machine: CpuMachine) -> Iterator[WinogradTile]:
    """Tiles that differ in their outputs, in whether phases share products, in whether those in
    height are apart and those in width shifted, and in outputs along the depth.

    Phases apart were measured on an Intel Xeon (Emerald Rapids) and on Zen 5, shifted ones on the
    latter.
    """
    if conv.slices is not None and not is_line(conv):
        yield from _forms_of_slices(conv, machine)
        return
    small = sizes.height is not None and conv.h.blocks(sizes.height) <= _MOST_ROWS_APART
    late = max(conv.h.shifts) > 0 and not is_line(conv)
    may_be_apart = small and late and machine.loads_per_multiply_add == 1
    may_be_shifted = may_be_apart and machine.is_zen5 and can_shift(conv) and sizes.width
    for outputs in _outputs(conv):
        one = _form(outputs, machine)
        yield one
        if can_share(conv, outputs):
            yield replace(one, shared=True)
        if may_be_apart:
            yield replace(one, apart=True)
            if may_be_shifted:
                yield replace(one, apart=True, shifted=True)


def _form(outputs: tuple[int, int], machine: CpuMachine, deep: int = 0) -> WinogradTile:
    depth = (deep, int(deep > 0))
    return WinogradTile(machine.lanes, 1, 1, outputs, (1, 1), 1, depth=depth)


def _forms_of_slices(conv: ConvTranspose2d, machine: CpuMachine) -> Iterator[WinogradTile]:
    """Those of a volume: with the depth as an axis, and as many outputs in height as in width."""
    for outputs, deep in product(_outputs(conv), depth_outputs(conv)):
        known = (depth_filter(conv, deep), *filters(conv, outputs))
        if outputs[0] == outputs[1] and (deep == 1 or is_exact(known)):
            one = _form(outputs, machine, deep)
            yield one
            if can_share(conv, outputs):
                yield replace(one, shared=True)


def _slices(conv: ConvTranspose2d, outputs: int) -> list[int]:
    """Tiles of a strip along the depth."""
    assert conv.slices is not None
    most = -(-conv.slices.count // outputs)
    return sorted({n for n in _DEPTH_TILES if n < most} | {most})


def _few_rows(strips: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those of some numbers of rows, since each is weighed with several numbers of slices."""
    most = max((rows for rows, _ in strips), default=0)
    return [(rows, columns) for rows, columns in strips if rows in {*_VOLUME_ROWS, most}]


def _outputs(conv: ConvTranspose2d) -> list[tuple[int, int]]:
    """Outputs of a tile, of those known; few of a dilated layer, or the fewest."""
    rows, columns = tile_outputs(conv)
    step = filters(conv, (rows[0], columns[0]))[1].step
    if step > 1:
        most = max(columns[0], _MAX_INTERLEAVED // (step * conv.w.stride))
        columns = [n for n in columns if n <= most]
    return list(product(rows, columns))


def _blocks(conv: ConvTranspose2d, machine: CpuMachine) -> list[int]:
    """Output channels of a block: all, a power of two, or half of what 16 does not divide.

    One only where it has more than four phases. Measured on an Intel Xeon (Emerald Rapids), one
    thread: 28 -> 3 channels with a shuffle by 3 take 0.87 of the time one by one, 64 -> 32 channels
    behind a resize by 2 1.03; 28 -> 28 channels take 0.91 with blocks of 14. Blocks of 8 fit its
    register tiles of 2 x 8: 3x3 64 -> 64 at 128x128 takes 0.87; on Zen 4 nobody measured them, and
    those of 32 on Zen 5 only (``cycles``).
    """
    outputs = conv.group_outputs
    few = {1} if conv.h.stride * conv.w.stride > 4 else set()
    half = {-(-outputs // 2)} if outputs % 16 else set()
    eight = {8} if machine.loads_per_multiply_add == 1 else set()
    more = {32} if machine.is_zen5 else set()
    return sorted({n for n in {4, 16, 64} | eight | more | few | half if n < outputs} | {outputs})


def _splits(conv: ConvTranspose2d, block: int, machine: CpuMachine) -> list[int]:
    blocks = -(-conv.group_outputs // block)
    return [n for n in {1, machine.threads} if blocks % n == 0]


def _strips(
    conv: ConvTranspose2d,
    sizes: Sizes,
    form: WinogradTile,
    row_vectors: tuple[int, ...],
) -> Iterator[tuple[int, int]]:
    """Rows and columns of tiles in a strip; of a picture a row may have ``row_vectors``, too."""
    layout, lanes = Layout(conv, form), form.lanes
    late, unit = max(layout.w.shifts), layout.w.unit
    if conv.slices is not None and not is_line(conv):
        sizes = sizes._replace(height=conv.slices.height)
    if sizes.width is None:
        if sizes.height == 1:
            columns = {vectors * lanes for vectors in _FREE_VECTORS}
        else:
            columns = {-(-_FREE_COLUMNS // unit)}
        # Constants with a value per phase are read in whole vectors where strips begin at one. Some
        # lines have only tiles of five or six outputs, and a dilated layer tiles of its dilation.
        needed = not late and (is_line(conv) or layout.w.step > 1)
        whole = lanes // gcd(unit, lanes) if needed else 1
        columns = {-(-tiles // whole) * whole for tiles in columns}
        columns = {tiles for tiles in columns if late or tiles * unit % lanes == 0}
    else:
        blocks = conv.w.blocks(sizes.width)
        counts = set(range(1, _MAX_COLUMN_STRIPS + 1))
        if sizes.height == 1:
            counts |= {1 << n for n in range(_MAX_LINE_STRIPS.bit_length())}
        columns = {-(-(-(-blocks // n) + late) // unit) for n in counts}
        if sizes.height == 1:
            columns = {tiles for tiles in columns if tiles >= lanes} | {max(columns)}
        # Whole vectors of what is transformed.
        beyond = layout.w.pieces - 1
        several = _LINE_VECTORS if sizes.height == 1 else row_vectors
        full = {vectors * lanes - beyond for vectors in several}
        columns |= {tiles for tiles in full if 0 < tiles < max(columns)}
    most = _MAX_TILE_ROWS
    if sizes.height is not None:
        rows = conv.h.blocks(sizes.height) + max(layout.h.shifts)
        most = min(most, -(-rows // layout.h.unit))
    yield from product(range(1, most + 1), columns)


@lru_cache(maxsize=256)
def _register_tiles(rows: int, line: bool, machine: CpuMachine) -> list[tuple[int, int]]:
    """Vectors and channels of the register tile for a block of ``rows``, and of wider ones.

    The first has few tiles; the others more, where loads are what a multiply-add waits for.
    Measured on an Intel Xeon (Emerald Rapids): 2 x 4 in place of 1 x 8 is up to 12 % faster for a
    layer.

    Where lanes can be factors, LLVM keeps the weights of an input channel in registers even if they
    are no whole vectors: 9 x 3 accumulators then spill on NEON.
    """

    def cost(shape: tuple[int, int]) -> float:
        vectors, channels = shape
        whole = _weights_in_vectors(channels, machine)
        sizes = machine.lanes, vectors, channels
        tile = WinogradTile(*sizes, (1, 1), (1, 1), 1, weight_vectors=whole)
        return register_cycles(tile, machine, line) * -(-rows // channels) * channels / rows

    def registers(vectors: int, channels: int) -> int:
        weights = -(-channels // machine.lanes) if machine.multiplies_by_lane else 1
        return vectors * channels + vectors + weights

    shapes = [
        (vectors, channels)
        for vectors, channels in product(range(1, 9), range(1, 17))
        if registers(vectors, channels) <= machine.vector_registers
        and 4 * machine.lanes * channels < STACK_BYTES
    ]
    most = _MOST_LINE_TILES if line else _MOST_TILES
    first = min((s for s in shapes if s[0] * machine.lanes <= most), key=cost)
    if machine.loads_per_multiply_add > 1:
        return [first]
    widths = range(first[0] + 1, _MOST_VECTORS + 1)
    wider = [[shape for shape in shapes if shape[0] == width] for width in widths]
    best = [min(found, key=cost) for found in wider if found]
    worth = 1 if line else _WORTH_MORE
    return [first, *(shape for shape in best if cost(shape) < worth * cost(first))]


def _unroll(conv: ConvTranspose2d, tile: WinogradTile) -> int:
    """Input channels written out: about 32 multiply-adds, and no remainder."""
    layout = Layout(conv, tile)
    most = max(1, 32 // (tile.vectors * tile.channels * layout.pieces))
    return max(n for n in range(1, most + 1) if layout.group_inputs % n == 0)
